"""Scores against what comes of them: reliability, calibration errors, and maps that mend them.

D-ECE compares scores with the share of detections that are right at IoU 0.5, over all detections (Küppers et al.,
Multivariate Confidence Calibration for Object Detection, CVPRW 2020); true boxes that nobody finds do not enter. LaECE
compares them with the IoU of the true box that a detection has, 0 for none, in each class, and is the mean over classes
(Oksuz et al., Towards Building Self-Aware Object Detectors, CVPR 2023); as in Kuzucu et al., On Calibration of Object
Detectors, ECCV 2024, any overlap makes a pair, and there are 25 bins. Classes without true boxes are left out of both:
of their detections nobody knows which are right.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.errors import AnnotationError
from yolo.evaluation.matching import match
from yolo.evaluation.pairs import pair_overlaps
from yolo.evaluation.results import DetectionColumns
from yolo.scores import Calibration, Method, ScoreMap, ScoreRules, logit, sigmoid
from yolo.structs import Dataset

BINS = 25
"""Number of bins of equal width that scores are counted in (Kuzucu et al.)."""
SIZE_EDGES = (32.0, 96.0)
"""Borders of the sizes of boxes, as COCO's: square roots of areas in pixels."""
FEWEST = 20
"""Number of right and of wrong detections that a map of a class or size is fitted to at least."""
TIE = 1e-3
"""Rise of a map above its last corner, which keeps the order of the scores there."""


@dataclass(frozen=True, eq=False)
class Judged:
    """D detections of classes that have true boxes."""

    rows: NDArray[np.int64]
    """(D,) index of each detection in its columns."""
    pictures: NDArray[np.int64]
    """(D,) index of the image."""
    labels: NDArray[np.int32]
    """(D,) class."""
    scores: NDArray[np.float64]
    """(D,) score."""
    sizes: NDArray[np.float64]
    """(D,) square root of the box's area."""
    right: NDArray[np.bool_]
    """(D,) whether it has a true box by IoU 0.5, or another threshold."""
    counts: NDArray[np.bool_]
    """(D,) whether it is right or wrong at that threshold, and not ignored."""
    overlaps: NDArray[np.float64]
    """(D,) IoU with its true box where any overlap makes a pair; 0 without one."""
    overlaps_count: NDArray[np.bool_]
    """(D,) whether it is not ignored there."""

    def of(self, chosen: NDArray[np.bool_]) -> Judged:
        """Select detections by a mask (D,)."""
        return Judged(**{each.name: getattr(self, each.name)[chosen] for each in fields(self)})


@dataclass(frozen=True, eq=False)
class Reliability:
    """Scores of one class, or of all, against the share of right detections."""

    name: str
    """Class name, or what all classes together are called."""
    edges: NDArray[np.float64]
    """(bins + 1,) borders of the bins; a score on one belongs below it."""
    counts: NDArray[np.int64]
    """(bins,) number of detections."""
    confidence: NDArray[np.float64]
    """(bins,) mean score; NaN for an empty bin."""
    accuracy: NDArray[np.float64]
    """(bins,) share of detections that are right; NaN for an empty bin."""
    ece: float
    """D-ECE; NaN without detections."""
    laece: float
    """LaECE, of all classes their mean; NaN without detections."""


def judge(dataset: Dataset, detections: DetectionColumns, *, iou: float = 0.5) -> Judged:
    """Judge the detections of classes with true boxes, the 100 best of each image and class.

    Args:
        dataset: the ground truth.
        detections: the detections in its images.
        iou: lowest IoU of a right detection.
    """
    matches = match(dataset, detections, ious=(iou, 0.0))
    known = (matches.true_counts > 0)[matches.labels]
    boxes, true = detections.boxes[matches.rows], matches.matched[1]
    overlaps = np.zeros(len(matches))
    has = matches.right[1]
    overlaps[has] = pair_overlaps(boxes[has], dataset.boxes[true[has]], np.zeros(has.sum(), bool))
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).astype(np.float64)
    return Judged(
        rows=matches.rows,
        pictures=matches.pictures,
        labels=matches.labels,
        scores=matches.scores,
        sizes=np.sqrt(sides.prod(axis=1)),
        right=matches.right[0],
        counts=~matches.ignored[0],
        overlaps=overlaps,
        overlaps_count=~matches.ignored[1],
    ).of(known)


def reliability(judged: Judged, *, name: str = "all classes", bins: int = BINS) -> Reliability:
    """Measure how well scores predict which detections are right, over all of them."""
    edges = np.linspace(0, 1, bins + 1)
    right = judged.of(judged.counts)
    counts, confidence, accuracy = binned(right.scores, right.right, edges)
    classes = [judged.of(judged.labels == label) for label in np.unique(judged.labels)]
    errors = [location_error(each, edges) for each in classes]
    return Reliability(
        name=name,
        edges=edges,
        counts=counts,
        confidence=confidence,
        accuracy=accuracy,
        ece=calibration_error(counts, confidence, accuracy),
        laece=float(np.nanmean(errors)) if not np.isnan(errors).all() else float("nan"),
    )


def class_reliabilities(judged: Judged, classes: tuple[str, ...], *, bins: int = BINS) -> list[Reliability]:
    """Measure the same for each class by itself."""
    parts = (judged.of(judged.labels == label) for label in range(len(classes)))
    return [reliability(part, name=name, bins=bins) for name, part in zip(classes, parts, strict=True)]


def location_error(judged: Judged, edges: NDArray[np.float64]) -> float:
    """LaECE of the detections of one class: scores against the IoU of their true boxes."""
    counted = judged.of(judged.overlaps_count)
    return calibration_error(*binned(counted.scores, counted.overlaps, edges))


def binned(
    scores: NDArray[np.float64], targets: NDArray[Any], edges: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Number, mean score and mean target (bins,) of the detections (D,) in each bin; NaN for means of none."""
    bins = len(edges) - 1
    places = np.clip(np.searchsorted(edges, scores, side="left") - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    sums = (np.bincount(places, weights=values, minlength=bins) for values in (scores, targets.astype(np.float64)))
    confidence, accuracy = (np.divide(total, counts, out=np.full(bins, np.nan), where=counts > 0) for total in sums)
    return counts, confidence, accuracy


def calibration_error(
    counts: NDArray[np.int64], confidence: NDArray[np.float64], accuracy: NDArray[np.float64]
) -> float:
    """Mean distance of score and target over the bins, weighted with the detections in each; NaN without any."""
    if not counts.sum():
        return float("nan")
    filled = counts > 0
    return float(counts[filled] @ np.abs(confidence - accuracy)[filled] / counts.sum())


def calibration_figures(dataset: Dataset, detections: DetectionColumns) -> dict[str, Any]:
    """Calibration errors and the reliability curve as plain data: ``{"D-ECE", "LaECE", "bins": [..]}``.

    A bin has ``low`` and ``high``, ``count``, and if it is not empty ``score`` (its mean) and ``right`` (the share).
    """
    found = reliability(judge(dataset, detections))
    columns = (found.edges[:-1], found.edges[1:], found.counts, found.confidence, found.accuracy)
    bins = [
        {"low": low, "high": high, "count": count, **({"score": score, "right": right} if count else {})}
        for low, high, count, score, right in zip(*(each.tolist() for each in columns), strict=True)
    ]
    return {"D-ECE": found.ece, "LaECE": found.laece, "bins": bins}


# Maps


def fit_calibration(judged: Judged, classes: int, method: Method, *, by_size: bool = False) -> Calibration:
    """Fit a map from score to share of right detections for each class.

    A class with fewer than `FEWEST` right or wrong detections takes the map of all classes together; a size of one
    takes the map of its class.

    Args:
        judged: detections to learn from.
        classes: number of classes C.
        method: ``isotonic``, centred isotonic regression, or ``platt``, a logistic function of the logit.
        by_size: fit the sizes of boxes that `SIZE_EDGES` part by themselves.

    Raises:
        AnnotationError: no detection is right, or none is wrong.
    """
    judged = judged.of(judged.counts)
    if judged.right.all() or not judged.right.any():
        which = "right" if not judged.right.any() else "wrong"
        raise AnnotationError(f"no detection is {which} at IoU 0.5: there is nothing to calibrate the scores on")
    edges = SIZE_EDGES if by_size else ()
    places = np.searchsorted(np.array(edges), judged.sizes, side="right")
    maps: list[ScoreMap] = [fit_map(judged, method)]
    chosen = []
    for label in range(classes):
        own = judged.labels == label
        of_class = _index_of_fit(judged, own, method, maps, other=0)
        row = [
            _index_of_fit(judged, own & (places == size), method, maps, other=of_class) if by_size else of_class
            for size in range(len(edges) + 1)
        ]
        chosen.append(tuple(row))
    return Calibration(method, tuple(maps), tuple(chosen), edges)


def _index_of_fit(judged: Judged, rows: NDArray[np.bool_], method: Method, maps: list[ScoreMap], *, other: int) -> int:
    """Fit a map to some detections and add it to the maps; returns its index, that of another if there are too few."""
    if min((judged.right & rows).sum(), (~judged.right & rows).sum()) < FEWEST:
        return other
    maps.append(fit_map(judged.of(rows), method))
    return len(maps) - 1


def fit_map(judged: Judged, method: Method) -> ScoreMap:
    """Fit a map to detections of both outcomes."""
    return (isotonic_map if method == "isotonic" else platt_map)(judged.scores, judged.right)


def isotonic_map(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> ScoreMap:
    """Fit a rising map by centred isotonic regression.

    Adjacent violators are pooled, and straight lines join the centres of the pools, so that scores keep their order
    (Oron and Flournoy 2017). A pool of n detections that are all wrong claims not 0 but 0.5 / (n + 1), half of the next
    pool's share at most; one of right ones as much less than 1.

    Args:
        scores: (D,) raw scores.
        right: (D,) whether each detection is right.
    """
    from sklearn.isotonic import isotonic_regression

    x, places, weights = np.unique(scores, return_inverse=True, return_counts=True)
    sums = np.bincount(places, weights=right)
    fitted = isotonic_regression(sums / weights, sample_weight=weights.astype(np.float64))
    starts = np.flatnonzero(np.diff(fitted, prepend=-1.0))
    counts = np.add.reduceat(weights, starts)
    centres = np.add.reduceat(x * weights, starts) / counts
    values = inside(np.add.reduceat(sums, starts) / counts, counts)
    corners = [*zip(centres.tolist(), values.tolist(), strict=True)]
    first = [(0.0, 0.0)] if corners[0][0] > 0 else []
    top = values[-1]
    last = [(1.0, float(top + min(TIE, (1 - top) / 2)))] if corners[-1][0] < 1 else []
    return (*first, *corners, *last)


def inside(values: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Shares (P,) of right detections in pools of ``counts``, a first 0 and a last 1 moved inwards past no other."""
    if values[0] == 0:
        values[0] = min(0.5 / (counts[0] + 1), values[1] / 2 if len(values) > 1 else 1.0)
    if values[-1] == 1:
        values[-1] = max(1 - 0.5 / (counts[-1] + 1), (1 + values[-2]) / 2 if len(values) > 1 else 0.0)
    return values


def platt_map(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> ScoreMap:
    """Fit slope and offset of a logistic function of the logit, of the highest likelihood.

    The outcomes are drawn in by Platt's prior, so that few detections give no infinite slope (Platt 1999, section 2.2).

    Args:
        scores: (D,) raw scores.
        right: (D,) whether each detection is right.
    """
    from scipy.optimize import minimize

    hits = right.sum()
    high, low = (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2)
    targets, inputs = np.where(right, high, low), logit(scores)

    def loss(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        values = point[0] * inputs + point[1]
        errors = sigmoid(values) - targets
        slopes = np.array([errors @ inputs, errors.sum()]) / len(inputs)
        return float(np.mean(np.logaddexp(0, values) - targets * values)), slopes

    slope, offset = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x
    return ((max(float(slope), TIE), float(offset)),)


# Before and after


def calibrated(detections: DetectionColumns, rules: ScoreRules) -> DetectionColumns:
    """Give detections with raw scores the calibrated ones."""
    return replace(detections, scores=rules.apply(detections.boxes, detections.labels, detections.scores))


def cross_calibrated(
    dataset: Dataset,
    detections: DetectionColumns,
    method: Method,
    *,
    by_size: bool = False,
    parts: int = 5,
    seed: int = 0,
) -> DetectionColumns:
    """Calibrate the detections in each part of the images by what was learned on the other parts.

    Args:
        dataset: the ground truth.
        detections: the detections in its images.
        method: as in `fit_calibration`.
        by_size: as in `fit_calibration`.
        parts: number of parts that the images are divided into at random.
        seed: seed of the division.

    Raises:
        AnnotationError: in the other parts no detection is right, or none is wrong.
    """
    part_of = np.random.default_rng(seed).permutation(len(dataset)) % parts
    judged = judge(dataset, detections)
    scores = detections.scores.copy()
    for part in range(parts):
        rows = part_of[detections.pictures] == part
        if not rows.any():
            continue
        others = judged.of(part_of[judged.pictures] != part)
        fitted = fit_calibration(others, len(dataset.classes), method, by_size=by_size)
        scores[rows] = fitted.apply(detections.boxes[rows], detections.labels[rows], detections.scores[rows])
    return replace(detections, scores=scores)
