"""Detectors and exported files for the tests of runtimes."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cfg_texts import narrow_tiny

import yolo
from yolo.conversion.description import KEY, Description, describe


def narrow_detector(classes: Sequence[str], *, size: int = 96, share: int = 4, **options: Any) -> yolo.Detector:
    """yolov3-tiny, layer by layer, with a fraction of its filters."""
    text = narrow_tiny(len(classes), side=size, share=share)
    return yolo.Detector("narrow.cfg", cfg=text, classes=classes, letterbox="letterbox", **options)


def noisy_detector(classes: Sequence[str] = ("a", "b", "c"), *, size: int = 96) -> yolo.Detector:
    """A small network whose batch norms and heads are far from their initial values."""
    return scatter(narrow_detector(classes, size=size), bias=-1)


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


def add_small_backbone(patch: pytest.MonkeyPatch) -> str:
    """Give keras.applications a network of a few layers, of the kinds that MobileNetV2 and V3 have; returns its name.

    Building and tracing one of Keras' own takes many seconds, as they have some 150 layers, and YOLOv3's pyramid on it
    has 20 million weights: here there are heads alone.
    """
    import keras
    from keras import layers

    spread = keras.initializers.Constant(0.01)  # without training, maps would be the same everywhere

    def small(include_top: bool, weights: str | None, input_shape: tuple[int, int, int]) -> keras.Model:
        assert (include_top, weights) == (False, None)
        images = maps = keras.Input(input_shape)
        for number, filters in enumerate((8, 16, 16, 32, 32)):
            if number == 2:
                maps = layers.ZeroPadding2D(((0, 1), (0, 1)))(maps)
            padding = "valid" if number == 2 else "same"
            maps = layers.DepthwiseConv2D(3, strides=2, padding=padding, use_bias=False)(maps)
            maps = layers.BatchNormalization(momentum=0.999, epsilon=0.001)(maps)
            maps = layers.ReLU(6.0)(maps)
            maps = layers.Conv2D(filters, 1, use_bias=False)(maps)
            maps = layers.BatchNormalization(moving_variance_initializer=spread)(maps)
            if number == 3:
                maps = layers.Multiply()([maps, layers.Activation("hard_sigmoid")(squeezed(maps, filters))])
            maps = layers.Activation("hard_swish")(maps)
            maps = layers.Add()([maps, layers.Conv2D(filters, 1)(maps)])
        return keras.Model(images, maps)

    def squeezed(maps: Any, filters: int) -> Any:
        return layers.Conv2D(filters, 1)(layers.GlobalAveragePooling2D(keepdims=True)(maps))

    def heads(features: Sequence[Any], conv: Any, biases: Sequence[Any]) -> list[Any]:
        return [conv.head(conv(maps, 16, 1), bias) for maps, bias in zip(features, biases, strict=True)]

    patch.setattr("yolo.model.networks.keras_backbones.pyramid", heads)
    small.__module__ = keras.applications.MobileNetV2.__module__  # whose preprocessing it expects
    patch.setattr(keras.applications, "SmallNet", small, raising=False)
    return "keras:SmallNet"


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
