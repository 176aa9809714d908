"""Supervisely's projects: ``meta.json`` with the classes, and datasets with ``ann/a.jpg.json`` for ``img/a.jpg``."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yolo.datasets.annotations.json_file import outline, read_json
from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.record_files import Reading, matching, record_source
from yolo.datasets.annotations.records import Record
from yolo.datasets.annotations.repair import NO_AREA_SHAPES
from yolo.datasets.annotations.shapes import Corners, Point, bounds, points, size_in, text
from yolo.datasets.annotations.source import FILES, Format, Source
from yolo.errors import AnnotationError
from yolo.files.quoted import quoted

WITHOUT_AREA = frozenset({"point", "graph", "cuboid_3d"})
IGNORED = frozenset({"difficult", "ignore", "iscrowd"})
"""Tags of objects whose detection counts neither as right nor as wrong."""
DEEPEST = 5
"""Number of folders around an annotation file: project, dataset, nested datasets, ``ann``."""
PNG_HEAD = 24
"""Number of bytes of a PNG file up to the end of its width and height."""


def read_supervisely(files: Sequence[Path], finder: PictureFinder) -> Reading:
    """Read annotation files of Supervisely; one that is malformed is left out."""
    reading = Reading(classes=class_titles(files))
    for file in files:
        try:
            content = read_json(file)
        except AnnotationError as error:
            reading.left_out.add(file, error)
            continue
        objects = content.get("objects") if isinstance(content, dict) else None
        if not isinstance(objects, list):
            reading.skip(str(file), 'not a Supervisely file: it has no list "objects"; mend or remove it')
            continue
        record = Record(str(file), picture_of(file, finder), size_in(content.get("size")))
        for index, each in enumerate(objects):
            read_object(reading, record, each, f"objects[{index}]")
        reading.records.append(record)
    return reading


def picture_of(file: Path, finder: PictureFinder) -> str:
    """Name of an annotation file's image: ``../img/`` has it under the same name, with its suffix or without."""
    beside = file.parent.parent / "img" / file.stem
    return str(beside) if beside in finder.pictures else file.stem


def class_titles(files: Sequence[Path]) -> list[str]:
    """Class names in the order of the project's ``meta.json``; empty without one.

    Raises:
        AnnotationError: it is not valid JSON.
    """
    folders = files[0].absolute().parents[1:DEEPEST] if files else ()
    meta = next((folder / "meta.json" for folder in folders if (folder / "meta.json").is_file()), None)
    content = None if meta is None else read_json(meta)
    classes = content.get("classes") if isinstance(content, dict) else None
    titles = (
        [each.get("title") for each in classes or () if isinstance(each, dict)] if isinstance(classes, list) else []
    )
    return list(dict.fromkeys(title.strip() for title in titles if isinstance(title, str) and title.strip()))


def read_object(reading: Reading, record: Record, each: Any, place: str) -> None:
    """Read one object of a file into its record."""
    if isinstance(each, dict) and text(each.get("geometryType")) in WITHOUT_AREA:
        reading.count(NO_AREA_SHAPES, record, place)
        return
    corners = object_bounds(each) if isinstance(each, dict) else None
    if corners is None:
        reading.skip(f"{record.place}: {place}", f"expected points or a bitmap, got {quoted(each, 80)}")
        return
    outlined = not is_rectangle(each)
    reading.add(record, each.get("classTitle"), corners, place, outlined=outlined, ignore=ignored(each))


def ignored(each: dict[str, Any]) -> bool:
    tags = each.get("tags")
    names = (tag.get("name") if isinstance(tag, dict) else tag for tag in (tags if isinstance(tags, list) else ()))
    return any(text(name).lower() in IGNORED for name in names)


def is_rectangle(each: dict[str, Any]) -> bool:
    """Whether an object is a rectangle; old files do not say the type, and give it two points."""
    return each.get("geometryType", "rectangle") == "rectangle" and not isinstance(each.get("bitmap"), dict)


def object_bounds(each: dict[str, Any]) -> Corners | None:
    """Box of an object; None if it has neither points nor a bitmap."""
    bitmap = each.get("bitmap")
    if isinstance(bitmap, dict):
        return bitmap_bounds(bitmap)
    shape = each.get("points")
    exterior = points(shape.get("exterior")) if isinstance(shape, dict) else None
    return None if exterior is None else pixel_bounds(exterior)


def pixel_bounds(exterior: Sequence[Point]) -> Corners:
    """Box around points; whole numbers name pixels, of which the last one belongs to the object too."""
    left, top, right, bottom = bounds(exterior)
    whole = all(value.is_integer() for point in exterior for value in point)
    return (left, top, right + 1, bottom + 1) if whole else (left, top, right, bottom)


def bitmap_bounds(bitmap: dict[str, Any]) -> Corners | None:
    """Box of a bitmap: its origin, and the size in the head of the compressed PNG; None if one is damaged."""
    origin, data = points([bitmap.get("origin")]), bitmap.get("data")
    if origin is None or not isinstance(data, str):
        return None
    try:
        head = zlib.decompressobj().decompress(base64.b64decode(data), PNG_HEAD)
    except (binascii.Error, zlib.error, ValueError):
        return None
    width, height = (int.from_bytes(head[start : start + 4], "big") for start in (16, 20))
    (x, y), complete = origin[0], head.startswith(b"\x89PNG") and len(head) == PNG_HEAD
    return (x, y, x + width, y + height) if complete else None


def is_annotation(path: Path) -> bool:
    """Whether a file is an annotation of Supervisely, by its keys."""
    keys = outline(path)
    own = keys.has("objects") and (keys.has("size") or "classTitle" in keys.inner)
    return own and not keys.is_list and not keys.keys & {"shapes", "images", "imgWidth"}


def annotation_folders(place: Place, deepest: int = DEEPEST) -> list[Place]:
    """Folders ``ann`` of a dataset and of those in it (``datasets/``)."""
    own = place.below("ann")
    inner = [below for each in place.below("datasets") for below in each.places] if own and deepest else []
    return [*own, *(found for each in inner for found in annotation_folders(each, deepest - 1))]


def recognise(place: Place) -> Source | None:
    """Recognise a project, a dataset or a file of Supervisely."""
    datasets = [place] if place.below("ann") else place.places
    folders = [place, *(found for each in datasets for found in annotation_folders(each))]
    files = [file for each in folders for file in matching([each], is_annotation, per_picture=True)]
    return record_source("Supervisely", place, files, read_supervisely, per_picture=True)


FORMAT = Format("Supervisely", FILES, recognise)
