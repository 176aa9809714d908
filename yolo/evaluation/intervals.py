"""Confidence intervals of average precisions, by bootstrap over the pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.config import check
from yolo.evaluation.matching import Matches
from yolo.evaluation.resampling import resample, reweighted

RESAMPLES = 1000
"""Usual number of resamples: the ends of a 95 % interval then rest on 25 of them each."""
LEVEL = 0.95
TIE = 1e-12
"""Difference below which two values are the same: sums of other lengths are rounded otherwise."""


class Interval(NamedTuple):
    """Range of plausible values of a metric; NaN where the metric is undefined."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.3f} to {self.high:.3f}"


@dataclass(frozen=True)
class Intervals:
    """Intervals of COCO's average precisions."""

    level: float
    """Share of intervals made so that hold the value of the population the pictures come from."""
    resamples: int
    """Number of resamples."""
    ap: Interval
    """Mean over classes and IoU thresholds."""
    ap50: Interval
    """Mean over classes at IoU 0.5."""
    class_ap: tuple[Interval, ...]
    """(C,) mean over IoU thresholds."""
    class_ap50: tuple[Interval, ...]
    """(C,) at IoU 0.5."""

    def to_dict(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """Plain data of the metrics object: ``{"level", "resamples", "AP": [low, high], "AP50", "classes"}``."""
        rows = zip(classes, self.class_ap, self.class_ap50, strict=True)
        return {
            "level": self.level,
            "resamples": self.resamples,
            "AP": list(self.ap),
            "AP50": list(self.ap50),
            "classes": {name: {"AP": list(ap), "AP50": list(ap50)} for name, ap, ap50 in rows},
        }


def bootstrap_intervals(
    matches: Matches, *, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> Intervals:
    """Compute intervals by resampling the pictures, as the objects in one picture are not independent.

    A class without true boxes in a resample does not enter its mean, as in COCO's evaluation.

    Args:
        matches: the detections matched at COCO's IoU thresholds.
        resamples: number of resamples.
        seed: the same seed gives the same resamples.
        level: confidence level.

    Raises:
        ConfigError: a number is out of range.
    """
    check_sampling(resamples, seed, level)
    drawn = resample(matches, resamples=resamples, seed=seed)
    whole = reweighted(matches, np.ones((matches.pictures_count, 1), np.int32))
    counts = pictures_by_class(matches)

    def of_classes(values: NDArray[np.float64], measured: NDArray[np.float64]) -> tuple[Interval, ...]:
        rows = zip(values, measured[:, 0], counts, strict=True)
        return tuple(interval_of(row, float(value), pictures=int(count), level=level) for row, value, count in rows)

    def of_mean(values: NDArray[np.float64], measured: NDArray[np.float64], classes: NDArray[np.float64]) -> Interval:
        pictures = pictures_behind_mean(classes, counts, matches.pictures_count)
        return interval_of(values, float(measured[0]), pictures=pictures, level=level)

    return Intervals(
        level=level,
        resamples=resamples,
        ap=of_mean(drawn.ap, whole.ap, drawn.class_ap),
        ap50=of_mean(drawn.ap50, whole.ap50, drawn.class_ap50),
        class_ap=of_classes(drawn.class_ap, whole.class_ap),
        class_ap50=of_classes(drawn.class_ap50, whole.class_ap50),
    )


def check_sampling(resamples: int, seed: int, level: float = LEVEL) -> None:
    """Raise a ConfigError if a number is out of range."""
    check(resamples >= 1, "resamples", ">= 1", resamples)
    check(seed >= 0, "seed", ">= 0", seed)
    check(0 < level < 1, "level", "in (0, 1)", level)


def pictures_by_class(matches: Matches) -> NDArray[np.int64]:
    """Number (C,) of pictures with true boxes of each class that count."""
    keys = np.unique(
        (matches.true_labels.astype(np.int64) * matches.pictures_count + matches.true_pictures)[~matches.true_ignored]
    )
    return np.bincount(keys // max(matches.pictures_count, 1), minlength=len(matches.classes))


def pictures_behind_mean(resampled: NDArray[np.float64], counts: NDArray[np.int64], pictures: int) -> float:
    """Number of pictures that a mean over classes rests on: few if rare classes cause most of its variance.

    Degrees of freedom of a sum of variances, each of its own number of pictures (Satterthwaite 1946), and one.

    Args:
        resampled: (C, R) values of the classes in the resamples, NaN where undefined.
        counts: (C,) number of pictures with each class.
        pictures: number of all pictures, the largest value returned.
    """
    several = (counts > 1) & ~np.isnan(resampled).all(axis=1)
    variances = np.nanvar(resampled[several], axis=1)
    parts = float((variances**2 / (counts[several] - 1)).sum())
    return min(float(pictures), 1 + float(variances.sum()) ** 2 / parts) if parts > 0 else float(pictures)


def interval_of(resampled: NDArray[np.float64], value: float, *, pictures: float, level: float) -> Interval:
    """Interval by the bias-corrected percentiles of resampled values, expanded for few pictures.

    Plain percentiles hold too little, as average precision is the higher the fewer the pictures: resamples have fewer
    different ones. The share of the resamples below the measured value tells by how much (Efron 1987, section 3). The
    percentiles are set apart as Student's t is from the normal distribution (Hesterberg 2015, section 3.5).

    Args:
        resampled: (R,) values of the resamples; NaN values do not count.
        value: the measured value.
        pictures: number of pictures that it rests on; NaN is returned for fewer than two.
        level: confidence level.
    """
    from scipy.special import ndtr, stdtrit

    defined = resampled[~np.isnan(resampled)]
    if pictures < 2 or not len(defined):
        return Interval(np.nan, np.nan)
    far = np.sqrt(pictures / (pictures - 1)) * stdtrit(pictures - 1, (1 + level) / 2)
    low, high = np.quantile(defined, ndtr(2 * bias(defined, value) + np.array([-far, far]))).tolist()
    return Interval(low, high)


def bias(resampled: NDArray[np.float64], value: float) -> float:
    """Quantile of the normal distribution for the share of resampled values below a value; equal ones count half."""
    from scipy.special import ndtri

    below = np.mean(resampled < value - TIE) + np.mean(np.abs(resampled - value) <= TIE) / 2
    least = 0.5 / len(resampled)
    return float(ndtri(np.clip(below, least, 1 - least)))
