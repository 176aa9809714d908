"""Meaning of the rows of YOLO label files: boxes, boxes with a confidence, outlines, boxes with keypoints.

Outlines (class x y x y ...) and pose rows (class, box, keypoints) may have equally many numbers. All rows of a dataset
are decided together: keypoints lie within their box, and an outline does not cross itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["pose", "outline", "unclear"]
EXAMINED = 200
"""Largest number of rows that are examined."""
MOST_NUMBERS = 200
"""Largest number of values in a row that may be keypoints."""
OVER_EDGE = 0.02
"""Largest overhang of a keypoints' box, as a fraction of the image's side."""
BEYOND_BOX = 0.1
"""Largest distance of a visible keypoint from its box, as a fraction of the box's side."""
MOST = 0.9
"""Share of the rows that have to be as expected, for a few people's mistakes."""


@dataclass(frozen=True)
class RowTable:
    """K rows of numbers, each row a slice of one array."""

    values: NDArray[np.float64]
    starts: NDArray[np.int64]
    """(K,) index of each row's first number."""
    widths: NDArray[np.int64]
    """(K,)"""

    def column(self, index: int) -> NDArray[np.float64]:
        """Number ``index`` of each row (K,); all have to be that long."""
        return self.values[self.starts + index]

    def rows(self, chosen: NDArray[np.int64], width: int) -> NDArray[np.float64]:
        """Rows at ``chosen``, all of this width, as (len(chosen), width)."""
        return self.values[self.starts[chosen][:, None] + np.arange(width)]


def keypoint_kind(table: RowTable, long: NDArray[np.bool_]) -> tuple[Kind, int]:
    """Decide whether the rows ``long`` (K,), of seven numbers or more, have keypoints; also their width."""
    widths = np.unique(table.widths[long])
    width = int(widths[0]) if len(widths) else 0
    if len(widths) != 1 or width > MOST_NUMBERS:
        return "outline", width
    chosen = np.flatnonzero(long)
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), EXAMINED)).astype(np.int64)]
    rows = table.rows(chosen, width)
    if (width - 5) % 3 == 0 and has_visibility(rows):
        return "pose", width
    if width % 2 == 0 or not within_box(
        rows[:, 1:5], rows[:, 5::2], rows[:, 6::2], np.full(len(rows), fill_value=True)
    ):
        return "outline", width
    if not plain_outlines(rows[:, 1::2], rows[:, 2::2]):
        return "pose", width
    return ("unclear" if long.all() else "outline"), width  # there are no plain boxes among poses


def has_visibility(rows: NDArray[np.float64]) -> bool:
    """Whether rows (K, 5 + 3k) end in points x, y and visibility (0, 1 or 2) or a confidence (0 to 1)."""
    x, y, seen = (rows[:, first::3] for first in (5, 6, 7))
    exact = bool(np.isin(seen, (0, 1, 2)).all())
    if not (exact or (rows.shape[1] % 2 == 0 and bool(((seen >= 0) & (seen <= 1)).all()))):
        return False
    # Within [0, 1], as the third number of an outline never is 2.
    return bool((seen > 1).any()) or within_box(rows[:, 1:5], x, y, seen > 0.5)


def within_box(
    boxes: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64], seen: NDArray[np.bool_]
) -> bool:
    """Whether most of K boxes (K, 4; centre and size) lie in the image and contain their points x and y (K, k)."""
    seen = np.broadcast_to(seen if seen.ndim == 2 else seen[:, None], x.shape)
    with np.errstate(invalid="ignore", over="ignore"):
        centre, size = boxes[:, :2], boxes[:, 2:]
        inside = (np.abs(centre - 0.5) + size / 2 <= 0.5 + OVER_EDGE).all(axis=1) & (size > 0).all(axis=1)
        reach = size * (0.5 + BEYOND_BOX)
        held = (np.abs(x - centre[:, :1]) <= reach[:, :1]) & (np.abs(y - centre[:, 1:]) <= reach[:, 1:])
    good = inside & (held | ~seen).all(axis=1)
    return bool(good.mean() >= MOST)


def plain_outlines(x: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
    """Whether most of K outlines with corners x and y (K, c) do not cross themselves."""
    points = np.stack([x, y], axis=-1)
    sides = np.roll(points, -1, axis=1) - points
    count = points.shape[1]
    crossed = np.zeros(len(points), bool)

    def turn(corner: NDArray[np.float64], side: int) -> NDArray[np.float64]:
        offset = corner - points[:, side]
        return np.asarray(sides[:, side, 0] * offset[:, 1] - sides[:, side, 1] * offset[:, 0])

    with np.errstate(invalid="ignore", over="ignore"):
        for first in range(count):
            for second in range(first + 2, count - (first == 0)):
                ends = points[:, second], points[:, (second + 1) % count]
                others = points[:, first], points[:, (first + 1) % count]
                crossed |= (turn(ends[0], first) * turn(ends[1], first) < 0) & (
                    turn(others[0], second) * turn(others[1], second) < 0
                )
    return bool((~crossed).mean() >= MOST)


def outline_boxes(table: RowTable, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    """Boxes (len(chosen), 4) as centre and size around the outlines x, y, x, y, ... of rows; NaN if a corner is."""
    boxes = np.full((len(chosen), 4), np.nan)
    if not len(chosen):
        return boxes
    counts = (table.widths[chosen] - 1) // 2
    firsts = np.cumsum(counts) - counts
    offsets = np.arange(counts.sum()) - np.repeat(firsts, counts)
    x_at = np.repeat(table.starts[chosen] + 1, counts) + 2 * offsets
    with np.errstate(invalid="ignore", over="ignore"):
        for axis in (0, 1):
            corners = table.values[x_at + axis]
            low, high = np.minimum.reduceat(corners, firsts), np.maximum.reduceat(corners, firsts)
            boxes[:, axis], boxes[:, axis + 2] = low / 2 + high / 2, high - low
    boxes[~np.isfinite(boxes).all(axis=1)] = np.nan
    return boxes
