"""Checks of ``.keras`` and ``.h5`` files before they are loaded: declared sizes against the file's size.

A ``.keras`` file is a zip with ``config.json`` and an HDF5 file of weights. Both containers can declare a thousand
times the bytes that they hold, and a reader would allocate them before it notices.
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import h5py

from yolo.errors import WeightsError
from yolo.files.arrays import DAMAGE
from yolo.files.atomic import exists
from yolo.files.bounded import MIB, in_units, open_or_fault

CONFIG_MEMBER = "config.json"
WEIGHTS_MEMBER = "model.weights.h5"
LARGEST_CONFIG = 16 * MIB
"""Limit of ``config.json`` in bytes; it includes a Darknet network's text of up to 4 MiB."""
LARGEST_GROWTH = 20
"""Limit of the ratio of unpacked size to file size; Keras does not compress weights."""
SMALL = MIB
"""Unpacked bytes that are allowed whatever the file's size."""


@contextmanager
def checked_zip(file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """Open a ``.keras`` file, unless its members unpack to implausibly many bytes.

    Raises:
        ValueError: they do, or a member occurs twice.
        Exception: any other of `yolo.files.arrays.DAMAGE`.
    """
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len({member.filename for member in members}) < len(members):
            raise ValueError("a member occurs twice")
        check_growth(sum(member.file_size for member in members), file, "its members unpack to")
        yield archive


def check_growth(announced: int, file: IO[bytes], what: str) -> None:
    """Compare the size that a file declares with its real one.

    Raises:
        ValueError: the declared size is far larger.
    """
    size = os.fstat(file.fileno()).st_size
    if announced > max(SMALL, LARGEST_GROWTH * size):
        raise ValueError(f"{what} {in_units(announced)}, far more than a file of {in_units(size)} holds")


def read_config(archive: zipfile.ZipFile) -> Any:
    """Read a model's ``config.json``.

    Raises:
        ValueError: it is too large, or not JSON.
        Exception: any other of `yolo.files.arrays.DAMAGE`.
    """
    size = archive.getinfo(CONFIG_MEMBER).file_size
    if size > LARGEST_CONFIG:
        raise ValueError(f"its {CONFIG_MEMBER} has {in_units(size)}, a detector's at most {in_units(LARGEST_CONFIG)}")
    try:
        return json.loads(archive.read(CONFIG_MEMBER))
    except RecursionError as error:
        raise ValueError(f"its {CONFIG_MEMBER} is nested too deeply") from error


def read_description(path: str | Path) -> dict[str, Any]:
    """Read the ``config.json`` of a ``.keras`` file.

    Raises:
        WeightsError: the file is missing, not a ``.keras`` file, or unpacks to implausibly many bytes.
    """
    if not exists(path):
        raise WeightsError(f"{path}: no such file")
    with open_or_fault(path, WeightsError) as file:
        try:
            with checked_zip(file) as archive:
                described = read_config(archive)
        except DAMAGE as error:
            raise WeightsError(f"{path}: not a .keras file, or a damaged one ({error!s:.200})") from error
    return described if isinstance(described, dict) else {}


@contextmanager
def checked_weights(file: IO[bytes], archive: zipfile.ZipFile | None) -> Iterator[h5py.File]:
    """Open an HDF5 file, or that within a ``.keras`` file, unless its arrays are larger than the file can hold.

    Raises:
        ValueError: they are.
        Exception: any other of `yolo.files.arrays.DAMAGE`.
    """
    # In memory, because zipfile seeks backwards by reading a member from its beginning.
    content = file if archive is None else io.BytesIO(archive.read(WEIGHTS_MEMBER))
    with h5py.File(content, "r") as weights:
        check_growth(stored_bytes(weights), file, "its arrays have")
        yield weights


def stored_bytes(weights: h5py.File) -> int:
    """Declared uncompressed size in bytes of all arrays of a file."""
    return sum(_bytes(array) for array in arrays_of(weights))


def stored_numbers(weights: h5py.File) -> int:
    """Declared number of elements of all arrays of a file."""
    return sum(math.prod(array.shape) for array in arrays_of(weights) if array.shape is not None)


def _bytes(array: h5py.Dataset) -> int:
    return 0 if array.shape is None else math.prod(array.shape) * array.dtype.itemsize


def arrays_of(weights: h5py.File) -> list[h5py.Dataset]:
    """Arrays of a file, each once; links out of the file are not followed."""
    found: list[h5py.Dataset] = []

    def visit(_: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            found.append(item)

    weights.visititems(visit)
    return found
