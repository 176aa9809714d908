"""Entries of a file's metadata: our description, and those that other programs read, named as Ultralytics writes them.

`ultralytics`' exporter writes them to ONNX's metadata_props, to metadata.yaml beside OpenVINO's and TensorFlow's files,
and to a metadata.json appended to LiteRT's; OpenVINO's Model API and DL Streamer read `model_info`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import yolo
from yolo.conversion.description import KEY, Description
from yolo.images.letterbox import CANVAS_GREY

FITTED = {"letterbox": "fit_to_window_letterbox", "stretch": "standard"}
"""Model API's names of the letterbox modes."""


def entries(description: Description) -> dict[str, Any]:
    """Entries of a file's metadata by name; the values are numbers, texts, lists and dicts."""
    trained_on = description.origin.get("dataset")
    about = f" trained on {trained_on}" if isinstance(trained_on, str) else ""
    return {
        "description": f"{description.model} model{about}",
        "author": "yolov3-keras",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": yolo.__version__,
        "license": "MIT (the program; the weights as their origin says)",
        "stride": max(description.strides),
        "task": "detect",
        "batch": description.batch or 1,
        "imgsz": list(description.canvas),
        "names": dict(enumerate(description.classes)),
        "channels": 3,
        "args": {
            "dynamic": not description.fixed_canvas,
            "nms": description.contents == "detections",
            "half": description.precision == "float16",
            "int8": description.precision == "int8",
        },
        KEY: description.to_text(),
    }


def entry_texts(description: Description) -> dict[str, str]:
    """Entries as texts, dicts and lists as Python writes them, for formats that hold texts alone."""
    return {name: str(value) for name, value in entries(description).items()}


def model_info(description: Description) -> dict[str, Any]:
    """Entries for OpenVINO's Model API, as far as they are true of the file.

    There is no ``model_type``: no wrapper of the Model API decodes YOLOv3's outputs as they are here. The
    network scales to 0..1 itself, so that the scale is 1.
    """
    return {
        "labels": ["_".join(name.split()) for name in description.classes],  # read back split at white space
        "resize_type": FITTED[description.letterbox],
        "pad_value": CANVAS_GREY,
        "confidence_threshold": description.raw_nms.conf,  # other programs see raw scores
        "iou_threshold": description.nms.iou,
        "reverse_input_channels": True,
        "scale_values": [1.0],
        "mean_values": [0.0],
    }


def as_texts(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Metadata as read from a file, its values as texts."""
    return {str(name): value if isinstance(value, str) else str(value) for name, value in metadata.items()}
