"""File or folder that DATA names, listed once for all formats that look at it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

from yolo.files.path_text import join, suffix_of

CLUTTER = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
"""Names that systems and archives leave behind, in lower case; hidden files are skipped too."""


@dataclass(frozen=True)
class Place:
    """File or folder with a dataset, or a part of one."""

    path: Path

    @cached_property
    def is_folder(self) -> bool:
        return self.path.is_dir()

    @cached_property
    def files(self) -> list[Path]:
        """Files directly in the folder, sorted, without hidden ones; the file itself if it is one."""
        return [self.path / name for name in self._names[0]] if self.is_folder else [self.path]

    @cached_property
    def folders(self) -> list[Path]:
        """Folders directly in the folder, sorted, without hidden ones; none for a file."""
        return [each.path for each in self.places]

    @cached_property
    def places(self) -> list[Place]:
        """The folders directly in the folder, each listed once however many formats look into it."""
        return [Place(self.path / name) for name in self._names[1]] if self.is_folder else []

    @cached_property
    def _names(self) -> tuple[list[str], list[str]]:
        return list_names(self.path)

    @cached_property
    def _by_suffix(self) -> dict[str, list[str]]:
        """Names of the files by their suffix in lower case."""
        groups: dict[str, list[str]] = {}
        for name in self._names[0]:
            groups.setdefault(suffix_of(name), []).append(name)
        return groups

    def with_suffix(self, *suffixes: str, most: int | None = None) -> list[Path]:
        """Files directly in the folder whose suffix in lower case is one of these; the file itself if it is one.

        Args:
            suffixes: suffixes in lower case.
            most: largest number of files, the first ones; of a large folder that is much faster than all.
        """
        if not self.is_folder:
            return [self.path] if self.path.suffix.lower() in suffixes else []
        groups = [self._by_suffix[each] for each in dict.fromkeys(suffixes) if each in self._by_suffix]
        names = groups[0] if len(groups) == 1 else sorted(chain.from_iterable(groups))
        return [self.path / name for name in names[:most]]

    def below(self, *names: str) -> list[Place]:
        """Folders directly in the folder that have one of these names, in any case, in the order of the names."""
        found = {each.path.name.lower(): each for each in reversed(self.places)}
        return [found[name.lower()] for name in dict.fromkeys(names) if name.lower() in found]

    def named(self, *names: str) -> Path | None:
        """First file directly in the folder that has one of these names, in any case; None: there is none."""
        if not self.is_folder:
            return self.path if self.path.name.lower() in map(str.lower, names) else None
        found = self._by_lower_name
        return next((self.path / found[name.lower()] for name in names if name.lower() in found), None)

    @cached_property
    def _by_lower_name(self) -> dict[str, str]:
        return {name.lower(): name for name in reversed(self._names[0])}


def list_names(folder: str | Path) -> tuple[list[str], list[str]]:
    """Names of the files and of the folders directly in a folder, sorted, without hidden ones and clutter.

    Raises:
        OSError: the folder cannot be read.
    """
    files: list[str] = []
    folders: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            (folders if entry.is_dir() else files).append(entry.name)
    return sorted(without_clutter(files)), sorted(without_clutter(folders))


def list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """List the files and the folders directly in a folder, as `list_names`."""
    files, folders = list_names(folder)
    return [folder / name for name in files], [folder / name for name in folders]


def walk(folder: Path, *, depth: int = 8) -> Iterator[Path]:
    """Files in a folder and its subfolders, each folder's sorted and before those of its subfolders.

    Links to folders are followed, each folder at most once, and hidden files and clutter are skipped.

    Raises:
        OSError: a folder cannot be read.
    """
    seen: set[str] = set()

    def below(current: Path, left: int) -> Iterator[Path]:
        real = os.path.realpath(current)
        if real in seen:
            return
        seen.add(real)
        files, folders = list_folder(current)
        yield from files
        for each in folders if left else ():
            yield from below(each, left - 1)

    return below(folder, depth)


def walk_names(folder: str, *, depth: int = 16) -> Iterator[tuple[str, list[str]]]:
    """Folders in a folder, itself first, each with the names of its files, sorted: `walk` for very many files.

    Raises:
        OSError: a folder cannot be read.
    """
    seen: set[str] = set()

    def below(current: str, left: int) -> Iterator[tuple[str, list[str]]]:
        real = os.path.realpath(current)
        if real in seen:
            return
        seen.add(real)
        files, folders = list_names(current)
        yield current, files
        for name in folders if left else ():
            yield from below(join(current, name), left - 1)

    return below(folder, depth)


def without_clutter(names: Iterable[str]) -> list[str]:
    return [name for name in names if not is_clutter(name)]


def is_clutter(name: str) -> bool:
    """Whether a name is hidden, or of a file that systems and archives leave behind."""
    return name.startswith(".") or name.lower() in CLUTTER
