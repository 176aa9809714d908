"""Labelbox's exports: a data row a line (``.ndjson``), or the list of the first version (``.json``)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from yolo.datasets.annotations.json_file import LARGEST_JSON, outline, read_json
from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.record_files import Reading, files_of, record_source
from yolo.datasets.annotations.records import Record
from yolo.datasets.annotations.repair import NO_AREA_SHAPES, NOT_LABELLED
from yolo.datasets.annotations.shapes import Corners, bounds, from_size, numbers, points, size_in, text
from yolo.datasets.annotations.source import FILES, Format, Source
from yolo.datasets.annotations.text_files import read_lines
from yolo.errors import AnnotationError
from yolo.files.quoted import quoted

WITHOUT_AREA = ("point", "line", "mask", "instanceURI")


def read_labelbox(files: Sequence[Path], finder: PictureFinder) -> Reading:
    """Read exports of Labelbox.

    Raises:
        AnnotationError: one is not valid JSON, or has no data rows.
    """
    reading = Reading()
    for file in files:
        count = 0
        for place, row in rows_of(reading, file):
            count += 1
            read_row(reading, place, row, finder)
        if not count:
            raise AnnotationError(f"{file}: not an export of Labelbox: it has no data rows")
    return reading


def rows_of(reading: Reading, file: Path) -> Iterator[tuple[str, Any]]:
    """Data rows with their places; a line that is not valid JSON is left out."""
    if is_first_version(file):
        rows = read_json(file)
        yield from ((f"{file}: [{index}]", row) for index, row in enumerate(rows if isinstance(rows, list) else []))
        return
    for line, content in read_lines(file, limit=LARGEST_JSON):
        try:
            yield f"{file}:{line}", json.loads(content)
        except (ValueError, RecursionError) as error:
            reading.skip(f"{file}:{line}", f"not valid JSON ({error!s:.80}); mend or export it again")


def read_row(reading: Reading, place: str, row: Any, finder: PictureFinder) -> None:
    """Read one data row; one that nobody has labelled is no background."""
    data = row.get("data_row") if isinstance(row, dict) else None
    inner = data if isinstance(data, dict) else row if isinstance(row, dict) else {}
    names = [text(inner.get(key)) for key in ("external_id", "row_data", "External ID", "Labeled Data")]
    names = [name for name in names if name.strip()]
    if not names:
        reading.skip(place, f"expected a data row with external_id, got {quoted(row, 80)}")
        return
    objects = labelled_objects(row)
    if objects is None:
        reading.repairs.add(NOT_LABELLED, place)
        return
    record = Record(
        place, next((name for name in names if finder.find(name)), names[0]), size_in(row.get("media_attributes"))
    )
    for index, each in enumerate(objects):
        read_object(reading, record, each, f"objects[{index}]")
    reading.records.append(record)


def labelled_objects(row: dict[str, Any]) -> list[Any] | None:
    """Objects of the first label of the first project that has one; None: nobody has labelled the row."""
    label = row.get("Label")
    if isinstance(label, dict):
        return objects_in(label)
    projects = row.get("projects")
    for project in projects.values() if isinstance(projects, dict) else ():
        labels = project.get("labels") if isinstance(project, dict) else None
        for each in labels if isinstance(labels, list) else ():
            annotations = each.get("annotations") if isinstance(each, dict) else None
            if isinstance(annotations, dict):
                return objects_in(annotations)
    return None


def objects_in(annotations: dict[str, Any]) -> list[Any]:
    objects = annotations.get("objects")
    return objects if isinstance(objects, list) else []


def read_object(reading: Reading, record: Record, each: Any, place: str) -> None:
    """Read one object of a data row into its record."""
    box = (each.get("bounding_box") or each.get("bbox")) if isinstance(each, dict) else None
    corners = object_bounds(box, each) if isinstance(each, dict) else None
    if corners is not None:
        name = text(each.get("name")) or text(each.get("title")) or each.get("value")
        reading.add(record, name, corners, place, outlined=not box)
    elif isinstance(each, dict) and not box and any(each.get(key) for key in WITHOUT_AREA):
        reading.count(NO_AREA_SHAPES, record, place)
    else:
        reading.skip(f"{record.place}: {place}", f"expected a bounding_box or polygon, got {quoted(each, 80)}")


def object_bounds(box: Any, each: dict[str, Any]) -> Corners | None:
    """Box of an object, or that around its polygon; None if it has neither."""
    if isinstance(box, dict):
        found = numbers([box.get(key) for key in ("left", "top", "width", "height")])
        return None if found is None else from_size(found[0], found[1], found[2], found[3])
    polygon = points(each.get("polygon"))
    return None if polygon is None else bounds(polygon)


def is_first_version(path: Path) -> bool:
    """Whether a file is a list of data rows with the keys of the first version."""
    keys = outline(path)
    return keys.is_list and keys.has("Label") and bool(keys.keys & {"External ID", "Labeled Data"})


def is_labelbox(path: Path) -> bool:
    """Whether a file is an export of Labelbox."""
    keys = outline(path)
    return (not keys.is_list and keys.has("data_row", "projects")) or is_first_version(path)


def recognise(place: Place) -> Source | None:
    """Recognise an export of Labelbox, or a folder with some."""
    files = files_of(place, is_labelbox, suffixes=(".ndjson", ".jsonl", ".json"))
    return record_source("Labelbox", place, files, read_labelbox)


FORMAT = Format("Labelbox", FILES, recognise)
