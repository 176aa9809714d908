"""Paired comparison of two sets of detections in the same pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.intervals import (
    LEVEL,
    RESAMPLES,
    TIE,
    Interval,
    bias,
    check_sampling,
    interval_of,
    pictures_behind_mean,
    pictures_by_class,
)
from yolo.evaluation.matching import Matches, match
from yolo.evaluation.picture_scores import picture_scores
from yolo.evaluation.resampling import Resampled, draw_weights, joined, reweighted
from yolo.evaluation.results import DetectionColumns
from yolo.structs import Dataset

LISTED = 10
"""Usual number of pictures listed."""


@dataclass(frozen=True)
class Difference:
    """One metric of A and of B; NaN where it is undefined."""

    a: float
    b: float
    interval: Interval
    """Confidence interval of B's value less A's."""
    p: float
    """Two-sided p-value of no difference."""

    @property
    def difference(self) -> float:
        """B's value less A's: positive where B is better."""
        return self.b - self.a

    def to_dict(self) -> dict[str, Any]:
        """Plain data: ``{"a", "b", "difference", "interval": [low, high], "p"}``."""
        ends = list(self.interval)
        return {"a": self.a, "b": self.b, "difference": self.difference, "interval": ends, "p": self.p}


@dataclass(frozen=True)
class PictureDifference:
    """Scores of one picture's detections, see `picture_scores`."""

    picture: int
    """Index in the dataset."""
    a: float
    b: float

    @property
    def difference(self) -> float:
        """B's score less A's."""
        return self.b - self.a


@dataclass(frozen=True)
class Comparison:
    """Metrics of A and B on the same pictures, and how sure their differences are."""

    classes: tuple[str, ...]
    images: int
    """Number of pictures."""
    level: float
    """Confidence level of the intervals."""
    resamples: int
    """Number of resamples."""
    ap: Difference
    ap50: Difference
    class_ap: tuple[Difference, ...]
    """(C,) each class."""
    class_ap50: tuple[Difference, ...]
    """(C,) each class at IoU 0.5."""
    pictures: tuple[PictureDifference, ...]
    """Pictures whose scores differ, the largest differences first."""

    def to_dict(self, files: Mapping[int, str] | None = None) -> dict[str, Any]:
        """Plain data; ``files`` are the names of the pictures, which else are indices."""
        rows = zip(self.classes, self.class_ap, self.class_ap50, strict=True)
        return {
            "images": self.images,
            "level": self.level,
            "resamples": self.resamples,
            "AP": self.ap.to_dict(),
            "AP50": self.ap50.to_dict(),
            "classes": {name: {"AP": ap.to_dict(), "AP50": ap50.to_dict()} for name, ap, ap50 in rows},
            "pictures": [
                {
                    "picture": each.picture if files is None else files[each.picture],
                    "a": each.a,
                    "b": each.b,
                    "difference": each.difference,
                }
                for each in self.pictures
            ],
        }


def compare_detections(
    dataset: Dataset,
    a: DetectionColumns,
    b: DetectionColumns,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
    listed: int = LISTED,
) -> Comparison:
    """Compare two sets of detections by resampling the pictures, the same ones for both.

    What makes a picture hard is so in both, so that the difference is far surer than two intervals suggest. The p-value
    is that of the level at which the interval would end at 0 (Efron and Tibshirani 1993, section 15.4): twice the share
    of resamples on the other side of 0 than the difference, corrected for bias as the interval is.

    Args:
        dataset: the ground truth.
        a: detections in its pictures.
        b: other detections in its pictures.
        resamples: number of resamples.
        seed: the same seed gives the same resamples.
        level: confidence level.
        listed: largest number of pictures that are listed.

    Raises:
        ConfigError: a number is out of range.
    """
    check_sampling(resamples, seed, level)
    both = [match(dataset, found) for found in (a, b)]
    drawn: list[list[Resampled]] = [[], []]
    for weights in draw_weights(len(dataset), resamples, seed):
        for parts, matches in zip(drawn, both, strict=True):
            parts.append(reweighted(matches, weights))
    once = np.ones((len(dataset), 1), np.int32)
    pairs = Pair(*(reweighted(matches, once) for matches in both), *(joined(parts) for parts in drawn))
    counts = pictures_by_class(both[0])
    return Comparison(
        classes=dataset.classes,
        images=len(dataset),
        level=level,
        resamples=resamples,
        ap=pairs.of_mean("ap", counts, level, pictures=len(dataset)),
        ap50=pairs.of_mean("ap50", counts, level, pictures=len(dataset)),
        class_ap=pairs.of_classes("class_ap", counts, level),
        class_ap50=pairs.of_classes("class_ap50", counts, level),
        pictures=most_different(*both, listed=listed),
    )


@dataclass(frozen=True, eq=False)
class Pair:
    """Metrics of A and B: measured, and of the same resamples."""

    a: Resampled
    b: Resampled
    resampled_a: Resampled
    resampled_b: Resampled

    def of_mean(self, name: str, counts: NDArray[np.int64], level: float, *, pictures: int) -> Difference:
        """Compare the mean over the classes that the property ``name`` of `Resampled` is."""
        a, b, drawn = self.values(name)
        classes = self.values(f"class_{name}")[2]
        behind = pictures_behind_mean(classes, counts, pictures)
        return difference_of(float(a[0]), float(b[0]), drawn, pictures=behind, level=level)

    def of_classes(self, name: str, counts: NDArray[np.int64], level: float) -> tuple[Difference, ...]:
        """Compare each class; ``counts`` are the numbers of pictures that have it."""
        rows = zip(*self.values(name), counts.tolist(), strict=True)
        return tuple(
            difference_of(float(a[0]), float(b[0]), drawn, pictures=count, level=level) for a, b, drawn, count in rows
        )

    def values(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Measured values of A and of B, and B's less A's in the resamples."""
        a, b, drawn_a, drawn_b = (getattr(each, name) for each in (self.a, self.b, self.resampled_a, self.resampled_b))
        return a, b, drawn_b - drawn_a


def difference_of(a: float, b: float, differences: NDArray[np.float64], *, pictures: float, level: float) -> Difference:
    """Difference of a metric with its interval and p-value.

    Args:
        a: A's value.
        b: B's value.
        differences: (R,) B's values less A's in the resamples; NaN values do not count.
        pictures: number of pictures that they rest on.
        level: confidence level.
    """
    ends = interval_of(differences, b - a, pictures=pictures, level=level)
    return Difference(a, b, ends, p_value(differences, b - a, pictures=pictures))


def p_value(differences: NDArray[np.float64], measured: float, *, pictures: float) -> float:
    """Smallest two-sided level at which `interval_of` would leave out 0; NaN if there is no interval.

    It is at least 1 / (R + 1), as R resamples tell no less (Davison and Hinkley 1997, section 4.2).

    Args:
        differences: (R,) values of the resamples; NaN values do not count.
        measured: the measured difference.
        pictures: number of pictures that they rest on.
    """
    from scipy.special import stdtr

    defined = differences[~np.isnan(differences)]
    if pictures < 2 or not len(defined):
        return float("nan")
    if (np.abs(defined) <= TIE).all():
        return 1.0
    # The quantile of 0 among the resamples, seen from the middle of the interval, in deviations.
    far = bias(defined, 0.0) - 2 * bias(defined, measured)
    tail = float(stdtr(pictures - 1, -abs(far) / np.sqrt(pictures / (pictures - 1))))
    return min(1.0, max(2 * tail, 1 / (len(defined) + 1)))


def most_different(a: Matches, b: Matches, *, listed: int) -> tuple[PictureDifference, ...]:
    """List the pictures whose scores differ most; those that are equal are not listed."""
    scores = np.stack([picture_scores(a), picture_scores(b)])
    apart = np.abs(scores[1] - scores[0])
    order = np.argsort(-apart, kind="stable")[:listed]
    return tuple(
        PictureDifference(int(at), float(scores[0, at]), float(scores[1, at])) for at in order if apart[at] > TIE
    )
