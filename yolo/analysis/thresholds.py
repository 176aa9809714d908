"""Score thresholds read from curves of precision and recall: for the best F1, a wanted precision or recall.

A threshold lies half-way between the last score that it keeps and the next one, so that it holds as well for scores
that differ in their last digits, as those of another runtime do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.analysis.curves import Curve, class_curves, make_curve
from yolo.evaluation.matching import Matches

FEWEST_BOXES = 30
"""Number of true boxes below which a class takes the threshold of all classes: its own would be chance.

On other pictures than those it was chosen on, F1 was highest for 30 to 50 (docs/scores.md)."""


class Threshold(NamedTuple):
    """Threshold of a class, and what it gives on the images it was chosen on."""

    name: str
    """Class name."""
    value: float
    """Lowest score."""
    precision: float
    """Share of the detections that are right; NaN without any."""
    recall: float
    """Share of the true boxes found; NaN without any."""
    own: bool
    """Whether it comes from the class's own curve; else from that of all classes."""
    reached: bool
    """Whether the class reaches what was wanted."""


def best_f1(curve: Curve) -> float:
    """Choose the threshold of the highest F1, of equal ones the highest; NaN if no detection is right."""
    if not curve.right.any():
        return float("nan")
    return between(curve, int(curve.f1.argmax()))


def for_precision(curve: Curve, wanted: float) -> float:
    """Choose the lowest threshold at which a share of the detections is right; NaN if there is none."""
    places = np.flatnonzero((curve.precision >= wanted) & (curve.right > 0))
    return between(curve, int(places[-1])) if len(places) else float("nan")


def for_recall(curve: Curve, wanted: float) -> float:
    """Choose the highest threshold at which a share of the true boxes is found; NaN if there is none."""
    places = np.flatnonzero(curve.recall >= wanted)
    return between(curve, int(places[0])) if len(places) else float("nan")


def between(curve: Curve, place: int) -> float:
    """Half-way between a threshold of a curve and the next lower one; the last one itself."""
    scores = curve.thresholds
    return float((scores[place] + scores[place + 1]) / 2 if place + 1 < len(scores) else scores[place])


def best_f1_thresholds(matches: Matches, *, fewest: int = FEWEST_BOXES) -> dict[str, float]:
    """Threshold of the highest F1 of each class; empty if no detection is right.

    Args:
        matches: the matched detections, at the first of their IoU thresholds.
        fewest: number of true boxes below which a class takes the threshold of all classes together, as does one
            without a right detection.
    """
    return {each.name: each.value for each in class_thresholds(matches, best_f1, fewest=fewest)}


def highest_precision(curve: Curve) -> float:
    """Choose the threshold of the highest precision, of equal ones the lowest: the closest to one out of reach."""
    precision = curve.precision
    return between(curve, int(np.flatnonzero(precision == precision.max())[-1]))


def lowest(curve: Curve) -> float:
    """Choose the threshold that keeps every detection: the closest to a recall out of reach."""
    return float(curve.thresholds[-1])


def class_thresholds(
    matches: Matches,
    choose: Callable[[Curve], float],
    *,
    closest: Callable[[Curve], float] = highest_precision,
    fewest: int = FEWEST_BOXES,
) -> list[Threshold]:
    """Choose a threshold for each class; none at all if no detection is right.

    A class with fewer true boxes than ``fewest`` takes the threshold of all classes together. One with enough that
    cannot reach what is wanted takes the ``closest``.

    Args:
        matches: the matched detections, at the first of their IoU thresholds.
        choose: `best_f1`, or `for_precision` or `for_recall` with what is wanted; gives NaN if it cannot be reached.
        closest: `highest_precision`, or for a recall `lowest`.
        fewest: number of true boxes.
    """
    joint = curve_of_counted_classes(matches)
    if not joint.right.any():
        return []
    common = _either(choose(joint), closest(joint))
    found = []
    for curve in class_curves(matches):
        own = curve.true_count >= fewest and bool(curve.right.any())
        value = choose(curve) if own else common
        reached = own and not np.isnan(value)
        value = _either(value, closest(curve)) if own else value
        found.append(Threshold(curve.name, value, *rates_at(curve, value), own, reached))
    return found


def curve_of_counted_classes(matches: Matches) -> Curve:
    """Joint curve of the classes with true boxes: of the others, detections cannot be told right from wrong."""
    rows = counted_classes(matches)[matches.labels]
    right, wrong = matches.right[0][rows], matches.wrong[0][rows]
    return make_curve("all classes", int(matches.true_counts.sum()), matches.scores[rows], right, wrong)


def counted_classes(matches: Matches) -> NDArray[np.bool_]:
    """(C,) whether each class has true boxes that count."""
    return matches.true_counts > 0


def _either(value: float, other: float) -> float:
    """Return a value, or the other one if it is NaN."""
    return other if np.isnan(value) else value


def rates_at(curve: Curve, value: float) -> tuple[float, float]:
    """Precision and recall of a curve at a threshold."""
    kept = int((curve.thresholds >= value).sum())
    if not kept:
        return float("nan"), 0.0 if curve.true_count else float("nan")
    return float(curve.precision[kept - 1]), float(curve.recall[kept - 1])
