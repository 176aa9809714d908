"""The int8 file of a candidate, exported before it is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from yolo.errors import ConfigError

NAMES = {"openvino": "model.xml", "onnx": "model.onnx", "litert": "model.tflite"}
"""Name of the file for each runtime."""


def export_int8(*, weights: str, runtime: str, options: dict[str, Any], data: dict[str, Any], path: str) -> None:
    """Export a weights file in int8, calibrated on a dataset.

    Args:
        weights: path of the file.
        runtime: runtime that is to run it.
        options: further arguments of `yolo.load`.
        data: arguments of `load_dataset`.
        path: file to write.

    Raises:
        YoloError: something cannot be read, or int8 costs too much AP.
    """
    from yolo.system.startup import start_keras

    start_keras()
    from yolo.datasets.load import load_dataset
    from yolo.evaluation.class_mapping import map_classes
    from yolo.exporting.export import export
    from yolo.weights.load import load

    size = options.get("size")
    detector = load(weights, **{**options, "size": tuple(size)} if size else options)
    dataset = map_classes(load_dataset(**data), detector.classes)
    try:
        export(detector, Path(path), format=runtime, contents="maps", precision="int8", data=dataset)  # type: ignore[arg-type]
    except ConfigError as error:  # the name of a temporary file says nothing
        raise ConfigError(str(error).removeprefix(f"{path}: ")) from error
