"""Coverage of the confidence intervals: do 95 % intervals hold the population's value in 95 % of samples?

    python scripts/study_intervals.py [--pictures 50,200,1000] [--samples 1000,600,300] [--resamples 500]

A population of 40,000 made-up pictures has five classes with 50, 25, 15, 7 and 3 % of the boxes, pictures of different
difficulty, and two detectors of the same kind that err independently in it. Their average precisions in the population
are the truth. Of each sample drawn from it, the intervals of one and the comparison of both are computed. Printed are
the shares of samples whose interval holds the truth, of plain percentiles and of `yolo.evaluation.intervals`, and the
share in which the comparison calls a difference significant that is not there (p < 0.05; it should be 0.05).
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import numpy as np

from yolo.evaluation.average_precision import average_precisions
from yolo.evaluation.comparison import difference_of
from yolo.evaluation.intervals import interval_of, pictures_behind_mean, pictures_by_class
from yolo.evaluation.matching import Matches, match
from yolo.evaluation.resampling import Resampled, resample, reweighted
from yolo.evaluation.results import DetectionColumns
from yolo.structs import Dataset

POPULATION = 40_000
FREQUENCIES = (0.5, 0.25, 0.15, 0.07, 0.03)
METRICS = ("AP", "AP50", *(f"{share:.0%} class" for share in FREQUENCIES))
LEVEL = 0.95


def main() -> int:
    """Print a table for each number of pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", default="50,200,1000")
    parser.add_argument("--samples", default="1000,600,300", help="number of samples for each number of pictures")
    parser.add_argument("--resamples", type=int, default=500)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    dataset, hardness = make_pictures(rng)
    both = [match(dataset, make_detections(rng, dataset, hardness)) for _ in range(2)]
    truths = [metrics_of(average_precisions(each)) for each in both]
    print("population " + "  ".join(f"{name} {value:.3f}" for name, value in zip(METRICS, truths[0], strict=True)))
    numbers = (map(int, text.split(",")) for text in (arguments.pictures, arguments.samples))
    for pictures, samples in zip(*numbers, strict=True):
        rows = [study(both, truths, pictures, seed, arguments.resamples) for seed in range(samples)]
        print_rows(pictures, np.array(rows))
    return 0


def print_rows(pictures: int, found: np.ndarray) -> None:
    """Print means (S, rows, metrics) over the samples; NaN where a metric is undefined in a sample."""
    names = ("plain percentiles", "corrected", "of a difference", "p < 0.05", "width", "bias")
    print(f"{pictures} pictures, {len(found)} samples".ljust(28) + "".join(f"{name:>10}" for name in METRICS))
    for name, values in zip(names, np.nanmean(found, axis=0), strict=True):
        print(f"  {name:<26}" + "".join(f"{value:10.3f}" for value in values))


def study(both: list[Matches], truths: list[np.ndarray], pictures: int, seed: int, resamples: int) -> np.ndarray:
    """Rows (6, metrics) of one sample: whether each interval holds the truth, and so on as `print_rows` names them."""
    chosen = np.random.default_rng([1, seed]).choice(POPULATION, pictures, replace=False)
    samples = [part_of(each, chosen) for each in both]
    measured = [stacked(reweighted(each, np.ones((pictures, 1), np.int32)))[:, 0] for each in samples]
    drawn = [stacked(resample(each, resamples=resamples, seed=seed)) for each in samples]
    counts = pictures_by_class(samples[0])
    behind = [pictures_behind_mean(each, counts, pictures) for each in (drawn[0][2:], drawn[1][2:] - drawn[0][2:])]
    numbers = [[each, each, *counts.tolist()] for each in behind]
    rows = np.full((6, len(METRICS)), np.nan)
    for at, (values, *count) in enumerate(zip(drawn[0], *numbers, strict=True)):
        defined = values[~np.isnan(values)]
        if count[0] < 2 or not len(defined):
            continue
        plain = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        own = interval_of(values, float(measured[0][at]), pictures=count[0], level=LEVEL)
        a, b = (float(each[at]) for each in measured)
        difference = difference_of(a, b, drawn[1][at] - values, pictures=count[1], level=LEVEL)
        gap = truths[1][at] - truths[0][at]
        rows[:, at] = (
            plain[0] <= truths[0][at] <= plain[1],
            own.low <= truths[0][at] <= own.high,
            difference.interval.low <= gap <= difference.interval.high,
            difference.p < 1 - LEVEL,
            own.high - own.low,
            a - truths[0][at],
        )
    return rows


def metrics_of(precisions: np.ndarray) -> np.ndarray:
    """AP, AP50 and the AP of each class."""
    return np.array([precisions.mean(), precisions[0].mean(), *precisions.mean(axis=0)])


def stacked(found: Resampled) -> np.ndarray:
    """Values (metrics, R) of AP, AP50 and the AP of each class."""
    return np.vstack([found.ap, found.ap50, found.class_ap])


def part_of(matches: Matches, pictures: np.ndarray) -> Matches:
    """Select some pictures, which get the numbers from 0."""
    new = np.full(matches.pictures_count, -1)
    new[pictures] = np.arange(len(pictures))
    kept, true = new[matches.pictures] >= 0, new[matches.true_pictures] >= 0
    matched, number = matches.matched[:, kept], np.cumsum(true) - 1
    return replace(
        matches,
        rows=matches.rows[kept],
        pictures=new[matches.pictures[kept]],
        labels=matches.labels[kept],
        scores=matches.scores[kept],
        matched=np.where(matched >= 0, number[matched], -1),
        ignored=matches.ignored[:, kept],
        true_pictures=new[matches.true_pictures[true]],
        true_labels=matches.true_labels[true],
        true_ignored=matches.true_ignored[true],
        pictures_count=len(pictures),
    )


def make_pictures(rng: np.random.Generator) -> tuple[Dataset, np.ndarray]:
    """Dataset of the population, and how hard each picture is."""
    counts = 1 + rng.poisson(2, POPULATION) * (rng.random(POPULATION) < 0.8)
    boxes = random_boxes(rng, int(counts.sum()))
    classes = tuple(f"class {at}" for at in range(len(FREQUENCIES)))
    dataset = Dataset(
        classes=classes,
        files=[f"{at}.jpg" for at in range(POPULATION)],
        sizes=np.full((POPULATION, 2), 750, np.int32),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        boxes=boxes,
        labels=rng.choice(len(classes), len(boxes), p=FREQUENCIES).astype(np.int32),
        ignore=np.zeros(len(boxes), bool),
        areas=(boxes[:, 2:] - boxes[:, :2]).prod(axis=1),
        image_ids=range(POPULATION),
        category_ids=tuple(range(len(classes))),
    )
    return dataset, rng.normal(0, 0.7, POPULATION)


def make_detections(rng: np.random.Generator, dataset: Dataset, hardness: np.ndarray) -> DetectionColumns:
    """Detections that find, misplace and invent boxes, more of it in hard pictures."""
    pictures, count = dataset.box_pictures, len(dataset.boxes)
    clear = 1.2 - hardness[pictures] - 0.5 * (dataset.labels % 3) + rng.normal(0, 1, count)
    found = rng.random(count) < logistic(clear)
    sides = np.tile(dataset.boxes[:, 2:] - dataset.boxes[:, :2], 2)
    shift = rng.normal(0, 0.06, (count, 4)) * sides * np.exp(0.4 * hardness[pictures])[:, None]
    scores = logistic(0.8 * clear + rng.normal(0, 1, count))
    false = np.repeat(np.arange(POPULATION), rng.poisson(4 * np.exp(0.5 * hardness)))
    return DetectionColumns(
        pictures=np.concatenate([pictures[found], false]),
        labels=np.concatenate([dataset.labels[found], rng.choice(len(FREQUENCIES), len(false), p=FREQUENCIES)]).astype(
            np.int32
        ),
        scores=np.concatenate([scores[found], rng.beta(1, 3, len(false))]),
        boxes=np.concatenate([(dataset.boxes + shift)[found], random_boxes(rng, len(false))]).astype(np.float32),
    )


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Boxes (K, 4) xyxy of 16 to 250 pixels a side."""
    sides, corners = np.exp(rng.uniform(np.log(16), np.log(250), (count, 2))), rng.uniform(0, 500, (count, 2))
    return np.concatenate([corners, corners + sides], axis=1).astype(np.float32)


def logistic(values: np.ndarray) -> np.ndarray:
    """Logistic function."""
    return 1 / (1 + np.exp(-values))


if __name__ == "__main__":
    sys.exit(main())
