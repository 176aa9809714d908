"""Small image files for the reader tests, and loading that may fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from yolo import Dataset, YoloError, load_dataset

ORIENTATION = 0x0112


def write_picture(path: Path, *, height: int = 100, width: int = 200, orientation: int = 1) -> Path:
    """A grey picture; the size is that of the stored pixels, before the EXIF rotation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.new("L", (width, height), 128).save(path, exif=exif.tobytes() if orientation != 1 else b"")
    return path


def dataset_or_fault(path: Path, **options: Any) -> Dataset | YoloError:
    """A dataset, or our own error about it; any other error goes on."""
    try:
        return load_dataset(path, **options)
    except YoloError as error:
        return error
