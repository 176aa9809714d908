"""Datumaro's ``.json``, which CVAT and Geti export: items with annotations, whose labels are numbered in categories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yolo.datasets.annotations.json_file import outline, read_json
from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.record_files import Reading, class_name, files_of, record_source
from yolo.datasets.annotations.records import Record
from yolo.datasets.annotations.repair import NO_AREA_SHAPES
from yolo.datasets.annotations.shapes import Corners, bounds, from_size, number, numbers
from yolo.datasets.annotations.source import FILES, Format, Source
from yolo.errors import AnnotationError
from yolo.files.quoted import quoted
from yolo.structs import Size

OUTLINES = ("polygon", "polyline")
WITHOUT_BOX = ("label", "caption", "points", "mask", "cuboid_3d")


def read_datumaro(files: Sequence[Path], finder: PictureFinder) -> Reading:  # noqa: ARG001 - the signature is shared
    """Read files of Datumaro.

    Raises:
        AnnotationError: one is not valid JSON, or has no items.
    """
    reading = Reading()
    for file in files:
        content = read_json(file)
        items = content.get("items") if isinstance(content, dict) else None
        if not isinstance(items, list) or not items:
            raise AnnotationError(f"{file}: not a file of Datumaro: it has no list of items")
        names = label_names(content.get("categories"))
        reading.classes += [each for each in names if each and each not in reading.classes]
        for index, item in enumerate(items):
            read_item(reading, f"{file}: items[{index}]", item, names)
    return reading


def label_names(categories: Any) -> list[str]:
    """Names of the labels in the order of their numbers; empty if they are not listed."""
    label = categories.get("label") if isinstance(categories, dict) else None
    labels = label.get("labels") if isinstance(label, dict) else None
    if not isinstance(labels, list):
        return []
    return [class_name(each.get("name")) if isinstance(each, dict) else "" for each in labels]


def read_item(reading: Reading, place: str, item: Any, names: Sequence[str]) -> None:
    """Read one image with its objects."""
    image = item.get("image") if isinstance(item, dict) else None
    image = image if isinstance(image, dict) else {}
    name = image.get("path") or (item.get("id") if isinstance(item, dict) else None)
    annotations = item.get("annotations") if isinstance(item, dict) else None
    if not isinstance(name, str) or not isinstance(annotations, list):
        reading.skip(place, f"expected an item with an image and annotations, got {quoted(item, 80)}")
        return
    record = Record(place, name, size_of(image.get("size")))
    for index, each in enumerate(annotations):
        read_object(reading, record, each, f"annotations[{index}]", names)
    reading.records.append(record)


def size_of(value: Any) -> Size | None:
    sides = numbers(value) if isinstance(value, list) and len(value) == 2 else None
    return (int(sides[0]), int(sides[1])) if sides and min(sides) >= 1 else None


def read_object(reading: Reading, record: Record, each: Any, place: str, names: Sequence[str]) -> None:
    """Read one object into its image's record."""
    kind = each.get("type") if isinstance(each, dict) else None
    if kind in WITHOUT_BOX:
        reading.count(NO_AREA_SHAPES, record, place)
        return
    corners = shape_bounds(kind, each) if isinstance(each, dict) else None
    if corners is None:
        reading.skip(f"{record.place}: {place}", f"expected a bbox or polygon, got {quoted(each, 80)}")
        return
    label, attributes = number(each.get("label_id", -1)), each.get("attributes")
    known = label is not None and label.is_integer() and 0 <= label < len(names)
    name = names[int(label)] if known and label is not None else None
    ignore = isinstance(attributes, dict) and any(attributes.get(key) is True for key in ("is_crowd", "difficult"))
    reading.add(record, name, corners, place, outlined=kind in OUTLINES, ignore=ignore)


def shape_bounds(kind: Any, each: dict[str, Any]) -> Corners | None:
    """Box of an object; None if it has none."""
    key = "bbox" if kind == "bbox" else "points"
    given = each.get(key)
    values = numbers(given) if isinstance(given, list) and kind in ("bbox", "ellipse", *OUTLINES) else None
    if kind == "bbox":
        return from_size(values[0], values[1], values[2], values[3]) if values and len(values) == 4 else None
    return bounds(list(zip(values[::2], values[1::2], strict=False))) if values and len(values) >= 4 else None


def is_datumaro(path: Path) -> bool:
    """Whether a file is Datumaro's."""
    keys = outline(path)
    return not keys.is_list and keys.has("categories", "items")


def recognise(place: Place) -> Source | None:
    """Recognise a file of Datumaro, or a folder with some."""
    return record_source("Datumaro", place, files_of(place, is_datumaro), read_datumaro)


FORMAT = Format("Datumaro", FILES, recognise)
