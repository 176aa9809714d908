"""Detectors and exported files for the tests of runtimes."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

import yolo
from yolo.conversion.description import KEY, Description, describe


def noisy_detector(model: str = "yolov3-tiny", *, size: int = 96, seed: int = 0, **options: Any) -> yolo.Detector:
    """A small network whose batch norms and heads are far from their initial values."""
    made = yolo.Detector(model, size=size, **{"classes": ["a", "b", "c"], **options})
    return scatter(made, seed=seed, bias=-1)


def scatter(detector: yolo.Detector, *, seed: int = 0, bias: float = -0.5) -> yolo.Detector:
    """Draw batch norms, and scale the heads so that scores lie around the threshold and none near 1, where all tie."""
    random = np.random.default_rng(seed)
    for layer in detector.convolutions:
        if layer.batch_norm is not None:
            norm = layer.batch_norm
            for variable in (norm.gamma, norm.moving_variance):
                variable.assign(random.uniform(0.5, 1.5, variable.shape))
            for variable in (norm.beta, norm.moving_mean):
                variable.assign(random.normal(0, 0.1, variable.shape))
    noise = random.uniform(0, 255, (1, *detector.canvas, 3)).astype(np.float32)
    for head, raw in zip(detector.heads, detector(noise), strict=True):
        kernel, biases = head.get_weights()
        head.set_weights([kernel / max(np.std(raw), 1e-6), random.normal(bias, 0.5, biases.shape)])
    return detector


def pictures(count: int = 3) -> list[np.ndarray]:
    return [np.random.default_rng(seed).integers(0, 256, (80, 60 + seed, 3), np.uint8) for seed in range(count)]


def append_metadata(path: Path, entries: dict[str, str]) -> None:
    """Metadata of a LiteRT file: a zip archive behind its bytes."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("metadata.json", json.dumps(entries))


def write_saved_model(folder: Path, detector: yolo.Detector) -> Description:
    import tensorflow as tf
    import yaml

    from yolo.conversion.graph import maps_function

    function, module = maps_function(detector), tf.Module()
    module.network = function.network
    tf.saved_model.save(module, str(folder), signatures={"serving_default": function})
    description = describe(detector)
    (folder / "metadata.yaml").write_text(yaml.safe_dump({KEY: description.to_text()}))
    return description


def write_exported(folder: Path, detector: yolo.Detector) -> dict[str, Path]:
    """The detector in every format, by its name."""
    from yolo.runtimes.convert import convert_into

    folder.mkdir(parents=True)
    paths = {"openvino": folder / "ov.xml", "onnx": folder / "o.onnx", "litert": folder / "l.tflite"}
    descriptions = {name: convert_into(path, detector, name) for name, path in paths.items()}
    if not zipfile.is_zipfile(paths["litert"]):
        append_metadata(paths["litert"], {KEY: descriptions["litert"].to_text()})
    write_saved_model(folder / "saved", detector)
    return {**paths, "saved_model": folder / "saved"}


def copied(paths: dict[str, Path], name: str, folder: Path) -> Path:
    """A copy of one of the files, with what lies beside it, that a test may damage."""
    path, target = paths[name], folder / paths[name].name
    if path.is_dir():
        shutil.copytree(path, target)
        return target
    shutil.copy(path, target)
    if name == "openvino":
        shutil.copy(path.with_suffix(".bin"), target.with_suffix(".bin"))
    return target
