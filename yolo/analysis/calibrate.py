"""`calibrate`: thresholds and calibration of a detector's scores, measured on images that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from yolo.analysis.calibration import calibrated, cross_calibrated, fit_calibration, judge, reliability
from yolo.analysis.curves import Curve
from yolo.analysis.thresholds import (
    Threshold,
    best_f1,
    class_thresholds,
    for_precision,
    for_recall,
    highest_precision,
    lowest,
)
from yolo.config import check
from yolo.errors import AnnotationError, ConfigError
from yolo.evaluation.average_precision import average_precisions
from yolo.evaluation.class_mapping import map_classes
from yolo.evaluation.evaluator import find_all
from yolo.evaluation.matching import match
from yolo.evaluation.results import DetectionColumns
from yolo.runtimes.interface import AnyDetector
from yolo.scores import NO_RULES, Method, ScoreRules
from yolo.structs import Dataset

PARTS = 5
"""Parts of the images, each calibrated by what the others say, for figures of images that were not learned from."""

Wanted = Method | Literal["none"]
"""Kinds of calibration, and none."""
Choice = tuple[Callable[[Curve], float], Callable[[Curve], float], str]
"""Function that chooses a threshold, the one for a class that cannot reach it, and what is wanted in words."""


@dataclass(frozen=True)
class Figures:
    """Calibration errors and average precision of detections."""

    d_ece: float
    """D-ECE of all detections."""
    laece: float
    """LaECE of all detections."""
    d_ece_in_use: float
    """D-ECE of the detections at or above the best-F1 thresholds of the raw scores."""
    laece_in_use: float
    """LaECE of these."""
    ap: float
    """COCO's AP."""
    ap50: float
    """COCO's AP50."""


@dataclass(frozen=True)
class Calibrated:
    """Result of `calibrate`."""

    rules: ScoreRules
    """Thresholds and calibration."""
    thresholds: list[Threshold]
    """Threshold of each class, with what it gives on these images."""
    before: Figures
    """Figures of the raw scores."""
    after: Figures
    """Figures of scores calibrated by what other images say, in `PARTS` parts; without a calibration those before.
    AP is that of the calibration itself, which unless it is by size cannot learn any order."""
    pictures: int
    """Number of images."""

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain data for JSON."""
        rows = {
            row.name: {key: value for key, value in row._asdict().items() if key != "name"} for row in self.thresholds
        }
        about = {"pictures": self.pictures, "parts": PARTS if self.rules.calibration else 0}
        return {**about, "before": asdict(self.before), "after": asdict(self.after), "thresholds": rows}


def calibrate(
    detector: AnyDetector,
    dataset: Dataset,
    *,
    method: Wanted = "isotonic",
    by_size: bool = False,
    precision: float | None = None,
    recall: float | None = None,
    batch: int = 8,
) -> Calibrated:
    """Measure a detector on images that it was not trained on, and give it thresholds and a calibration.

    They replace those that it had, and are stored with it by its ``save``.

    Args:
        detector: the detector, whose ``score_rules`` are set.
        dataset: the ground truth; classes are matched by name.
        method: ``isotonic``, ``platt``, or ``none`` for thresholds alone.
        by_size: calibrate small, medium and large boxes by themselves.
        precision: wanted share of right detections of each class: the lowest threshold that reaches it.
        recall: wanted share of the true boxes of each class: the highest threshold that reaches it. Without either:
            the threshold of the best F1.
        batch: images per batch.

    Raises:
        ConfigError: an option is out of range, or there are two wishes.
        AnnotationError: there are no images, boxes or classes in common, or no detection is right.
    """
    choice = choose_by(precision, recall)
    check(method in ("none", *get_args(Method)), "method", f"one of none, {', '.join(get_args(Method))}", method)
    check(method != "none" or not by_size, "by_size", "left out with method none", by_size)
    dataset = map_classes(dataset, detector.classes)
    check_boxes(dataset)
    before, detector.score_rules = detector.score_rules, NO_RULES
    try:
        detections = find_all(detector, dataset, batch=batch)
        result = measure(dataset, detections, choice, method=method, by_size=by_size)
        detector.score_rules = before = result.rules
    finally:
        detector.score_rules = before
    return result


def choose_by(precision: float | None, recall: float | None) -> Choice:
    """Choose by the wished-for precision or recall, else by the best F1.

    Raises:
        ConfigError: a wish is not in (0, 1], or there are two.
    """
    for name, value in (("precision", precision), ("recall", recall)):
        check(value is None or 0 < value <= 1, name, "in (0, 1]", value)
    if precision is not None and recall is not None:
        raise ConfigError("precision and recall: give one of them; a threshold cannot be chosen by both")
    if precision is not None:
        return partial(for_precision, wanted=precision), highest_precision, f"precision {precision:g}"
    if recall is not None:
        return partial(for_recall, wanted=recall), lowest, f"recall {recall:g}"
    return best_f1, highest_precision, "best F1"


def check_boxes(dataset: Dataset) -> None:
    """Raise an AnnotationError unless a dataset has boxes to find."""
    if dataset.ignore.all():  # true without any box too
        raise AnnotationError(
            f"{dataset.name}: its {len(dataset)} pictures have no box to find; nothing can be measured"
        )


def measure(
    dataset: Dataset, detections: DetectionColumns, choice: Choice, *, method: Wanted, by_size: bool
) -> Calibrated:
    """Measure thresholds and calibration on raw detections; arguments and errors as in `calibrate`."""
    choose, closest, words = choice
    rules, after = NO_RULES, detections
    if method != "none":
        fitted = fit_calibration(judge(dataset, detections), len(dataset.classes), method, by_size=by_size)
        rules = ScoreRules(calibration=fitted)
        after = cross_calibrated(dataset, detections, method, by_size=by_size, parts=min(PARTS, len(dataset)))
    mended = calibrated(detections, rules)
    rows = class_thresholds(match(dataset, mended, ious=(0.5,)), choose, closest=closest)
    if not rows:
        raise AnnotationError(f"{dataset.name}: no detection is right at IoU 0.5; there is no threshold to choose")
    about = {"data": dataset.name, "split": dataset.split, "pictures": len(dataset), "thresholds": words}
    in_use = above_best_f1(dataset, detections)
    return Calibrated(
        rules=ScoreRules(tuple(row.value for row in rows), rules.calibration, about),
        thresholds=rows,
        before=figures(dataset, detections, in_use, ranked=detections),
        after=figures(dataset, after, in_use, ranked=after if by_size else mended),
        pictures=len(dataset),
    )


def above_best_f1(dataset: Dataset, detections: DetectionColumns) -> NDArray[np.bool_]:
    """(K,) whether each detection is at or above the best-F1 threshold of its class."""
    rows = class_thresholds(match(dataset, detections, ious=(0.5,)), best_f1)
    return detections.scores >= np.array([row.value for row in rows])[detections.labels]


def figures(
    dataset: Dataset, detections: DetectionColumns, in_use: NDArray[np.bool_], *, ranked: DetectionColumns
) -> Figures:
    """Measure detections.

    Args:
        dataset: the ground truth.
        detections: the detections in its images.
        in_use: (K,) which of them a user would see.
        ranked: the same with the scores that AP ranks them by. Maps of several parts of the images, each by itself in
            order, would mix them; one rising map of a class leaves them as they are.
    """
    judged = judge(dataset, detections)
    whole, part = reliability(judged), reliability(judged.of(in_use[judged.rows]))
    precisions = average_precisions(match(dataset, ranked))
    return Figures(
        d_ece=whole.ece,
        laece=whole.laece,
        d_ece_in_use=part.ece,
        laece_in_use=part.laece,
        ap=float(np.nanmean(precisions)),
        ap50=float(np.nanmean(precisions[0])),
    )
