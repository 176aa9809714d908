"""Formats whose annotation files give records: which files lie at a place, by split, and their columns."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yolo.datasets.annotations.columns import Columns
from yolo.datasets.annotations.joining import concatenate
from yolo.datasets.annotations.left_out import LeftOut
from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.place import Place, walk
from yolo.datasets.annotations.records import Object, Record, to_columns
from yolo.datasets.annotations.repair import NAMELESS, OUTLINED, Repairs
from yolo.datasets.annotations.shapes import Corners
from yolo.datasets.annotations.source import ReadOptions, Source
from yolo.datasets.annotations.splits import SPLITS, split_files, synonyms
from yolo.errors import AnnotationError
from yolo.images.suffixes import SUFFIXES

logger = logging.getLogger(__name__)

PICTURE_FOLDERS = frozenset({"images", "image", "img", "imgs", "pictures", "photos", "jpegimages", "data"})
"""Usual names of folders of images, in lower case."""
ANNOTATION_FOLDERS = frozenset(
    {"annotations", "annotation", "anns", "ann", "labels", "label", "json", "jsons", "data_annotated"}
)
"""Usual names of folders of annotation files, in lower case."""
TRIED = 20
"""Number of files of a folder that are looked at to recognise them."""


@dataclass
class Reading:
    """Result of reading annotation files: records, and what could not be used of them."""

    records: list[Record] = field(default_factory=list)
    repairs: Repairs = field(default_factory=Repairs)
    left_out: LeftOut = field(default_factory=LeftOut)
    classes: list[str] = field(default_factory=list)
    """Class names in the source's order, if it lists them; others follow in alphabetical order."""

    def skip(self, place: str, reason: str) -> None:
        """Leave a file or an entry out."""
        self.left_out.add(place, f"{place}: {reason}")

    def count(self, fault: str, record: Record, place: str) -> None:
        """Count an object of a record that is dropped, or changed."""
        self.repairs.add(fault, f"{record.place}: {place}")

    def add(
        self,
        record: Record,
        name: Any,
        corners: Corners,
        place: str,
        *,
        outlined: bool = False,
        ignore: bool = False,
    ) -> None:
        """Add an object to a record; one without a class is dropped.

        Args:
            record: annotations of its image.
            name: class as the source has it.
            corners: two opposite corners.
            place: place of the object in the record.
            outlined: whether the corners are the bounds of an outline.
            ignore: whether detecting it counts neither as right nor as wrong.
        """
        text = class_name(name)
        if not text:
            self.count(NAMELESS, record, place)
            return
        if outlined:
            self.count(OUTLINED, record, place)
        record.objects.append(Object(text, corners, place, ignore))


def class_name(value: Any) -> str:
    """Class name as text without blanks around it; empty if the value is none."""
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


Reader = Callable[[Sequence[Path], PictureFinder], Reading]
"""Function that reads some annotation files; the finder knows their images."""


def files_of(
    place: Place,
    is_own: Callable[[Path], bool],
    *,
    per_picture: bool = False,
    suffixes: tuple[str, ...] = (".json",),
) -> list[Path]:
    """Annotation files of a format: at a place, or in its folders of annotations and in those named after splits there.

    Args:
        place: file or folder.
        is_own: function that recognises a file by its content.
        per_picture: whether there is a file an image: one of the first `TRIED` that is recognised speaks for all of
            its folder, so that a broken one among them is read and reported.
        suffixes: suffixes of the files in lower case.
    """
    if not place.is_folder:
        return [file for file in place.with_suffix(*suffixes) if is_own(file)]
    return next((found for level in levels(place) if (found := matching(level, is_own, per_picture, suffixes))), [])


def levels(place: Place) -> Iterator[list[Place]]:
    """Folders in which annotation files may lie: the place, its folders, those named after splits in these, and so on.

    In a folder of annotations any folder counts, as in ``labels/det_20``.
    """
    yield [place]
    names = {each.path.name.lower() for each in place.places}
    if names & (PICTURE_FOLDERS | ANNOTATION_FOLDERS):
        yield place.places
        third = [
            below
            for each in place.places
            for below in (each.places if each.path.name.lower() in ANNOTATION_FOLDERS else each.below(*SPLITS))
        ]
        yield third
        yield [below for each in third for below in each.below(*SPLITS)]


def matching(
    places: Sequence[Place],
    is_own: Callable[[Path], bool],
    per_picture: bool,
    suffixes: tuple[str, ...] = (".json",),
) -> list[Path]:
    found: list[Path] = []
    for place in places:
        files = place.with_suffix(*suffixes)
        own = [file for file in files[:TRIED] if is_own(file)]
        if own:
            found += files if per_picture else [*own, *filter(is_own, files[TRIED:])]
    return found


def record_source(
    name: str, place: Place, files: Sequence[Path], read: Reader, *, per_picture: bool = False
) -> Source | None:
    """Source of annotation files that give records, divided into splits by their names; None without files.

    Args:
        name: name of the format.
        place: place of the dataset.
        files: its annotation files.
        read: reader of the format.
        per_picture: whether there is a file an image, which only folders divide into splits.
    """
    base = place.path if place.is_folder else place.path.parent
    parts = split_files(files, base, per_picture=per_picture) if place.is_folder else {"": [*files]}
    splits = tuple(filter(None, parts))

    def read_parts(split: str | None, options: ReadOptions) -> Columns:
        chosen = [split] if split else list(splits or parts)
        if splits and "" in parts:
            logger.warning("%s: files that name no split are left out, such as %s", place.path, parts[""][0])
        if options.images is not None and not options.images.is_dir():
            raise AnnotationError(f"{options.images}: there is no such folder of pictures")
        finders = {each: PictureFinder(picture_folders(base, each, parts[each], options)) for each in parts}
        readings = {each: read(parts[each], finders[each]) for each in chosen}
        classes = class_list([*readings.values(), *read_others(parts, finders, readings, read)])
        columns = [
            reading_columns(reading, finders[each], base, name=str(place.path), options=options, classes=classes)
            for each, reading in readings.items()
        ]
        return columns[0] if len(columns) == 1 else concatenate(columns, folder=base, classes=classes)

    return Source(name, splits, read_parts) if files else None


def reading_columns(
    reading: Reading, finder: PictureFinder, folder: Path, *, name: str, options: ReadOptions, classes: Sequence[str]
) -> Columns:
    """Columns of one split."""
    return to_columns(
        reading.records,
        finder,
        folder=folder,
        name=name,
        options=options,
        classes=classes,
        repairs=reading.repairs,
        left_out=reading.left_out,
    )


def read_others(
    parts: Mapping[str, Sequence[Path]],
    finders: Mapping[str, PictureFinder],
    done: Mapping[str, Reading],
    read: Reader,
) -> Iterator[Reading]:
    """Readings of the other splits, for their classes; loading these splits reports what is malformed there."""
    for split in filter(None, parts):
        if split not in done:
            try:
                yield read(parts[split], finders[split])
            except AnnotationError:
                continue


def class_list(readings: Sequence[Reading]) -> list[str]:
    """Class names of all splits: those that the sources list, in their order, then the others in alphabetical order."""
    listed = dict.fromkeys(name for reading in readings for name in reading.classes)
    used = {each.name for reading in readings for record in reading.records for each in record.objects}
    return [*listed, *sorted(used - set(listed))]


def picture_folders(base: Path, split: str, files: Sequence[Path], options: ReadOptions) -> list[Path]:
    """Folders in which the images of a split are looked for, best first.

    Folders beside the dataset's own come in only if it holds no image at all.
    """
    if options.images is not None:
        return [options.images]
    named = [each.path for each in named_folders(Place(base), synonyms(split), 3)] if split else []
    inner = [below.path for folder in named for below in Place(folder).below(*sorted(PICTURE_FOLDERS))]
    beside = {file.parent: None for file in files}
    found = [*named, *inner, *(beside if len(beside) <= TRIED else ()), base]
    if any(file.suffix.lower() in SUFFIXES for file in walk(base)):
        return found
    siblings = [each for each in Place(base.absolute().parent).folders if each.name.lower() in PICTURE_FOLDERS]
    return [*found, *siblings]


def named_folders(place: Place, names: Sequence[str], deepest: int) -> list[Place]:
    """Folders with one of these names at a place or in its folders, those deeper down first: ``images/train``."""
    own = place.below(*names)
    inner = [each for each in place.places if each not in own] if deepest > 1 else []
    return [*(found for each in inner for found in named_folders(each, names, deepest - 1)), *own]
