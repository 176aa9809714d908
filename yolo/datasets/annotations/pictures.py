"""Finding the images that annotations name: as the name says, by the end of its path, by its last part, by its stem."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from yolo.datasets.annotations.place import walk
from yolo.images.suffixes import SUFFIXES


class PictureFinder:
    """Images below some folders, listed once when the first is looked for."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Make a finder.

        Args:
            folders: where to look, best first; subfolders are included.
        """
        self.folders = list(dict.fromkeys(folders))

    @cached_property
    def pictures(self) -> dict[Path, None]:
        """All images below the folders."""
        files = (file for folder in self.folders if folder.is_dir() for file in walk(folder))
        return dict.fromkeys(file for file in files if file.suffix.lower() in SUFFIXES)

    def find(self, name: str) -> Path | None:
        """Find an image by its name in an annotation: a relative or absolute path, a Windows path or a URL.

        Tried are the path below each folder; the image whose path ends with as many of its parts as possible; and
        the same with another suffix. None if there is no image, or several are as good.
        """
        for form in spellings(name):
            for folder in self.folders:
                if (folder / form) in self.pictures:
                    return folder / form
        for form in spellings(name):
            last = form.rpartition("/")[2]
            for group in (self._by_name.get(last.lower(), []), self._by_stem.get(stem_of(last), [])):
                found = longest_tail(form, group)
                if found:
                    return found
        return None

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        return grouped((file.name.lower(), file) for file in self.pictures)

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        return grouped((stem_of(file.name), file) for file in self.pictures)


def spellings(name: str) -> Iterator[str]:
    """Readings of a name: as it is, with slashes for backslashes, and as a URL without its address and quoting."""
    slashed = name.strip().replace("\\", "/")
    plain = unquote(urlsplit(slashed).path if "://" in slashed else slashed)
    return iter(dict.fromkeys(form for form in (name.strip(), slashed, plain, unquote_query(slashed)) if form))


def unquote_query(name: str) -> str:
    """Path in the query of a local storage address of Label Studio (``/data/local-files/?d=folder/a.jpg``)."""
    return unquote(name.partition("?d=")[2]) if "?d=" in name else ""


def stem_of(name: str) -> str:
    """Name without a picture's suffix, in lower case."""
    head, dot, suffix = name.lower().rpartition(".")
    return head if dot and f".{suffix}" in SUFFIXES else name.lower()


def grouped(pairs: Iterable[tuple[str, Path]]) -> dict[str, list[Path]]:
    groups = defaultdict(list)
    for key, file in pairs:
        groups[key].append(file)
    return groups


def longest_tail(form: str, files: Sequence[Path]) -> Path | None:
    """The file that shares most of the last folders of its path with a name; None if there is none or a tie."""
    if len(files) < 2:
        return next(iter(files), None)
    wanted = form.lower().split("/")[-2::-1]
    shared = [matching(wanted, [part.lower() for part in file.parts[-2::-1]]) for file in files]
    best = max(shared)
    return files[shared.index(best)] if shared.count(best) == 1 else None


def matching(first: Sequence[str], second: Sequence[str]) -> int:
    """Number of equal parts before the first that differs."""
    equal = [one == other for one, other in zip(first, second, strict=False)]
    return (equal + [False]).index(False)
