"""File or folder that DATA names, listed once for all formats that look at it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from yolo.files.path_text import join

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
        return self._listing[0] if self.is_folder else [self.path]

    @cached_property
    def folders(self) -> list[Path]:
        """Folders directly in the folder, sorted, without hidden ones; none for a file."""
        return self._listing[1] if self.is_folder else []

    @cached_property
    def places(self) -> list[Place]:
        """The folders directly in the folder, each listed once however many formats look into it."""
        return [Place(folder) for folder in self.folders]

    @cached_property
    def _listing(self) -> tuple[list[Path], list[Path]]:
        return list_folder(self.path)

    def with_suffix(self, *suffixes: str) -> list[Path]:
        """Files directly in the folder whose suffix in lower case is one of these; the file itself if it is one."""
        return [file for file in self.files if file.suffix.lower() in suffixes]

    def below(self, *names: str) -> list[Place]:
        """Folders directly in the folder that have one of these names, in any case, in the order of the names."""
        found = {each.path.name.lower(): each for each in reversed(self.places)}
        return [found[name.lower()] for name in dict.fromkeys(names) if name.lower() in found]

    def named(self, *names: str) -> Path | None:
        """First file directly in the folder that has one of these names, in any case; None: there is none."""
        found = {file.name.lower(): file for file in reversed(self.files)}
        return next((found[name.lower()] for name in names if name.lower() in found), None)


def list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """List the files and the folders directly in a folder, sorted, without hidden ones and clutter.

    Raises:
        OSError: the folder cannot be read.
    """
    files: list[Path] = []
    folders: list[Path] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not is_clutter(entry.name):
                (folders if entry.is_dir() else files).append(folder / entry.name)
    return sorted(files), sorted(folders)


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
        files: list[str] = []
        folders: list[str] = []
        with os.scandir(current) as entries:
            for entry in entries:
                (folders if entry.is_dir() else files).append(entry.name)
        files, folders = without_clutter(files), without_clutter(folders)
        yield current, sorted(files)
        for name in sorted(folders) if left else ():
            yield from below(join(current, name), left - 1)

    return below(folder, depth)


def without_clutter(names: Iterable[str]) -> list[str]:
    return [name for name in names if name[0] != "." and name.lower() not in CLUTTER]


def is_clutter(name: str) -> bool:
    return name.startswith(".") or name.lower() in CLUTTER
