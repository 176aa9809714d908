"""labelme's files: one ``.json`` beside each image, in a folder for each split."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from yolo.datasets.writers.writer import (
    AREAS,
    CATEGORY_IDS,
    DUPLICATES,
    IMAGE_IDS,
    SCORES,
    UNUSED_CLASSES,
    Layout,
    Part,
    Target,
    Writer,
    count_areas,
    count_category_ids,
    count_duplicates,
    count_image_ids,
    count_scores,
    count_unlisted_classes,
    reader_ids,
    shortest,
    total,
)

VERSION = "5.5.0"
"""Version of labelme whose files these are like."""


def write(parts: Sequence[Part], target: Target) -> None:
    for part in parts:
        boxes = shortest(part.dataset.boxes).tolist()
        for index, stem in enumerate(part.stems):
            content = json.dumps(document(part, index, boxes), ensure_ascii=False, allow_nan=False, indent=2)
            target.put(str(PurePosixPath(part.folder, f"{stem}.json")), content.encode())


def document(part: Part, index: int, boxes: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Content of an image's file; ``boxes`` are those of the whole part."""
    data = part.dataset
    height, width = data.sizes[index].tolist()
    rows = range(data.offsets[index], data.offsets[index + 1])
    return {
        "version": VERSION,
        "flags": {},
        "shapes": [shape(data.classes[data.labels[row]], boxes[row], difficult=bool(data.ignore[row])) for row in rows],
        "imagePath": PurePosixPath(part.files[index]).name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def shape(name: str, box: Sequence[float], *, difficult: bool) -> dict[str, Any]:
    return {
        "label": name,
        "points": [[box[0], box[1]], [box[2], box[3]]],
        "group_id": None,
        "description": "",
        "shape_type": "rectangle",
        "flags": {"difficult": True} if difficult else {},
    }


def cannot_hold(parts: Sequence[Part]) -> Mapping[str, int]:
    return {
        AREAS: total(parts, count_areas),
        CATEGORY_IDS: count_category_ids(parts),
        DUPLICATES: total(parts, lambda part: count_duplicates(part, flags=True)),
        IMAGE_IDS: total(parts, lambda part: count_image_ids(part, reader_ids(part))),
        SCORES: total(parts, count_scores),
        UNUSED_CLASSES: count_unlisted_classes(parts),
    }


WRITER = Writer("labelme", write, cannot_hold, Layout("{split}", "", by_stem=True, usual_splits=True))
