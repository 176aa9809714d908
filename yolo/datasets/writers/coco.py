"""COCO files (cocodataset.org, "Data format"): one a split, for the images in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from yolo.datasets.writers.writer import (
    CATEGORY_IDS,
    Layout,
    Part,
    Target,
    Writer,
    count_category_ids,
    count_image_ids,
    shortest,
    total,
)
from yolo.structs import Dataset

REPEATED_IDS = "image ids of which two would be one, numbered anew"
WHOLE = "default"
"""Name in the file of a dataset that is not divided into splits, as in CVAT's exports."""


def write(parts: Sequence[Part], target: Target) -> None:
    for part in parts:
        content = json.dumps(document(part), separators=(",", ":"), allow_nan=False).encode()
        target.put(f"annotations/instances_{part.name or WHOLE}.json", content)


def document(part: Part) -> dict[str, Any]:
    """Content of the file of a part."""
    data, ids = part.dataset, image_ids(part.dataset)
    rows = zip(ids, part.files, data.sizes.tolist(), strict=True)
    return {
        "images": [
            {"id": each, "file_name": file, "height": height, "width": width} for each, file, (height, width) in rows
        ],
        "annotations": object_entries(data, ids),
        "categories": [
            {"id": number, "name": name} for number, name in zip(category_ids(data), data.classes, strict=True)
        ],
    }


def object_entries(data: Dataset, ids: Sequence[int | str]) -> list[dict[str, Any]]:
    """Entries of the objects; the numbers give the Dataset's float32 again when they are read."""
    corners, numbers = shortest(data.boxes), category_ids(data)
    # Differences of decimal fractions: without their noise in the last of 15 digits.
    sides = np.round(corners[:, 2:] - corners[:, :2], 9)
    boxes = np.concatenate([corners[:, :2], sides], axis=1).tolist()
    categories = [numbers[label] for label in data.labels.tolist()]
    columns = zip(
        data.box_pictures.tolist(),
        categories,
        boxes,
        shortest(data.areas).tolist(),
        data.ignore.tolist(),
        strict=True,
    )
    entries: list[dict[str, Any]] = [
        {
            "id": number,
            "image_id": ids[picture],
            "category_id": category,
            "bbox": box,
            "area": area,
            "iscrowd": int(crowd),
        }
        for number, (picture, category, box, area, crowd) in enumerate(columns, start=1)
    ]
    if data.scores is None:
        return entries
    return [{**entry, "score": score} for entry, score in zip(entries, shortest(data.scores).tolist(), strict=True)]


def category_ids(data: Dataset) -> Sequence[int]:
    """Ids of the classes; numbers from 0 where theirs would give another order, as readers sort by them."""
    ids = data.category_ids
    rising = all(first < second for first, second in pairwise(ids))
    return ids if rising else range(len(ids))


def image_ids(data: Dataset) -> list[int | str]:
    """Ids of the images; numbers from 1 where two would be one."""
    ids = [each if isinstance(each, str) else int(each) for each in data.image_ids]
    return ids if len({str(each) for each in ids}) == len(ids) else list(range(1, len(ids) + 1))


def cannot_hold(parts: Sequence[Part]) -> Mapping[str, int]:
    data = parts[0].dataset
    renumbered = 0 if tuple(category_ids(data)) == data.category_ids else count_category_ids(parts)
    new = total(parts, lambda part: count_image_ids(part, image_ids(part.dataset)))
    return {CATEGORY_IDS: renumbered, REPEATED_IDS: new}


WRITER = Writer("coco", write, cannot_hold, Layout("images/{split}", "images"))
