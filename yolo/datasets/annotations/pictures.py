"""Finding the images that annotations name: as the name says, by the end of its path, by its last part, by its stem."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from urllib.parse import unquote, urlsplit

from yolo.datasets.annotations.place import walk
from yolo.images.suffixes import SUFFIXES

MOST_FILES = 1_000_000
"""Largest number of files in a folder that are looked through, such as a home folder in which one JSON file lies."""


class PictureFinder:
    """Images below some folders, listed once when the first is looked for."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Make a finder.

        Args:
            folders: where to look, best first; subfolders are included.
        """
        self.folders = list(dict.fromkeys(folders))
        self._tails: dict[tuple[int, bool], Mapping[str, list[Path]]] = {}

    @cached_property
    def pictures(self) -> dict[Path, None]:
        """All images below the folders."""
        files = (file for folder in self.folders if folder.is_dir() for file in islice(walk(folder), MOST_FILES))
        return dict.fromkeys(file for file in files if file.suffix.lower() in SUFFIXES)

    @cached_property
    def _paths(self) -> dict[str, Path]:
        """Images by their paths as text, which is compared several times as fast."""
        return {str(file): file for file in self.pictures}

    def find(self, name: str, *, other_suffixes: bool = True) -> Path | None:
        """Find an image by its name in an annotation: a relative or absolute path, a Windows path or a URL.

        Tried are the path below each folder; the image whose path ends with as many of its parts as possible; and
        the same with another suffix. None if there is no image, or several are as good.

        Args:
            name: the name.
            other_suffixes: whether an image with another suffix will do.
        """
        if not self.pictures:
            return None
        forms = list(spellings(name))
        for form in forms:
            for folder in self.folders:
                found = self._paths.get(os.path.join(folder, form))  # noqa: PTH118 - Path is several times as slow
                if found is not None:
                    return found
        for form in forms:
            found = self._longest_tail(form, by_stem=False)
            if found is None and other_suffixes:
                found = self._directly(form) or self._longest_tail(form, by_stem=True)
            if found is not None:
                return found
        return None

    def _directly(self, form: str) -> Path | None:
        """Image with the stem of a name that alone lies where the name says, below the best folder that has any."""
        alike = self._of_tail(form, 1, by_stem=True)
        below = ([file for file in alike if file.parent == (folder / form).parent] for folder in self.folders)
        group = next(filter(None, below), []) if alike else []
        return group[0] if len(group) == 1 else None

    def _longest_tail(self, form: str, *, by_stem: bool) -> Path | None:
        """The image that shares most of the last parts of its path with a name; None if there is none or a tie."""
        depth, group = 1, self._of_tail(form, 1, by_stem=by_stem)
        while len(group) > 1:
            depth += 1
            group = self._of_tail(form, depth, by_stem=by_stem) if depth <= form.count("/") + 1 else []
        return next(iter(group), None)

    def _of_tail(self, form: str, depth: int, *, by_stem: bool) -> list[Path]:
        """Images whose last ``depth`` parts are those of a name, in any case; listed once for each depth."""
        key = (depth, by_stem)
        if key not in self._tails:
            groups = defaultdict(list)
            for text, file in self._paths.items():
                groups[tail(text.replace(os.sep, "/"), depth, by_stem=by_stem)].append(file)
            self._tails[key] = dict(groups)
        return self._tails[key].get(tail(form, depth, by_stem=by_stem), [])


def tail(path: str, depth: int, *, by_stem: bool) -> str:
    """Last parts of a path in lower case, joined by slashes, with the stem for the last if wanted."""
    parts = path.lower().rsplit("/", depth)[-depth:]
    if by_stem:
        parts[-1] = stem_of(parts[-1])
    return "/".join(parts)


def spellings(name: str) -> Iterator[str]:
    """Readings of a name: as it is, with slashes for backslashes, and as a URL without its address and quoting."""
    slashed = name.strip().replace("\\", "/")
    return iter(dict.fromkeys(form for form in (name.strip(), slashed, plain(slashed), unquote_query(slashed)) if form))


def plain(name: str) -> str:
    """Name without the address and the quoting of a URL."""
    try:
        return unquote(urlsplit(name).path) if "://" in name else unquote(name)
    except ValueError:  # brackets that are no IPv6 address
        return unquote(name.partition("://")[2])


def unquote_query(name: str) -> str:
    """Path in the query of a local storage address of Label Studio (``/data/local-files/?d=folder/a.jpg``)."""
    return unquote(name.partition("?d=")[2]).replace("\\", "/") if "?d=" in name else ""


def stem_of(name: str) -> str:
    """Name without a picture's suffix, in lower case."""
    head, dot, suffix = name.lower().rpartition(".")
    return head if dot and f".{suffix}" in SUFFIXES else name.lower()
