"""Members of ``.npz`` files, read without pickle; nothing is allocated that the file does not hold."""

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
"""Everything that reading a damaged file by zipfile, json, numpy or h5py, and looking into its content, may raise."""

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
"""Reader of the header of each version of the ``.npy`` format."""


def read_member(archive: ZipFile, name: str) -> bytes:
    """Read a member of an uncompressed zip, whose checksum is verified on the way.

    Raises:
        ValueError: the member is compressed, and so could be far larger than the file.
        Exception: any of `DAMAGE`.
    """
    if archive.getinfo(name).compress_type != ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    return archive.read(name)


def read_array(archive: ZipFile, name: str) -> NDArray[Any]:
    """Read the array ``name`` of an uncompressed ``.npz``; it cannot be written to.

    Raises:
        ValueError: it is not an array of plain numbers, or not as long as its header says.
        Exception: any of `DAMAGE`.
    """
    data = read_member(archive, f"{name}.npy")
    stream = io.BytesIO(data)
    try:
        shape, fortran, dtype = HEADERS[np.lib.format.read_magic(stream)](stream)
    except Exception as error:  # numpy evaluates a literal there, which may fail in many ways
        raise ValueError(f"{name} has no .npy header: {error}") from error
    start = stream.tell()
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data) - start:
        raise ValueError(f"{name} is of another size than its header says")
    return np.frombuffer(data, dtype, offset=start).reshape(shape, order="F" if fortran else "C")
