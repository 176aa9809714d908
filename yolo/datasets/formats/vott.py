"""VoTT's ``NAME-export.json``: assets with their sizes, and regions with tags and boxes in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yolo.datasets.annotations.json_file import outline, read_json
from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.record_files import Reading, class_name, files_of, record_source
from yolo.datasets.annotations.records import Record
from yolo.datasets.annotations.shapes import Corners, bounds, from_size, numbers, points, size_in
from yolo.datasets.annotations.source import FILES, Format, Source
from yolo.errors import AnnotationError
from yolo.files.quoted import quoted

SIDES = ("left", "top", "width", "height")


def read_vott(files: Sequence[Path], finder: PictureFinder) -> Reading:  # noqa: ARG001 - the signature is shared
    """Read exports of VoTT.

    Raises:
        AnnotationError: one is not valid JSON, or has no assets.
    """
    reading = Reading()
    for file in files:
        content = read_json(file)
        assets = content.get("assets") if isinstance(content, dict) else None
        if not isinstance(assets, dict) or not assets:
            raise AnnotationError(f"{file}: not an export of VoTT: it has no assets")
        tags = content.get("tags")
        names = (
            [class_name(each.get("name")) for each in tags if isinstance(each, dict)] if isinstance(tags, list) else []
        )
        reading.classes += [each for each in names if each and each not in reading.classes]
        for key, entry in assets.items():
            read_asset(reading, f"{file}: assets[{quoted(key, 60)}]", entry)
    return reading


def read_asset(reading: Reading, place: str, entry: Any) -> None:
    """Read one image: an object for each tag of a region."""
    asset, regions = (entry.get(key) if isinstance(entry, dict) else None for key in ("asset", "regions"))
    name = asset.get("name") if isinstance(asset, dict) else None
    if not isinstance(name, str) or not isinstance(regions, list | None):
        reading.skip(place, f"expected an asset with a name and regions, got {quoted(entry, 80)}")
        return
    record = Record(place, name, size_in(asset.get("size")) if isinstance(asset, dict) else None)
    for index, region in enumerate(regions or []):
        where = f"regions[{index}]"
        corners = region_bounds(region)
        if corners is None:
            reading.skip(f"{place}: {where}", f"expected a region with a boundingBox, got {quoted(region, 80)}")
            continue
        tags = region.get("tags")
        for tag in (tags if isinstance(tags, list) else []) or [None]:
            reading.add(record, tag, corners, where)
    reading.records.append(record)


def region_bounds(region: Any) -> Corners | None:
    """Box of a region, or that around its points; None if it has neither."""
    box = region.get("boundingBox") if isinstance(region, dict) else None
    sides = numbers([box.get(side) for side in SIDES]) if isinstance(box, dict) else None
    if sides is not None:
        return from_size(sides[0], sides[1], sides[2], sides[3])
    found = points(region.get("points")) if isinstance(region, dict) else None
    return bounds(found) if found else None


def is_vott(path: Path) -> bool:
    """Whether a file is an export of VoTT."""
    keys = outline(path)
    return not keys.is_list and keys.has("assets") and keys.inner.issuperset({"asset", "regions"})


def recognise(place: Place) -> Source | None:
    """Recognise an export of VoTT, or a folder with some."""
    return record_source("VoTT", place, files_of(place, is_vott), read_vott)


FORMAT = Format("VoTT", FILES, recognise)
