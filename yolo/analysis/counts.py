"""Counts of right, wrong and missed objects of each class at score thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.matching import Matches


@dataclass(frozen=True)
class Counts:
    """Detections of one class with scores at or above a threshold, against the true boxes."""

    name: str
    """Class name."""
    right: int
    """Number of detections that have a true box."""
    wrong: int
    """Number of detections that have none."""
    missed: int
    """Number of true boxes without a detection."""
    images: int
    """Number of images looked at."""
    threshold: float
    """Lowest score of a detection."""

    @property
    def precision(self) -> float:
        """Share of the detections that are right; NaN without any."""
        return ratio(self.right, self.right + self.wrong)

    @property
    def recall(self) -> float:
        """Share of the true boxes that are found; NaN without any."""
        return ratio(self.right, self.right + self.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN); NaN without true boxes and detections."""
        return ratio(2 * self.right, 2 * self.right + self.wrong + self.missed)

    @property
    def false_positives_per_image(self) -> float:
        """Number of wrong detections an image; NaN without images."""
        return ratio(self.wrong, self.images)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the metrics object."""
        names = ("threshold", "right", "wrong", "missed", "precision", "recall", "f1", "false_positives_per_image")
        return {"class": self.name, **{name: getattr(self, name) for name in names}}


def ratio(part: int, whole: int) -> float:
    """Quotient of two counts; NaN for a whole of 0."""
    return part / whole if whole else float("nan")


def counts_at(matches: Matches, thresholds: Sequence[float] | NDArray[np.float64], *, at: int = 0) -> list[Counts]:
    """Count the right, wrong and missed objects of each class.

    Matching by falling score gives the detections above a threshold the same true boxes whatever lies below it.

    Args:
        matches: the matched detections.
        thresholds: (C,) lowest score of each class's detections.
        at: which of the IoU thresholds.
    """
    lowest = np.asarray(thresholds, np.float64)[matches.labels]
    kept, size = matches.scores >= lowest, len(matches.classes)
    right = np.bincount(matches.labels[kept & matches.right[at]], minlength=size).tolist()
    wrong = np.bincount(matches.labels[kept & matches.wrong[at]], minlength=size).tolist()
    rows = zip(matches.classes, right, wrong, matches.true_counts.tolist(), thresholds, strict=True)
    return [
        Counts(name, found, false, true - found, matches.pictures_count, float(threshold))
        for name, found, false, true, threshold in rows
    ]
