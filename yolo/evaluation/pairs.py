"""Pairs of a detection and a true box of one image that overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.results import DetectionColumns
from yolo.structs import Boxes, Dataset

CHUNK = 200_000
"""Number of detections whose pairs are made at once, which limits the memory."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """P overlapping pairs, by rising index of the detection, then of the true box."""

    found: NDArray[np.int64]
    """(P,) index of the detection."""
    true: NDArray[np.int64]
    """(P,) index of the true box."""
    overlap: NDArray[np.float64]
    """(P,) IoU; for a true box that is ignored, the share of the detection that lies in it (COCO's rule for crowds)."""

    def __len__(self) -> int:
        return len(self.overlap)

    def of(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Pairs:
        """Select pairs by a mask or by indices."""
        return Pairs(self.found[rows], self.true[rows], self.overlap[rows])


def overlapping_pairs(
    dataset: Dataset, detections: DetectionColumns, *, least: float, same_class: bool, crowds: bool = True
) -> Pairs:
    """Find all pairs of one image that overlap by ``least`` or more, and by more than 0.

    Args:
        dataset: the ground truth.
        detections: the detections in its images.
        least: lowest overlap of a pair.
        same_class: pair boxes of one class alone.
        crowds: measure ignored true boxes by the share of the detection inside, as COCO does; else by IoU.
    """
    groups = len(dataset.classes) if same_class else 1
    true_keys, keys = dataset.box_pictures * groups, detections.pictures * groups
    if same_class:
        true_keys, keys = true_keys + dataset.labels, keys + detections.labels
    order = np.argsort(true_keys, kind="stable")
    starts = np.searchsorted(true_keys, keys, "left", sorter=order)
    counts = np.searchsorted(true_keys, keys, "right", sorter=order) - starts
    parts = []
    for begin in range(0, len(keys), CHUNK):
        chunk = slice(begin, begin + CHUNK)
        first = np.cumsum(counts[chunk]) - counts[chunk]
        total = int(counts[chunk].sum())
        found = begin + np.repeat(np.arange(len(first)), counts[chunk])
        true = order[np.repeat(starts[chunk] - first, counts[chunk]) + np.arange(total)]
        shared = dataset.ignore[true] if crowds else np.zeros(total, bool)
        overlap = pair_overlaps(detections.boxes[found], dataset.boxes[true], shared)
        kept = (overlap >= least) & (overlap > 0)
        parts.append((found[kept], true[kept], overlap[kept]))
    if not parts:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def pair_overlaps(found: Boxes, true: Boxes, crowd: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Overlap (P,) of P pairs of boxes (P, 4): IoU, or for a crowd the share of the found box that lies in it."""
    a, b = found.astype(np.float64), true.astype(np.float64)
    sides = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0)
    intersections = sides.prod(axis=1)
    areas, true_areas = (a[:, 2:] - a[:, :2]).prod(axis=1), (b[:, 2:] - b[:, :2]).prod(axis=1)
    whole = np.where(crowd, areas, areas + true_areas - intersections)
    return np.divide(intersections, whole, out=np.zeros(len(a)), where=intersections > 0)
