"""Target assignment: the slot that predicts each true box (YOLOv3, section 2.1), computed inside the training step."""

from __future__ import annotations

from typing import NamedTuple

from keras import ops

from yolo.ops.boxes import Tensor, shape_iou
from yolo.ops.slots import Layout


class Owners(NamedTuple):
    """Assignment of true boxes to slots, as K (box, slot) pairs."""

    slot: Tensor
    """(B, K) int32 the slot; 0 where the pair is void."""
    box: Tensor
    """(K,) int32 index of the true box among the M boxes."""
    valid: Tensor
    """(B, K) bool: the pair counts. No two valid pairs of an image have the same slot."""


def match(boxes: Tensor, valid: Tensor, layout: Layout, *, assign_iou: float | None = None) -> Owners:
    """Assign each true box to its best anchor by shape IoU (the first of equals), in the cell of its centre.

    Args:
        boxes: (B, M, 4) xyxy in canvas pixels.
        valid: (B, M) bool; the other boxes are not assigned.
        layout: the slots of the anchors.
        assign_iou: also assign a box to every other anchor whose shape IoU with it is above this.

    Returns:
        K = M pairs, or M x A with ``assign_iou``. If two boxes want the same slot, the first one gets it.
    """
    overlap = shape_iou(boxes[..., 2:] - boxes[..., :2], ops.convert_to_tensor(layout.anchors))  # (B, M, A)
    best = ops.cast(ops.argmax(overlap, axis=-1), "int32")  # (B, M)
    box = ops.arange(ops.shape(boxes)[1], dtype="int32")
    if assign_iou is None:
        slot = slot_of(boxes, best, layout)
    else:
        anchors = len(layout.anchors)
        every = ops.arange(anchors, dtype="int32")
        claims = (overlap > assign_iou) | (best[..., None] == every)
        slot = one_axis(slot_of(boxes[:, :, None], every, layout))
        valid, box = one_axis(valid[..., None] & claims), ops.repeat(box, anchors)
    valid = valid & ~claimed_before(slot, valid)
    return Owners(ops.where(valid, slot, 0), box, valid)


def one_axis(claims: Tensor) -> Tensor:
    """Flatten an assignment (B, M, A) to (B, M x A), box by box."""
    return ops.reshape(claims, (ops.shape(claims)[0], -1))


def slot_of(boxes: Tensor, anchor: Tensor, layout: Layout) -> Tensor:
    """Slots (int32) of boxes (..., 4), each with the given anchor (...), in the cell of its centre."""
    stride, rows, columns, first, step = (
        ops.take(ops.convert_to_tensor(column), anchor)
        for column in (layout.stride, layout.rows, layout.columns, layout.first, layout.step)
    )
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2.0
    column = cell_of(centre[..., 0] / stride, columns)
    row = cell_of(centre[..., 1] / stride, rows)
    return first + (row * columns + column) * step


def cell_of(position: Tensor, count: Tensor) -> Tensor:
    """Cell 0..count - 1 of a position in cells; the far edge of the canvas belongs to the last one."""
    return ops.clip(ops.cast(ops.floor(position), "int32"), 0, count - 1)


def claimed_before(slot: Tensor, valid: Tensor) -> Tensor:
    """Mask (B, K) of the pairs whose slot an earlier valid pair already has."""
    order = ops.arange(ops.shape(slot)[1])
    earlier = order[None, :] < order[:, None]  # (K, K)
    same = slot[:, :, None] == slot[:, None, :]
    return ops.any(same & earlier[None] & valid[:, None, :], axis=-1)
