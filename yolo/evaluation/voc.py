"""Average precision as in the Pascal VOC development kit (VOCevaldet.m), vectorised.

Detections of all images are taken by falling score, and each is matched only with the true box of its class and image
that it overlaps most. It is wrong if the IoU is below the threshold or an earlier detection has this box; if the box is
difficult, it does not count. The kit's IoU counts whole pixels from minimum to maximum inclusive; that of continuous
boxes is the same, as the readers of VOC files subtract 1 from the minima.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.pairs import overlapping_pairs
from yolo.evaluation.results import DetectionColumns
from yolo.structs import Dataset


@dataclass(frozen=True, eq=False)
class VocMetrics:
    """Average precision of each class; NaN for a class without true boxes."""

    ap07: NDArray[np.float64]
    """(C,) mean precision at the recalls 0, 0.1 .. 1 (VOC 2007)."""
    ap12: NDArray[np.float64]
    """(C,) area under the envelope of the precision-recall curve (since VOC 2010)."""

    @property
    def map07(self) -> float:
        return _mean_defined(self.ap07)

    @property
    def map12(self) -> float:
        return _mean_defined(self.ap12)


def _mean_defined(values: NDArray[np.float64]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else np.nan


def voc_metrics(dataset: Dataset, detections: DetectionColumns, *, iou: float = 0.5) -> VocMetrics:
    """Compute both average precisions of every class; ignored boxes are the kit's difficult ones."""
    order = np.argsort(-detections.scores, kind="stable")
    matches = best_matches(dataset, detections, iou=iou)[order]
    labels = detections.labels[order]
    right, counts = _judge(matches, dataset.ignore)
    truths = np.bincount(dataset.labels[~dataset.ignore], minlength=len(dataset.classes))
    ap07, ap12 = np.full(len(truths), np.nan), np.full(len(truths), np.nan)
    for label in np.flatnonzero(truths):
        verdicts = right[(labels == label) & counts]
        ap07[label] = average_precision_07(verdicts, int(truths[label]))
        ap12[label] = average_precision_12(verdicts, int(truths[label]))
    return VocMetrics(ap07, ap12)


def best_matches(dataset: Dataset, detections: DetectionColumns, *, iou: float) -> NDArray[np.int64]:
    """Index (K,) of the true box of its class and image that each detection overlaps most; -1 below ``iou``.

    With equal overlaps the first box in the dataset's order is taken, as in the kit.
    """
    pairs = overlapping_pairs(dataset, detections, least=iou, same_class=True, crowds=False)
    matches = np.full(len(detections), -1, np.int64)
    pairs = pairs.of(np.lexsort((-pairs.true, pairs.overlap, pairs.found)))
    best = pairs.of(np.flatnonzero(np.diff(pairs.found, append=-1)))
    matches[best.found] = best.true
    return matches


def _judge(matches: NDArray[np.int64], difficult: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks of the detections, best first: which are right, and which count at all."""
    matched = np.flatnonzero(matches >= 0)
    counts = np.ones(len(matches), bool)
    counts[matched] = ~difficult[matches[matched]]
    _, first = np.unique(matches[matched], return_index=True)
    right = np.zeros(len(matches), bool)
    right[matched[first]] = True
    return right & counts, counts


def average_precision_07(right: NDArray[np.bool_], truths: int) -> float:
    """Mean, over the recalls 0, 0.1 .. 1, of the best precision at that recall or above.

    Args:
        right: (D,) whether each detection is right, best first.
        truths: number of true boxes.
    """
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    # In integers: as floats, 3 of 10 would miss the recall 3 * 0.1.
    return float(best[np.searchsorted(hits * 10, np.arange(11) * truths)].mean())


def average_precision_12(right: NDArray[np.bool_], truths: int) -> float:
    """Area under the curve of the best precision at each recall or above; arguments as above."""
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    # The recall rises by 1 / truths at each right detection.
    return float(envelope[right].sum() / truths)
