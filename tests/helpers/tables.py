"""Small datasets and detections for the tests of the metrics, from rows of a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from yolo.evaluation.results import DetectionColumns
from yolo.structs import Dataset

CLASSES = ("cat", "dog")


def make_dataset(rows: list[tuple], pictures: int, classes: tuple[str, ...] = CLASSES, **columns: Any) -> Dataset:
    """Of rows (picture, label, x1, y1, x2, y2, difficult); ``columns`` replaces fields."""
    rows = sorted(rows, key=lambda row: row[0])
    boxes = np.array([row[2:6] for row in rows], np.float32).reshape(-1, 4)
    counts = np.bincount([row[0] for row in rows], minlength=pictures) if rows else np.zeros(pictures, int)
    values: dict[str, Any] = {
        "classes": classes,
        "files": [f"{index}.jpg" for index in range(pictures)],
        "sizes": np.full((pictures, 2), 300, np.int32),
        "offsets": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        "boxes": boxes,
        "labels": np.array([row[1] for row in rows], np.int32),
        "ignore": np.array([bool(row[6]) for row in rows], bool),
        "areas": (boxes[:, 2:] - boxes[:, :2]).prod(axis=1),
        "image_ids": list(range(pictures)),
        "category_ids": tuple(range(1, len(classes) + 1)),
    }
    return Dataset(**{**values, **columns})


def make_detections(rows: list[tuple]) -> DetectionColumns:
    """Of rows (picture, label, x1, y1, x2, y2, score)."""
    return DetectionColumns(
        pictures=np.array([row[0] for row in rows], np.int64),
        labels=np.array([row[1] for row in rows], np.int32),
        scores=np.array([row[6] for row in rows], np.float64),
        boxes=np.array([row[2:6] for row in rows], np.float32).reshape(-1, 4),
    )


def coco_file(path: Path) -> Dataset:
    """A COCO file in columns, read here without the package's reader."""
    source = json.loads(path.read_text())
    ids = [image["id"] for image in source["images"]]
    categories = {item["id"]: label for label, item in enumerate(source["categories"])}
    rows = [
        (
            ids.index(item["image_id"]),
            categories[item["category_id"]],
            *corners(item["bbox"]),
            item["iscrowd"],
        )
        for item in source["annotations"]
    ]
    order = sorted(range(len(rows)), key=lambda index: rows[index][0])
    areas = np.array([source["annotations"][index]["area"] for index in order], np.float32)
    names = tuple(item["name"] for item in source["categories"])
    return make_dataset(
        rows, pictures=len(ids), classes=names, areas=areas, image_ids=ids, category_ids=tuple(categories)
    )


def corners(box: list[float]) -> tuple[float, ...]:
    return box[0], box[1], box[0] + box[2], box[1] + box[3]
