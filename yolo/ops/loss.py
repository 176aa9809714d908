"""YOLO loss: box, objectness and class terms (YOLOv3, section 2; YOLO, equation 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from keras import ops

from yolo.config import LossConfig
from yolo.ops import boxes as box_ops
from yolo.ops.boxes import Tensor, pairwise_iou
from yolo.ops.decode import centre_offset, decode_boxes, flatten_maps, log_size
from yolo.ops.slots import Slots
from yolo.ops.targets import match

OVERLAPS = {"giou": box_ops.giou, "diou": box_ops.diou, "ciou": box_ops.ciou}


class LossTerms(NamedTuple):
    """Weighted terms of the loss, each summed over the slots of an image: (B,)."""

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
    """Loss of raw maps (B, h, w, A, 5 + C), coarse to fine, against padded true boxes.

    Args:
        maps: the network's output.
        slots: the slots of the canvas.
        config: the weights of the terms and the rules of assignment.
        boxes: (B, M, 4) xyxy in canvas pixels.
        labels: (B, M) int32.
        valid: (B, M) bool; False marks padding.
        ignore: (B, M) bool; crowds and difficult objects, which are neither targets nor background.
    """
    if config.class_weights == "balanced":
        raise ValueError("expected class_weights as numbers: balanced ones depend on the dataset")
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
    ignore_mask = overlaps_any(predicted, boxes, valid, threshold=config.ignore_iou)
    target = objectness_target(config, take_rows(predicted, owners.slot), true_boxes)
    objectness = objectness_loss(
        raw[..., 4], owners.slot, owners.valid, ignore_mask, target=target, focal_gamma=config.focal_gamma
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
    """Objectness targets (B, K) of the owners, from their predicted and true boxes (B, K, 4)."""
    if config.objectness_target == "one":
        return ops.ones_like(predicted[..., 0])
    # P(object) x IoU (YOLO, section 2), as a constant: no gradient flows to the box through it.
    return ops.stop_gradient(box_ops.iou(predicted, boxes))


def take_rows(table: Tensor, rows: Tensor) -> Tensor:
    """Rows (B, K) of a table (B, P, D), as (B, K, D)."""
    pictures, slots, width = ops.shape(table)[0], table.shape[1], table.shape[2]
    flat = rows + ops.arange(pictures, dtype="int32")[:, None] * slots
    return ops.take(ops.reshape(table, (-1, width)), flat, axis=0)


def masked_sum(values: Tensor, mask: Tensor) -> Tensor:
    """Sum over K of values (B, K) where the mask holds, (B,)."""
    return ops.sum(ops.where(mask, values, 0.0), axis=1)


def overlaps_any(predicted: Tensor, boxes: Tensor, valid: Tensor, *, threshold: float) -> Tensor:
    """Mask (B, P) of the predicted boxes whose IoU with any valid true box (B, M, 4) exceeds the threshold."""
    overlap = pairwise_iou(ops.stop_gradient(predicted), boxes)  # (B, P, M)
    return ops.any((overlap > threshold) & valid[:, None, :], axis=-1)


def objectness_loss(
    logits: Tensor, slot: Tensor, valid: Tensor, ignore_mask: Tensor, *, target: Tensor, focal_gamma: float = 0.0
) -> Tensor:
    """Binary cross-entropy (B,) summed over all slots: the target for owners, 0 for the rest except ignored slots.

    Args:
        logits: (B, P).
        slot: (B, K) the slots of the owners.
        valid: (B, K) bool; False marks a void owner.
        ignore_mask: (B, P) slots without a background loss, unless they own a box.
        target: (B, K) objectness of the owners, in 0..1.
        focal_gamma: exponent of the weight |target - p|^gamma (Lin et al. 2017, Focal Loss, section 3.2).
    """
    background = focal_entropy(logits, 0.0, focal_gamma)
    owned = take_rows(logits[..., None], slot)[..., 0]
    counted = take_rows(ops.cast(~ignore_mask, "float32")[..., None], slot)[..., 0]
    # Replaces the background loss of an owner by its own.
    correction = focal_entropy(owned, target, focal_gamma) - counted * focal_entropy(owned, 0.0, focal_gamma)
    return ops.sum(ops.where(ignore_mask, 0.0, background), axis=1) + masked_sum(correction, valid)


def focal_entropy(logits: Tensor, target: Tensor | float, gamma: float) -> Tensor:
    """Binary cross-entropy of logits with targets in 0..1, of the same shape, weighted by |target - p|^gamma."""
    entropy = ops.softplus(logits) - logits * target
    if not gamma:
        return entropy
    # Clamped from below: for gamma < 1 the gradient of the power is infinite at 0.
    return ops.power(ops.maximum(ops.abs(target - ops.sigmoid(logits)), 1e-6), gamma) * entropy


def class_loss(
    logits: Tensor,
    labels: Tensor,
    smoothing: float,
    *,
    softmax: bool = False,
    weights: Sequence[float] | None = None,
) -> Tensor:
    """Classification loss (B, K) of logits (B, K, C) with labels (B, K): binary cross-entropy summed over the classes.

    With ``softmax`` it is the cross-entropy of mutually exclusive classes (YOLOv2). ``weights`` (C,) multiply it by the
    weight of the label.
    """
    if weights is not None:
        of_label = ops.take(ops.convert_to_tensor(list(weights), dtype="float32"), labels)
        return of_label * class_loss(logits, labels, smoothing, softmax=softmax)
    target = ops.one_hot(labels, logits.shape[-1], dtype="float32")
    if softmax:
        target = target * (1.0 - smoothing) + smoothing / logits.shape[-1]
        return -ops.sum(target * ops.log_softmax(logits), axis=-1)
    target = target * (1.0 - smoothing) + smoothing / 2.0
    return ops.sum(ops.softplus(logits) - logits * target, axis=-1)


def squared_error(owned: Tensor, boxes: Tensor, slot: Tensor, slots: Slots) -> Tensor:
    """Squared error (B, K) of the centre in its cell and of the log size, against true boxes (B, K, 4).

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
