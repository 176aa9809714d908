"""Curves of a few hundred points that look like the whole ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from yolo.analysis.curves import Curve

COLUMNS = 40
"""Number of equal columns of each horizontal axis."""


def thinned(curve: Curve) -> Curve:
    """Thin a curve to at most 16 points in each of `COLUMNS` columns, over recall and over the threshold.

    Of each column the first, the last, the lowest and the highest point is kept, so that a line through the points
    fills the same pixels at that width (M4 of Jugel et al. 2014). Precision and F1 decide, over recall and over the
    threshold; a point of the highest F1 is kept.
    """
    if len(curve.thresholds) <= 8 * COLUMNS:
        return curve
    spread = curve.thresholds[0] - curve.thresholds[-1]
    across = [curve.right / max(curve.right[-1], 1), (curve.thresholds[0] - curve.thresholds) / (spread or 1.0)]
    parts = [extremes(x, y) for x in across for y in (curve.precision, curve.f1)]
    rows = np.unique(np.concatenate(parts))
    return replace(curve, thresholds=curve.thresholds[rows], right=curve.right[rows], wrong=curve.wrong[rows])


def extremes(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of the first, last, lowest and highest point in each column.

    Args:
        x: (S,) rising positions in 0..1.
        y: (S,) heights.
    """
    columns = np.minimum((x * COLUMNS).astype(np.int64), COLUMNS - 1)
    starts = np.flatnonzero(np.diff(columns, prepend=-1))
    ends = np.append(starts[1:], len(x)) - 1
    order = np.lexsort((y, columns))  # the columns stay where they are, each by rising height
    return np.concatenate([starts, ends, order[starts], order[ends]])
