"""Checkpoints: everything needed to resume a run exactly, in one file that is written whole or not at all.

A checkpoint is an uncompressed zip of ``.npy`` arrays (no pickle) and a ``meta.json``. The zip's checksums
reveal damaged contents, the names of all arrays in ``meta.json`` a damaged directory of the zip.
"""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.errors import ConfigError, WeightsError
from yolo.files.arrays import DAMAGE, read_array, read_member
from yolo.files.atomic import remove_abandoned, write_whole
from yolo.files.bounded import open_file

logger = logging.getLogger(__name__)

FOLDER = "checkpoints"
KEPT = 2
"""Checkpoints kept: the newest, and the one before it in case the newest is damaged."""
META = "meta.json"
NAMES = "arrays"
"""Key of `META` that holds the names of all arrays."""


class Checkpoint(NamedTuple):
    """State of a run after ``step`` steps."""

    step: int
    arrays: dict[str, NDArray[Any]]
    """Variables by name; none in the record of a finished run, whose weights are in last.keras."""
    meta: dict[str, Any]
    """Everything else, as plain data."""


class Checkpoints:
    """Checkpoints of one run, in a subfolder of the run's; only one process may write there."""

    def __init__(self, run: str | Path):
        self.path = Path(run) / FOLDER

    def save(self, step: int, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any], *, keep: int = KEPT) -> Path:
        """Write a checkpoint, and delete all but the newest ``keep`` once it is safely on the disk.

        Raises:
            ConfigError: it cannot be written, for instance because the disk is full; older ones are kept.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be created ({error.strerror})") from error
        remove_abandoned(self.path)
        target = self._file(step)
        write_whole(target, lambda temporary: write(temporary, arrays, meta), durable=True)
        for old in self._files()[:-keep]:
            with suppress(OSError):
                old.unlink()
        return target

    def latest(self) -> Checkpoint | None:
        """Read the newest undamaged checkpoint; None if there is none. Damaged ones are named in a warning."""
        for path in reversed(self._files()):
            try:
                return read(path)
            except WeightsError as error:
                logger.warning("%s; the checkpoint before it is used", error)
        return None

    def discard(self, step: int) -> None:
        """Delete the checkpoint of a step, unless it is the only one."""
        files = self._files()
        if len(files) > 1:
            self._file(step).unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete all checkpoints, and temporary files of unfinished ones, before a new run."""
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
    """Read a checkpoint file.

    Raises:
        WeightsError: it is damaged, or not a checkpoint.
    """
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            meta = json.loads(read_member(archive, META))
            names = meta[NAMES]
            del meta[NAMES]
            if archive.namelist() != [META, *(f"{name}.npy" for name in names)]:
                raise ValueError("its arrays are not those that were written")
            arrays = {name: read_array(archive, name) for name in names}
        return Checkpoint(int(meta["state"]["step"]), arrays, meta)
    except DAMAGE as error:
        raise WeightsError(f"{path}: damaged ({error})") from error
