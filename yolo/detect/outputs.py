"""Output of results: annotated images, `detections.json`, one text line per image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.errors import ConfigError, MediaError
from yolo.files.atomic import is_folder, to_json, write_text
from yolo.images.codec import encode_image, write_encoded
from yolo.images.listing import RealFolders
from yolo.images.suffixes import WRITTEN
from yolo.structs import Detections, Size

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
    taken, numbers, names = {LIST, LINES}, dict[str, int](), []
    for path in paths:
        stem, suffix = os.path.splitext(path.name)  # noqa: PTH122 - a Path takes four times as long
        if suffix.lower() not in WRITTEN:
            stem, suffix = path.name, ".jpg"
        wanted = free = f"{stem}{suffix}"
        number = numbers.get(wanted.casefold(), 1)
        while free.casefold() in taken:
            number += 1
            free = f"{stem}-{number}{suffix}"
        numbers[wanted.casefold()] = number  # up to it all are taken
        taken.add(free.casefold())
        names.append(free)
    return names


def check_targets(folder: Path, names: Sequence[str], paths: Sequence[Path]) -> None:
    """Refuse to overwrite a source image.

    Raises:
        ConfigError: an output file would be one of the sources.
    """
    # What does not exist is no source; asking whether it does costs less than resolving it.
    if not (is_folder(folder) and any(folder.iterdir())):
        return
    existing = [folder / name for name in names if os.path.lexists(os.path.join(folder, name))]  # noqa: PTH118
    if not existing:
        return
    folders = RealFolders()
    sources = {folders.resolve(path) for path in paths}
    for target in existing:
        if folders.resolve(target) in sources:
            raise ConfigError(f"{target}: is one of the pictures to read; give another --out")


@dataclass(frozen=True)
class Drawn:
    """Annotated copy of an image, encoded."""

    target: Path
    """File to write."""
    content: bytes | MediaError
    """Its bytes, or why there are none."""
    size: Size = (0, 0)
    """(height, width) of the image."""

    def write(self) -> None:
        """Write the file, whole or not at all.

        Raises:
            MediaError: it cannot be written, or its format does not hold the image.
        """
        if isinstance(self.content, MediaError):
            raise self.content
        write_encoded(self.target, self.content)


def draw(image: NDArray[np.uint8], detections: Detections, target: Path) -> Drawn:
    """Draw the detections on a copy of their image (H, W, 3) RGB, and encode it for the file ``target``.

    An error is kept for the turn of this image.
    """
    height, width = image.shape[:2]
    try:
        return Drawn(target, encode_image(target, detections.draw(image)), (height, width))
    except MediaError as error:
        return Drawn(target, error, (height, width))


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
