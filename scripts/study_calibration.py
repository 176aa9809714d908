"""Study of calibration: errors and AP before and after, on the half of the pictures that was not learned from.

    python scripts/study_calibration.py WEIGHTS DATA [--names FILE] [--seeds 10]

Each seed divides the pictures into two halves at random; thresholds and maps are fitted to one and measured on the
other. The table gives the mean over the seeds, and the standard deviation.
"""

from __future__ import annotations

import argparse

import numpy as np

import yolo
from yolo.analysis.calibrate import above_best_f1, check_boxes, figures
from yolo.analysis.calibration import calibrated, fit_calibration, judge
from yolo.analysis.thresholds import best_f1_thresholds
from yolo.evaluation.class_mapping import map_classes
from yolo.evaluation.evaluator import find_all
from yolo.evaluation.matching import match
from yolo.evaluation.results import DetectionColumns
from yolo.scores import ScoreRules
from yolo.structs import Dataset

KINDS = {
    "none": None,
    "isotonic": ("isotonic", False),
    "platt": ("platt", False),
    "isotonic by size": ("isotonic", True),
    "platt by size": ("platt", True),
}
"""Method, and whether sizes are calibrated by themselves."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("data")
    parser.add_argument("--names")
    parser.add_argument("--split")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    detector = yolo.load(options.weights, **({"names": options.names} if options.names else {}))
    dataset = map_classes(yolo.load_dataset(options.data, options.split), detector.classes)
    check_boxes(dataset)
    detector.score_rules = ScoreRules()
    detections = find_all(detector, dataset)
    counts = (f"{len(dataset)} pictures", f"{len(dataset.boxes)} boxes", f"{len(detections.boxes)} detections")
    print(*counts, f"{options.seeds} seeds", sep=", ")
    for kind in KINDS:
        rows = np.array([halves(dataset, detections, kind, seed) for seed in range(options.seeds)])
        cells = [f"{mean:.4f} ± {spread:.4f}" for mean, spread in zip(rows.mean(0), rows.std(0), strict=True)]
        print(f"{kind:18}", *cells, sep="  ")
    print(
        "columns: D-ECE, LaECE, both above the best-F1 thresholds, AP, AP50, F1 at the best-F1 thresholds, and at 0.25"
    )


def halves(dataset: Dataset, detections: DetectionColumns, kind: str, seed: int) -> list[float]:
    """Figures of one half of the pictures after a fit to the other."""
    order = np.random.default_rng(seed).permutation(len(dataset))
    parts = [np.sort(part) for part in np.array_split(order, 2)]
    (learned, learned_found), (other, other_found) = ((dataset.subset(p), detections.of(p)) for p in parts)
    in_use, rules = above_best_f1(other, other_found), ScoreRules()
    if (wanted := KINDS[kind]) is not None:
        method, by_size = wanted
        fitted = fit_calibration(judge(learned, learned_found), len(dataset.classes), method, by_size=by_size)
        rules = ScoreRules(calibration=fitted)
    mended = calibrated(other_found, rules)
    found = figures(other, mended, in_use, ranked=mended)
    best = best_f1_thresholds(match(learned, calibrated(learned_found, rules), ious=(0.5,)))
    fixed = dict.fromkeys(best, 0.25)
    f1 = [micro_f1(other, mended, np.array(list(each.values()))) for each in (best, fixed)]
    return [found.d_ece, found.laece, found.d_ece_in_use, found.laece_in_use, found.ap, found.ap50, *f1]


def micro_f1(dataset: Dataset, detections: DetectionColumns, thresholds: np.ndarray) -> float:
    """F1 of all classes with true boxes together, at a threshold of each class."""
    matches = match(dataset, detections, ious=(0.5,))
    kept = (matches.scores >= thresholds[matches.labels]) & (matches.true_counts > 0)[matches.labels]
    right, wrong = (kept & matches.right[0]).sum(), (kept & matches.wrong[0]).sum()
    return float(2 * right / (right + wrong + matches.true_counts.sum()))


if __name__ == "__main__":
    main()
