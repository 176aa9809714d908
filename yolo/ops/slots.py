"""Slots: the P predictions of all scales and anchors on one axis.

They run from the coarsest scale to the finest; within a scale by row, column, anchor. Numpy alone: a runtime that is
not Keras decodes without importing it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

LARGEST_EXPONENT = 10.0
"""Upper bound of t_w and t_h: a box is at most e^10 times its anchor, so that float32 areas stay finite."""


@dataclass(frozen=True)
class Coding:
    """Encoding of a head's outputs where it differs from YOLOv3's."""

    sizes: Literal["exponential", "squared"] = "exponential"
    """Width relative to the anchor's: e^t (YOLOv2, figure 3), or (2 sigmoid(t))^2 (Scaled-YOLOv4, Darknet's
    new_coords)."""
    softmax: bool = False
    """Whether classes are mutually exclusive, as in YOLOv2; else each has a sigmoid of its own."""
    scale_xy: tuple[float, ...] = ()
    """How far beyond its cell a centre can reach, per scale (YOLOv4, section 3.4); () is 1 everywhere."""


YOLOV3 = Coding()


@dataclass(frozen=True, eq=False)
class Layout:
    """Position of each of the A anchors of all scales on the slot axis: (A,) arrays, coarse to fine."""

    anchors: NDArray[np.float32]
    """(A, 2) width and height in canvas pixels."""
    stride: NDArray[np.float32]
    """Canvas pixels per cell."""
    rows: NDArray[np.int32]
    """Rows of the grid of the anchor's scale."""
    columns: NDArray[np.int32]
    """Columns of the grid of the anchor's scale."""
    first: NDArray[np.int32]
    """Slot of the anchor in the top left cell of its scale."""
    step: NDArray[np.int32]
    """Anchors per cell: distance from a cell's slot to that of the next cell."""


@dataclass(frozen=True, eq=False)
class Slots:
    """Cell, stride and anchor of each of the P slots of a canvas, as constants."""

    cell: NDArray[np.float32]
    """(P, 2) column and row of the slot's cell."""
    stride: NDArray[np.float32]
    """(P, 1) canvas pixels per cell."""
    anchor: NDArray[np.float32]
    """(P, 2) width and height of the slot's anchor in canvas pixels."""
    scale_xy: NDArray[np.float32]
    """(P, 1) range of a centre in cells, around the middle of its cell."""
    layout: Layout
    canvas: tuple[int, int]
    """(height, width) in pixels."""
    coding: Coding = YOLOV3

    def __len__(self) -> int:
        return len(self.cell)


def make_slots(
    canvas: tuple[int, int],
    strides: Sequence[int],
    anchors: Sequence[NDArray[np.float32]],
    coding: Coding = YOLOV3,
) -> Slots:
    """Build the slots of a (height, width) canvas from the strides and anchors (A, 2) of its scales, coarse to fine."""
    cells, slot_strides, slot_anchors, slot_scales, layouts, first = [], [], [], [], [], 0
    scales = coding.scale_xy or (1.0,) * len(strides)
    for stride, shapes, scale_xy in zip(strides, anchors, scales, strict=True):
        rows, columns, count = canvas[0] // stride, canvas[1] // stride, len(shapes)
        row, column, index = (axis.ravel() for axis in np.mgrid[:rows, :columns, :count])
        cells.append(np.stack([column, row], -1))
        slot_strides.append(np.full((len(row), 1), stride))
        slot_anchors.append(shapes[index])
        slot_scales.append(np.full((len(row), 1), scale_xy))
        layouts.append([(stride, rows, columns, first + i, count) for i in range(count)])
        first += len(row)
    per_anchor = np.concatenate(layouts).T
    layout = Layout(
        np.concatenate(anchors).astype(np.float32),
        per_anchor[0].astype(np.float32),
        *per_anchor[1:].astype(np.int32),
    )
    cell, slot_stride, slot_anchor, slot_scale = (
        np.concatenate(part).astype(np.float32) for part in (cells, slot_strides, slot_anchors, slot_scales)
    )
    return Slots(cell, slot_stride, slot_anchor, slot_scale, layout, canvas, coding)
