"""Everything about a set of detections in one value: metrics, curves, thresholds, confusion, errors, pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from yolo.analysis.calibration import Reliability, judge, reliability
from yolo.analysis.confusion import Confusion, confusion_matrix
from yolo.analysis.counts import Counts, counts_at
from yolo.analysis.curves import Curve, class_curves, joint_curve
from yolo.analysis.error_kinds import ErrorKinds, errors_by_kind
from yolo.analysis.picture_counts import PictureCounts, count_by_picture
from yolo.analysis.slices import Slice, slices
from yolo.analysis.thresholds import Threshold, best_f1, class_thresholds
from yolo.evaluation.intervals import RESAMPLES, bootstrap_intervals
from yolo.evaluation.matching import Matches, match
from yolo.evaluation.metrics import Metrics, compute_metrics
from yolo.evaluation.results import DetectionColumns
from yolo.structs import Dataset

FALLBACK = 0.25
"""Score threshold where no detection is right, so that none is best."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Analysis:
    """Analysis of detections in the N images of a dataset with C classes; at IoU 0.5 unless said otherwise."""

    dataset: Dataset
    detections: DetectionColumns
    metrics: Metrics
    matches: Matches
    """Detections matched at COCO's IoU thresholds."""
    joint: Curve
    """Curve of all classes together."""
    curves: tuple[Curve, ...]
    """(C,) curve of each class."""
    threshold: float
    """Score threshold with the highest F1 of all classes together, in whole hundredths."""
    thresholds: dict[str, Threshold]
    """Score threshold with the highest F1 of each class; empty if no detection is right."""
    pictures: PictureCounts
    """Counts by image at ``threshold``."""
    counts: tuple[Counts, ...]
    """(C,) counts of each class at ``threshold``."""
    slices: tuple[Slice, ...]
    """Metrics by size of the objects and by crowding, recall and false positives at ``threshold``."""
    confusion: Confusion
    """Confusion matrix at ``threshold``."""
    errors: ErrorKinds
    """Errors by kind, with the worst cases."""
    reliability: Reliability
    """Calibration of the scores."""
    reliability_in_use: Reliability
    """The same of the detections from ``threshold`` up, which the many that score near 0 would hide."""


def analyse(
    dataset: Dataset,
    detections: DetectionColumns,
    *,
    metrics: Mapping[str, Any] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Analysis:
    """Analyse detections in the images of a dataset; no image is read.

    Args:
        dataset: the ground truth.
        detections: the detections in its images, those of low scores too.
        metrics: their metrics object, if it is known already.
        resamples: number of resamples of the images for confidence intervals, if ``metrics`` has none; 0: none.
        seed: seed of the resamples.
    """
    metrics = Metrics(compute_metrics(dataset, detections) if metrics is None else metrics)
    matches = match(dataset, detections)
    if resamples and len(dataset) and "intervals" not in metrics:
        found = bootstrap_intervals(matches, resamples=resamples, seed=seed)
        metrics["intervals"] = found.to_dict(dataset.classes)
    joint = joint_curve(matches)
    threshold = round_threshold(joint)
    judged = judge(dataset, detections)
    return Analysis(
        dataset=dataset,
        detections=detections,
        metrics=metrics,
        matches=matches,
        joint=joint,
        curves=tuple(class_curves(matches)),
        threshold=threshold,
        thresholds={each.name: each for each in class_thresholds(matches, best_f1)},
        pictures=count_by_picture(matches, threshold),
        counts=tuple(counts_at(matches, np.full(len(dataset.classes), threshold))),
        slices=tuple(slices(dataset, detections, conf=threshold)),
        confusion=confusion_matrix(dataset, detections, conf=threshold),
        errors=errors_by_kind(dataset, detections),
        reliability=reliability(judged),
        reliability_in_use=reliability(judged.of(judged.scores >= threshold)),
    )


def round_threshold(joint: Curve) -> float:
    """Choose the hundredth with the highest F1, of equal ones the highest, so that what is typed is what was measured.

    `FALLBACK` if no detection of such a score is right.
    """
    hundredths = np.arange(99, 0, -1) / 100
    kept = np.searchsorted(-joint.thresholds, -hundredths, side="right")
    f1 = np.concatenate([[0.0], joint.f1])[kept]
    return float(hundredths[int(f1.argmax())]) if f1.any() else FALLBACK
