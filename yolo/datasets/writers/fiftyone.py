"""FiftyOne's datasets on disk (docs.voxel51.com, "FiftyOneDataset"): ``samples.json`` beside ``data/``.

Annotations are the field ``ground_truth``, boxes that a detector has found the field ``predictions``, with their
confidence. A split is a folder, and a tag of its samples. ``metadata.json`` names no version of FiftyOne's database, so
that every version imports it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from yolo.datasets.writers.writer import (
    AREAS,
    CATEGORY_IDS,
    IMAGE_IDS,
    Layout,
    Part,
    Target,
    Writer,
    count_areas,
    count_category_ids,
    count_image_ids,
    reader_ids,
    shortest,
    total,
)

ANNOTATED, FOUND = "ground_truth", "predictions"
"""Names of the fields, those of FiftyOne's own examples."""
UNLISTED = "data"
"""Folder of the images in that of a split."""


def write(parts: Sequence[Part], target: Target) -> None:
    for part in parts:
        base = part.folder.rpartition(UNLISTED)[0]
        target.put(f"{base}metadata.json", as_json({"info": {"classes": list(part.dataset.classes)}}))
        target.put(f"{base}samples.json", as_json({"samples": samples(part, target)}))


def as_json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def samples(part: Part, target: Target) -> list[dict[str, Any]]:
    """Entries of the images."""
    data, objects = part.dataset, object_entries(part)
    tags = [] if part.split is None else [part.split]
    rows = zip(paths(part, target), data.sizes.tolist(), data.offsets[:-1], data.offsets[1:], strict=True)
    return [
        {
            "filepath": path,
            "tags": tags,
            "metadata": {"_cls": "ImageMetadata", "width": width, "height": height},
            ANNOTATED if data.scores is None else FOUND: {"_cls": "Detections", "detections": objects[first:last]},
        }
        for path, (height, width), first, last in rows
    ]


def paths(part: Part, target: Target) -> list[str]:
    """Files of the images: relative to ``samples.json``, or where they are if they were not stored."""
    if target.stored:
        return [f"{UNLISTED}/{file}" for file in part.files]
    return [str(part.dataset.path(index).absolute()) for index in range(len(part.dataset))]


def object_entries(part: Part) -> list[dict[str, Any]]:
    """Entries of all objects of a part; a box is its corner and its sides as fractions of the image's."""
    data = part.dataset
    sides = data.sizes[data.box_pictures][:, ::-1].astype(np.float64)
    corners = shortest(data.boxes)
    boxes = np.concatenate([corners[:, :2] / sides, (corners[:, 2:] - corners[:, :2]) / sides], axis=1).tolist()
    entries = [
        {"_cls": "Detection", "label": data.classes[label], "bounding_box": box}
        | ({"iscrowd": True} if ignored else {})
        for label, box, ignored in zip(data.labels.tolist(), boxes, data.ignore.tolist(), strict=True)
    ]
    if data.scores is None:
        return entries
    return [
        {**entry, "confidence": score} for entry, score in zip(entries, shortest(data.scores).tolist(), strict=True)
    ]


def cannot_hold(parts: Sequence[Part]) -> Mapping[str, int]:
    return {
        AREAS: total(parts, count_areas),
        CATEGORY_IDS: count_category_ids(parts),
        IMAGE_IDS: total(parts, lambda part: count_image_ids(part, reader_ids(part))),
    }


WRITER = Writer("fiftyone", write, cannot_hold, Layout(f"{{split}}/{UNLISTED}", UNLISTED))
