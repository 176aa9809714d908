"""Folders that model servers load: TensorFlow Serving and Triton."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from yolo.config import Server, check
from yolo.errors import ConfigError
from yolo.exporting.target import beside, check_named, install, writing
from yolo.files.atomic import exists, is_folder, write_text

if TYPE_CHECKING:
    from yolo.model.detector import Detector

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
"""Model names that are safe in both programs' addresses and files."""

ANSWERS = """
Each picture's detections, best first, padded with zeros:

- `detection_boxes`: x1, y1, x2, y2 in pixels of the picture
- `detection_scores`: 0..1
- `detection_classes`: from 0; `detection_names`: their names
- `num_detections`: number of those that are not padding
"""
"""End of each README."""


def export_for(detector: Detector, folder: str | Path, server: Server, *, name: str = "yolov3") -> Path:
    """Write the folder that a model server loads: encoded pictures in, boxes in their own pixels out.

    Thresholds are the detector's own.

    Args:
        detector: detector to serve.
        folder: folder to write; it must not exist, or be empty.
        server: ``tf-serving`` or ``triton``.
        name: name of the model in requests.

    Returns:
        The folder.

    Raises:
        ConfigError: an option is wrong, the folder has contents or cannot be written, or a package is missing.
    """
    target = Path(folder)
    check(server in get_args(Server), "for", f"one of {', '.join(get_args(Server))}", server)
    check(re.fullmatch(NAME, name) is not None, "name", "letters, digits, _, . and -", name)
    check_folder(target)
    if server == "triton" and find_spec("tf2onnx") is None:
        raise ConfigError("for triton: needs tf2onnx, not installed; pip install 'yolov3-keras[onnx]'")
    with beside(target) as temporary, writing(target):
        place = temporary / target.name
        place.mkdir()
        if server == "triton":
            from yolo.exporting.triton import README, write_triton

            write_triton(detector, place, name)
        else:
            from yolo.exporting.tf_serving import README, write_tf_serving

            write_tf_serving(detector, place, name)
        write_text(place / "README.md", README.replace("@NAME@", name) + ANSWERS)
        install(temporary, target.parent, force=False)
    return target


def check_folder(folder: Path) -> None:
    """Check that a model server's folder can be written.

    Raises:
        ConfigError: it has no name, it has contents, or there is no folder to write it into.
    """
    check_named(folder)
    if exists(folder) and (not is_folder(folder) or any(folder.iterdir())):
        raise ConfigError(f"{folder}: exists; give another --out")
    if not is_folder(folder.parent):
        raise ConfigError(f"{folder}: there is no folder {folder.parent}")
