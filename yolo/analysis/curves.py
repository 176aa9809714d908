"""Precision, recall and F1 of one class over the score threshold."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.matching import Matches


@dataclass(frozen=True, eq=False)
class Curve:
    """Counts with each of S score thresholds, which fall; a threshold keeps the scores equal to it."""

    name: str
    """Class name, or what all classes together are called."""
    true_count: int
    """Number of true boxes that count."""
    thresholds: NDArray[np.float64]
    """(S,) distinct scores of the detections that count, falling."""
    right: NDArray[np.int64]
    """(S,) number of detections at or above the threshold that have a true box."""
    wrong: NDArray[np.int64]
    """(S,) number of those that have none."""

    @property
    def precision(self) -> NDArray[np.float64]:
        """(S,) share of the detections that are right."""
        return self.right / np.maximum(self.right + self.wrong, 1)

    @property
    def recall(self) -> NDArray[np.float64]:
        """(S,) share of the true boxes that are found; NaN if there are none."""
        return self.right / self.true_count if self.true_count else np.full(len(self.right), np.nan)

    @property
    def f1(self) -> NDArray[np.float64]:
        """(S,) harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN)."""
        return 2 * self.right / np.maximum(self.right + self.wrong + self.true_count, 1)


def class_curves(matches: Matches, *, at: int = 0) -> list[Curve]:
    """Make the curve of each class.

    Args:
        matches: the matched detections.
        at: which of their IoU thresholds.
    """
    starts, counts = matches.class_rows, matches.true_counts
    right, wrong = matches.right[at], matches.wrong[at]
    spans = [slice(begin, end) for begin, end in pairwise(starts)]
    return [
        make_curve(name, int(count), matches.scores[rows], right[rows], wrong[rows])
        for name, count, rows in zip(matches.classes, counts, spans, strict=True)
    ]


def joint_curve(matches: Matches, *, at: int = 0, name: str = "all classes") -> Curve:
    """Make one curve of the detections of all classes together."""
    total = int(matches.true_counts.sum())
    return make_curve(name, total, matches.scores, matches.right[at], matches.wrong[at])


def make_curve(
    name: str, true_count: int, scores: NDArray[np.float64], right: NDArray[np.bool_], wrong: NDArray[np.bool_]
) -> Curve:
    """Make a curve from detections (D,) in any order, each right, wrong or neither."""
    counted = np.flatnonzero(right | wrong)
    order = counted[np.argsort(-scores[counted], kind="stable")]
    ordered = scores[order]
    last = np.flatnonzero(np.diff(ordered, append=-np.inf))
    return Curve(
        name=name,
        true_count=true_count,
        thresholds=ordered[last],
        right=np.cumsum(right[order], dtype=np.int64)[last],
        wrong=np.cumsum(wrong[order], dtype=np.int64)[last],
    )
