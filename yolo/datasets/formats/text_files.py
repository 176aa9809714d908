"""What the readers share: text files."""

from __future__ import annotations

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
