"""Rules for a detector's scores, stored in its file: thresholds of each class, and a calibration.

A calibration maps the scores that a network gives to shares of right detections, by class and, on request, by the size
of the box. It is applied after suppression, in one place (`yolo/ops/unpad.py`), whatever ran the network. Scores before
it are called *raw*; every threshold that a user gives or a file holds is one of calibrated scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from yolo.config import NmsConfig
from yolo.errors import ConfigError

Method = Literal["isotonic", "platt"]
"""Kinds of calibration."""
ScoreMap = tuple[tuple[float, float], ...]
"""Monotone function of the raw score: of isotonic its corners (raw, calibrated), both rising, straight in between; of
platt one pair, slope and offset on the logit."""
MARGIN = 1e-6
"""Subtracted from the lowest raw score: networks compute in single precision, and the exact threshold comes later."""
EPSILON = 1e-7
"""Distance from 0 and 1 that a score keeps where its logit is taken."""


@dataclass(frozen=True)
class Calibration:
    """Monotone maps from raw to calibrated scores.

    Raises:
        ConfigError: a map is not monotone within 0..1, or does not fit the method.
    """

    method: Method
    maps: tuple[ScoreMap, ...]
    """Distinct maps."""
    chosen: tuple[tuple[int, ...], ...]
    """(C, S) index of the map of each class and box size."""
    size_edges: tuple[float, ...] = ()
    """(S - 1,) borders of the box sizes, square roots of areas in pixels of the image; a box on one is the larger."""

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise ConfigError(f"calibration: expected {' or '.join(get_args(Method))}, got {self.method}")
        for each in self.maps:
            _check_map(self.method, each)
        sizes = len(self.size_edges) + 1
        indices = [index for row in self.chosen for index in row]
        if any(len(row) != sizes for row in self.chosen) or not all(0 <= i < len(self.maps) for i in indices):
            raise ConfigError(f"calibration: expected {sizes} of {len(self.maps)} maps for each class")
        if not (np.diff([0.0, *self.size_edges]) > 0).all():
            raise ConfigError(f"calibration: expected rising sizes, got {list(self.size_edges)}")

    def apply(self, boxes: NDArray[Any], labels: NDArray[Any], scores: NDArray[Any]) -> NDArray[np.float64]:
        """Calibrate scores.

        Args:
            boxes: (N, 4) xyxy in pixels of the image.
            labels: (N,) indices into the classes.
            scores: (N,) raw scores.
        """
        raw = scores.astype(np.float64)
        which = np.array(self.chosen)[labels, self.sizes_of(boxes)]
        calibrated = np.empty(len(raw))
        for index in np.unique(which):
            rows = which == index
            calibrated[rows] = _mapped(self.method, self.maps[index], raw[rows])
        return calibrated

    def sizes_of(self, boxes: NDArray[Any]) -> NDArray[np.int64]:
        """Index (N,) of the size of boxes (N, 4) among those that the borders part."""
        sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).astype(np.float64)
        return np.searchsorted(np.array(self.size_edges), np.sqrt(sides.prod(axis=1)), side="right")

    def lowest_raw(self, calibrated: float, label: int) -> float:
        """Lowest raw score that a class needs for a calibrated one, in its most generous size; 1 if none is enough."""
        return min(_lowest(self.method, self.maps[index], calibrated) for index in set(self.chosen[label]))


@dataclass(frozen=True)
class ScoreRules:
    """Thresholds and calibration of a detector's scores; empty for one that was never measured.

    Raises:
        ConfigError: a threshold is not in 0..1, or thresholds and calibration are of different numbers of classes.
    """

    thresholds: tuple[float, ...] = ()
    """(C,) lowest score of each class, calibrated if there is a calibration; empty: not measured."""
    calibration: Calibration | None = None
    about: dict[str, Any] = field(default_factory=dict)
    """Where they come from: data, number of images, what was wanted."""

    def __post_init__(self) -> None:
        if not all(0 <= each <= 1 for each in self.thresholds):
            raise ConfigError(f"thresholds: expected numbers in 0..1, got {list(self.thresholds)}")
        counts = {len(self.thresholds)} - {0} | ({len(self.calibration.chosen)} if self.calibration else set())
        if len(counts) > 1:
            raise ConfigError(f"score rules: expected one number of classes, got {sorted(counts)}")

    def __bool__(self) -> bool:
        return bool(self.thresholds) or self.calibration is not None

    @property
    def class_count(self) -> int | None:
        """Number of classes C; None if there are no rules."""
        return len(self.calibration.chosen) if self.calibration else len(self.thresholds) or None

    def check_classes(self, classes: Sequence[str]) -> None:
        """Check that the rules are of as many classes.

        Raises:
            ConfigError: they are not.
        """
        if self.class_count not in (None, len(classes)):
            raise ConfigError(f"score rules: of {self.class_count} classes, the detector has {len(classes)}")

    def with_auto(self, nms: NmsConfig) -> NmsConfig:
        """Take the stored threshold of each class in place of ``conf``.

        Raises:
            ConfigError: no thresholds are stored.
        """
        if not self.thresholds:
            raise ConfigError(
                "conf auto: the model holds no thresholds of its classes; measure them with yolov3 calibrate, or give "
                "a number"
            )
        return replace(nms, class_conf=self.thresholds)

    def raw(self, nms: NmsConfig) -> NmsConfig:
        """Thresholds for raw scores that keep all that `finished` keeps: one of all classes, the lowest."""
        if self.calibration is None:
            return replace(nms, conf=min(nms.class_conf), class_conf=()) if nms.class_conf else nms
        labels = range(len(self.calibration.chosen))
        wanted = nms.class_conf or (nms.conf,) * len(labels)
        lowest = min(self.calibration.lowest_raw(conf, label) for label, conf in zip(labels, wanted, strict=True))
        return replace(nms, conf=max(lowest - MARGIN, 0.0), class_conf=())

    def apply(self, boxes: NDArray[Any], labels: NDArray[Any], scores: NDArray[Any]) -> NDArray[Any]:
        """Calibrate scores (N,) of boxes (N, 4) in pixels of the image; unchanged without a calibration."""
        if self.calibration is None:
            return scores
        return self.calibration.apply(boxes, labels, scores).astype(scores.dtype)

    def finished(
        self, boxes: NDArray[Any], labels: NDArray[Any], scores: NDArray[Any], nms: NmsConfig | None
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Calibrate the detections of one image, and keep those at or above their thresholds, best first.

        Detections of equal scores keep the order that they had.

        Args:
            boxes: (N, 4) xyxy in pixels of the image.
            labels: (N,) indices into the classes.
            scores: (N,) raw scores, falling.
            nms: thresholds that the detections were found with by `raw`; None: all are kept.
        """
        by_class = np.array(nms.class_conf) if nms and nms.class_conf else None
        if self.calibration is None and by_class is None:
            return boxes, labels, scores
        calibrated = self.apply(boxes, labels, scores)
        least = 0.0 if nms is None else nms.conf if by_class is None else by_class[labels]
        order = np.argsort(-calibrated, kind="stable")
        order = order[(calibrated >= np.asarray(least, calibrated.dtype))[order]]
        return boxes[order], labels[order], calibrated[order]

    def of_classes(self, origins: Sequence[int]) -> ScoreRules:
        """Rules for other classes, of which each is one of these, by its index; empty if one is new (-1)."""
        if not self or min(origins) < 0:
            return NO_RULES
        calibration = self.calibration and replace(
            self.calibration, chosen=tuple(self.calibration.chosen[index] for index in origins)
        )
        thresholds = tuple(self.thresholds[index] for index in origins) if self.thresholds else ()
        return ScoreRules(thresholds, calibration, self.about)

    def to_plain(self) -> dict[str, Any]:
        """Convert to plain data for JSON."""
        plain: dict[str, Any] = {"thresholds": list(self.thresholds), "about": self.about}
        if self.calibration is not None:
            plain["calibration"] = {
                "method": self.calibration.method,
                "maps": [[list(pair) for pair in each] for each in self.calibration.maps],
                "chosen": [list(row) for row in self.calibration.chosen],
                "size_edges": list(self.calibration.size_edges),
            }
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any] | None) -> ScoreRules:
        """Read what `to_plain` gave; None, as in files of earlier versions: no rules.

        Raises:
            ConfigError: the data are not score rules.
        """
        try:
            found = plain or {}
            stored = found.get("calibration")
            calibration = stored and Calibration(
                method=stored["method"],
                maps=tuple(tuple((float(x), float(y)) for x, y in each) for each in stored["maps"]),
                chosen=tuple(tuple(map(int, row)) for row in stored["chosen"]),
                size_edges=tuple(map(float, stored["size_edges"])),
            )
            thresholds = tuple(map(float, found.get("thresholds", ())))
            return cls(thresholds, calibration or None, dict(found.get("about", {})))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"score rules: damaged ({error!s:.100})") from error


NO_RULES = ScoreRules()
"""Rules of a detector that was never measured: scores stay as the network gives them."""


def logit(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Logits of scores, kept finite."""
    inside = np.clip(scores.astype(np.float64), EPSILON, 1 - EPSILON)
    return np.log(inside) - np.log1p(-inside)


def sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logistic function, without overflow."""
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1.0, small) / (1 + small)


def _mapped(method: Method, score_map: ScoreMap, raw: NDArray[np.float64]) -> NDArray[np.float64]:
    if method == "platt":
        ((slope, offset),) = score_map
        return sigmoid(slope * logit(raw) + offset)
    x, y = zip(*score_map, strict=True)
    return np.interp(raw, x, y)


def _lowest(method: Method, score_map: ScoreMap, calibrated: float) -> float:
    """Lowest raw score that a map takes to a calibrated one or above; 1 if it takes none there."""
    if method == "platt":
        ends = _mapped(method, score_map, np.array([0.0, 1.0]))
        if not ends[0] < calibrated <= ends[1]:
            return 0.0 if calibrated <= ends[0] else 1.0
        ((slope, offset),) = score_map
        wanted = np.log(calibrated) - np.log1p(-calibrated) if calibrated < 1 else np.inf
        return min(float(sigmoid(np.array((wanted - offset) / slope))), 1 - EPSILON)
    x, y = (np.array(each) for each in zip(*score_map, strict=True))
    above = int(np.searchsorted(y, calibrated, side="left"))
    if above == len(y):
        return 1.0
    if above == 0:
        return 0.0  # everything below the first corner has its value
    share = (calibrated - y[above - 1]) / (y[above] - y[above - 1])
    return float(x[above - 1] + share * (x[above] - x[above - 1]))


def _check_map(method: Method, score_map: ScoreMap) -> None:
    values = np.array(score_map, np.float64)
    if values.ndim != 2 or not len(values) or not np.isfinite(values).all():
        raise ConfigError("calibration: expected pairs of numbers in each map")
    if method == "platt" and not (len(values) == 1 and values[0, 0] > 0):
        raise ConfigError(f"calibration: expected one positive slope with its offset, got {score_map}")
    if method == "isotonic":
        rising = (np.diff(values[:, 0]) > 0).all() and (np.diff(values[:, 1]) >= 0).all()
        if not rising or values.min() < 0 or values.max() > 1:
            raise ConfigError("calibration: expected corners that rise within 0..1")
