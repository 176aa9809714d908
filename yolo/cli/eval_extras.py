"""Metrics of `yolov3 eval` on request: by chosen rules, by size and crowding, counts at a threshold; and curves."""

from __future__ import annotations

from typing import Any

from jsonargparse import ArgumentParser, Namespace

from yolo.config import check
from yolo.errors import ConfigError
from yolo.evaluation.chosen import Rules, measure_by
from yolo.evaluation.matching import COCO_IOUS, MAX_DETECTIONS, match
from yolo.evaluation.metrics import Metrics
from yolo.evaluation.results import DetectionColumns
from yolo.structs import Dataset

BEST = "best"
"""Word of --counts for the score of each class's best F1."""
CONF = 0.25
"""Score of the recall by size and crowding unless --counts gives another."""


def add_extra_options(parser: ArgumentParser) -> None:
    """Add the options that ask for more metrics."""
    group = parser.add_argument_group("metrics")
    group.add_argument(
        "--ious", type=str | None, metavar="X,...", help="also AP and AR at these IoUs, such as 0.5,0.75"
    )
    group.add_argument(
        "--max_dets",
        type=int | None,
        help=f"also with this many detections of a class in an image, not {MAX_DETECTIONS}",
    )
    group.add_argument(
        "--areas",
        type=str | None,
        metavar="X,...",
        help="also in ranges of areas with these borders in square pixels, such as 0,1024,9216",
    )
    group.add_argument("--slices", action="store_true", help="also by size and by crowding of the true boxes")
    group.add_argument(
        "--counts",
        type=str | None,
        metavar="X",
        help=f"also right, wrong and missed objects at this score; {BEST}: at that of each class's best F1",
    )


def check_extra_options(arguments: Namespace) -> None:
    """Check the options before anything is measured.

    Raises:
        ConfigError: a value is out of range, or no number.
    """
    chosen_rules(arguments)
    counted_score(arguments)


def chosen_rules(arguments: Namespace) -> Rules | None:
    """Rules of --ious, --max-dets and --areas; None if none is given."""
    if arguments.ious is None and arguments.max_dets is None and arguments.areas is None:
        return None
    return Rules(
        ious=COCO_IOUS if arguments.ious is None else numbers(arguments.ious, "ious"),
        max_detections=MAX_DETECTIONS if arguments.max_dets is None else arguments.max_dets,
        areas=() if arguments.areas is None else numbers(arguments.areas, "areas"),
    )


def numbers(text: str, option: str) -> tuple[float, ...]:
    """Numbers of an option that are separated by commas.

    Raises:
        ConfigError: one is no number.
    """
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError as error:
        raise ConfigError(f"{option} {text}: expected numbers separated by commas") from error


def counted_score(arguments: Namespace) -> float | None:
    """Score of --counts; None if it is not given or ``best``.

    Raises:
        ConfigError: it is no score.
    """
    if arguments.counts in (None, BEST):
        return None
    (score,) = numbers(arguments.counts, "counts")[:1]
    check("," not in arguments.counts and 0 <= score <= 1, "counts", f"a score in 0..1, or {BEST}", arguments.counts)
    return score


def add_extra_metrics(metrics: Metrics, arguments: Namespace, dataset: Dataset, found: DetectionColumns) -> None:
    """Add what the options ask for to the metrics object: ``chosen``, ``slices`` and ``counts``."""
    from yolo.analysis.counts import counts_at
    from yolo.analysis.curves import class_curves
    from yolo.analysis.slices import slices
    from yolo.analysis.thresholds import best_f1

    rules, score = chosen_rules(arguments), counted_score(arguments)
    if rules is not None:
        metrics["chosen"] = measure_by(dataset, found, rules)
    if arguments.slices:
        conf = CONF if score is None else score
        metrics["slices"] = {"conf": conf, "rows": [each.to_dict() for each in slices(dataset, found, conf=conf)]}
    if arguments.counts is not None:
        matches = match(dataset, found, ious=(0.5,))
        best = [best_f1(curve) for curve in class_curves(matches)]
        thresholds = best if score is None else [score] * len(dataset.classes)
        metrics["counts"] = {"iou": 0.5, "rows": [each.to_dict() for each in counts_at(matches, thresholds)]}


def curves(dataset: Dataset, found: DetectionColumns) -> dict[str, Any]:
    """Make plain data of the precision-recall curves of curves.json, thinned to a few hundred points each.

    Returns:
        ``{"iou", "curves": [{"name", "true_count", "thresholds", "right", "wrong"}]}``: of all classes
        together, then of each.
    """
    from yolo.analysis.curves import class_curves, joint_curve
    from yolo.analysis.thinning import thinned

    matches = match(dataset, found, ious=(0.5,))
    every = [thinned(curve) for curve in (joint_curve(matches), *class_curves(matches))]
    return {
        "iou": 0.5,
        "curves": [
            {
                "name": curve.name,
                "true_count": curve.true_count,
                "thresholds": curve.thresholds.tolist(),
                "right": curve.right.tolist(),
                "wrong": curve.wrong.tolist(),
            }
            for curve in every
        ],
    }
