"""New names of image files: their own as far as a format can hold them, and distinct ones where these clash."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import PurePosixPath

from yolo.datasets.annotations.place import is_clutter
from yolo.structs import Dataset

KIND_FOLDERS = frozenset({"images", "jpegimages", "labels", "annotations"})
"""Folders, in lower case, that only say what kind of file they hold; some readers exchange them in paths."""


class Names:
    """Names given so far in one folder of images."""

    def __init__(self, *, by_stem: bool) -> None:
        """Start with none.

        Args:
            by_stem: whether names have to differ without their suffix.
        """
        self._by_stem = by_stem
        self._taken: set[str] = set()
        self._last: dict[str, count[int]] = {}

    def take(self, name: str) -> bool:
        """Take a name if it is free."""
        key = self._key(name)
        free = key not in self._taken
        self._taken.add(key)
        return free

    def find(self, name: str) -> str:
        """Take the first free name of those made by appending a number."""
        path = PurePosixPath(name)
        # Counted on: thousands of images may have one name, each in a folder of its own.
        numbers = self._last.setdefault(self._key(name), count(2))
        tried = (str(path.with_name(f"{path.stem}_{number}{path.suffix}")) for number in numbers)
        return next(each for each in tried if self.take(each))

    def _key(self, name: str) -> str:
        # Some file systems ignore case and composition.
        path = PurePosixPath(name)
        return unicodedata.normalize("NFC", str(path.with_suffix("") if self._by_stem else path)).casefold()


def plan_names(own: Sequence[str], names: Names, *, flat: bool) -> list[str]:
    """New names of N images with these names of their own; one that is wanted again gets its folders or a number."""
    wanted = [PurePosixPath(name).name if flat else name for name in own]
    planned = [name if names.take(name) else None for name in wanted]  # before others take what they own
    return [
        name if name is not None else another_name(names, want, full)
        for name, want, full in zip(planned, wanted, own, strict=True)
    ]


def another_name(names: Names, wanted: str, own: str) -> str:
    """A free name for an image: with its folders in front if they cannot be held, else with a number."""
    joined = own.replace("/", "_")
    return joined if wanted != own and names.take(joined) else names.find(wanted)


def own_names(dataset: Dataset) -> list[str]:
    """Names of a dataset's images with the subfolders that tell them apart, in characters that all formats hold."""
    parts = [list(clean_parts(file)) for file in dataset.files]
    # All others are between the first and the last in order.
    first, last = min(parts, default=[])[:-1], max(parts, default=[])[:-1]
    same = [one == other for one, other in zip(first, last, strict=False)]
    shared = [*same, False].index(False)
    return ["/".join(each[shared:]) for each in parts]


def clean_parts(file: str) -> Iterator[str]:
    """Folders and name of an image, less those that only say that images are there."""
    *folders, name = file.replace(os.sep, "/").split("/")
    for folder in folders:
        if folder not in ("", ".", "..") and folder.lower() not in KIND_FOLDERS:
            yield clean(folder)
    yield clean(name)


def clean(name: str) -> str:
    """Name without characters that annotation files cannot hold, and not one that readers skip."""
    held = "".join(each if each.isprintable() and each != "\\" else "_" for each in name)
    stem, dot, suffix = held.rpartition(".")
    held = f"{stem.strip()}{dot}{suffix.strip()}"  # lists of names are read without blanks around them
    return f"_{held}" if not held or is_clutter(held) else held
