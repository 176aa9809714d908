"""Score of each picture's detections by itself, to find those where detectors differ or fail."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.matching import Matches


def picture_scores(matches: Matches) -> NDArray[np.float64]:
    """Score (N,) of each picture in 0..1, without a threshold and whatever the scale of the scores.

    In a picture with true boxes it is the average precision of its detections, all classes in one order, as if there
    were no other picture: mean over the IoU thresholds, area under the envelope as in VOC since 2010. In a picture
    without any it is 1 less the share of all right detections (at the lowest IoU) that are less confident than the
    picture's surest wrong one: 1 if there is none, 0 if it is surer than every right one.
    """
    counts = np.bincount(matches.true_pictures[~matches.true_ignored], minlength=matches.pictures_count)
    order = np.lexsort((-matches.scores, matches.pictures))
    pictures, right, wrong = matches.pictures[order], matches.right[:, order], matches.wrong[:, order]
    found = [average_precision_of_each(pictures, *row, counts) for row in zip(right, wrong, strict=True)]
    scores = np.mean(found, axis=0)
    return np.where(counts > 0, scores, quietness(matches))


def average_precision_of_each(
    pictures: NDArray[np.int64], right: NDArray[np.bool_], wrong: NDArray[np.bool_], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Average precision (N,) of each picture; 0 without true boxes.

    Args:
        pictures: (D,) picture of each detection, rising, the detections of each best first.
        right: (D,) whether each is right.
        wrong: (D,) whether it is wrong.
        counts: (N,) number of true boxes.
    """
    hits, all_counted = np.cumsum(right), np.cumsum(right | wrong)
    before = np.searchsorted(pictures, pictures)  # first detection of the same picture
    hits = hits - np.append(0, hits)[before]
    all_counted = all_counted - np.append(0, all_counted)[before]
    precision = hits / np.maximum(all_counted, 1)
    # From the last to the first; a step of 2 a picture keeps the best of one from reaching into the next.
    steps = 2.0 * (len(counts) - pictures)
    envelope = np.maximum.accumulate((precision + steps)[::-1])[::-1] - steps
    total = np.bincount(pictures, weights=envelope * right, minlength=len(counts))
    return np.divide(total, counts, out=np.zeros(len(counts)), where=counts > 0)


def quietness(matches: Matches) -> NDArray[np.float64]:
    """Share (N,) of all right detections that are surer than each picture's surest wrong one; 1 if it has none."""
    wrong, right = matches.wrong[0], np.sort(matches.scores[matches.right[0]])
    surest = np.full(matches.pictures_count, -np.inf)
    np.maximum.at(surest, matches.pictures[wrong], matches.scores[wrong])
    below = np.searchsorted(right, surest, side="left")
    shares = 1 - below / max(len(right), 1)
    return np.where(np.isneginf(surest), 1.0, shares if len(right) else 0.0)
