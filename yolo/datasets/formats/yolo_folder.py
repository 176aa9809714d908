"""YOLO labels without a description: ``images/`` and ``labels/``, lists of images, or both beside each other.

Programs that write them: Label Studio (``classes.txt``, ``notes.json``), LabelImg (``classes.txt`` among the labels),
Roboflow's Darknet (``_darknet.labels``), Ultralytics' `autosplit` (``autosplit_train.txt``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from yolo.datasets.annotations.columns import Columns
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.source import PLAIN, Format, ReadOptions, Source
from yolo.datasets.annotations.splits import SPLITS, without_year
from yolo.datasets.formats.class_lists import needed_names
from yolo.datasets.formats.label_files import LABEL_FOLDERS, PICTURE_FOLDERS, LabelFinder, is_label_name
from yolo.datasets.formats.label_text import UTF_16, is_number
from yolo.datasets.formats.yolo_pictures import ListedFinder
from yolo.datasets.formats.yolo_txt import YoloSet, new_pictures, read_yolo
from yolo.errors import AnnotationError
from yolo.files.bounded import open_file
from yolo.images.suffixes import SUFFIXES

GLANCE = 4096
"""Number of bytes of a text file that are looked at."""
LOOKED_AT = 50
"""Largest number of label files that are looked at for a row."""
SPLIT_LIST = re.compile(rf"(?:.*[-_])?({'|'.join(SPLITS)})", re.IGNORECASE)
"""Stems of lists of a split's images, such as train and autosplit_train."""


@dataclass(frozen=True)
class Layout:
    """Where the images of a folder's dataset lie."""

    folder: Path
    pictures: Path | None
    """Folder of all images; None: lists name them."""
    splits: dict[str, Path]
    """Folder or list of each split; empty if there are none."""


def recognise(place: Place) -> Source | None:
    """Recognise a folder with images and YOLO labels, or a list of such images."""
    if not place.is_folder:
        if place.path.suffix.lower() != ".txt" or not is_list(place.path):
            return None
        return layout_source(Layout(place.path.parent, None, {"": place.path}))
    layout = find_layout(place)
    return None if layout is None else layout_source(layout)


def find_layout(place: Place) -> Layout | None:
    """Find the images and their splits; None if there are no YOLO labels."""
    images, labels = place.below(*PICTURE_FOLDERS), place.below(*LABEL_FOLDERS)
    if images and labels and has_rows(labels[0]):
        lists = split_lists(place)
        return Layout(place.path, images[0].path, lists or split_folders(images[0]))
    if images and has_rows(images[0], beside=True):
        return Layout(place.path, images[0].path, split_lists(place) or split_folders(images[0]))
    with_pictures = bool(place.with_suffix(*SUFFIXES, most=1))
    if with_pictures and (has_rows(place, deep=False, beside=True) or (labels and has_rows(labels[0]))):
        return Layout(place.path, place.path, split_lists(place))
    lists = split_lists(place)
    return Layout(place.path, None, lists) if lists and any(map(leads_to_rows, lists.values())) else None


def split_folders(images: Place) -> dict[str, Path]:
    """Folders within that of the images which are named after splits (``train``, ``train2017``)."""
    if images.with_suffix(*SUFFIXES, most=1):
        return {}
    found = {folder.name.lower(): folder for folder in images.folders}
    names = sorted((name for name in found if without_year(name) in SPLITS), key=split_order)
    short = [without_year(name) for name in names]
    return {brief if short.count(brief) == 1 else name: found[name] for name, brief in zip(names, short, strict=True)}


def split_order(name: str) -> tuple[int, str]:
    return SPLITS.index(without_year(name)), name


def split_lists(place: Place) -> dict[str, Path]:
    """Lists of images that are named after splits, in a folder or its ``ImageSets``."""
    files = [*place.with_suffix(".txt"), *(file for each in place.below("ImageSets") for file in each.files)]
    found: dict[str, Path] = {}
    for file in files:
        match = SPLIT_LIST.fullmatch(file.stem)
        if match and is_list(file):
            found.setdefault(match[1].lower(), file)
    return {name: found[name] for name in SPLITS if name in found}


def is_list(file: Path) -> bool:
    """Whether a text file begins with the path of an image, alone in its line."""
    line = next(first_lines(file), "")
    return Path(line.replace("\\", "/")).suffix.lower() in SUFFIXES and not re.search(r"\s\S*,\S*,", line)


def leads_to_rows(file: Path) -> bool:
    """Whether an image that a list names lies below the list's folder with a label file."""
    pictures, labels = ListedFinder([file.parent]), LabelFinder()
    found = filter(None, map(pictures.find, islice(first_lines(file), LOOKED_AT)))
    return any(labels.find(picture) for picture in found)


def has_rows(place: Place, *, deep: bool = True, beside: bool = False) -> bool:
    """Whether a folder, or one in it, has label files with rows of numbers, or with nothing in them.

    Args:
        place: the folder.
        deep: look into its folders too.
        beside: count only files with the stem of an image beside them.
    """
    places = [place, *(place.places if deep else ())]
    empty = False
    for each in islice(places, LOOKED_AT):
        stems = {file.stem for file in each.with_suffix(*SUFFIXES)} if beside else set()
        files = [file for file in each.with_suffix(".txt") if is_label_name(file.stem)]
        for file in islice((file for file in files if not beside or file.stem in stems), LOOKED_AT):
            line = next(first_lines(file), None)
            if line is not None:
                return is_row(line)
            empty = True
    return empty


def is_row(line: str) -> bool:
    """Whether a line may be a row of a label file, with a name for the class or commas in the worst case."""
    fields = line.split()
    if len(fields) == 1 and line.count(",") == 4:
        fields = line.split(",")
    numbers = [field.replace(",", ".") for field in fields]
    if len(numbers) < 5 or not all(map(is_number, numbers[1:])):
        return False
    if is_number(numbers[0]):
        return True
    return len(numbers) == 5 and all(0 <= float(number) <= 1 for number in numbers[1:])


def first_lines(file: Path) -> Iterator[str]:
    """Lines with content at the beginning of a text file; none if it cannot be read."""
    try:
        with open_file(file) as content:
            head = content.read(GLANCE)
    except OSError:
        return iter(())
    text = head.decode("utf-16" if head.startswith(UTF_16) else "utf-8-sig", "replace")
    lines = text.splitlines()
    whole = lines[:-1] if len(head) == GLANCE and len(lines) > 1 else lines
    return (line.strip() for line in whole if line.strip())


def layout_source(layout: Layout, names: Sequence[str] | None = None) -> Source:
    """Source of a layout; with ``names`` its classes are known."""

    def read(split: str | None, options: ReadOptions) -> Columns:
        return read_layout(layout, split, options, names)

    return Source("YOLO txt", tuple(name for name in layout.splits if name), read)


def read_layout(layout: Layout, split: str | None, options: ReadOptions, names: Sequence[str] | None) -> Columns:
    """Read a split of a layout, or all of it (None).

    Raises:
        AnnotationError: something is missing or malformed.
    """
    given = options.names if names is None else names
    source = YoloSet(
        name=str(layout.folder),
        folder=layout.folder,
        names=needed_names(layout.folder, given, without_names(layout)),
    )
    pictures = new_pictures([layout.folder], options)
    if split is not None:
        places = [layout.splits[split]]
    elif layout.pictures is not None:
        places = [layout.pictures]
    else:
        places = list(layout.splits.values())
    for place in places:
        count = pictures.add_list(place) if place.suffix.lower() == ".txt" else pictures.add_folder(place)
        if not count:
            raise AnnotationError(f"{layout.folder}: there are no pictures in {place}")
    return read_yolo(source, pictures, options, split)


def without_names(layout: Layout) -> str:
    """Message about a layout without a list of classes."""
    what = "images/ and labels/" if layout.pictures not in (None, layout.folder) else "pictures and labels"
    entries = [
        f"{name}: {place.relative_to(layout.folder).as_posix()}" for name, place in layout.splits.items() if name
    ]
    if not entries and layout.pictures is not None:
        entries = [f"train: {layout.pictures.relative_to(layout.folder).as_posix()}"]
    return (
        f"{layout.folder}: {what} without a list of classes: give their names (--names), add a classes.txt with "
        f"a class a line, or write a data.yaml like this: {', '.join([*entries, 'names: [cat, dog]'])}"
    )


def near_miss(place: Place) -> str | None:
    """Say what is missing of a folder with ``images/`` or ``labels/``."""
    images, labels = place.below(*PICTURE_FOLDERS), place.below(*LABEL_FOLDERS)
    if images and labels:
        return f"{labels[0].path}: no .txt in it has rows of numbers: class x y width height, as fractions (YOLO)"
    if labels and has_rows(labels[0]):
        return f"{labels[0].path}: YOLO labels, but no images/ beside them; add the pictures"
    if images and has_pictures(images[0]):
        return f"{images[0].path}: pictures, but neither labels/ (YOLO) nor another annotation file beside them"
    return None


def has_pictures(place: Place) -> bool:
    return any(each.with_suffix(*SUFFIXES, most=1) for each in [place, *place.places])


FORMAT = Format("YOLO txt", PLAIN, recognise, near_miss)
