"""VisDrone's detection labels (VisDrone2018-DET-toolkit): ``annotations/NAME.txt`` for ``images/NAME.jpg``.

A line is left, top, width, height in pixels from 0, score, category, truncation and occlusion, parted by commas. Score
0 marks objects that evaluation ignores. Category 0 are regions without labels and 11 are other objects: both become
ignored boxes of the class with the most objects. The folders ``VisDrone2019-DET-train`` and ``-val`` are splits.
"""

from __future__ import annotations

from collections import Counter

from yolo.datasets.annotations.label_files import assign_regions, holds_labels, numbers, read_label_files
from yolo.datasets.annotations.part_files import Part, Reading, part_source
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.records import Object, Record
from yolo.datasets.annotations.repair import REGIONS
from yolo.datasets.annotations.source import PLAIN, Format, Source
from yolo.datasets.annotations.splits import split_in_name
from yolo.files.quoted import quoted

CLASSES = (*("pedestrian", "people", "bicycle", "car", "van", "truck", "tricycle", "awning-tricycle", "bus", "motor"),)
FIELDS = 8


def fields_of(line: str) -> list[str]:
    """Fields of a line; some files have a comma at the end of each."""
    return [field.strip() for field in line.rstrip(", ").split(",")]


def is_line(line: str) -> bool:
    """Whether a line is of this format."""
    try:
        return len(fields_of(line)) == FIELDS and read_line(line, "") is not None
    except ValueError:
        return False


def read_line(line: str, place: str) -> Object:
    """Read the object of a line; one of no class has no name.

    Raises:
        ValueError: it does not describe one.
    """
    fields = fields_of(line)
    if len(fields) < 6 or not fields[5].isdecimal() or int(fields[5][:9]) > len(CLASSES) + 1:
        raise ValueError(f"expected x, y, width, height, score, category (0 to 11), ..., got {quoted(line)}")
    x, y, width, height, score = numbers(fields[:5], "x, y, width, height, score")
    name = dict(enumerate(CLASSES, start=1)).get(int(fields[5]), "")
    return Object(name, (x, y, x + width, y + height), place, ignore=score == 0 or not name)


def find_labels(place: Place) -> Place | None:
    """Folder of labels at a place."""
    return next((each for each in place.below("annotations", "labels") if holds_labels(each, is_line)), None)


def read_labels(labels: Place, reading: Reading) -> list[Record]:
    records = read_label_files(labels.with_suffix(".txt"), read_line, reading.left_out)
    assign_regions(records, Counter(), REGIONS, reading.repairs)
    return records


def recognise(place: Place) -> Source | None:
    """Recognise a folder of VisDrone's labels and images, or one with several that are named after splits."""
    if not place.is_folder:
        return None
    own = find_labels(place)
    found = {"": own} if own else {split_in_name(each.path.name) or "": find_labels(each) for each in named(place)}
    parts = {split: part(labels) for split, labels in found.items() if labels is not None}
    return part_source("VisDrone", place, parts, classes=lambda: CLASSES) if parts else None


def named(place: Place) -> list[Place]:
    """Folders of VisDrone's splits."""
    return [each for each in place.places if "visdrone" in each.path.name.lower() and split_in_name(each.path.name)]


def part(labels: Place) -> Part:
    return Part(labels.path.parent / "annotations", lambda reading: read_labels(labels, reading))


FORMAT = Format("VisDrone", PLAIN, recognise)
