"""Areas and overlaps of boxes, xyxy (..., 4); all functions broadcast over leading axes."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from yolo.ops.suppression import EPSILON

Tensor = Any
"""A tensor of the backend in use."""


def area(boxes: Tensor) -> Tensor:
    """Area (...,) of boxes (..., 4); 0 for an inverted box."""
    width = ops.maximum(boxes[..., 2] - boxes[..., 0], 0.0)
    height = ops.maximum(boxes[..., 3] - boxes[..., 1], 0.0)
    return width * height


def intersection_and_union(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Areas (...,) of the intersection and of the union of boxes a and b (..., 4)."""
    width = ops.minimum(a[..., 2], b[..., 2]) - ops.maximum(a[..., 0], b[..., 0])
    height = ops.minimum(a[..., 3], b[..., 3]) - ops.maximum(a[..., 1], b[..., 1])
    common = ops.maximum(width, 0.0) * ops.maximum(height, 0.0)
    return common, area(a) + area(b) - common


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union (...,) of boxes a and b (..., 4)."""
    common, union = intersection_and_union(a, b)
    return common / (union + EPSILON)


def pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of every box a (..., N, 4) with every box b (..., M, 4), as (..., N, M)."""
    return iou(ops.expand_dims(a, -2), ops.expand_dims(b, -3))


def shape_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of every shape a (..., N, 2) with every shape b (A, 2), centred on one point, as (..., N, A)."""
    a, b = ops.expand_dims(a, -2), ops.expand_dims(b, -3)
    common = ops.minimum(a[..., 0], b[..., 0]) * ops.minimum(a[..., 1], b[..., 1])
    return common / (a[..., 0] * a[..., 1] + b[..., 0] * b[..., 1] - common + EPSILON)


def hull_size(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Width and height (...,) of the smallest box around a and b (..., 4)."""
    width = ops.maximum(a[..., 2], b[..., 2]) - ops.minimum(a[..., 0], b[..., 0])
    height = ops.maximum(a[..., 3], b[..., 3]) - ops.minimum(a[..., 1], b[..., 1])
    return width, height


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalized IoU (...,) in -1..1 (Rezatofighi et al. 2019, algorithm 1)."""
    common, union = intersection_and_union(a, b)
    width, height = hull_size(a, b)
    hull = width * height
    return common / (union + EPSILON) - (hull - union) / (hull + EPSILON)


def diou(a: Tensor, b: Tensor) -> Tensor:
    """Distance IoU (...,): IoU minus the squared distance of the centres over the hull's squared diagonal.

    Zheng et al. 2020, equation 7.
    """
    return iou(a, b) - distance_ratio(a, b)


def distance_ratio(a: Tensor, b: Tensor, *, aspect: float = 1.0) -> Tensor:
    """Squared distance (...,) of the centres of a and b (..., 4) over the squared diagonal of their hull, in 0..1.

    Args:
        a: boxes (..., 4).
        b: boxes (..., 4).
        aspect: length of a vertical pixel, in horizontal ones, in which distances are measured.
    """
    width, height = hull_size(a, b)
    across = ops.square(a[..., 0] + a[..., 2] - b[..., 0] - b[..., 2]) / 4.0
    down = ops.square(a[..., 1] + a[..., 3] - b[..., 1] - b[..., 3]) / 4.0
    across_hull, down_hull = ops.square(width), ops.square(height)
    if aspect != 1.0:
        down, down_hull = down * aspect**2, down_hull * aspect**2
    return (across + down) / (across_hull + down_hull + EPSILON)


def ciou(a: Tensor, b: Tensor) -> Tensor:
    """Complete IoU (...,): distance IoU minus a penalty on the difference of the aspect ratios.

    Zheng et al. 2020, equations 8 to 11; as there, no gradient flows through the trade-off weight.
    """
    angle_a, angle_b = (ops.arctan2(box[..., 2] - box[..., 0], _positive(box[..., 3] - box[..., 1])) for box in (a, b))
    penalty = 4.0 / math.pi**2 * ops.square(angle_a - angle_b)
    weight = ops.stop_gradient(penalty / (1.0 - iou(a, b) + penalty + EPSILON))
    return diou(a, b) - weight * penalty


def _positive(length: Tensor) -> Tensor:
    return ops.maximum(length, EPSILON)
