"""labelme's files: one ``.json`` an image, beside it or in another folder.

Those of versions 2 to 5 are read, and those of tools that write labelme's format, such as X-AnyLabeling.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import dist
from pathlib import Path, PureWindowsPath
from typing import Any

from yolo.datasets.annotations.json_file import outline, read_json
from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.record_files import Reading, files_of, record_source
from yolo.datasets.annotations.records import Record
from yolo.datasets.annotations.repair import NO_AREA_SHAPES, NO_OBJECTS
from yolo.datasets.annotations.shapes import Corners, Point, bounds, ellipse_bounds, points, size_in, text
from yolo.datasets.annotations.source import FILES, Format, Source
from yolo.errors import AnnotationError
from yolo.files.quoted import quoted
from yolo.images.suffixes import SUFFIXES

IGNORED = ("difficult", "ignore", "iscrowd")
"""Flags of objects whose detection counts neither as right nor as wrong."""
NO_CLASSES = frozenset({"__ignore__", "_background_"})
"""Labels that labelme's own converters take for no object."""
WITHOUT_AREA = frozenset({"point", "points", "line"})


def read_labelme(files: Sequence[Path], finder: PictureFinder) -> Reading:
    """Read labelme's files; one that is malformed or has no image is left out."""
    reading = Reading()
    for file in files:
        try:
            content = read_json(file)
        except AnnotationError as error:
            reading.left_out.add(file, error)
            continue
        if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
            reading.skip(str(file), 'not a labelme file: it has no list "shapes"; mend or remove it')
            continue
        picture = find_picture(file, content, finder)
        if picture is None and content.get("imageData"):
            reading.skip(str(file), in_file_only(file, content))
            continue
        named = text(content.get("imagePath")).strip() or file.stem
        record = Record(str(file), picture or named, size_in(content, "imageHeight", "imageWidth"))
        for index, shape in enumerate(content["shapes"]):
            read_shape(reading, record, shape, f"shapes[{index}]")
        reading.records.append(record)
    return reading


def find_picture(file: Path, content: dict[str, Any], finder: PictureFinder) -> str | None:
    """Name by which the finder knows a file's image; None if there is none.

    It is ``imagePath`` from the file's own folder, as labelme opens it; else the image beside the file with its stem,
    as after renaming both; else any of the name of ``imagePath``, or of the file's stem.
    """
    named = text(content.get("imagePath")).strip()
    beside = [os.path.normpath(file.parent / PureWindowsPath(named).as_posix())] if named else []
    beside += [str(file.with_suffix(form)) for suffix in sorted(SUFFIXES) for form in (suffix, suffix.upper())]
    exact = next((name for name in beside if Path(name) in finder.pictures), None)
    return exact or next((name for name in (named, file.stem) if name and finder.find(name)), None)


def in_file_only(file: Path, content: dict[str, Any]) -> str:
    return (
        f"there is no picture {quoted(content.get('imagePath'), 200)}, only a copy inside the file (imageData); "
        f"write it out (labelme_export_json {file.name}) and lay it beside the file, or give --images DIR"
    )


def read_shape(reading: Reading, record: Record, shape: Any, place: str) -> None:
    """Read one shape of a file into its record."""
    kind = text(shape.get("shape_type")) if isinstance(shape, dict) else ""
    corners = points(shape.get("points")) if isinstance(shape, dict) else None
    if corners is None:
        reading.skip(f"{record.place}: {place}", f"expected a shape with points, got {quoted(shape, 80)}")
    elif text(shape.get("label")) in NO_CLASSES:
        reading.count(NO_OBJECTS, record, place)
    elif kind in WITHOUT_AREA or len(corners) < 2 or (kind == "linestrip" and len(corners) < 3):
        reading.count(NO_AREA_SHAPES, record, place)
    else:
        outlined = kind != "rectangle" and (len(corners) > 2 or kind in ("circle", "mask"))
        reading.add(
            record, shape.get("label"), shape_bounds(kind, corners), place, outlined=outlined, ignore=ignored(shape)
        )


def shape_bounds(kind: str, corners: Sequence[Point]) -> Corners:
    """Box of a shape: a circle has a centre and a point of its edge, a mask its first and last pixel."""
    if kind == "circle":
        radius = dist(corners[0], corners[1])
        return ellipse_bounds(*corners[0], radius, radius)
    left, top, right, bottom = bounds(corners)
    return (left, top, right + 1, bottom + 1) if kind == "mask" else (left, top, right, bottom)


def ignored(shape: dict[str, Any]) -> bool:
    flags = shape.get("flags")
    return any(
        holder.get(name) is True for holder in (shape, flags if isinstance(flags, dict) else {}) for name in IGNORED
    )


def is_labelme(path: Path) -> bool:
    """Whether a file is labelme's, by its keys; a long ``imageData`` may hide those behind it."""
    keys = outline(path)
    return not keys.is_list and (
        (keys.has("shapes") and bool(keys.keys & {"imagePath", "imageData", "imageHeight", "version"}))
        or keys.has("version", "imagePath", "imageData")
    )


def recognise(place: Place) -> Source | None:
    """Recognise a file of labelme, or a folder of them."""
    files = files_of(place, is_labelme, per_picture=True)
    return record_source("labelme", place, files, read_labelme, per_picture=True)


FORMAT = Format("labelme", FILES, recognise)
