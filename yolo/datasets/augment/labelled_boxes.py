"""The boxes of a picture on their way onto the canvas: moved, cut at edges, and judged by what is left of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.structs import Boxes

MIN_SIDE = 0.1
"""Pixels; what a cut leaves of a box has to be at least this wide and high."""

Window = tuple[int, int, int, int]
"""(top, left, bottom, right) in whole pixels, the last two exclusive."""


class Objects(NamedTuple):
    """N boxes with all that belongs to them."""

    boxes: Boxes
    """(N, 4) xyxy."""
    labels: NDArray[np.int32]
    """(N,)"""
    ignore: NDArray[np.bool_]
    """(N,)"""
    visible: NDArray[np.float32]
    """(N,) the share of each box' area that cuts have left so far."""

    def chosen(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> Objects:
        """Those of the N that ``kept`` names: a mask (N,) or indices (M,)."""
        return Objects(self.boxes[kept], self.labels[kept], self.ignore[kept], self.visible[kept])


def whole(boxes: Boxes, labels: NDArray[np.int32], ignore: NDArray[np.bool_]) -> Objects:
    """The objects of a picture of which nothing has been cut yet."""
    return Objects(boxes, labels, ignore, np.ones(len(labels), np.float32))


def mirrored_boxes(boxes: Boxes, width: int) -> Boxes:
    """(N, 4) xyxy of a picture so wide, with its left and right swapped."""
    left, top, right, bottom = boxes.T
    return np.stack([width - right, top, width - left, bottom], axis=1)


def cut(objects: Objects, window: Window) -> Objects:
    """The boxes cut at the window's edges; those of which nothing is left there are gone."""
    top, left, bottom, right = window
    boxes = objects.boxes
    lower, upper = np.array([left, top, left, top], np.float32), np.array([right, bottom, right, bottom], np.float32)
    inside = np.minimum(np.maximum(boxes, lower), upper)
    sides = inside[:, 2:] - inside[:, :2]
    share = sides.prod(axis=1) / np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), np.float32(1e-12))
    return objects._replace(boxes=inside, visible=objects.visible * share).chosen(np.all(sides >= MIN_SIDE, axis=1))


def judged(objects: Objects, min_visibility: float) -> Objects:
    """Those of which all cuts together have left at least this share; ignored ones in any case.

    What is left of a crowd is still no background.
    """
    # A box that nothing has cut may have lost its last digit.
    kept: NDArray[np.bool_] = objects.ignore | (objects.visible >= min_visibility * (1 - 1e-5))
    return objects.chosen(kept)


def joined(parts: list[Objects]) -> Objects:
    """The objects of several pictures as those of one, in the order of the pictures."""
    if not parts:
        return whole(np.zeros((0, 4), np.float32), np.zeros(0, np.int32), np.zeros(0, np.bool_))
    if len(parts) == 1:
        return parts[0]
    return Objects(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
