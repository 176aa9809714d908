"""Bounding boxes of COCO's outlines: polygons, and masks as runs, compressed or not (cocoapi's maskApi.c)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Corners = tuple[float, float, float, float]


def bounding_box(outline: Any) -> Corners | None:
    """Corners of an object's outline; None if it has no area or is none."""
    try:
        return mask_box(outline) if isinstance(outline, dict) else polygon_box(outline)
    except (KeyError, TypeError, ValueError, OverflowError, IndexError):
        return None


def polygon_box(polygons: Any) -> Corners | None:
    """Corners around polygons: lists of x, y, x, y, ..., or of points, or one of these alone."""
    points = np.array([number for each in polygons for number in flat(each)], np.float64).reshape(-1, 2)
    if len(points) < 2 or not np.isfinite(points).all():
        return None
    return corners(points.min(axis=0), points.max(axis=0))


def flat(value: Any, levels: int = 2) -> list[float]:
    """Numbers in nested lists."""
    if isinstance(value, list) and levels:
        return [number for each in value for number in flat(each, levels - 1)]
    return [float(value)]


def mask_box(mask: dict[str, Any]) -> Corners | None:
    """Corners around a mask of runs, which go down the columns and begin with background.

    The mask itself is never made: its size is whatever the file says.
    """
    height, counts = int(mask["size"][0]), mask["counts"]
    runs = np.array(decoded(counts) if isinstance(counts, str) else [int(each) for each in counts], np.int64)
    if height < 1 or (runs < 0).any():
        return None
    ends = np.cumsum(runs)
    first, last = (ends - runs)[1::2], ends[1::2] - 1
    first, last = first[first <= last], last[first <= last]
    if not len(first):
        return None
    tall = first // height != last // height  # a run over the end of a column touches bottom and top
    rows = np.where(tall, 0, first % height).min(), np.where(tall, height - 1, last % height).max()
    return corners(np.array([first.min() // height, rows[0]]), np.array([last.max() // height, rows[1]]) + 1)


def decoded(text: str) -> list[int]:
    """Runs of a compressed mask: five bits a character, and from the fourth on differences to the last but one."""
    counts: list[int] = []
    value = shift = 0
    for character in text.encode("ascii"):
        bits = character - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("not a compressed mask")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    return counts


def corners(low: NDArray[Any], high: NDArray[Any]) -> Corners | None:
    if not (high > low).all():
        return None
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
