"""Tables that labelling tools export with JSON in their fields: Label Studio's CSV and TSV, and VIA's CSV."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.record_files import Reading, files_of, record_source
from yolo.datasets.annotations.source import FILES, Format, Source
from yolo.datasets.annotations.tables import glance, read_rows
from yolo.datasets.formats.label_studio import read_task
from yolo.datasets.formats.via import read_entries
from yolo.errors import AnnotationError

SUFFIXES = (".csv", ".tsv")
LABEL_STUDIO = {"annotation_id", "annotator", "lead_time"}
VIA = {"filename", "region_shape_attributes", "region_attributes"}
"""Columns by which the tables are known."""


def columns_of(path: Path) -> set[str]:
    table = glance(path)
    return set() if table is None else {each.lstrip("#") for each in table.first[0]}


def read_tables(files: Sequence[Path], finder: PictureFinder) -> Reading:
    """Read tables of Label Studio or VIA.

    Raises:
        AnnotationError: one is no CSV, or has changed.
    """
    reading = Reading()
    for file in files:
        rows = rows_of(file)
        if columns_of(file) >= VIA:
            read_entries(reading, file, via_entries(reading, file, rows))
        else:
            for place, row in rows:
                read_task(reading, place, {key: content_of(value) for key, value in row.items()}, finder)
    return reading


def rows_of(file: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a table with their places, as fields by the names of their columns.

    Raises:
        AnnotationError: it is no CSV, or has changed.
    """
    table = glance(file)
    if table is None:
        raise AnnotationError(f"{file}: it has changed while it was read; load it again")
    header = [each.lstrip("#") for each in table.first[0]]
    for line, row in read_rows(table):
        if row != table.first[0]:
            yield f"{file}:{line}", dict(zip(header, row, strict=False))


def content_of(value: str) -> Any:
    """JSON in a field; the text itself if it is none."""
    try:
        return json.loads(value) if value.startswith(("[", "{")) else value
    except (ValueError, RecursionError):
        return value


def via_entries(reading: Reading, file: Path, rows: Iterator[tuple[str, dict[str, str]]]) -> dict[str, Any]:
    """Entries as VIA's JSON has them, of a table with a region a row."""
    entries: dict[str, Any] = {}
    for place, row in rows:
        name, shape = row.get("filename", ""), content_of(row.get("region_shape_attributes", ""))
        if not name or not isinstance(shape, dict):
            reading.skip(place, "expected a filename and region_shape_attributes in JSON; mend or remove the line")
            continue
        entry = entries.setdefault(name, {"filename": name, "regions": {}})
        if shape:
            line = place.removeprefix(f"{file}:")
            attributes = content_of(row.get("region_attributes", ""))
            entry["regions"][line] = {"shape_attributes": shape, "region_attributes": attributes}
    return entries


def recognise(place: Place) -> Source | None:
    """Recognise a table of a labelling tool, or a folder with some."""
    via = files_of(place, lambda path: columns_of(path) >= VIA, suffixes=SUFFIXES)
    tasks = via or files_of(place, lambda path: columns_of(path) >= LABEL_STUDIO, suffixes=SUFFIXES)
    return record_source("VIA" if via else "Label Studio", place, tasks, read_tables)


FORMAT = Format("CSV of VIA and Label Studio", FILES, recognise)
