"""What the readers share: text files, and questions about paths that no name makes fail."""

from __future__ import annotations

import os
from pathlib import Path

from yolo.errors import AnnotationError

LARGEST_TEXT = 64 * 2**20
"""Bytes of one annotation file, list or description, at most."""


def read_bytes(path: Path) -> bytes:
    """The content of an annotation file, list or description.

    Raises:
        AnnotationError: it cannot be read, or is larger than any such file.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_TEXT:
            raise AnnotationError(
                f"{path}: {size >> 20} MiB; annotation files may have {LARGEST_TEXT >> 20} MiB at most"
            )
        return path.read_bytes()
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror})") from error


def read_text(path: Path) -> str:
    """A text file in UTF-8, with or without a byte order mark.

    Raises:
        AnnotationError: it cannot be read, is too large, or is not UTF-8.
    """
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise AnnotationError(f"{path}:{line}: not a text file in UTF-8; save it as UTF-8") from error


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that hold something, stripped, each with its number from 1."""
    # Not `splitlines`: that also breaks at characters that may be part of a file's name.
    text = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
    lines = enumerate(text.split("\n"), start=1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def exists(path: Path) -> bool:
    # The methods of Path raise for names that are too long, which a broken file can hold.
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112
