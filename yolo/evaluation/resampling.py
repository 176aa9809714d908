"""Average precisions of many resamples of the pictures, by weighing matched detections anew.

In a resample (Efron 1979) some pictures come several times and others not at all. Matching looks at one picture alone,
so that nothing is matched again: each detection and true box counts as often as its picture. Copies of a detection
follow each other; ties of different detections stay in their order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.average_precision import RECALLS, recalls_reached
from yolo.evaluation.matching import Matches

Weights = NDArray[np.int32]
"""(N, R) how often each of N pictures is in each of R resamples."""

BLOCK = 16_000_000
"""Most weights that are held at once."""
PART = 500_000
"""Most numbers in an array of one class."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """Average precisions of R resamples; NaN where a class has no true box, as in COCO's evaluation."""

    class_ap: NDArray[np.float64]
    """(C, R) mean over the IoU thresholds."""
    class_ap50: NDArray[np.float64]
    """(C, R) at IoU 0.5."""

    @property
    def ap(self) -> NDArray[np.float64]:
        """(R,) mean over the classes that have true boxes in the resample."""
        return mean_defined(self.class_ap)

    @property
    def ap50(self) -> NDArray[np.float64]:
        """(R,) mean at IoU 0.5 over the classes that have true boxes in the resample."""
        return mean_defined(self.class_ap50)


def mean_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean (R,) along the first axis of the values that are not NaN; NaN where all are."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=0)
    total = np.where(defined, values, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def draw_weights(pictures: int, resamples: int, seed: int) -> Iterator[Weights]:
    """Yield the weights of resamples with replacement, some resamples at a time.

    Args:
        pictures: number of pictures N.
        resamples: number of resamples in all.
        seed: the resamples are a function of it, of ``pictures`` and of their number in the order alone.
    """
    rng = np.random.default_rng(seed)
    most = max(1, BLOCK // max(pictures, 1))
    for begin in range(0, resamples, most):
        count = min(most, resamples - begin)
        rows = [np.bincount(rng.integers(0, pictures, pictures), minlength=pictures) for _ in range(count)]
        yield np.array(rows, np.int32).T.copy()


def resample(matches: Matches, *, resamples: int, seed: int) -> Resampled:
    """Compute the average precisions of resamples drawn with a seed."""
    return joined([reweighted(matches, block) for block in draw_weights(matches.pictures_count, resamples, seed)])


def joined(parts: Sequence[Resampled]) -> Resampled:
    """Join blocks of resamples."""
    return Resampled(
        np.concatenate([part.class_ap for part in parts], axis=1),
        np.concatenate([part.class_ap50 for part in parts], axis=1),
    )


def reweighted(matches: Matches, weights: Weights) -> Resampled:
    """Compute the average precisions of the resamples that the columns of ``weights`` are."""
    shape = (len(matches.classes), weights.shape[1])
    found = Resampled(np.full(shape, np.nan), np.full(shape, np.nan))
    at50 = matches.ious.index(0.5) if 0.5 in matches.ious else None
    ranked = ranked_classes(matches)

    def fill(label: int) -> None:
        for columns in parts_of(weights.shape[1], ranked[label].size):
            values = ranked[label].average_precisions(np.ascontiguousarray(weights[:, columns]))
            found.class_ap[label, columns] = values.mean(axis=0)
            if at50 is not None:
                found.class_ap50[label, columns] = values[at50]

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(fill, ranked))
    return found


def parts_of(resamples: int, size: int) -> list[slice]:
    """Slices of the resamples whose arrays have `PART` numbers at most, if one resample needs ``size`` of them."""
    step = max(1, PART // max(size, 1))
    return [slice(begin, begin + step) for begin in range(0, resamples, step)]


@dataclass(frozen=True, eq=False)
class RankedClass:
    """Detections and true boxes of one class, as far as weighing them anew needs them."""

    pictures: NDArray[np.int64]
    """(D,) picture of each detection, best first."""
    right: NDArray[np.bool_]
    """(T, D) whether each is right at each IoU threshold."""
    counted: NDArray[np.bool_]
    """(T, D) whether each is right or wrong."""
    true_pictures: NDArray[np.int64]
    """(K,) picture of each true box that counts."""

    @property
    def size(self) -> int:
        """Length of the longest column that each resample needs."""
        return max(int(self.right.any(axis=0).sum()), len(self.true_pictures))

    def average_precisions(self, weights: Weights) -> NDArray[np.float64]:
        """Average precision (T, R) of each resample; NaN without true boxes."""
        # Precision can be best only where a detection is right, so that the weights in between are needed as sums.
        places = np.flatnonzero(self.right.any(axis=0))
        counted = running_weights(self.pictures, places, weights)
        truths = np.bincount(self.true_pictures, minlength=len(weights)).astype(np.int32) @ weights
        reached, starts = reached_tables(truths)
        values = np.zeros((len(self.right), weights.shape[1]))
        for at in range(len(self.right)):
            own = self.right[at, places]
            ignored = np.flatnonzero(~self.counted[at])
            here = counted[own]
            if len(ignored):
                before = np.searchsorted(ignored, places[own])
                here = here - running_weights(self.pictures[ignored], before - 1, weights)
            hits = accumulated(weights[self.pictures[places[own]]])
            values[at] = weighted_average_precision(hits, here, reached, starts)
        values[:, truths == 0] = np.nan
        return values


def ranked_classes(matches: Matches) -> dict[int, RankedClass]:
    """Detections and true boxes of each class that has true boxes that count, by label."""
    labels = np.arange(len(matches.classes) + 1)
    true = np.flatnonzero(~matches.true_ignored)
    true = true[np.argsort(matches.true_labels[true], kind="stable")]
    true_starts, starts = np.searchsorted(matches.true_labels[true], labels), matches.class_rows
    right, counted = matches.right, ~matches.ignored
    found = {}
    for label in np.flatnonzero(np.diff(true_starts)).tolist():
        rows = slice(starts[label], starts[label + 1])
        own = true[true_starts[label] : true_starts[label + 1]]
        found[label] = RankedClass(matches.pictures[rows], right[:, rows], counted[:, rows], matches.true_pictures[own])
    return found


def running_weights(pictures: NDArray[np.int64], places: NDArray[np.int64], weights: Weights) -> Weights:
    """Sum (P, R) of the weights of all detections up to each place, itself included.

    Args:
        pictures: (D,) picture of each detection.
        places: (P,) indices of detections, rising; -1: before the first.
        weights: (N, R) weights of the pictures.
    """
    from scipy.sparse import csr_array

    ends = np.concatenate([[0], places + 1])
    # Each row of this sparse matrix sums the detections from one place to the next: far less memory than all of them.
    between = csr_array((np.ones(ends[-1], np.int32), pictures[: ends[-1]], ends), shape=(len(places), len(weights)))
    return accumulated(between @ weights)


def accumulated(values: Weights) -> Weights:
    """Replace each row by the sum of the rows up to it; a row at a time is much faster than `np.cumsum` here."""
    for before, row in pairwise(values):
        np.add(row, before, out=row)
    return values


def reached_tables(truths: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Number of COCO's recalls reached with 0, 1, .. of the true boxes found, for each number of true boxes.

    Args:
        truths: (R,) number of true boxes in each resample.

    Returns:
        The tables of the different numbers, one after the other, and the (R,) start of each resample's table.
    """
    numbers, which = np.unique(truths, return_inverse=True)
    tables = [recalls_reached(number).astype(np.uint8) for number in numbers.tolist()]
    starts = np.cumsum([0, *map(len, tables[:-1])])
    return np.concatenate(tables), starts[which]


def weighted_average_precision(
    hits: Weights, counted: Weights, reached: NDArray[np.uint8], starts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Average precision (R,) of each resample.

    Args:
        hits: (P, R) weight of the right detections up to each of them.
        counted: (P, R) weight of all detections that count up to there.
        reached: tables of `reached_tables`.
        starts: (R,) starts of the tables.
    """
    if not len(hits):
        return np.zeros(hits.shape[1])
    precision = hits / np.maximum(counted, 1)
    for after, row in pairwise(precision[::-1]):
        np.maximum(row, after, out=row)
    recalls = reached[hits + starts]
    new = np.diff(recalls, axis=0, prepend=np.uint8(0))
    return np.einsum("pr,pr->r", precision, new) / len(RECALLS)
