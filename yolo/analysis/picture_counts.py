"""Right, wrong and missed objects of each picture, and the pictures that are worst and best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.matching import Matches


@dataclass(frozen=True, eq=False)
class PictureCounts:
    """Counts of N pictures with one score threshold."""

    right: NDArray[np.int64]
    """(N,) number of true boxes found."""
    wrong: NDArray[np.int64]
    """(N,) number of detections without a true box."""
    missed: NDArray[np.int64]
    """(N,) number of true boxes not found."""
    wrong_scores: NDArray[np.float64]
    """(N,) sum of the scores of the wrong detections: how sure the detector was of them."""

    @property
    def f1(self) -> NDArray[np.float64]:
        """(N,) 2 TP / (2 TP + FP + FN); NaN where there is nothing to find and nothing found."""
        total = 2 * self.right + self.wrong + self.missed
        return np.divide(2 * self.right, total, out=np.full(len(total), np.nan), where=total > 0)


def count_by_picture(matches: Matches, threshold: float, *, at: int = 0) -> PictureCounts:
    """Count what is right, wrong and missed in each picture.

    Args:
        matches: the matched detections.
        threshold: lowest score of a detection.
        at: which of their IoU thresholds.
    """
    kept, number = matches.scores >= threshold, matches.pictures_count
    right = np.bincount(matches.pictures[matches.right[at] & kept], minlength=number)
    bad = matches.wrong[at] & kept
    true = np.bincount(matches.true_pictures[~matches.true_ignored], minlength=number)
    return PictureCounts(
        right=right,
        wrong=np.bincount(matches.pictures[bad], minlength=number),
        missed=true - right,
        wrong_scores=np.bincount(matches.pictures[bad], weights=matches.scores[bad], minlength=number).astype(
            np.float64
        ),
    )


def worst_pictures(counts: PictureCounts, most: int) -> NDArray[np.int64]:
    """Indices of the pictures with the most mistakes, worst first: a wrong detection counts by its score."""
    weight = counts.missed + counts.wrong_scores
    order = np.lexsort((np.arange(len(weight)), -weight))
    return order[weight[order] > 0][:most]


def best_pictures(counts: PictureCounts, most: int) -> NDArray[np.int64]:
    """Indices of the pictures with the highest F1, of equal ones those with more objects first."""
    share = np.nan_to_num(counts.f1, nan=-1.0)
    order = np.lexsort((np.arange(len(share)), -counts.right, -share))
    return order[counts.right[order] > 0][:most]
