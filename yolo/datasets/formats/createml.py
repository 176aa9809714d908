"""Create ML's ``.json``: a list of images, each with labels and the centres and sizes of their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yolo.datasets.annotations.json_file import outline, read_json
from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.record_files import Reading, files_of, record_source
from yolo.datasets.annotations.records import Record
from yolo.datasets.annotations.shapes import from_centre, numbers
from yolo.datasets.annotations.source import FILES, Format, Source
from yolo.errors import AnnotationError
from yolo.files.quoted import quoted

PICTURE_KEYS = ("image", "imagefilename", "imageFilename", "filename", "imageURL", "path")
OBJECT_KEYS = ("annotations", "annotation")
SIDES = ("x", "y", "width", "height")


def read_createml(files: Sequence[Path], finder: PictureFinder) -> Reading:  # noqa: ARG001 - the signature is shared
    """Read files of Create ML.

    Raises:
        AnnotationError: one is not valid JSON, or no list with images.
    """
    reading = Reading()
    for file in files:
        entries = read_json(file)
        if not isinstance(entries, list) or not entries:
            raise AnnotationError(f"{file}: not a file of Create ML: expected a list of pictures")
        records = [read_entry(reading, f"{file}: [{index}]", entry) for index, entry in enumerate(entries)]
        reading.records += [record for record in records if record is not None]
    mark_fractions(reading.records)
    return reading


def read_entry(reading: Reading, place: str, entry: Any) -> Record | None:
    """Read one image; None if it is left out."""
    name, objects = (first_of(entry, keys) for keys in (PICTURE_KEYS, OBJECT_KEYS))
    if not isinstance(name, str) or not name.strip() or not isinstance(objects, list | None):
        reading.skip(place, f"expected an object with image and annotations, got {quoted(entry, 80)}")
        return None
    record = Record(place, name)
    for index, each in enumerate(objects or []):
        where = f"annotations[{index}]"
        box = each.get("coordinates") if isinstance(each, dict) else None
        sides = numbers([box.get(side) for side in SIDES]) if isinstance(box, dict) else None
        if sides is None:
            reading.skip(f"{place}: {where}", f"expected coordinates x, y, width and height, got {quoted(each, 80)}")
            continue
        reading.add(record, each.get("label"), from_centre(*sides), where)
    return record


def first_of(entry: Any, keys: Sequence[str]) -> Any:
    return next((entry[key] for key in keys if key in entry), None) if isinstance(entry, dict) else None


def mark_fractions(records: Sequence[Record]) -> None:
    """Mark boxes as fractions of the sides (MLBoundingBoxUnits.normalized) if none is larger than 1 in any number."""
    corners = [each.corners for record in records for each in record.objects]
    largest = max((abs(value) for each in corners for value in each), default=2.0)
    for record in records:
        record.relative = largest <= 1.0


def is_createml(path: Path) -> bool:
    """Whether a file is a list of images with coordinates of Create ML."""
    keys = outline(path)
    return (
        keys.is_list
        and bool(keys.keys & set(PICTURE_KEYS))
        and bool(keys.keys & set(OBJECT_KEYS))
        and ("coordinates" in keys.inner or not keys.inner)
    )


def recognise(place: Place) -> Source | None:
    """Recognise a file of Create ML, or a folder with some."""
    return record_source("Create ML", place, files_of(place, is_createml), read_createml)


FORMAT = Format("Create ML", FILES, recognise)
