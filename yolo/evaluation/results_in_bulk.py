"""Fast reading of a COCO results file without faults: a block of the file at a time, columns in bulk.

It judges nothing: whatever is out of the ordinary is left to the reader that goes entry by entry and names the fault.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.json_file import paused_garbage_collection
from yolo.files.bounded import MIB, open_file

BLOCK = MIB // 4
"""Number of bytes that are parsed at once."""
BETWEEN = re.compile(rb"\}\s*,\s*\{")
"""End of an entry and beginning of the next one, unless it lies within a text or a nested list."""
IRREGULAR = (OSError, ValueError, KeyError, OverflowError, RecursionError)
"""Errors on a file that is not in order."""


class Entry(msgspec.Struct, gc=False):
    """Part of an entry that is used; other keys are skipped."""

    image_id: int | str
    category_id: int | str
    bbox: tuple[float, float, float, float]
    score: float


DECODER = msgspec.json.Decoder(list[Entry])


def read_in_bulk(
    path: str | Path, pictures: Mapping[Any, int], labels: Mapping[Any, int], *, largest: float, limit: int
) -> NDArray[np.float64] | None:
    """Read the entries of a results file as rows of image, label, score, x, y, width and height.

    Args:
        path: the file.
        pictures: index of the image of each image id.
        labels: label of each category id.
        largest: bound of the absolute values of coordinates and scores.
        limit: largest size of the file in bytes.

    Returns:
        Rows (K, 7); None if the file cannot be read or anything in it may be a fault.
    """
    try:
        with open_file(path, buffering=0) as file, paused_garbage_collection():
            size = os.fstat(file.fileno()).st_size
            blocks = _entries(file, size) if size <= limit else iter(())
            rows = [_rows(entries, pictures, labels, largest) for entries in blocks]
            return np.concatenate(rows)
    except IRREGULAR:
        return None


def _entries(file: IO[bytes], size: int) -> Iterator[list[Entry]]:
    """Lists of some entries each, in the file's order.

    A block is cut where an entry seems to end. If that lies within a text or a nested list, what is before it is not
    valid JSON, and the block is read on to twice its length: so nothing is misread.

    Raises:
        ValueError: the file is no valid list of entries.
    """
    held, left, wanted = b"", size, BLOCK
    while piece := file.read(min(wanted, left)):
        held, left, wanted = held + piece, left - len(piece), BLOCK
        cut = last_cut(held)
        try:
            entries = decode(held[: cut.start() + 1] + b"]") if cut else []
        except msgspec.DecodeError:
            cut = None
        if cut:
            yield entries
            held = b"[" + held[cut.end() - 1 :]
        else:
            wanted = len(held)
    yield decode(held)


def last_cut(content: bytes) -> re.Match[bytes] | None:
    """Last place where an entry seems to end and another one to begin."""
    at, cut = len(content), None
    while cut is None and (at := content.rfind(b"}", 0, at)) >= 0:
        cut = BETWEEN.match(content, at)
    return cut


def decode(content: bytes) -> list[Entry]:
    """Parse a list of entries.

    Raises:
        ValueError: it is malformed, or not in UTF-8.
    """
    if not content.isascii():
        content.decode()  # the decoder does not look into texts that it skips
    return DECODER.decode(content)


def _rows(
    entries: list[Entry], pictures: Mapping[Any, int], labels: Mapping[Any, int], largest: float
) -> NDArray[np.float64]:
    """Rows (K, 7) of entries without faults; with one, any of several errors is raised."""
    images, categories = [entry.image_id for entry in entries], [entry.category_id for entry in entries]
    rows = np.empty((len(entries), 7))
    rows[:, 0] = [pictures[image] for image in images]
    rows[:, 1] = [labels[category] for category in categories]
    rows[:, 2] = [entry.score for entry in entries]
    sides = chain.from_iterable([entry.bbox for entry in entries])
    rows[:, 3:] = np.fromiter(sides, np.float64, 4 * len(entries)).reshape(-1, 4)
    if not (np.abs(rows[:, 2:]) < largest).all() or (rows[:, 5:] < 0).any():
        raise ValueError("expected finite numbers, and sides that are not negative")
    return rows
