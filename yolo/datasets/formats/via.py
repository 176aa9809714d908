"""VGG Image Annotator: projects and exported annotations of versions 1 and 2; version 3 is in `via3`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from yolo.datasets.annotations.json_file import outline, read_json
from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.record_files import Reading, files_of, record_source
from yolo.datasets.annotations.records import Record
from yolo.datasets.annotations.repair import NO_AREA_SHAPES
from yolo.datasets.annotations.shapes import Corners, bounds, ellipse_bounds, from_size, numbers, text
from yolo.datasets.annotations.source import FILES, Format, Source
from yolo.datasets.formats.via3 import is_via3, read_via3
from yolo.datasets.formats.via_class import add_region, class_attribute, class_of
from yolo.errors import AnnotationError
from yolo.files.quoted import quoted

WITHOUT_AREA = frozenset({"point", "line"})
OUTLINES = frozenset({"polygon", "polyline", "circle", "ellipse"})


def read_via(files: Sequence[Path], finder: PictureFinder) -> Reading:
    """Read files of VIA of any version.

    Raises:
        AnnotationError: one is not valid JSON, or names no images.
    """
    reading = Reading()
    for file in files:
        if is_via3(file):
            read_via3(reading, file, finder)
        else:
            read_via2(reading, file)
    return reading


def read_via2(reading: Reading, file: Path) -> None:
    """Read a project or an export of VIA 1 or 2."""
    content = read_json(file)
    entries = content.get("_via_img_metadata", content) if isinstance(content, dict) else None
    if not isinstance(entries, dict) or not entries:
        raise AnnotationError(f"{file}: not a file of VIA: it names no pictures")
    read_entries(reading, file, entries, attributes_declared(content))


def read_entries(reading: Reading, file: Path, entries: dict[str, Any], declared: Sequence[str] = ()) -> None:
    """Read images with their regions; ``declared`` are attributes that may hold the class."""
    chosen = class_attribute(attributes_used(entries), declared)
    for key, entry in entries.items():
        place = f"{file}: {quoted(key, 120)}"
        name = entry.get("filename") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name.strip():
            reading.skip(place, f"expected an object with filename and regions, got {quoted(entry, 80)}")
            continue
        record = Record(place, name)
        for where, region in regions_of(entry):
            read_region(reading, record, region, where, chosen)
        reading.records.append(record)


def regions_of(entry: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Regions with their places: a list in VIA 2, an object in VIA 1."""
    regions = entry.get("regions")
    pairs = regions.items() if isinstance(regions, dict) else enumerate(regions if isinstance(regions, list) else [])
    return ((f"regions[{key}]", region) for key, region in pairs)


def attributes_used(entries: dict[str, Any]) -> Counter[str]:
    """Number of regions that have each attribute."""
    return Counter(
        name
        for entry in entries.values()
        if isinstance(entry, dict)
        for _, region in regions_of(entry)
        if isinstance(region, dict) and isinstance(region.get("region_attributes"), dict)
        for name, value in region["region_attributes"].items()
        if class_of(value)
    )


def attributes_declared(content: dict[str, Any]) -> list[str]:
    """Names of the region attributes that a project declares, those with options to choose from first."""
    declared = content.get("_via_attributes")
    regions = declared.get("region") if isinstance(declared, dict) else None
    if not isinstance(regions, dict):
        return []
    return sorted(regions, key=lambda name: not (isinstance(regions[name], dict) and regions[name].get("options")))


def read_region(reading: Reading, record: Record, region: Any, place: str, chosen: str | None) -> None:
    """Read one region of an image into its record."""
    shape = region.get("shape_attributes") if isinstance(region, dict) else None
    kind = text(shape.get("name")) if isinstance(shape, dict) else ""
    if kind in WITHOUT_AREA:
        reading.count(NO_AREA_SHAPES, record, place)
        return
    corners = shape_bounds(kind, shape) if isinstance(shape, dict) else None
    if corners is None:
        reading.skip(f"{record.place}: {place}", f"expected shape_attributes with a shape, got {quoted(region, 80)}")
        return
    attributes = region.get("region_attributes")
    value = attributes.get(chosen) if isinstance(attributes, dict) and chosen is not None else None
    name = None if chosen is None else class_of(value)
    add_region(reading, record, name, corners, place, outlined=kind in OUTLINES)


def shape_bounds(kind: str, shape: dict[str, Any]) -> Corners | None:
    """Box of a shape; None if it lacks a number, or is none that has a box."""
    if kind in ("polygon", "polyline"):
        xs, ys = (shape.get(key) for key in ("all_points_x", "all_points_y"))
        if not (isinstance(xs, list) and isinstance(ys, list) and len(xs) == len(ys) > 0):
            return None
        flat = numbers([*xs, *ys])
        return None if flat is None else bounds(list(zip(flat[: len(xs)], flat[len(xs) :], strict=True)))
    keys = {"rect": ("x", "y", "width", "height"), "circle": ("cx", "cy", "r"), "ellipse": ("cx", "cy", "rx", "ry")}
    values = numbers([shape.get(key) for key in keys[kind]]) if kind in keys else None
    if values is None:
        return None
    if kind == "rect":
        return from_size(values[0], values[1], values[2], values[3])
    turn = numbers([shape.get("theta", 0)])
    return ellipse_bounds(values[0], values[1], values[2], values[-1], turn[0] if turn else 0.0)


def is_via(path: Path) -> bool:
    """Whether a file is one of VIA 1, 2 or 3."""
    keys = outline(path)
    if keys.is_list:
        return False
    return (
        keys.has("_via_img_metadata")
        or keys.has("_via_settings")
        or (not keys.has("shapes") and keys.inner.issuperset({"filename", "regions"}))
        or is_via3(path)
    )


def recognise(place: Place) -> Source | None:
    """Recognise a file of VIA, or a folder with some."""
    return record_source("VIA", place, files_of(place, is_via), read_via)


FORMAT = Format("VIA", FILES, recognise)
