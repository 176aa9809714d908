"""KITTI's object labels (cvlibs.net, "Object Detection Evaluation 2012", devkit's readme), also of NVIDIA's TAO.

``label_2/000000.txt`` for ``image_2/000000.png``, in ``training/`` or beside each other, or ``labels/`` and
``images/``. A line has 15 fields: class, truncation, occlusion, angle, the box left, top, right, bottom in pixels from
0, and seven numbers in space. ``ImageSets/*.txt`` list the images of splits.

``DontCare`` marks regions in which far objects have no labels. Each becomes an ignored box of the class with the most
objects: training takes no background from an ignored box, whatever its class, and evaluation ignores the detections of
that class there (in KITTI, the cars). It is no class of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from yolo.datasets.annotations.columns import Columns
from yolo.datasets.annotations.label_files import assign_regions, holds_labels, numbers, read_label_files
from yolo.datasets.annotations.left_out import LeftOut
from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.records import Object, to_columns
from yolo.datasets.annotations.repair import REGIONS, Repairs
from yolo.datasets.annotations.source import PLAIN, Format, ReadOptions, Source
from yolo.datasets.annotations.splits import SPLITS
from yolo.datasets.annotations.text_files import read_lines
from yolo.errors import AnnotationError
from yolo.files.quoted import quoted

FIELDS = 15
"""Number of fields of a label; results have a score after them."""
LABEL_FOLDERS = ("label_2", "labels", "label", "Annotations", "annotations")
PICTURE_FOLDERS = ("image_2", "images", "image", "JPEGImages", "imgs")
AROUND = ("training", "data_object_label_2", "data", "object")
"""Folders that KITTI's archives put around the labels."""
UNLABELLED = "DontCare"
LISTS = (*SPLITS, "trainval")


class Folders(NamedTuple):
    """Folders of labels and images that belong together."""

    labels: Place
    pictures: tuple[Path, ...]
    root: Path


def is_line(line: str) -> bool:
    """Whether a line is a label: a class, and fourteen numbers or more."""
    name, rest = split_line(line)
    return bool(name) and len(rest) >= FIELDS - 1 and all(map(is_number, rest))


def split_line(line: str) -> tuple[str, list[str]]:
    """Split a line into the class, whose name may have blanks, and the fields from the first number on."""
    fields = line.split()
    if line.lstrip().startswith('"') and '"' in line.strip()[1:]:  # as CVAT writes a class with blanks
        name, _, rest = line.strip()[1:].partition('"')
        return name.strip(), rest.split()
    first = next((index for index, field in enumerate(fields) if is_number(field)), len(fields))
    return " ".join(fields[:first]), fields[first:]


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_line(line: str, place: str) -> Object:
    """Read the object of a line.

    Raises:
        ValueError: it does not describe one.
    """
    name, rest = split_line(line)
    if not name or len(rest) < FIELDS - 1:
        raise ValueError(f"expected a class and {FIELDS - 1} numbers, got {quoted(line)}")
    x1, y1, x2, y2 = numbers(rest[3:7], "left, top, right, bottom")
    if name == UNLABELLED:
        return Object("", (x1, y1, x2, y2), place, ignore=True)
    return Object(name, (x1, y1, x2, y2), place)


def find_folders(place: Place) -> Folders | None:
    """Find the folder of labels at a place, or in the folders that archives put around it, and that of its images."""
    around = place.below(*AROUND)
    for base in (place, *around, *(inner for each in around for inner in each.below(*AROUND))):
        for labels in base.below(*LABEL_FOLDERS):
            if holds_labels(labels, is_line):
                return Folders(labels, picture_folders(base, place), place.path)
    if holds_labels(place, is_line):  # the folder of labels itself, or one with labels and images
        aside = Place(place.path.resolve().parent) if place.path.name.lower() in LABEL_FOLDERS else place
        return Folders(place, picture_folders(aside, place), place.path)
    return None


def picture_folders(base: Place, place: Place) -> tuple[Path, ...]:
    """Folder of images beside the labels; that of KITTI's archive of images; else the place itself.

    Not all of them: ``image_3`` and ``testing`` have other images of the same names.
    """
    near = base.below(*PICTURE_FOLDERS)
    archive = [inner for each in place.below("data_object_image_2") for inner in (each, *each.below("training"))]
    near += [found for each in archive for found in each.below(*PICTURE_FOLDERS)]
    return (near[0].path,) if near else (base.path,)


def split_lists(place: Place) -> dict[str, list[str]]:
    """Stems that the lists in ``ImageSets`` name, by split."""
    found = {}
    for folder in (inner for each in (place, *place.below(*AROUND)) for inner in each.below("ImageSets")):
        for name in LISTS:
            file = folder.named(f"{name}.txt")
            if file is not None and name not in found:
                found[name] = [Path(line).stem for _, line in read_lines(file)]
    return found


def read_kitti(folders: Folders, stems: Sequence[str] | None, options: ReadOptions) -> Columns:
    """Read the labels of a folder, or those of some stems.

    Raises:
        AnnotationError: no image is found, or too much would be left out.
    """
    repairs, left_out, others = Repairs(), LeftOut(), LeftOut()
    files = {file.stem: file for file in folders.labels.with_suffix(".txt")}
    chosen = set(files if stems is None else stems)
    records = read_label_files((file for stem, file in files.items() if stem in chosen), read_line, left_out)
    rest = read_label_files((file for stem, file in files.items() if stem not in chosen), read_line, others)
    classes = assign_regions(records, Counter(), REGIONS, repairs, others=rest)
    pictures = folders.pictures if options.images is None else (options.images,)
    if not all(folder.is_dir() for folder in pictures):
        raise AnnotationError(f"{pictures[0]}: there is no such folder of pictures")
    return to_columns(
        records,
        PictureFinder(pictures),
        folder=folders.root,
        name=str(folders.root),
        options=options,
        classes=classes,
        repairs=repairs,
        left_out=left_out,
    )


def recognise(place: Place) -> Source | None:
    """Recognise a folder of KITTI's labels, or one around it."""
    folders = find_folders(place) if place.is_folder else None
    if folders is None:
        return None
    stems = {file.stem for file in folders.labels.with_suffix(".txt")}
    lists = {name: listed for name, listed in split_lists(place).items() if stems.intersection(listed)}
    return Source(
        "KITTI",
        tuple(lists),
        lambda split, options: read_kitti(folders, None if split is None else lists[split], options),
    )


FORMAT = Format("KITTI", PLAIN, recognise)
