"""Average precision and recall by chosen rules: other IoU thresholds, numbers of detections and ranges of areas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from yolo.config import check
from yolo.evaluation.average_precision import average_precisions
from yolo.evaluation.matching import COCO_IOUS, EVERY_AREA, MAX_DETECTIONS, Matches, match
from yolo.evaluation.results import DetectionColumns
from yolo.structs import Dataset


@dataclass(frozen=True)
class Rules:
    """Rules of COCO's evaluation that may be chosen."""

    ious: tuple[float, ...] = COCO_IOUS
    """IoU thresholds, of which AP and AR are means."""
    max_detections: int = MAX_DETECTIONS
    """Most detections of a class in an image that are looked at."""
    areas: tuple[float, ...] = ()
    """Rising borders of ranges of areas in square pixels; the last range has no upper end."""

    def __post_init__(self) -> None:
        check(bool(self.ious) and all(0 < iou <= 1 for iou in self.ious), "ious", "in (0, 1]", list(self.ious))
        check(self.max_detections >= 1, "max_dets", ">= 1", self.max_detections)
        rising = all(low < high for low, high in pairwise(self.areas)) and min(self.areas, default=0) >= 0
        check(rising, "areas", "borders that rise from 0 or more", list(self.areas))

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Ranges of areas by name; the first is everything."""
        ends = [*self.areas, np.inf]
        named = {
            f"{low:g}-{high:g}" if high < np.inf else f"{low:g} and more": (low, high) for low, high in pairwise(ends)
        }
        return {"all": EVERY_AREA, **named}


def measure_by(dataset: Dataset, detections: DetectionColumns, rules: Rules) -> dict[str, Any]:
    """Measure detections by chosen rules.

    Returns:
        ``{"ious", "max_dets", "rows": [{"area", "AP", "AR", "by_iou": [..], "instances", "classes": {name: AP}}]}``, a
        row for each range of areas; NaN where there are no true boxes.
    """
    rows = []
    for name, area in rules.ranges.items():
        matches = match(dataset, detections, ious=rules.ious, max_detections=rules.max_detections, area=area)
        rows.append({"area": name, **figures_of(matches)})
    return {"ious": list(rules.ious), "max_dets": rules.max_detections, "rows": rows}


def figures_of(matches: Matches) -> dict[str, Any]:
    """Average precision and recall of matched detections, means over the classes that have true boxes."""
    precisions, counts = average_precisions(matches), matches.true_counts
    present = counts > 0
    by_iou = [mean(row[present]) for row in precisions]
    classes = precisions.mean(axis=0).tolist()
    return {
        "AP": mean(by_iou),
        "AR": mean(recalls(matches).mean(axis=0)[present]),
        "by_iou": by_iou,
        "instances": int(counts.sum()),
        "classes": dict(zip(matches.classes, classes, strict=True)),
    }


def recalls(matches: Matches) -> np.ndarray:
    """Share (T, C) of the true boxes that all detections together find; NaN for classes without any."""
    counts, right = matches.true_counts, matches.right
    found = np.array([np.bincount(matches.labels[row], minlength=len(counts)) for row in right])
    return np.divide(found, counts, out=np.full(found.shape, np.nan), where=counts > 0)


def mean(values: Sequence[float] | np.ndarray) -> float:
    """Mean of some values; NaN of none."""
    return float(np.mean(values)) if len(values) else float("nan")
