"""The YOLO loss: where, whether and what (YOLOv3, section 2; YOLO, equation 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from keras import ops

from yolo.config import LossConfig
from yolo.ops import boxes as box_ops
from yolo.ops.boxes import Tensor, pairwise_iou
from yolo.ops.decode import centre_offset, decode_boxes, log_size
from yolo.ops.slots import Slots, flatten_maps
from yolo.ops.targets import match

OVERLAPS = {"giou": box_ops.giou, "diou": box_ops.diou, "ciou": box_ops.ciou}


class LossTerms(NamedTuple):
    """The weighted terms of the loss, each the sum over a picture's slots: (B,)."""

    box: Tensor
    objectness: Tensor
    classes: Tensor


def yolo_loss(
    maps: Sequence[Tensor],
    slots: Slots,
    config: LossConfig,
    *,
    boxes: Tensor,
    labels: Tensor,
    valid: Tensor,
    ignore: Tensor,
) -> LossTerms:
    """The loss of raw maps (B, h, w, A, 5 + C), coarse to fine, against padded true boxes.

    Args:
        maps: the network's output.
        slots: the canvas' slots.
        config: weights and rules.
        boxes: (B, M, 4) xyxy in canvas pixels.
        labels: (B, M) int32.
        valid: (B, M) bool; the rest is padding.
        ignore: (B, M) bool; crowds and difficult objects own no slot and punish none.
    """
    if config.class_weights == "balanced":
        raise ValueError("expected class_weights as numbers: what is balanced depends on the pictures")
    raw = flatten_maps(maps)  # (B, P, 5 + C)
    predicted = decode_boxes(raw[..., :4], slots)
    owners = match(boxes, valid & ~ignore, slots.layout, assign_iou=config.assign_iou)
    owned = take_rows(raw, owners.slot)  # (B, K, 5 + C)
    true_boxes, true_labels = ops.take(boxes, owners.box, axis=1), ops.take(labels, owners.box, axis=1)
    box = (
        squared_error(owned, true_boxes, owners.slot, slots)
        if config.box == "squared"
        else 1.0 - OVERLAPS[config.box](take_rows(predicted, owners.slot), true_boxes)
    )
    left_out = overlaps_any(predicted, boxes, valid, threshold=config.ignore_iou)
    target = objectness_target(config, take_rows(predicted, owners.slot), true_boxes)
    objectness = objectness_loss(
        raw[..., 4], owners.slot, owners.valid, left_out, target=target, focal_gamma=config.focal_gamma
    )
    classes = class_loss(
        owned[..., 5:], true_labels, config.label_smoothing, softmax=slots.coding.softmax, weights=config.class_weights
    )
    return LossTerms(
        box=config.box_weight * masked_sum(box, owners.valid),
        objectness=config.objectness_weight * objectness,
        classes=config.class_weight * masked_sum(classes, owners.valid),
    )


def objectness_target(config: LossConfig, predicted: Tensor, boxes: Tensor) -> Tensor:
    """(B, K) what the objectness of the owners is to be, from their predicted and true boxes (B, K, 4)."""
    if config.objectness_target == "one":
        return ops.ones_like(predicted[..., 0])
    # YOLO's confidence, P(object) x IoU (YOLO, section 2), as a constant: no gradient reaches the box from here.
    return ops.stop_gradient(box_ops.iou(predicted, boxes))


def take_rows(table: Tensor, rows: Tensor) -> Tensor:
    """Rows (B, K) of a table (B, P, D), as (B, K, D)."""
    pictures, slots, width = ops.shape(table)[0], table.shape[1], table.shape[2]
    flat = rows + ops.arange(pictures, dtype="int32")[:, None] * slots
    return ops.take(ops.reshape(table, (-1, width)), flat, axis=0)


def masked_sum(values: Tensor, mask: Tensor) -> Tensor:
    """(B,) sum over K of values (B, K) where the mask holds."""
    return ops.sum(ops.where(mask, values, 0.0), axis=1)


def overlaps_any(predicted: Tensor, boxes: Tensor, valid: Tensor, *, threshold: float) -> Tensor:
    """(B, P) bool: the predicted box overlaps a valid one of the true boxes (B, M, 4) above the threshold."""
    overlap = pairwise_iou(ops.stop_gradient(predicted), boxes)  # (B, P, M)
    return ops.any((overlap > threshold) & valid[:, None, :], axis=-1)


def objectness_loss(
    logits: Tensor, slot: Tensor, valid: Tensor, left_out: Tensor, *, target: Tensor, focal_gamma: float = 0.0
) -> Tensor:
    """(B,) binary cross-entropy over all slots: the target for owners, 0 for others that are not left out.

    Args:
        logits: (B, P).
        slot: (B, K) the owners.
        valid: (B, K) which of them stand.
        left_out: (B, P) slots that are neither right nor wrong, unless they own a box.
        target: (B, K) of the owners, in 0..1.
        focal_gamma: slots are weighted by |target - p|^gamma (Lin et al. 2017, Focal Loss, section 3.2).
    """
    background = focal_entropy(logits, 0.0, focal_gamma)
    owned = take_rows(logits[..., None], slot)[..., 0]
    counted = take_rows(ops.cast(~left_out, "float32")[..., None], slot)[..., 0]
    # In place of what an owner has as background.
    correction = focal_entropy(owned, target, focal_gamma) - counted * focal_entropy(owned, 0.0, focal_gamma)
    return ops.sum(ops.where(left_out, 0.0, background), axis=1) + masked_sum(correction, valid)


def focal_entropy(logits: Tensor, target: Tensor | float, gamma: float) -> Tensor:
    """Binary cross-entropy of logits with targets in 0..1, of any one shape, weighted by |target - p|^gamma."""
    entropy = ops.softplus(logits) - logits * target
    if not gamma:
        return entropy
    # Bounded from below: the power's slope is infinite at 0 for a gamma under 1.
    return ops.power(ops.maximum(ops.abs(target - ops.sigmoid(logits)), 1e-6), gamma) * entropy


def class_loss(
    logits: Tensor,
    labels: Tensor,
    smoothing: float,
    *,
    softmax: bool = False,
    weights: Sequence[float] | None = None,
) -> Tensor:
    """(B, K) sum over classes of the binary cross-entropy of logits (B, K, C) with labels (B, K).

    With ``softmax`` the cross-entropy of classes that exclude each other (YOLOv2); with ``weights`` (C,)
    multiplied by that of the label.
    """
    if weights is not None:
        share = ops.take(ops.convert_to_tensor(list(weights), dtype="float32"), labels)
        return share * class_loss(logits, labels, smoothing, softmax=softmax)
    target = ops.one_hot(labels, logits.shape[-1], dtype="float32")
    if softmax:
        target = target * (1.0 - smoothing) + smoothing / logits.shape[-1]
        return -ops.sum(target * ops.log_softmax(logits), axis=-1)
    target = target * (1.0 - smoothing) + smoothing / 2.0
    return ops.sum(ops.softplus(logits) - logits * target, axis=-1)


def squared_error(owned: Tensor, boxes: Tensor, slot: Tensor, slots: Slots) -> Tensor:
    """(B, K) squared error on the centre's place in its cell and the logarithm of the size against boxes (B, K, 4).

    As in Darknet, small boxes weigh up to twice as much as large ones: 2 - area / canvas area.
    """
    cell, stride, anchor, scale_xy = (
        ops.take(ops.convert_to_tensor(part), slot, axis=0)
        for part in (slots.cell, slots.stride, slots.anchor, slots.scale_xy)
    )
    centre, size = (boxes[..., :2] + boxes[..., 2:]) / 2.0, boxes[..., 2:] - boxes[..., :2]
    offset = ops.clip(centre / stride - cell, 0.0, 1.0)
    log_ratio = ops.log(ops.maximum(size, 1e-3) / anchor)
    predicted = centre_offset(owned[..., :2], scale_xy), log_size(owned[..., 2:4], slots.coding)
    error = ops.sum(ops.square(predicted[0] - offset) + ops.square(predicted[1] - log_ratio), axis=-1)
    return error * (2.0 - box_ops.area(boxes) / (slots.canvas[0] * slots.canvas[1]))
