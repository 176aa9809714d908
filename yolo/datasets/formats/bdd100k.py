"""BDD100K's and Scalabel's ``.json``: frames with labels, all in one list, or a file an image as in older releases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from yolo.datasets.annotations.json_file import outline, read_json
from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.record_files import Reading, files_of, record_source
from yolo.datasets.annotations.records import Record
from yolo.datasets.annotations.repair import BOXLESS
from yolo.datasets.annotations.shapes import Corners, bounds, numbers, points
from yolo.datasets.annotations.source import FILES, Format, Source
from yolo.errors import AnnotationError
from yolo.files.quoted import quoted

SIDES = ("x1", "y1", "x2", "y2")
IGNORED = ("crowd", "ignored", "ignore")
"""Attributes of labels whose detection counts neither as right nor as wrong."""


def read_frames(files: Sequence[Path], finder: PictureFinder) -> Reading:  # noqa: ARG001 - the signature is shared
    """Read lists of frames.

    Raises:
        AnnotationError: one is not valid JSON, or no list of frames.
    """
    reading = Reading()
    for file in files:
        content = read_json(file)
        frames = content.get("frames") if isinstance(content, dict) else content
        if not isinstance(frames, list) or not frames:
            raise AnnotationError(f"{file}: not a file of BDD100K: expected a list of frames")
        boxed = any(isinstance(label, dict) and label.get("box2d") for each in frames for label in labels_of(each))
        for index, frame in enumerate(frames):
            read_frame(reading, f"{file}: [{index}]", frame, boxed=boxed)
    return reading


def read_single(files: Sequence[Path], finder: PictureFinder) -> Reading:  # noqa: ARG001 - the signature is shared
    """Read files of one image each; one that is malformed is left out."""
    reading, frames = Reading(), {}
    for file in files:
        try:
            content = read_json(file)
        except AnnotationError as error:
            reading.left_out.add(file, error)
            continue
        inner = content.get("frames") if isinstance(content, dict) else None
        first = inner[0] if isinstance(inner, list) and inner else None
        frames[str(file)] = {**first, "name": content.get("name")} if isinstance(first, dict) else content
    boxed = any(isinstance(label, dict) and label.get("box2d") for each in frames.values() for label in labels_of(each))
    for place, frame in frames.items():
        read_frame(reading, place, frame, boxed=boxed)
    return reading


def labels_of(frame: Any) -> Iterator[Any]:
    """Labels of a frame; ``objects`` in files of one image."""
    found = (frame.get("labels") or frame.get("objects")) if isinstance(frame, dict) else None
    return iter(found if isinstance(found, list) else ())


def read_frame(reading: Reading, place: str, frame: Any, *, boxed: bool) -> None:
    """Read one image; where some labels have boxes, those without are lanes and areas, and no objects."""
    name = frame.get("name") if isinstance(frame, dict) else None
    if not isinstance(name, str) or not name.strip():
        reading.skip(place, f"expected a frame with name and labels, got {quoted(frame, 80)}")
        return
    record = Record(place, name)
    for index, label in enumerate(labels_of(frame)):
        where, given = f"labels[{index}]", isinstance(label, dict) and label.get("box2d")
        if boxed and isinstance(label, dict) and not given:
            reading.count(BOXLESS, record, where)
            continue
        corners = label_bounds(label) if isinstance(label, dict) else None
        if corners is None:
            reading.skip(f"{place}: {where}", f"expected box2d with x1, y1, x2 and y2, got {quoted(label, 80)}")
            continue
        reading.add(record, label.get("category"), corners, where, outlined=not given, ignore=ignored(label))
    reading.records.append(record)


def label_bounds(label: dict[str, Any]) -> Corners | None:
    """Box of a label, or that around the points of its outlines; None if it has neither."""
    box, outlines = label.get("box2d"), label.get("poly2d")
    if isinstance(box, dict):
        found = numbers([box.get(side) for side in SIDES])
        return None if found is None else (found[0], found[1], found[2], found[3])
    parts = [points(each.get("vertices")) for each in outlines or () if isinstance(each, dict)]
    corners = [corner for part in parts for corner in part or ()]
    return bounds(corners) if corners and all(parts) else None


def ignored(label: dict[str, Any]) -> bool:
    attributes = label.get("attributes")
    return isinstance(attributes, dict) and any(attributes.get(name) is True for name in IGNORED)


def is_list_of_frames(path: Path) -> bool:
    """Whether a file is a list of frames, or Scalabel's object with one."""
    keys = outline(path)
    if keys.is_list:
        return keys.has("name", "labels") and bool({"box2d", "poly2d"} & keys.inner)
    return keys.has("frames") and keys.inner.issuperset({"name", "labels"})


def is_single(path: Path) -> bool:
    """Whether a file is about one image: a name with its frames."""
    keys = outline(path)
    return not keys.is_list and keys.has("name", "frames") and "objects" in keys.inner


def recognise(place: Place) -> Source | None:
    """Recognise files of BDD100K: lists of frames, or a file an image."""
    lists = files_of(place, is_list_of_frames)
    if lists:
        return record_source("BDD100K", place, lists, read_frames)
    single = files_of(place, is_single, per_picture=True)
    return record_source("BDD100K", place, single, read_single, per_picture=True)


FORMAT = Format("BDD100K", FILES, recognise)
