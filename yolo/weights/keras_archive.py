"""A look into ``.keras`` and ``.h5`` files before they are loaded: what they announce against what they hold.

A ``.keras`` file is a zip with ``config.json`` and an HDF5 file of weights. Both kinds of container can announce a
thousand times the bytes that they hold, which a reader would allocate before it sees that they are not there.
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import h5py

from yolo.files.bounded import MIB, in_units

CONFIG_MEMBER = "config.json"
WEIGHTS_MEMBER = "model.weights.h5"
LARGEST_CONFIG = 16 * MIB
"""Bytes of description in a ``.keras`` file, at most; a Darknet network's text, up to 4 MiB, is part of it."""
LARGEST_GROWTH = 20
"""What is in such a file unpacks to so many times the file's size, at most; Keras does not compress weights."""
SMALL = MIB
"""Bytes that are allowed whatever the file's size."""


@contextmanager
def checked_zip(file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """Open a ``.keras`` file whose members together unpack to no more than such a file's do.

    Raises:
        ValueError: they unpack to more, or one of them stands in it twice.
        Exception: any of `yolo.files.arrays.DAMAGE`.
    """
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len({member.filename for member in members}) < len(members):
            raise ValueError("a member stands in it twice")
        check_growth(sum(member.file_size for member in members), file, "its members unpack to")
        yield archive


def check_growth(announced: int, file: IO[bytes], what: str) -> None:
    """Compare what a file announces with its size.

    Raises:
        ValueError: it announces far more than it can hold.
    """
    size = os.fstat(file.fileno()).st_size
    if announced > max(SMALL, LARGEST_GROWTH * size):
        raise ValueError(f"{what} {in_units(announced)}, far more than a file of {in_units(size)} holds")


def read_config(archive: zipfile.ZipFile) -> Any:
    """Read the description of the model.

    Raises:
        ValueError: it is too large, or no JSON; and the other errors of `yolo.files.arrays.DAMAGE`.
    """
    size = archive.getinfo(CONFIG_MEMBER).file_size
    if size > LARGEST_CONFIG:
        raise ValueError(f"its {CONFIG_MEMBER} has {in_units(size)}, a detector's at most {in_units(LARGEST_CONFIG)}")
    try:
        return json.loads(archive.read(CONFIG_MEMBER))
    except RecursionError as error:
        raise ValueError(f"its {CONFIG_MEMBER} is nested too deeply") from error


@contextmanager
def checked_weights(file: IO[bytes], archive: zipfile.ZipFile | None) -> Iterator[h5py.File]:
    """Open the HDF5 file, or that within a ``.keras`` file, whose arrays are no larger than the file can hold.

    Raises:
        ValueError: they are; and the other errors of `yolo.files.arrays.DAMAGE`.
    """
    # In memory: zipfile goes back in a member by reading it from its beginning.
    content = file if archive is None else io.BytesIO(archive.read(WEIGHTS_MEMBER))
    with h5py.File(content, "r") as weights:
        check_growth(stored_bytes(weights), file, "its arrays have")
        yield weights


def stored_bytes(weights: h5py.File) -> int:
    """The bytes of all arrays of a file as it announces them, read into memory."""
    return sum(_bytes(array) for array in arrays_of(weights))


def stored_numbers(weights: h5py.File) -> int:
    """How many numbers a file says that its arrays hold."""
    return sum(math.prod(array.shape) for array in arrays_of(weights) if array.shape is not None)


def _bytes(array: h5py.Dataset) -> int:
    return 0 if array.shape is None else math.prod(array.shape) * array.dtype.itemsize


def arrays_of(weights: h5py.File) -> list[h5py.Dataset]:
    """The arrays of a file, each once; links out of the file are not followed."""
    found: list[h5py.Dataset] = []

    def visit(_: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            found.append(item)

    weights.visititems(visit)
    return found
