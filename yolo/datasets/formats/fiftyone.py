"""FiftyOne's own exports: `FiftyOneDataset` (``samples.json``) and `FiftyOneImageDetectionDataset` (``labels.json``).

Boxes are a corner and the sides as fractions of the image's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from yolo.datasets.annotations.json_file import outline, read_json
from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.record_files import Reading, class_name, files_of, record_source
from yolo.datasets.annotations.records import Record
from yolo.datasets.annotations.shapes import bounds, from_size, numbers, points, size_in
from yolo.datasets.annotations.source import FILES, Format, Source
from yolo.errors import AnnotationError
from yolo.files.quoted import quoted

LISTS = {"Detections": "detections", "Polylines": "polylines"}
"""Keys of the objects in a field, by the field's class."""
FIELD = "ground_truth"
"""Usual name of the field with the objects; predictions may stand beside it."""


def read_fiftyone(files: Sequence[Path], finder: PictureFinder) -> Reading:  # noqa: ARG001 - the signature is shared
    """Read exports of FiftyOne.

    Raises:
        AnnotationError: one is not valid JSON, or has no pictures.
    """
    reading = Reading()
    for file in files:
        content = read_json(file)
        samples, labels = (content.get(key) if isinstance(content, dict) else None for key in ("samples", "labels"))
        if isinstance(samples, list) and samples:
            read_samples(reading, file, samples)
        elif isinstance(labels, dict) and labels:
            read_labels(reading, file, labels, content.get("classes"))
        else:
            raise AnnotationError(f"{file}: not an export of FiftyOne: it names no pictures")
    return reading


def read_labels(reading: Reading, file: Path, labels: dict[str, Any], classes: Any) -> None:
    """Read the objects of each image's name; classes are names, or indices into a list of them."""
    names = [class_name(each) for each in classes] if isinstance(classes, list) else []
    reading.classes += [each for each in names if each and each not in reading.classes]
    for name, objects in labels.items():
        record = Record(f"{file}: labels[{quoted(name, 120)}]", name, relative=True)
        for index, each in enumerate(objects if isinstance(objects, list) else []):
            label = each.get("label") if isinstance(each, dict) else None
            if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(names):
                label = names[label]
            add_object(reading, record, each, f"[{index}]", label)
        reading.records.append(record)


def read_samples(reading: Reading, file: Path, samples: list[Any]) -> None:
    """Read samples, of which the fields with the most objects, or ``ground_truth``, hold the annotations."""
    chosen = chosen_field(samples)
    for index, sample in enumerate(samples):
        name = sample.get("filepath") if isinstance(sample, dict) else None
        if not isinstance(name, str) or not name:
            reading.skip(f"{file}: samples[{index}]", f"expected a sample with filepath, got {quoted(sample, 80)}")
            continue
        record = Record(f"{file}: samples[{index}]", name, size_in(sample.get("metadata")), relative=True)
        for number, each in enumerate(objects_in(sample.get(chosen))):
            label = each.get("label") if isinstance(each, dict) else None
            add_object(reading, record, each, f"{chosen}[{number}]", label)
        reading.records.append(record)


def chosen_field(samples: list[Any]) -> str:
    """Name of the field with the annotations."""
    fields = [key for each in samples if isinstance(each, dict) for key, value in each.items() if objects_in(value)]
    return FIELD if FIELD in fields else max(sorted(set(fields)), key=fields.count, default=FIELD)


def objects_in(field: Any) -> list[Any]:
    """Objects of a field of a sample; none if it holds other things."""
    kind = field.get("_cls") if isinstance(field, dict) else None
    found = field.get(LISTS[kind]) if isinstance(kind, str) and kind in LISTS else None
    return found if isinstance(found, list) else []


def add_object(reading: Reading, record: Record, each: Any, place: str, label: Any) -> None:
    """Add an object: its box, or the bounds of its outlines."""
    box = each.get("bounding_box") if isinstance(each, dict) else None
    sides = numbers(box) if isinstance(box, list) and len(box) == 4 else None
    outline_points = list(corner_points(each.get("points"))) if isinstance(each, dict) else []
    if sides is not None:
        ignore = bool(each.get("iscrowd")) or each.get("IsGroupOf") is True
        reading.add(record, label, from_size(sides[0], sides[1], sides[2], sides[3]), place, ignore=ignore)
    elif outline_points:
        reading.add(record, label, bounds(outline_points), place, outlined=True)
    else:
        reading.skip(f"{record.place}: {place}", f"expected a bounding_box of four numbers, got {quoted(each, 80)}")


def corner_points(shapes: Any) -> Iterator[tuple[float, float]]:
    """Points of all shapes of a polyline."""
    for shape in shapes if isinstance(shapes, list) else []:
        yield from points(shape) or []


def is_fiftyone(path: Path) -> bool:
    """Whether a file is one of FiftyOne's own exports."""
    keys = outline(path)
    if keys.is_list:
        return False
    samples = keys.has("samples") and bool(keys.inner & {"filepath", "_media_type"})
    return samples or (keys.has("classes", "labels") and "bounding_box" in keys.inner)


def recognise(place: Place) -> Source | None:
    """Recognise an export of FiftyOne, or a folder with some."""
    return record_source("FiftyOne", place, files_of(place, is_fiftyone), read_fiftyone)


FORMAT = Format("FiftyOne", FILES, recognise)
