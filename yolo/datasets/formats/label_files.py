"""Label files of images, by Darknet's rule: the folder ``images`` becomes ``labels``, or they lie beside the images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from yolo.datasets.annotations.place import without_clutter
from yolo.files.atomic import is_folder
from yolo.files.path_text import join, split, unsplit

PICTURE_FOLDERS = ("images", "jpegimages")
"""Names of folders in whose place label files lie in ``labels``, in lower case (Darknet's `replace_image_to_label`)."""
LABEL_FOLDERS = ("labels", "label")
NO_LABELS = frozenset(
    {"classes", "_classes", "predefined_classes", "labels", "obj", "names", "notes", "license", "info", "changelog"}
    | {"train", "val", "valid", "validation", "test", "trainval", "requirements"}
)
"""Stems of text files among the labels that are none."""


class LabelFinder:
    """Label files of images; every folder is listed once."""

    def __init__(self) -> None:
        self.folders: dict[str, FolderLabels] = {}
        self.listed: dict[str, list[str]] = {}

    def find(self, picture: str) -> str | None:
        """Label file of an image; None: there is none."""
        folder, _, name = picture.rpartition(os.sep)
        if folder not in self.folders:
            self.folders[folder] = FolderLabels(
                folder or (os.sep if picture.startswith(os.sep) else os.curdir), self.names
            )
        return self.folders[folder].find(name)

    def names(self, folder: str) -> list[str]:
        """Names in a folder, without hidden ones; none if it cannot be listed."""
        if folder not in self.listed:
            self.listed[folder] = list_names(folder)
        return self.listed[folder]

    def orphans(self) -> list[str]:
        """Label files without an image, in the folders whose images were looked at."""
        used = {file for folder in self.folders.values() for file in folder.used}
        found = (file for folder in self.folders.values() for file in folder.unpaired())
        return sorted({file for file in found if file not in used})


class FolderLabels:
    """Label files of the images of one folder."""

    def __init__(self, folder: str, names: Callable[[str], list[str]]) -> None:
        self.files: dict[str, str] = {}
        """Path of each label file by its stem."""
        for place in (folder, *label_places(folder, names)):
            start = join(place, "")
            self.files |= {name[:-4]: start + name for name in names(place) if name[-4:].lower() == ".txt"}
        self.beside = names(folder)
        self.used: set[str] = set()

    def find(self, name: str) -> str | None:
        stem = stem_of(name)
        file = self.files.get(stem) or self.files.get(name) or self._folded.get(stem.lower())
        if file is not None:
            self.used.add(file)
        return file

    @cached_property
    def _folded(self) -> dict[str, str]:
        return {stem.lower(): file for stem, file in reversed(self.files.items())}

    def unpaired(self) -> Iterator[str]:
        """Label files whose stem no file beside the images has."""
        left = {stem: file for stem, file in self.files.items() if file not in self.used and is_label_name(stem)}
        pictures = {stem_of(name) for name in self.beside if name[-4:].lower() != ".txt"} if left else set()
        return (file for stem, file in left.items() if stem not in pictures)


def stem_of(name: str) -> str:
    """Name without its suffix."""
    stem, dot, _ = name.rpartition(".")
    return stem if dot else name


def is_label_name(stem: str) -> bool:
    stem = stem.lower()
    return stem not in NO_LABELS and not stem.startswith(("readme", "autosplit"))


def list_names(folder: str) -> list[str]:
    """Names in a folder, without hidden ones; none if it cannot be listed."""
    with suppress(OSError, ValueError):
        return sorted(without_clutter(os.listdir(folder)))  # noqa: PTH208 - a `Path` for each of a million costs
    return []


def label_places(folder: str, names: Callable[[str], list[str]]) -> Iterator[str]:
    """Folders that label files of a folder's images lie in, best last."""
    parts, absolute = split(folder), folder.startswith(os.sep)
    yield from children(folder, names)
    yield from (join(each, parts[-1]) for each in children(unsplit(parts[:-1], absolute=absolute), names))
    found = [index for index, part in enumerate(parts) if part.lower() in PICTURE_FOLDERS]
    if found:
        above, below = unsplit(parts[: found[-1]], absolute=absolute), parts[found[-1] + 1 :]
        yield from (join(each, *below) for each in children(above, names))


def children(folder: str, names: Callable[[str], list[str]]) -> list[str]:
    """Folders for labels in a folder, best last."""
    found = [name for name in names(folder) if name.lower() in LABEL_FOLDERS]
    found.sort(key=lambda name: (-LABEL_FOLDERS.index(name.lower()), name == name.lower()))
    places = [join(folder, name) for name in found]
    return [place for place in places if is_folder(place)]


def label_file(picture: Path) -> Path:
    """Label file that an image should have."""
    parts = list(picture.parent.parts)
    found = [index for index, part in enumerate(parts) if part.lower() in PICTURE_FOLDERS]
    if found:
        parts[found[-1]] = "labels"
    return Path(*parts, f"{picture.stem}.txt")
