"""COCO's average precision of matched detections."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.matching import Matches

RECALLS = np.linspace(0, 1, 101)
"""Recalls at which COCO samples the precision."""


def average_precisions(matches: Matches) -> NDArray[np.float64]:
    """Average precision (T, C) of each IoU threshold and class; NaN for a class without true boxes that count."""
    counts, starts = matches.true_counts, matches.class_rows
    right, wrong = matches.right, matches.wrong
    values = np.full((len(matches.ious), len(matches.classes)), np.nan)
    for label in np.flatnonzero(counts):
        rows = slice(starts[label], starts[label + 1])
        steps = recall_steps(int(counts[label]))
        for at in range(len(matches.ious)):
            values[at, label] = interpolated(right[at, rows], wrong[at, rows], steps)
    return values


def interpolated(right: NDArray[np.bool_], wrong: NDArray[np.bool_], steps: NDArray[np.int64]) -> float:
    """Mean, over COCO's recalls, of the best precision at that recall or above.

    Args:
        right: (D,) whether each detection is right, best first.
        wrong: (D,) whether it is wrong; it may be neither.
        steps: `recall_steps` of the number of true boxes.
    """
    places = np.flatnonzero(right)
    hits = np.arange(1, len(places) + 1)
    precision = hits / (hits + np.cumsum(wrong)[places])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope @ steps[1 : len(places) + 1]) / len(RECALLS)


def recall_steps(truths: int) -> NDArray[np.int64]:
    """Number (truths + 1,) of COCO's recalls that each true box found adds to those reached; the first is 0 found."""
    return np.diff(recalls_reached(truths), prepend=0)


def recalls_reached(truths: int) -> NDArray[np.int64]:
    """Number (truths + 1,) of COCO's recalls reached with 0, 1, .. of so many true boxes found."""
    reached = np.searchsorted(RECALLS, np.arange(truths + 1) / max(truths, 1), side="right")
    reached[0] = 0  # recall 0 is sampled at the first box found
    return reached
