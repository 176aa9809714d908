"""Label Studio's exports JSON and JSON-MIN: tasks with regions in percent of the image's sides."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from yolo.datasets.annotations.json_file import outline, read_json
from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.record_files import Reading, files_of, record_source
from yolo.datasets.annotations.records import Record
from yolo.datasets.annotations.repair import NO_AREA_SHAPES, NOT_LABELLED
from yolo.datasets.annotations.shapes import (
    Corners,
    bounds,
    ellipse_bounds,
    from_size,
    number,
    numbers,
    points,
    size_in,
)
from yolo.datasets.annotations.shapes import turned_bounds as turned
from yolo.datasets.annotations.source import FILES, Format, Source
from yolo.errors import AnnotationError
from yolo.files.quoted import quoted
from yolo.images.suffixes import SUFFIXES
from yolo.structs import Size

LABELS = (
    "rectanglelabels", "polygonlabels", "ellipselabels", "brushlabels", "keypointlabels", "bitmasklabels",
    "vectorlabels", "hypertextlabels", "labels",
)  # fmt: skip
"""Keys of a region's classes; ``labels`` where a <Labels> tag stands beside a <Rectangle>."""
SHAPES = ("rectangle", "polygon", "ellipse", "brush", "keypoint", "bitmask", "vector")
WITHOUT_AREA = ("brush", "keypoint", "bitmask", "vector")


def read_label_studio(files: Sequence[Path], finder: PictureFinder) -> Reading:
    """Read exports of Label Studio.

    Raises:
        AnnotationError: one is not valid JSON, or no list of tasks.
    """
    reading = Reading()
    for file in files:
        tasks = read_json(file)
        if not isinstance(tasks, list) or not tasks:
            raise AnnotationError(f"{file}: not an export of Label Studio: expected a list of tasks")
        for index, task in enumerate(tasks):
            read_task(reading, f"{file}: [{index}]", task, finder)
    return reading


def read_task(reading: Reading, place: str, task: Any, finder: PictureFinder) -> None:
    """Read one task; one that nobody has annotated is none, as its image is not known to be empty."""
    name = picture_name(task, finder) if isinstance(task, dict) else None
    if name is None:
        reading.skip(place, f"expected a task with a picture, got {quoted(task, 80)}")
        return
    if "data" in task:
        found = annotation_of(task)
        if found is None:
            reading.repairs.add(NOT_LABELLED, place)
            return
        where, regions = found
    else:
        where, regions = "", [each for value in task.values() for each in regions_in(value)]
    regions = [each for each in regions if is_region(each)]
    pictures = {f"{each.get('to_name')}[{each.get('item_index') or 0}]" for each in regions}
    if len(pictures) > 1:
        reading.skip(
            place, f"its regions are on several pictures ({', '.join(sorted(pictures)):.80}), which is not read"
        )
        return
    record = Record(place, name, original_size(regions), relative=True)
    labelled = {str(region.get("id")) for region in regions if labels_of(region)}
    for index, region in enumerate(regions):
        # <Rectangle> beside <Labels> gives two entries of one id, of which one has the classes.
        if labels_of(region) or str(region.get("id")) not in labelled:
            read_region(reading, record, region, f"{where}region {index + 1}")
    reading.records.append(record)


def picture_name(task: dict[str, Any], finder: PictureFinder) -> str | None:
    """Name of a task's image: of the texts in its data the one that is found, else the likeliest."""
    data = task.get("data", task)
    texts = {key: value for key, value in data.items() if isinstance(value, str)} if isinstance(data, dict) else {}
    upload = task.get("file_upload")
    likely = [value for key, value in texts.items() if key in ("image", "img", "picture", "photo", "url")]
    likely += [value for value in texts.values() if Path(value.partition("?")[0]).suffix.lower() in SUFFIXES]
    likely += [value for value in texts.values() if "?d=" in value]
    names = [*likely, *([upload] if isinstance(upload, str) and upload else [])]
    forms = [form for name in names for form in (name, without_prefix(name))]
    return next((form for form in forms if finder.find(form)), next(iter(names), None))


def without_prefix(name: str) -> str:
    """Name without the eight letters that Label Studio puts before that of an uploaded file (``1a2b3c4d-a.jpg``)."""
    last = name.rpartition("/")[2]
    prefix, dash, rest = last.partition("-")
    return rest if dash and len(prefix) == 8 and all(each in "0123456789abcdef" for each in prefix.lower()) else name


def annotation_of(task: dict[str, Any]) -> tuple[str, list[Any]] | None:
    """Regions of the first annotation that was not cancelled, with their place; None: nobody has annotated the task."""
    for key in ("annotations", "completions"):
        entries = task.get(key)
        for index, entry in enumerate(entries if isinstance(entries, list) else []):
            if isinstance(entry, dict) and not entry.get("was_cancelled") and isinstance(entry.get("result"), list):
                return f"{key}[{index}] ", entry["result"]
    return None


def regions_in(value: Any) -> Iterator[Any]:
    """Regions in a value of JSON-MIN, where each tag of the labelling interface is a key."""
    return (each for each in (value if isinstance(value, list) else []) if isinstance(each, dict))


def is_region(entry: Any) -> bool:
    """Whether an entry of a result is a region of the image: not a choice, a text or a relation."""
    return isinstance(entry, dict) and shape_of(entry) is not None


def values_of(region: dict[str, Any]) -> dict[str, Any]:
    """Numbers of a region: in ``value``; in JSON-MIN the region itself."""
    value = region.get("value")
    return value if isinstance(value, dict) else region


def labels_of(region: dict[str, Any]) -> list[Any]:
    values = values_of(region)
    labels = next((values[key] for key in LABELS if key in values), None)
    return labels if isinstance(labels, list) else []


def shape_of(region: dict[str, Any]) -> str | None:
    """Shape of a region, by its type, its classes' key or the numbers it has."""
    values = values_of(region)
    kind = str(region.get("type", "")).lower().removesuffix("labels")
    if kind in SHAPES:
        return kind
    named = next((key.removesuffix("labels") for key in LABELS[:-1] if key in values), "")
    if named in SHAPES:
        return named
    keys = {"rectangle": "width", "polygon": "points", "ellipse": "radiusX", "brush": "rle"}
    return next((shape for shape, key in keys.items() if key in values), None)


def original_size(regions: Sequence[dict[str, Any]]) -> Size | None:
    sizes = (size_in(region, "original_height", "original_width") for region in regions)
    return next(filter(None, sizes), None)


def read_region(reading: Reading, record: Record, region: dict[str, Any], place: str) -> None:
    """Read one region into a record: an object for each of its classes."""
    shape, values = shape_of(region), values_of(region)
    if shape in WITHOUT_AREA:
        reading.count(NO_AREA_SHAPES, record, place)
        return
    rotation = number(region.get("image_rotation") or values.get("image_rotation") or 0)
    if rotation:
        reason = "it was drawn on a picture that was rotated on the screen; draw it anew"
        reading.skip(f"{record.place}: {place}", reason)
        return
    corners = fractions(shape, values, record.size)
    if corners is None:
        reading.skip(f"{record.place}: {place}", f"expected numbers of a {shape}, got {quoted(region, 80)}")
        return
    for label in labels_of(region) or [None]:
        reading.add(record, label, corners, place, outlined=shape != "rectangle")


def fractions(shape: str | None, values: dict[str, Any], size: Size | None) -> Corners | None:
    """Box of a region as fractions of the image's sides; None if a number is missing.

    An angle is one in pixels, for which the image's size has to be known.
    """
    angle = number(values.get("rotation") or 0)
    if angle is None or (angle and size is None and shape != "polygon"):
        return None
    height, width = size or (1, 1)
    scale = (width / 100, height / 100)
    corners = pixel_bounds(shape, values, math.radians(angle), scale)
    if corners is None:
        return None
    left, top, right, bottom = corners
    return left / width, top / height, right / width, bottom / height


def pixel_bounds(shape: str | None, values: dict[str, Any], angle: float, scale: tuple[float, float]) -> Corners | None:
    """Box of a region in pixels, of which ``scale`` has as many as one percent of each side."""
    if shape == "polygon":
        found = points(values.get("points"))
        return bounds([(x * scale[0], y * scale[1]) for x, y in found]) if found else None
    keys = ("x", "y", "radiusX", "radiusY") if shape == "ellipse" else ("x", "y", "width", "height")
    given = numbers([values.get(key) for key in keys])
    if given is None:
        return None
    x, y, across, down = (value * scale[index % 2] for index, value in enumerate(given))
    if shape == "ellipse":
        return ellipse_bounds(x, y, across, down, angle)
    return turned(x, y, across, down, angle) if angle else from_size(x, y, across, down)


def is_label_studio(path: Path) -> bool:
    """Whether a file is a list of tasks of Label Studio, or of its short form."""
    keys = outline(path)
    if not keys.is_list:
        return False
    tasks = keys.has("data") and bool(keys.keys & {"annotations", "completions", "predictions", "file_upload"})
    return tasks or ("original_width" in keys.inner and bool(keys.inner & set(LABELS)))


def recognise(place: Place) -> Source | None:
    """Recognise an export of Label Studio, or a folder with some."""
    return record_source("Label Studio", place, files_of(place, is_label_studio), read_label_studio)


FORMAT = Format("Label Studio", FILES, recognise)
