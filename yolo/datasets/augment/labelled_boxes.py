"""Boxes of an image with their labels, clipped and filtered on their way to the canvas."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.structs import Boxes

MIN_SIDE = 0.1
"""Smallest width and height, in pixels, of a clipped box that is kept."""

Window = tuple[int, int, int, int]
"""(top, left, bottom, right) in whole pixels, the last two exclusive."""


class LabelledBoxes(NamedTuple):
    """N boxes with their labels, ignore flags and visible fractions."""

    boxes: Boxes
    """(N, 4) xyxy."""
    labels: NDArray[np.int32]
    """(N,)"""
    ignore: NDArray[np.bool_]
    """(N,)"""
    visible: NDArray[np.float32]
    """(N,) fraction of each box's area that is left after all clipping so far."""

    def select(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> LabelledBoxes:
        """Select boxes by a mask (N,) or by indices (M,)."""
        return LabelledBoxes(self.boxes[kept], self.labels[kept], self.ignore[kept], self.visible[kept])


def from_sample(boxes: Boxes, labels: NDArray[np.int32], ignore: NDArray[np.bool_]) -> LabelledBoxes:
    """Labelled boxes of an image before any clipping."""
    return LabelledBoxes(boxes, labels, ignore, np.ones(len(labels), np.float32))


def mirrored_boxes(boxes: Boxes, width: int) -> Boxes:
    """Boxes (N, 4) xyxy mirrored left to right in an image of a given width."""
    left, top, right, bottom = boxes.T
    return np.stack([width - right, top, width - left, bottom], axis=1)


def clip(objects: LabelledBoxes, window: Window) -> LabelledBoxes:
    """Clip the boxes to a window; boxes with nothing left in it are dropped."""
    top, left, bottom, right = window
    boxes = objects.boxes
    lower, upper = np.array([left, top, left, top], np.float32), np.array([right, bottom, right, bottom], np.float32)
    inside = np.minimum(np.maximum(boxes, lower), upper)
    sides = inside[:, 2:] - inside[:, :2]
    left_over = sides.prod(axis=1) / np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), np.float32(1e-12))
    return objects._replace(boxes=inside, visible=objects.visible * left_over).select(np.all(sides >= MIN_SIDE, axis=1))


def drop_hidden(objects: LabelledBoxes, min_visibility: float) -> LabelledBoxes:
    """Keep the boxes with at least this fraction of their area left after all clipping.

    Ignored boxes are kept however little remains: their area must not count as background.
    """
    # Tolerance for rounding: an unclipped box may come out as 0.99999.
    kept: NDArray[np.bool_] = objects.ignore | (objects.visible >= min_visibility * (1 - 1e-5))
    return objects.select(kept)


def concatenate(parts: list[LabelledBoxes]) -> LabelledBoxes:
    """Concatenate the boxes of several images, in the order of the images."""
    if not parts:
        return from_sample(np.zeros((0, 4), np.float32), np.zeros(0, np.int32), np.zeros(0, np.bool_))
    if len(parts) == 1:
        return parts[0]
    return LabelledBoxes(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
