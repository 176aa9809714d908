"""Datasets in a few annotation files: the splits by the files' names, the images near them, the classes of all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from yolo.datasets.annotations.columns import Columns
from yolo.datasets.annotations.joining import concatenate
from yolo.datasets.annotations.left_out import LeftOut
from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.records import Record, to_columns
from yolo.datasets.annotations.repair import Repairs
from yolo.datasets.annotations.source import ReadOptions, Source
from yolo.datasets.annotations.splits import SPLITS, VALIDATION, find_split, split_in_name
from yolo.errors import AnnotationError
from yolo.files.atomic import is_folder

logger = logging.getLogger(__name__)

FILES_TRIED = 20
"""Largest number of files by which a folder is found to hold none of a format."""

ANNOTATION_FOLDERS = ("annotations", "annotation", "annots", "labels", "data", "csv")
"""Folders in which annotation files lie, beside the images'."""
PICTURE_FOLDERS = ("images", "image", "imgs", "img", "pictures", "JPEGImages")
SYNONYMS = {"train": ("train",), "test": ("test",)} | dict.fromkeys(VALIDATION, VALIDATION)


@dataclass
class Reading:
    """Reading of one part of a dataset, with the records that its readers add to."""

    finder: PictureFinder
    repairs: Repairs = field(default_factory=Repairs)
    left_out: LeftOut = field(default_factory=LeftOut)


Reader = Callable[[Path, Reading], list[Record]]
"""Function that reads one annotation file."""


class PreferringFinder(PictureFinder):
    """Finder that takes the first folder's image where several folders have one that is as good."""

    def find(self, name: str, *, other_suffixes: bool = True) -> Path | None:
        """Find an image as `PictureFinder` does; of several that are as good, that of the first folder with one."""
        found = super().find(name, other_suffixes=other_suffixes)
        alone = (each.find(name, other_suffixes=other_suffixes) for each in self._single)
        return found or next(filter(None, alone), None)

    @cached_property
    def _single(self) -> list[PictureFinder]:
        return [PictureFinder([folder]) for folder in self.folders]


def annotation_files(place: Place, is_one: Callable[[Path], bool], *suffixes: str) -> list[Path]:
    """Files of a format at a place: the file itself, those in the folder, or those in a folder for annotations."""
    for each in (place, *place.below(*ANNOTATION_FOLDERS)):
        files = each.with_suffix(*suffixes)
        if any(map(is_one, files[:FILES_TRIED])):
            return [file for file in files if is_one(file)]
    return []


def by_split(place: Place, files: Sequence[Path]) -> dict[str, list[Path]]:
    """Group annotation files by the split in their names; all are under "" where there are none."""
    parts: dict[str, list[Path]] = {}
    for split in (*SPLITS, None):
        own = [file for file in files if split_in_name(file.stem) == split]
        if own:
            parts[split or ""] = own
    around = split_in_name(place.path.name)
    if not place.is_folder or (
        len(parts) == 1 and around and find_split(around, list(parts))
    ):  # train/train.csv is one part
        return {"": list(files)}
    whole = parts.pop("", []) if len(parts) > 1 else []
    if whole:
        logger.info("%s: not read beside the files of splits: %s", place.path, ", ".join(each.name for each in whole))
    return parts


class Part(NamedTuple):
    """Part of a dataset, such as a split."""

    near: Path
    """Annotation file near which the images are looked for."""
    read: Callable[[Reading], list[Record]]


def file_source(
    name: str,
    place: Place,
    files: Sequence[Path],
    read: Reader,
    *,
    classes: Callable[[], Sequence[str]] | None = None,
) -> Source:
    """Source of a few annotation files, one or more a split.

    Args:
        name: name of the format.
        place: where they were found.
        files: the annotation files.
        read: function that reads one of them.
        classes: function that finds the class names in their order; None: those of all objects, sorted.
    """

    def part(own: Sequence[Path]) -> Part:
        return Part(own[0], lambda reading: [record for file in own for record in read(file, reading)])

    parts = {split: part(own) for split, own in by_split(place, files).items()}
    return part_source(name, place, parts, classes=classes)


def part_source(
    name: str, place: Place, parts: Mapping[str, Part], *, classes: Callable[[], Sequence[str]] | None = None
) -> Source:
    """Source of parts by the name of the split, "" for an undivided dataset; further arguments as in `file_source`."""
    root = place.path if place.is_folder else place.path.parent

    def columns(split: str | None, options: ReadOptions) -> Columns:
        chosen = [each for each in parts if split in (None, each)]
        readings = {each: Reading(find_near(part.near, root, each, options)) for each, part in parts.items()}
        records: dict[str, list[Record]] = {}
        for each, part in parts.items():
            # Faults of another split are reported when that is loaded.
            with suppress(*() if each in chosen else (AnnotationError,)):
                records[each] = part.read(readings[each])
        names = sorted({each.name for part in records.values() for record in part for each in record.objects})
        listed = list(names if classes is None else classes())
        found = [
            to_columns(
                records[each],
                readings[each].finder,
                folder=root,
                name=str(place.path),
                options=options,
                classes=listed,
                repairs=readings[each].repairs,
                left_out=readings[each].left_out,
            )
            for each in chosen
        ]
        for each, one in zip(chosen, found, strict=True):
            report_unlisted(one, readings[each].finder, place.path)
        return found[0] if len(found) == 1 else concatenate(found, folder=root, classes=listed)

    return Source(name, tuple(filter(None, parts)), columns)


def find_near(file: Path, root: Path, split: str, options: ReadOptions) -> PictureFinder:
    """Finder of the images that an annotation file names.

    Raises:
        AnnotationError: the folder that the user has named does not exist.
    """
    if options.images is not None:
        if not is_folder(options.images):
            raise AnnotationError(f"{options.images}: there is no such folder of pictures")
        return PictureFinder([options.images])
    bases = [root, file.parent]
    aside = [root.parent] if root.name.lower() in ANNOTATION_FOLDERS else []
    splits = SYNONYMS.get(split or split_in_name(file.stem) or "", ())
    near = [each for base in [*bases, *aside] for each in likely_folders(Place(base), splits)]
    return PreferringFinder([*near, *bases])


def likely_folders(base: Place, splits: Sequence[str]) -> Iterable[Path]:
    """Folders of images in a folder, those with the name of a split in theirs first."""
    named, images = of_splits(base, splits), base.below(*PICTURE_FOLDERS)
    inner = [each for part in named for each in part.below(*PICTURE_FOLDERS)]
    inner += [each for folder in images for each in of_splits(folder, splits)]
    return [each.path for each in (*inner, *named, *images)]


def of_splits(place: Place, splits: Sequence[str]) -> list[Place]:
    """Folders in a folder whose names say one of these splits, such as ``images_train`` or ``WIDER_val``."""
    return [each for each in place.places if split_in_name(each.path.name) in splits]


def report_unlisted(columns: Columns, finder: PictureFinder, name: Path) -> None:
    """Report images beside those in use that no annotation names: it is unknown whether they are empty."""
    used = {columns.folder / file for file in columns.files}
    folders = {file.parent for file in used}
    left = [file for file in finder.pictures if file.parent in folders and file not in used]
    left = [file for file in left if str(file) not in columns.left_out]
    if left:
        logger.info("%s: %d pictures that no annotation names, left out (%s)", name, len(left), min(left))
