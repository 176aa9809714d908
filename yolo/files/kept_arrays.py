"""Arrays about very many files, kept in the user's cache folder between runs: sizes of images, rows of label files.

A file is known by path, size and time of its last change. What cannot be read or written is as if it were not there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from yolo.errors import YoloError
from yolo.files.arrays import DAMAGE, read_array
from yolo.files.atomic import write_whole
from yolo.files.bounded import MIB, open_file
from yolo.files.cache_folder import cache_folder

SMALLEST = 1000
"""Number of files from which keeping is worth it."""
LARGEST = 1024 * MIB
"""Limit of the arrays of one folder in bytes."""
MOST_FILES = 5_000_000
"""Limit of the files of one folder."""
FOLDER_LIMIT = 4096 * MIB
"""Limit of all that is kept, in bytes; the oldest goes first."""
UNSETTLED = 2.0
"""Seconds after its last change in which a file may change again unnoticed, as times are coarse."""
VERSION = 1


class Ragged:
    """Values of N files: columns whose rows belong to the files one after the other."""

    def __init__(self, counts: Mapping[str, NDArray[np.int64]], columns: Mapping[str, NDArray[Any]]) -> None:
        """Make a table.

        Args:
            counts: (N,) rows of each file by column.
            columns: the rows of all files by column, of the same names.
        """
        self.counts, self.columns = dict(counts), dict(columns)

    def take(self, files: NDArray[np.int64]) -> Ragged:
        """Values of the files at these indices, in that order."""
        columns = {}
        for name, counts in self.counts.items():
            firsts = np.cumsum(counts) - counts
            chosen = counts[files]
            ends = np.cumsum(chosen)
            rows = np.repeat(firsts[files] - (ends - chosen), chosen) + np.arange(ends[-1] if len(ends) else 0)
            columns[name] = self.columns[name][rows]
        return Ragged({name: counts[files] for name, counts in self.counts.items()}, columns)

    def joined(self, other: Ragged) -> Ragged:
        """Values of these files, then those of others."""
        return Ragged(
            {name: np.concatenate([counts, other.counts[name]]) for name, counts in self.counts.items()},
            {name: np.concatenate([column, other.columns[name]]) for name, column in self.columns.items()},
        )


class KeptArrays:
    """Values kept for the files of one dataset."""

    def __init__(self, kind: str, files: Sequence[str], empty: Ragged) -> None:
        """Look up what is kept of some files.

        Args:
            kind: what the values are; a new word for a new meaning.
            files: paths of the files, all different.
            empty: values of no file, for the names and types of the columns.
        """
        self.files = absolute(files) if len(files) >= SMALLEST else []
        self.empty = empty
        self.known: NDArray[np.int64] = np.full(len(files), -1, np.int64)
        """(N,) index of each file in ``stored``; -1: not known."""
        self.stored, self.names = empty, list[str]()
        self.stamps: NDArray[np.int64] = np.zeros((0, 2), np.int64)
        self.path: Path | None = None
        if not self.files:
            return
        self.base = os.path.commonpath([self.files[0], self.files[-1]])
        with suppress(YoloError):
            self.path = cache_folder() / "files" / f"{kind}-{sha256(os.fsencode(self.base)).hexdigest()[:24]}.npz"
        if self.path is not None:
            self.current = stamps_of(self.files)
            with suppress(*DAMAGE):
                self._read(self.path)

    def _read(self, path: Path) -> None:
        with open_file(path) as file, ZipFile(file) as archive:
            names = bytes(read_array(archive, "names")).decode("utf-8", "surrogateescape").split("\0")
            stamps = read_array(archive, "stamps")
            counts = {name: read_array(archive, f"count_{name}") for name in self.empty.counts}
            columns = {name: read_array(archive, f"rows_{name}") for name in self.empty.counts}
        for name, wanted in self.empty.columns.items():
            fits = columns[name].dtype == wanted.dtype and columns[name].shape[1:] == wanted.shape[1:]
            if not fits or counts[name].shape != (len(names),) or counts[name].dtype != np.int64:
                raise ValueError(f"{path}: {name} is of another type")
            if (counts[name] < 0).any() or counts[name].sum() != len(columns[name]):
                raise ValueError(f"{path}: {name} is of another length")
        if stamps.shape != (len(names), 2) or stamps.dtype != np.int64:
            raise ValueError(f"{path}: stamps are of another type")
        place = dict(zip(names, range(len(names)), strict=True))
        known = np.array([place.get(file, -1) for file in self.files], np.int64)
        same = (known >= 0) & (stamps[known] == self.current).all(axis=1)
        self.known = np.where(same, known, -1)
        self.stored, self.names, self.stamps = Ragged(counts, columns), names, stamps

    @property
    def missing(self) -> list[int]:
        """Indices of the files that have to be read."""
        return [int(index) for index in np.flatnonzero(self.known < 0)]

    def complete(self, read: Ragged, usable: NDArray[np.bool_]) -> Ragged:
        """Values of all files in their order, which are kept for the next time.

        Args:
            read: values of the files `missing`.
            usable: (N,) whether the values of a file may be kept: False for one that could not be read.
        """
        missing = np.array(self.missing, np.int64)
        if not len(missing):
            return self.stored.take(self.known)
        order = np.where(self.known >= 0, self.known, 0)
        order[missing] = len(self.names) + np.arange(len(missing))
        result = self.stored.joined(read).take(order)
        if self.path is not None:
            self._keep(self.path, result, usable)
        return result

    def _keep(self, path: Path, values: Ragged, usable: NDArray[np.bool_]) -> None:
        """Write the values of these files and of others of the folder; any failure is ignored."""
        settled = self.current[:, 1] < time.time_ns() - int(UNSETTLED * 1e9)
        kept = np.flatnonzero(usable & settled & (self.current[:, 0] >= 0))
        now = set(self.files)
        others = np.array([index for index, name in enumerate(self.names) if name not in now], np.int64)
        table = values.take(kept).joined(self.stored.take(others))
        names = [*(self.files[index] for index in kept), *(self.names[index] for index in others)]
        arrays: dict[str, NDArray[Any]] = {
            "names": np.frombuffer("\0".join(names).encode("utf-8", "surrogateescape"), np.uint8),
            "stamps": np.concatenate([self.current[kept], self.stamps[others]]),
            **{f"count_{name}": counts for name, counts in table.counts.items()},
            **{f"rows_{name}": column for name, column in table.columns.items()},
        }
        if not names or len(names) > MOST_FILES or sum(array.nbytes for array in arrays.values()) > LARGEST:
            return

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)

        with suppress(OSError, YoloError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, write)
            make_room(path.parent, keep=path)


def stamps_of(files: Sequence[str]) -> NDArray[np.int64]:
    """Size and time of the last change of N files (N, 2); -1 where that cannot be found out."""
    stamps: list[int] = []
    for file in files:
        try:
            status = os.stat(file)  # noqa: PTH116 - a `Path` for each costs more
        except (OSError, ValueError):
            stamps += (-1, -1)
        else:
            stamps += (status.st_size, status.st_mtime_ns)
    return np.array(stamps, np.int64).reshape(-1, 2)


def absolute(files: Sequence[str]) -> list[str]:
    """Absolute paths of files."""
    here = os.path.join(os.getcwd(), "")  # noqa: PTH109, PTH118
    return [file if file.startswith(os.sep) else os.path.join(here, file) for file in files]  # noqa: PTH118


def make_room(folder: Path, *, keep: Path) -> None:
    """Delete the oldest files of a folder until the others are within the limit."""
    found = sorted((file.stat().st_mtime, file.stat().st_size, file) for file in folder.glob("*.npz"))
    total = sum(size for _, size, _ in found)
    for _, size, file in found:
        if total > FOLDER_LIMIT and file != keep:
            file.unlink(missing_ok=True)
            total -= size
