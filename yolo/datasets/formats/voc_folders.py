"""Layout of VOC folders: where the annotation files lie, whatever the folder is called, and their splits."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePath

from yolo.datasets.annotations.place import Place, walk_names
from yolo.datasets.annotations.splits import SPLITS, usual_split
from yolo.datasets.annotations.text_files import read_lines
from yolo.datasets.annotations.xml_file import root_name
from yolo.datasets.formats.voc_xml import ROOTS
from yolo.errors import AnnotationError
from yolo.images.suffixes import SUFFIXES

ANNOTATION_FOLDERS = ("Annotations", "annotation", "annots", "annot", "anns", "ann", "xmls", "xml", "labels", "label")
PICTURE_FOLDERS = ("JPEGImages", "JPEGImage", "images", "image", "imgs", "img", "pictures", "pics", "photos")
LIST_FOLDERS = ("ImageSets", "Main", "splits", "lists")
"""Folders of lists beside the annotations, where ``ImageSets/Main`` is missing."""
LISTS = (*SPLITS, "trainval", "minival")
"""Names of lists that lie beside the annotations; in ``ImageSets/Main`` any name is one."""
LOOKED_INTO = 4
"""Number of XML files of a folder that are looked into."""
DEEP = 8
"""Number of folders below the annotation folder, or that of the images, in which files are listed."""
DEEPEST = 3
"""Number of folders below a dataset in which annotation files are looked for."""
MOST_FOLDERS = 500
"""Number of folders that are looked into, so that a deep tree of other files costs no time."""


@dataclass(frozen=True)
class Root:
    """One folder of annotations and images: a year of VOC, or another folder."""

    folder: Path
    annotation_folder: str
    """Name of the folder of annotations in it, or ``.``."""
    top: Path
    """Folder of the whole dataset."""

    @cached_property
    def annotations(self) -> dict[str, Path]:
        """Annotation files by their path below the annotation folder without suffix, sorted."""
        base = self.folder / self.annotation_folder
        found = list_files(base, frozenset({".xml"}), depth=0 if self.annotation_folder == "." else DEEP)
        return {key[: -len(".xml")]: file for key, file in found.items()}

    @cached_property
    def by_stem(self) -> dict[str, list[str]]:
        """Keys of `annotations` by their last parts, where files lie in subfolders or names differ in case."""
        groups: dict[str, list[str]] = {}
        for key in self.annotations:
            groups.setdefault(key.rpartition("/")[2].lower(), []).append(key)
        return groups

    @cached_property
    def lists(self) -> dict[str, Path]:
        """Lists of images by their names, in the folder or in that of the whole dataset."""
        for folder in dict.fromkeys([self.folder, self.top]):
            place = Place(folder)
            for sets in (main for below in place.below("ImageSets") for main in below.below("Main")):
                if found := {file.stem: file for file in sets.with_suffix(".txt")}:
                    return found
            for each in (*place.below(*LIST_FOLDERS), place):
                files = (file for file in each.with_suffix(".txt") if file.stem.lower() in LISTS)
                if found := {file.stem: file for file in files if self.is_list(file)}:
                    return found
        return {}

    def is_list(self, file: Path) -> bool:
        """Whether the first line of a text file names an annotation of this folder."""
        try:
            return any(self.find_key(line) for _, line in read_lines(file)[:1])
        except AnnotationError:
            return False

    def find_key(self, line: str) -> str | None:
        """Key of the annotation that a list's line names; None if there is none, or several have its stem."""
        for name in possible_names(line):
            if name in self.annotations:
                return name
        for name in possible_names(line):
            found = self.by_stem.get(name.rpartition("/")[2].lower(), [])
            ending = [key for key in found if f"/{name}".endswith(f"/{key}") or f"/{key}".endswith(f"/{name}")]
            if len(ending or found) == 1:
                return (ending or found)[0]
        return None

    @cached_property
    def picture_files(self) -> dict[str, Path]:
        """Images by their path below the folder with a usual name, else those directly in the root's folder."""
        for below in Place(self.folder).below(*PICTURE_FOLDERS):
            if found := list_files(below.path, SUFFIXES):
                return found
        return list_files(self.folder, SUFFIXES, depth=0)

    @cached_property
    def pictures(self) -> dict[str, Path]:
        """Images by their path below the folder of images, and by that without suffix."""
        stems = {key[: -len(file.suffix)]: file for key, file in reversed(self.picture_files.items())}
        return stems | self.picture_files


def list_files(base: Path, suffixes: frozenset[str], *, depth: int = DEEP) -> dict[str, Path]:
    """Files with one of some suffixes below a folder by their path below it, with slashes.

    Each folder's files are sorted and before those of its subfolders, as those of `walk`, which takes longer.
    """
    found: dict[str, Path] = {}
    for folder, names in walk_names(str(base), depth=depth):
        below = path_below(Path(folder), base)
        start = f"{below}/" if below else ""
        for name in names:
            if name[name.rfind(".") :].lower() in suffixes:
                found[start + name] = Path(folder, name)
    return found


def path_below(file: Path, base: Path) -> str:
    """Path of a file below a folder that it was listed in, with slashes; faster than `Path.relative_to`."""
    below = str(file)[len(str(base)) :] if str(base) != "." else str(file)
    return below.replace(os.sep, "/").lstrip("/")


def possible_names(line: str) -> list[str]:
    """Readings of a list's line: a stem, a stem and a number, or (not in the VOC format) the path of a file."""
    names = [each.replace("\\", "/").removeprefix("./") for each in (line, line.split(maxsplit=1)[0])]
    paths = [PurePath(each) for each in names]
    return names + [str(each.with_suffix("")) for each in paths if each.suffix.lower() in {*SUFFIXES, ".xml"}]


def find_roots(place: Place) -> list[Root]:
    """Find the folders with annotations at a place, or in those below it; empty if it is not a VOC folder."""
    own = find_root(place, place.path)
    return [own] if own else list(roots_below(place))


def find_root(place: Place, top: Path) -> Root | None:
    """Find the annotations of a folder: in one with a usual name and those below it, else directly in the folder."""
    for below in place.below(*ANNOTATION_FOLDERS):
        if any(map(holds_annotations, places_below(below, DEEP))):
            return Root(place.path, below.path.name, top)
    return Root(place.path, ".", top) if holds_annotations(place) else None


def roots_below(top: Place) -> Iterator[Root]:
    """Find the annotation folders of any name below a folder, those of one level before those further down."""
    level = top.places
    left = MOST_FOLDERS
    for _ in range(DEEPEST):
        deeper: list[Place] = []
        for place in level[: max(left, 0)]:
            root = find_root(place, top.path)
            if root is not None:
                yield root
            else:
                deeper += place.places
        left -= len(level)
        level = deeper


def places_below(place: Place, depth: int) -> Iterator[Place]:
    """Yield a folder and those below it, each level before the next, at most `MOST_FOLDERS`."""

    def levels() -> Iterator[Place]:
        level = [place]
        for _ in range(depth):
            yield from level
            level = [below for each in level for below in each.places]

    return islice(levels(), MOST_FOLDERS)


def holds_annotations(place: Place) -> bool:
    """Whether XML files lie directly in a folder whose roots are those of VOC, or cannot be told."""
    names = [root_name(file) for file in first_files(place)]
    return None in names or any(name in ROOTS for name in names)


def first_files(place: Place) -> list[Path]:
    """Some XML files directly in a folder."""
    return place.with_suffix(".xml", most=LOOKED_INTO)


def split_names(roots: Sequence[Root]) -> tuple[str, ...]:
    """Names of the splits: those of the lists, else of the folders that annotations or images lie in.

    Lists of single classes (``cat_train`` beside ``train``) are no splits.
    """
    names = sorted({name for root in roots for name in root.lists})
    if names:
        return tuple(name for name in names if name.rpartition("_")[2] not in names or "_" not in name)
    files = (file for root in roots for each in (root.annotations, root.picture_files) for file in each.values())
    folders = {Path(folder) for folder in {os.path.dirname(file) for file in files}}  # noqa: PTH120 - much faster
    folders |= {each for each in Place(roots[0].top).folders if usual_split(each.name)}
    splits = {split for folder in folders if (split := split_of(folder, roots[0].top))}
    return tuple(sorted(splits, key=SPLITS.index))


def split_of(folder: Path, top: Path) -> str | None:
    """Name of the first folder below the dataset's, on the way to one, that is named after a split; None: none is."""
    parts = (part.lower().rstrip("0123456789_-") for part in path_below(folder, top).split("/"))
    return next((part if part in SPLITS else usual_split(part) for part in parts if usual_split(part)), None)
