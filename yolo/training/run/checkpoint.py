"""Checkpoints: everything a run needs to go on as if it had never stopped, in one file that is whole or not there.

A checkpoint is an uncompressed zip of ``.npy`` arrays (no pickle) and a ``meta.json``. The zip's own checksums tell
damaged contents, the names of all arrays in ``meta.json`` a damaged directory of the zip.
"""

from __future__ import annotations

import io
import json
import logging
import math
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.errors import ConfigError, WeightsError
from yolo.files.atomic import remove_abandoned, write_whole
from yolo.files.bounded import open_file

logger = logging.getLogger(__name__)

FOLDER = "checkpoints"
KEPT = 2
"""The newest, and the one before it in case that the newest is damaged."""
META = "meta.json"
NAMES = "arrays"
"""Under this key of `META` stand the names of all arrays."""
DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, RuntimeError)
"""What reading a damaged file may raise; zipfile's RuntimeError: the file seems to be encrypted."""


class Checkpoint(NamedTuple):
    """The state of a run after some steps."""

    step: int
    arrays: dict[str, NDArray[Any]]
    """Variables by name."""
    meta: dict[str, Any]
    """Everything else, as plain data."""


class Checkpoints:
    """The checkpoints of one run, in a folder of their own within the run's, in which one process writes."""

    def __init__(self, run: str | Path):
        self.path = Path(run) / FOLDER

    def save(self, step: int, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Path:
        """Write a checkpoint; those before the last one are deleted once it is safely on the disk.

        Raises:
            ConfigError: it cannot be written, for instance because the disk is full; the older ones are left.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be made ({error.strerror})") from error
        remove_abandoned(self.path)
        target = self._file(step)
        write_whole(target, lambda temporary: write(temporary, arrays, meta), durable=True)
        for old in self._files()[:-KEPT]:
            with suppress(OSError):
                old.unlink()
        return target

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole, None if there is none; damaged ones are named in a warning."""
        for path in reversed(self._files()):
            try:
                return read(path)
            except WeightsError as error:
                logger.warning("%s; the checkpoint before it is taken", error)
        return None

    def discard(self, step: int) -> None:
        """Delete the checkpoint of a step, unless it is the only one."""
        files = self._files()
        if len(files) > 1:
            self._file(step).unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete all of them, and what is left of others: a new run begins."""
        remove_abandoned(self.path)
        for path in self._files():
            path.unlink()

    def _file(self, step: int) -> Path:
        return self.path / f"step-{step:09}.npz"

    def _files(self) -> list[Path]:
        return sorted(self.path.glob("step-*.npz"))


def write(path: Path, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
    """Write arrays and plain data as a checkpoint file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(META, json.dumps({**meta, NAMES: list(arrays)}))
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def read(path: str | Path) -> Checkpoint:
    """The checkpoint in a file.

    Raises:
        WeightsError: it is damaged, or none.
    """
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            meta = json.loads(_member(archive, META))
            names = meta[NAMES]
            del meta[NAMES]
            if archive.namelist() != [META, *(f"{name}.npy" for name in names)]:
                raise ValueError("its arrays are not those that were written")
            arrays = {name: _array(_member(archive, f"{name}.npy")) for name in names}
        return Checkpoint(int(meta["state"]["step"]), arrays, meta)
    except DAMAGE as error:
        raise WeightsError(f"{path}: damaged ({error})") from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:  # then it is no larger than the file
        raise ValueError(f"{name} is compressed")
    return archive.read(name)


def _array(data: bytes) -> NDArray[Any]:
    """The array of ``.npy`` bytes, whose length is checked before anything is allocated."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, fortran, dtype = header(stream)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
        raise ValueError("an array of another size than its header says")
    values = np.frombuffer(data, dtype, offset=stream.tell())
    return values.reshape(shape, order="F" if fortran else "C")
