"""Output of results: annotated images, `detections.json`, one text line per image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from yolo.detect.predictor import Prediction
from yolo.errors import ConfigError
from yolo.files.atomic import to_json, write_text
from yolo.images.codec import write_image
from yolo.images.suffixes import WRITTEN
from yolo.structs import Detections

LIST, LINES = "detections.json", "detections.jsonl"
"""Names of the final file with the records of all images, and of the growing file during the run."""


class Records:
    """Records of the images so far, in memory and, with a folder, in its files.

    `LINES` grows by a line per image and is replaced by `LIST` at the end: a JSON list cannot be appended to, and one
    written only at the end would be lost when the process is killed or the disk is full.

    Raises:
        ConfigError: a file cannot be written (all methods).
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        """Folder of the files; None: write no files."""
        self.all: list[dict[str, Any]] = []
        self.kept = 0
        """Number of records in the file."""

    def write_to(self, folder: Path) -> None:
        """Write all further records into a folder too."""
        self.folder = folder
        write_text(folder / LINES, "")

    def add(self, record: dict[str, Any]) -> None:
        """Add the record of one image."""
        self.all.append(record)
        if self.folder is not None:
            append_line(self.folder / LINES, to_json(record))
            self.kept += 1

    def finish(self) -> Path | None:
        """Replace the file of lines by the list; return its path, None without a folder."""
        if self.folder is None:
            return None
        write_text(self.folder / LIST, to_json(self.all, indent=2) + "\n")
        self.kept = len(self.all)
        self._remove_lines()
        return self.folder / LIST

    def salvage(self) -> Path | None:
        """Save the records after an error: in the list if it can be written, else in the file of lines.

        Returns:
            The file with the records; None without a folder or records.
        """
        if not self.all:
            self._remove_lines()
            return None
        try:
            return self.finish()
        except ConfigError:
            return None if self.folder is None else self.folder / LINES

    def _remove_lines(self) -> None:
        if self.folder is not None:
            with suppress(OSError):
                (self.folder / LINES).unlink()


def append_line(path: Path, text: str) -> None:
    """Append a line to a file, whole or not at all.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        with path.open("ab", buffering=0) as file:
            end = file.tell()
            try:
                rest = memoryview(f"{text}\n".encode())
                while rest:
                    rest = rest[file.write(rest) :]
            except OSError:
                file.truncate(end)
                raise
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}); make room or give another --out") from error


def output_names(paths: Sequence[Path]) -> list[str]:
    """Choose an output file name for each image: its own, numbered if it repeats.

    Names that differ only in case count as equal, as some file systems do not distinguish them. A name without a
    suffix that keeps all colours gets ``.jpg``.
    """
    wanted = [path.name if path.suffix.lower() in WRITTEN else f"{path.name}.jpg" for path in paths]
    taken = {LIST, LINES}
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
    """Refuse to overwrite a source image.

    Raises:
        ConfigError: an output file would be one of the sources.
    """
    sources = {path.resolve() for path in paths}
    for name in names:
        if (folder / name).resolve() in sources:
            raise ConfigError(f"{folder / name}: is one of the pictures to read; give another --out")


def write_picture(path: Path, prediction: Prediction) -> None:
    """Write the image with its detections drawn on it.

    Raises:
        MediaError: it cannot be written.
    """
    write_image(path, prediction.detections.draw(prediction.image))


def to_record(path: Path, detections: Detections) -> dict[str, Any]:
    """Entry of an image in the JSON list: ``{"source": .., "frame": None, "detections": [..]}``."""
    return {"source": printable(path), "frame": None, "detections": detections.to_list()}


def to_line(path: Path, detections: Detections) -> str:
    """Text line of an image: ``dog.jpg: dog 0.98, car 0.95``."""
    rows = zip(detections.names, detections.scores, strict=True)
    found = ", ".join(f"{name} {score:.2f}" for name, score in rows)
    return f"{printable(path)}: {found or 'nothing'}"


def printable(path: Path) -> str:
    """Path as text; bytes of a file name that are not UTF-8 become question marks."""
    return os.fsencode(path).decode("utf-8", "replace")
