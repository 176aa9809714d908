"""Detections as plain data that JSON holds: a dictionary of columns, and the entries of COCO results files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.errors import AnnotationError
from yolo.files.quoted import quoted
from yolo.interchange.columns import DetectionFields, as_boxes, as_indices, as_scores

KEYS = ("boxes", "scores", "labels", "classes")
BOX_DIGITS, SCORE_DIGITS = 3, 7
"""Decimals of pixels and scores in COCO entries."""


def to_dict(found: DetectionFields) -> dict[str, Any]:
    """Columns as lists; the numbers give the same float32 again."""
    return {
        "boxes": found.boxes.tolist(),
        "scores": found.scores.tolist(),
        "labels": found.labels.tolist(),
        "classes": list(found.classes),
    }


def from_dict(content: Mapping[str, Any]) -> DetectionFields:
    """Read what `to_dict` has made.

    Raises:
        AnnotationError: a key is missing, or a value is of another kind.
    """
    place = "detections"
    missing = [key for key in KEYS if key not in content]
    if missing:
        raise AnnotationError(f"{place}: expected the keys {', '.join(KEYS)}, of which {', '.join(missing)} is missing")
    boxes = as_boxes(content["boxes"], place=place)
    classes = tuple(content["classes"])
    labels = as_indices(np.asarray(content["labels"], np.int32 if not len(boxes) else None), classes, place=place)
    if len(labels) != len(boxes):
        raise AnnotationError(f"{place}: expected a label for each of {len(boxes)} boxes, got {len(labels)}")
    return DetectionFields(boxes, as_scores(content["scores"], len(boxes), place=place), labels, classes)


def coco_entries(
    image_ids: Sequence[int | str],
    category_ids: Sequence[int],
    boxes: NDArray[np.float32],
    scores: NDArray[np.floating[Any]],
) -> list[dict[str, Any]]:
    """Entries of a COCO results file (cocodataset.org, "Results format"), one a detection.

    Args:
        image_ids: (N) id of each detection's image.
        category_ids: (N) id of each detection's class.
        boxes: (N, 4) xyxy.
        scores: (N,) confidence.
    """
    corners, far = boxes[:, :2], boxes[:, 2:]
    sides = np.concatenate([corners, far - corners], axis=1).astype(np.float64).round(BOX_DIGITS).tolist()
    rows = zip(image_ids, category_ids, sides, scores.astype(np.float64).round(SCORE_DIGITS).tolist(), strict=True)
    return [
        {"image_id": image, "category_id": category, "bbox": box, "score": score}
        for image, category, box, score in rows
    ]


def from_coco(
    entries: Sequence[Mapping[str, Any]], classes: Sequence[str], category_ids: Sequence[int] | None = None
) -> DetectionFields:
    """Read the entries of one image, best first.

    Args:
        entries: entries of a results file, all of one image.
        classes: class names.
        category_ids: (C) id of each class in the entries; None: 0, 1, ...

    Raises:
        AnnotationError: an entry lacks a key, is of another image than the first, or of an unknown category.
    """
    numbers = range(len(classes)) if category_ids is None else category_ids
    label_of = {number: label for label, number in enumerate(numbers)}
    for row, entry in enumerate(entries):
        place = f"results[{row}]"
        missing = [key for key in ("image_id", "category_id", "bbox", "score") if key not in entry]
        if missing:
            raise AnnotationError(f"{place}: has no {', '.join(missing)}")
        if entry["image_id"] != entries[0]["image_id"]:
            raise AnnotationError(f"{place}: image_id {quoted(entry['image_id'])} is another image; give those of one")
        if entry["category_id"] not in label_of:
            raise AnnotationError(
                f"{place}: category_id {quoted(entry['category_id'])} is of no class; give category_ids"
            )
        if len(entry["bbox"]) != 4:
            raise AnnotationError(f"{place}: bbox must be [x, y, width, height], got {quoted(entry['bbox'])}")
    sides = np.array([entry["bbox"] for entry in entries], np.float64).reshape(-1, 4)
    boxes = as_boxes(np.concatenate([sides[:, :2], sides[:, :2] + sides[:, 2:]], axis=1), place="results")
    scores = as_scores([entry["score"] for entry in entries], len(boxes), place="results")
    labels = np.array([label_of[entry["category_id"]] for entry in entries], np.int32)
    order = np.argsort(-scores, kind="stable")
    return DetectionFields(boxes[order], scores[order], labels[order], tuple(classes))
