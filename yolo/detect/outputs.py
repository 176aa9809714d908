"""Results to files and lines: annotated pictures, `detections.json`, one line a picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yolo.detect.predictor import Prediction
from yolo.errors import ConfigError
from yolo.images.codec import SUFFIXES, write_image
from yolo.structs import Detections


def output_names(paths: Sequence[Path]) -> list[str]:
    """A file name for each picture: its own, numbered where several folders have it.

    Names that differ in case alone count as equal, for file systems where they are. What has no
    picture's suffix gets ``.jpg``.
    """
    wanted = [path.name if path.suffix.lower() in SUFFIXES else f"{path.name}.jpg" for path in paths]
    taken = {"detections.json"}
    names = []
    for name in wanted:
        stem, suffix = Path(name).stem, Path(name).suffix
        free, number = name, 1
        while free.casefold() in taken:
            number += 1
            free = f"{stem}-{number}{suffix}"
        taken.add(free.casefold())
        names.append(free)
    return names


def check_targets(folder: Path, names: Sequence[str], paths: Sequence[Path]) -> None:
    """Never write over a picture that is read.

    Raises:
        ConfigError: an output file would be one of the sources.
    """
    sources = {path.resolve() for path in paths}
    for name in names:
        if (folder / name).resolve() in sources:
            raise ConfigError(f"{folder / name}: is one of the pictures to read; give another --out")


def write_picture(path: Path, prediction: Prediction) -> None:
    """The picture with its detections drawn on it.

    Raises:
        MediaError: it cannot be written.
    """
    write_image(path, prediction.detections.draw(prediction.image))


def to_record(path: Path, detections: Detections) -> dict[str, Any]:
    """A picture's entry in the JSON list: ``{"source": .., "frame": None, "detections": [..]}``."""
    return {"source": printable(path), "frame": None, "detections": detections.to_list()}


def to_line(path: Path, detections: Detections) -> str:
    """A picture's line for people: ``dog.jpg: dog 0.98, car 0.95``."""
    rows = zip(detections.names, detections.scores, strict=True)
    found = ", ".join(f"{name} {score:.2f}" for name, score in rows)
    return f"{printable(path)}: {found or 'nothing'}"


def printable(path: Path) -> str:
    """The path as text; bytes of a file name that are not UTF-8 become question marks."""
    return os.fsencode(path).decode("utf-8", "replace")
