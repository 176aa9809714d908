"""The P predictions of all scales as one axis.

Slots run from the coarsest scale to the finest; within a scale by row, column, anchor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from keras import ops
from numpy.typing import NDArray

from yolo.ops.boxes import Tensor


@dataclass(frozen=True, eq=False)
class Layout:
    """Where each of the A anchors of all scales has its slots: (A,) arrays, coarse to fine."""

    anchors: NDArray[np.float32]
    """(A, 2) width and height in canvas pixels."""
    stride: NDArray[np.float32]
    """Canvas pixels a cell."""
    rows: NDArray[np.int32]
    """Cells of the anchor's scale, downwards."""
    columns: NDArray[np.int32]
    """Cells of the anchor's scale, across."""
    first: NDArray[np.int32]
    """Slot of the anchor in its scale's top left cell."""
    step: NDArray[np.int32]
    """Anchors a cell: from a cell's slot to that of the next."""


@dataclass(frozen=True, eq=False)
class Slots:
    """The P slots of a canvas, as constants."""

    cell: NDArray[np.float32]
    """(P, 2) column and row of the slot's cell."""
    stride: NDArray[np.float32]
    """(P, 1) canvas pixels a cell."""
    anchor: NDArray[np.float32]
    """(P, 2) width and height of the slot's anchor in canvas pixels."""
    layout: Layout
    canvas: tuple[int, int]
    """(height, width) in pixels."""

    def __len__(self) -> int:
        return len(self.cell)


def make_slots(canvas: tuple[int, int], strides: Sequence[int], anchors: Sequence[NDArray[np.float32]]) -> Slots:
    """The slots of a (height, width) canvas whose scales have these strides and anchors (A, 2), coarse to fine."""
    cells, slot_strides, slot_anchors, layouts, first = [], [], [], [], 0
    for stride, shapes in zip(strides, anchors, strict=True):
        rows, columns, count = canvas[0] // stride, canvas[1] // stride, len(shapes)
        row, column, index = (axis.ravel() for axis in np.mgrid[:rows, :columns, :count])
        cells.append(np.stack([column, row], -1))
        slot_strides.append(np.full((len(row), 1), stride))
        slot_anchors.append(shapes[index])
        layouts.append([(stride, rows, columns, first + i, count) for i in range(count)])
        first += len(row)
    per_anchor = np.concatenate(layouts).T
    layout = Layout(
        np.concatenate(anchors).astype(np.float32),
        per_anchor[0].astype(np.float32),
        *per_anchor[1:].astype(np.int32),
    )
    cell, slot_stride, slot_anchor = (
        np.concatenate(part).astype(np.float32) for part in (cells, slot_strides, slot_anchors)
    )
    return Slots(cell, slot_stride, slot_anchor, layout, canvas)


def flatten_maps(maps: Sequence[Tensor]) -> Tensor:
    """Raw maps (B, h, w, A, 5 + C), coarse to fine, as (B, P, 5 + C) float32."""
    flat = [ops.reshape(raw, (-1, raw.shape[1] * raw.shape[2] * raw.shape[3], raw.shape[4])) for raw in maps]
    return ops.cast(ops.concatenate(flat, axis=1), "float32")
