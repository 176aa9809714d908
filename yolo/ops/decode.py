"""Decoding of raw network outputs to boxes and probabilities (YOLOv3, section 2.1; YOLOv2, figure 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from keras import ops

from yolo.ops.boxes import Tensor
from yolo.ops.slots import LARGEST_EXPONENT, Coding, Slots


class Predictions(NamedTuple):
    """Decoded boxes, objectness and class probabilities of every slot."""

    boxes: Tensor
    """(B, P, 4) xyxy in canvas pixels."""
    objectness: Tensor
    """(B, P) in 0..1."""
    classes: Tensor
    """(B, P, C) in 0..1: independent sigmoids, or a softmax if the slots' coding says so."""


def decode(maps: Sequence[Tensor], slots: Slots) -> Predictions:
    """Decode raw maps (B, h, w, A, 5 + C), coarse to fine, to boxes and probabilities."""
    raw = flatten_maps(maps)
    return Predictions(
        boxes=decode_boxes(raw[..., :4], slots),
        objectness=ops.sigmoid(raw[..., 4]),
        classes=ops.softmax(raw[..., 5:]) if slots.coding.softmax else ops.sigmoid(raw[..., 5:]),
    )


def flatten_maps(maps: Sequence[Tensor]) -> Tensor:
    """Flatten raw maps (B, h, w, A, 5 + C), coarse to fine, to (B, P, 5 + C) float32."""
    flat = [ops.reshape(raw, (-1, raw.shape[1] * raw.shape[2] * raw.shape[3], raw.shape[4])) for raw in maps]
    return ops.cast(ops.concatenate(flat, axis=1), "float32")


def decode_boxes(raw: Tensor, slots: Slots) -> Tensor:
    """Decode raw t_x, t_y, t_w, t_h (..., P, 4) to boxes xyxy (..., P, 4) in canvas pixels."""
    cell, stride, anchor, scale = (
        ops.convert_to_tensor(part) for part in (slots.cell, slots.stride, slots.anchor, slots.scale_xy)
    )
    centre = (centre_offset(raw[..., :2], scale) + cell) * stride
    half = ops.exp(log_size(raw[..., 2:4], slots.coding)) * anchor / 2.0
    return ops.concatenate([centre - half, centre + half], axis=-1)


def centre_offset(raw: Tensor, scale: Tensor) -> Tensor:
    """Offset of a centre from its cell's top left corner, in cells: sigmoid(t), stretched about the cell's middle."""
    return ops.sigmoid(raw) * scale - (scale - 1.0) / 2.0


def log_size(raw: Tensor, coding: Coding) -> Tensor:
    """Logarithm of width and height relative to the anchor's."""
    if coding.sizes == "squared":
        return 2.0 * (math.log(2.0) + ops.log_sigmoid(raw))
    return ops.minimum(raw, LARGEST_EXPONENT)
