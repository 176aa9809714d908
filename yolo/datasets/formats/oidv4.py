"""Folders of the OIDv4 toolkit, which downloads images of some classes of Open Images.

``Dataset/train/Apple/ID.jpg`` has its boxes in ``Dataset/train/Apple/Label/ID.txt``: class, left, top, right, bottom in
continuous pixels. An image of two classes lies in the folders of both, with the boxes of one in each:
they are merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from yolo.datasets.annotations.label_files import holds_labels, numbers, read_label_files
from yolo.datasets.annotations.part_files import Part, Reading, part_source
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.records import Object, Record
from yolo.datasets.annotations.source import PLAIN, Format, Source
from yolo.datasets.annotations.splits import SPLITS
from yolo.files.quoted import quoted
from yolo.images.suffixes import SUFFIXES


def is_line(line: str) -> bool:
    """Whether a line is of this format."""
    try:
        return read_line(line, "") is not None
    except ValueError:
        return False


def read_line(line: str, place: str) -> Object:
    """Read the object of a line, whose class may have blanks.

    Raises:
        ValueError: it does not describe one.
    """
    *words, left, top, right, bottom = line.split() if len(line.split()) > 4 else [""] * 5
    name = " ".join(words)
    if not any(map(str.isalpha, name)):
        raise ValueError(f"expected class, left, top, right, bottom, got {quoted(line)}")
    x1, y1, x2, y2 = numbers((left, top, right, bottom), "left, top, right, bottom")
    return Object(name, (x1, y1, x2, y2), place)


def find_labels(place: Place) -> list[Place]:
    """Folders ``Label`` of the classes in a folder."""
    inner = [found for each in place.places for found in each.below("Label")]
    return inner if any(holds_labels(each, is_line) for each in inner) else []


def read_labels(folders: Sequence[Place], reading: Reading) -> list[Record]:
    """Read the labels of all classes; an image in several folders is the first one."""
    first: dict[str, Path] = {}
    for each in folders:
        for file in Place(each.path.parent).with_suffix(*SUFFIXES):
            first.setdefault(file.stem, file)
    files = (file for each in folders for file in each.with_suffix(".txt"))
    records = read_label_files(files, read_line, reading.left_out)
    for record in records:
        record.picture = str(first.get(record.picture, record.picture))
    return records


def recognise(place: Place) -> Source | None:
    """Recognise a folder of the toolkit's classes, or one with several that are named after splits."""
    for base in (
        place,
        *place.below("Dataset"),
        *(inner for each in place.below("OID") for inner in each.below("Dataset")),
    ):
        found = {"": find_labels(base)}
        if not found[""]:
            found = {each.path.name: find_labels(each) for each in base.below(*SPLITS)}
        parts = {split: part(labels) for split, labels in found.items() if labels}
        if parts:
            return part_source("OIDv4", place, parts)
    return None


def part(labels: Sequence[Place]) -> Part:
    return Part(labels[0].path.parent, lambda reading: read_labels(labels, reading))


FORMAT = Format("OIDv4", PLAIN, recognise)
