"""Annotation files, lists and descriptions as bytes, text or lines: the reading that all formats share."""

from __future__ import annotations

from pathlib import Path

from yolo.errors import AnnotationError
from yolo.files import bounded

LARGEST_LIST = 64 * bounded.MIB
"""Largest size of a list of images in bytes: about a million paths."""
LARGEST_ANNOTATION = 8 * bounded.MIB
"""Largest size of one image's annotation file in bytes: ten thousand objects; parsing takes 50 times the memory."""


def read_bytes(path: Path) -> bytes:
    """Read one image's annotation file.

    Raises:
        AnnotationError: the file cannot be read, is not a regular file, or is too large.
    """
    return bounded.read_bytes(path, limit=LARGEST_ANNOTATION, error=AnnotationError, what="one image's annotation file")


def read_lines(path: Path, *, limit: int = LARGEST_LIST) -> list[tuple[int, str]]:
    """Read the non-empty lines of a text file, stripped, each with its number from 1.

    Args:
        path: the file, in UTF-8 with or without a byte order mark.
        limit: largest size in bytes.

    Raises:
        AnnotationError: the file cannot be read, is not a regular file, is too large, or is not UTF-8.
    """
    text = bounded.read_text(path, limit=limit, error=AnnotationError, what="a list or label file")
    # Not `splitlines`: that also breaks at characters that may be part of a file's name.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = enumerate(text.split("\n"), start=1)
    return [(number, line.strip()) for number, line in lines if line.strip()]
