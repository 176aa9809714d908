"""Listing of image files: in order, each once, at the cost of a look at each folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from yolo.images.suffixes import SUFFIXES


def list_images(folder: str | Path) -> list[Path]:
    """List the image files of a folder and its subfolders, sorted, each once.

    Hidden files are skipped, and links to folders are not followed.
    """
    return [Path(path) for path in _walk(os.fspath(folder))]


def _walk(folder: str) -> Iterator[str]:
    """Yield the images below a folder, sorted by the parts of their paths."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:  # of a subfolder that may not be read
        return
    for entry in found:
        suffix = os.path.splitext(entry.name)[1]  # noqa: PTH122 - a Path for each file takes longer than all else
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)
        elif suffix.lower() in SUFFIXES and not entry.name.startswith(".") and _is_file(entry):
            yield entry.path


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link in a circle
        return False


def without_repeats(paths: Iterable[Path]) -> list[Path]:
    """Keep the first path to every file that several linked folders lead to.

    Links to a file itself count as separate images, as they may be intended.
    """
    folders = RealFolders()
    first: dict[str, Path] = {}
    for path in paths:
        first.setdefault(folders.locate(path), path)
    return list(first.values())


class RealFolders:
    """Real paths of folders, each asked of the system once."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def locate(self, path: Path) -> str:
        """Path with its folder's links resolved, but not one that the file itself is."""
        folder, name = os.path.split(path)
        if folder not in self._known:
            self._known[folder] = os.path.realpath(folder)
        return os.path.join(self._known[folder], name)  # noqa: PTH118

    def resolve(self, path: Path) -> str:
        """Real path of a file."""
        return os.path.realpath(path) if path.is_symlink() else self.locate(path)
