"""Reading of ``.npz`` members without pickle; never allocates more than the file holds."""

from __future__ import annotations

import io
import math
import struct
import zlib
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

DAMAGE = (
    *(OSError, ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, MemoryError, EOFError),
    *(AttributeError, BadZipFile, struct.error, zlib.error),
)
"""Errors that zipfile, json, numpy and h5py may raise for a damaged file."""

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
"""Reader of the header of each version of the ``.npy`` format."""


def read_member(archive: ZipFile, name: str) -> bytes:
    """Read a member of an uncompressed zip and verify its checksum.

    Raises:
        ValueError: the member is compressed, and so could be far larger than the file.
        Exception: any of `DAMAGE`.
    """
    if archive.getinfo(name).compress_type != ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    return archive.read(name)


def read_array(archive: ZipFile, name: str) -> NDArray[Any]:
    """Read the array ``name`` of an uncompressed ``.npz``; the array is read-only.

    Raises:
        ValueError: it is not a numeric array, or its length differs from its header.
        Exception: any of `DAMAGE`.
    """
    data = read_member(archive, f"{name}.npy")
    stream = io.BytesIO(data)
    try:
        shape, fortran, dtype = HEADERS[np.lib.format.read_magic(stream)](stream)
    except Exception as error:  # numpy evaluates a literal here, which can raise many errors
        raise ValueError(f"{name} has no .npy header: {error}") from error
    start = stream.tell()
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data) - start:
        raise ValueError(f"{name} is of another size than its header says")
    return np.frombuffer(data, dtype, offset=start).reshape(shape, order="F" if fortran else "C")
