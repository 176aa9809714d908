"""From raw numbers to boxes and back (YOLOv3, section 2.1; YOLOv2, figure 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from yolo.ops.boxes import Tensor
from yolo.ops.slots import Slots, flatten_maps

LARGEST_EXPONENT = 10.0
"""A box is at most e^10 times its anchor: keeps float32 areas finite whatever a network says."""


class Predictions(NamedTuple):
    """What a network says of each slot."""

    boxes: Tensor
    """(B, P, 4) xyxy in canvas pixels."""
    objectness: Tensor
    """(B, P) in 0..1."""
    classes: Tensor
    """(B, P, C) in 0..1, each class for itself."""


def decode(maps: Sequence[Tensor], slots: Slots) -> Predictions:
    """Raw maps (B, h, w, A, 5 + C), coarse to fine, as boxes and probabilities."""
    raw = flatten_maps(maps)
    return Predictions(
        boxes=decode_boxes(raw[..., :4], slots.cell, slots.stride, slots.anchor),
        objectness=ops.sigmoid(raw[..., 4]),
        classes=ops.sigmoid(raw[..., 5:]),
    )


def decode_boxes(raw: Tensor, cell: Tensor, stride: Tensor, anchor: Tensor) -> Tensor:
    """Boxes xyxy (..., 4) in canvas pixels from raw t_x, t_y, t_w, t_h (..., 4) and their slots' constants."""
    cell, stride, anchor = (ops.convert_to_tensor(part) for part in (cell, stride, anchor))
    centre = (ops.sigmoid(raw[..., :2]) + cell) * stride
    half = ops.exp(ops.minimum(raw[..., 2:4], LARGEST_EXPONENT)) * anchor / 2.0
    return ops.concatenate([centre - half, centre + half], axis=-1)


def encode_boxes(
    boxes: NDArray[np.float32],
    cell: NDArray[np.float32],
    stride: NDArray[np.float32],
    anchor: NDArray[np.float32],
) -> NDArray[np.float32]:
    """The raw t_x, t_y, t_w, t_h (..., 4) that decode to these boxes: the inverse of `decode_boxes`, in numpy.

    A centre on the border of its cell would need an infinite t; it is moved inside by a thousandth of the cell.
    """
    corner, opposite = boxes[..., :2], boxes[..., 2:]
    offset = np.clip((corner + opposite) / 2 / stride - cell, 1e-3, 1 - 1e-3)
    size = np.log((opposite - corner) / anchor)
    return np.concatenate([np.log(offset / (1 - offset)), size], -1).astype(np.float32)
