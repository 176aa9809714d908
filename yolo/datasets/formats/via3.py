"""Projects of version 3 of the VGG Image Annotator: files, views on them, and metadata with shapes as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yolo.datasets.annotations.json_file import outline, read_json
from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.record_files import Reading, class_name
from yolo.datasets.annotations.records import Record
from yolo.datasets.annotations.repair import NO_AREA_SHAPES
from yolo.datasets.annotations.shapes import Corners, bounds, ellipse_bounds, from_size, numbers
from yolo.datasets.formats.via_class import add_region, class_attribute
from yolo.errors import AnnotationError
from yolo.files.quoted import quoted

POINT, RECTANGLE, CIRCLE, ELLIPSE, LINE, POLYLINE, POLYGON, EXTREME_RECTANGLE, EXTREME_CIRCLE = range(1, 10)
"""First number of a shape."""
NUMBERS = {RECTANGLE: 4, CIRCLE: 3, ELLIPSE: 4}
"""How many numbers follow it; of the others pairs do."""
PICTURE = 2
"""Type of a file that is an image; others are video and sound."""


def read_via3(reading: Reading, file: Path, finder: PictureFinder) -> None:
    """Read a project of VIA 3.

    Raises:
        AnnotationError: it is not valid JSON, or has no images.
    """
    content = read_json(file)
    parts = [content.get(key) if isinstance(content, dict) else None for key in ("file", "metadata", "attribute")]
    files, metadata, attributes = (part if isinstance(part, dict) else {} for part in parts)
    records = {key: Record(f"{file}: file[{key}]", picture_name(entry, finder)) for key, entry in files.items()}
    records = {key: record for key, record in records.items() if record.picture}
    if not records:
        raise AnnotationError(f"{file}: not a project of VIA with pictures: its list of files has none")
    entries = {key: entry for key, entry in metadata.items() if not (isinstance(entry, dict) and is_no_region(entry))}
    chosen = attribute_id(entries, attributes)
    for key, entry in entries.items():
        place = f"metadata[{quoted(key, 60)}]"
        record = records.get(file_of(entry, content)) if isinstance(entry, dict) else None
        if record is None:
            reading.skip(f"{file}: {place}", f"it belongs to no picture of the project: {quoted(entry, 80)}")
        else:
            name = None if chosen is None else option_named(values_of(entry).get(chosen), attributes.get(chosen))
            read_shape(reading, record, entry, place, name=name)
    reading.records += records.values()


def picture_name(entry: Any, finder: PictureFinder) -> str:
    """Name of a file's image: its ``src`` if the finder knows that, else ``fname``; empty if it is no image."""
    if not isinstance(entry, dict) or entry.get("type", PICTURE) != PICTURE:
        return ""
    names = [name for name in (entry.get("src"), entry.get("fname")) if isinstance(name, str) and name.strip()]
    return next((name for name in names if not name.startswith("data:") and finder.find(name)), (names or [""])[-1])


def is_no_region(entry: dict[str, Any]) -> bool:
    """Whether an entry is about a whole image, or about a time of a video."""
    return entry.get("xy") == [] or bool(entry.get("z"))


def file_of(entry: dict[str, Any], content: dict[str, Any]) -> str:
    """Key of the file that an entry's view shows; without views it is that of the view."""
    key, views = str(entry.get("vid")), content.get("view")
    view = views.get(key) if isinstance(views, dict) else None
    shown = view.get("fid_list") if isinstance(view, dict) else None
    return str(shown[0]) if isinstance(shown, list) and shown else key


def attribute_id(entries: dict[str, Any], attributes: dict[str, Any]) -> str | None:
    """Key of the attribute that holds the class."""
    used = Counter(
        key
        for entry in entries.values()
        if isinstance(entry, dict)
        for key in values_of(entry)
        if values_of(entry)[key]
    )
    names = {key: attribute_name(attributes.get(key)) or key for key in used}
    chosen = class_attribute(Counter({names[key]: count for key, count in used.items()}))
    return next((key for key, name in names.items() if name == chosen), None)


def values_of(entry: dict[str, Any]) -> dict[str, Any]:
    values = entry.get("av")
    return values if isinstance(values, dict) else {}


def attribute_name(attribute: Any) -> str:
    name = attribute.get("aname") if isinstance(attribute, dict) else None
    return name.strip() if isinstance(name, str) else ""


def option_named(value: Any, attribute: Any) -> str:
    """Class of an attribute's value: its text, or the names of the options that it gives, with commas; empty: none."""
    options = attribute.get("options") if isinstance(attribute, dict) else None
    name = class_name(value)
    if isinstance(options, dict) and options:
        return ",".join(str(options.get(key, key)).strip() for key in name.split(","))
    return name


def read_shape(reading: Reading, record: Record, entry: dict[str, Any], place: str, *, name: str | None) -> None:
    """Read one shape of an image into its record; ``name`` None: no shape of the project has a class."""
    values = numbers(entry["xy"]) if isinstance(entry.get("xy"), list) else None
    kind = values[0] if values else None
    corners = shape_bounds(kind, values[1:]) if values else None
    if kind in (POINT, LINE):
        reading.count(NO_AREA_SHAPES, record, place)
    elif corners is None:
        reading.skip(f"{record.place}: {place}", f"expected xy with a shape, got {quoted(entry, 80)}")
    else:
        add_region(reading, record, name, corners, place, outlined=kind not in (RECTANGLE, EXTREME_RECTANGLE))


def shape_bounds(kind: float | None, values: Sequence[float]) -> Corners | None:
    """Box of a shape; None if it lacks a number, or is of an unknown kind."""
    if kind in NUMBERS and len(values) >= NUMBERS[int(kind)]:
        if kind == RECTANGLE:
            return from_size(values[0], values[1], values[2], values[3])
        return ellipse_bounds(values[0], values[1], values[2], values[3 if kind == ELLIPSE else 2])
    if kind in (POLYLINE, POLYGON, EXTREME_RECTANGLE, EXTREME_CIRCLE) and len(values) >= 4:
        return bounds(list(zip(values[::2], values[1::2], strict=False)))
    return None


def is_via3(path: Path) -> bool:
    """Whether a file is a project of VIA 3."""
    keys = outline(path)
    return not keys.is_list and keys.has("project", "config", "attribute", "file")
