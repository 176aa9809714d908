"""Greedy non-maximum suppression, batched and with static shapes, so that it compiles with the network."""

from __future__ import annotations

from typing import NamedTuple

from keras import ops

from yolo.config import NmsConfig
from yolo.ops.boxes import Tensor, pairwise_iou
from yolo.ops.decode import Predictions


class Kept(NamedTuple):
    """Detections of each image after NMS, D of them, best first, padded with zeros."""

    boxes: Tensor
    """(B, D, 4) xyxy."""
    scores: Tensor
    """(B, D) in 0..1."""
    labels: Tensor
    """(B, D) int32."""
    valid: Tensor
    """(B, D) bool; False marks padding."""


def suppress(predictions: Predictions, config: NmsConfig) -> Kept:
    """Select the detections of each image: the best (box, class) pairs, minus those that a better one suppresses."""
    scores = predictions.objectness[..., None] * predictions.classes
    boxes, scores, labels = best_candidates(predictions.boxes, scores, config.max_candidates)
    keep = greedy(boxes, labels, scores >= config.conf, iou=config.iou, class_agnostic=config.class_agnostic)
    count = min(config.max_detections, scores.shape[1])
    ranked, order = ops.top_k(ops.where(keep, scores, -1.0), count)
    valid = ranked >= 0.0
    return Kept(
        boxes=ops.where(valid[..., None], gather(boxes, order), 0.0),
        scores=ops.where(valid, ranked, 0.0),
        labels=ops.where(valid, ops.take_along_axis(labels, ops.cast(order, "int32"), axis=1), 0),
        valid=valid,
    )


def best_candidates(boxes: Tensor, scores: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Select the ``count`` best (box, class) pairs, best first: boxes (B, K, 4), scores (B, K), labels (B, K).

    Args:
        boxes: (B, P, 4).
        scores: (B, P, C).
        count: K, reduced to the number of pairs if that is smaller.
    """
    # The best pairs lie in the slots whose best class scores highest: two small top-k instead of one over P x C.
    slots, classes = scores.shape[1:]
    _, slot = ops.top_k(ops.max(scores, axis=-1), min(count, slots))
    boxes, scores = gather(boxes, slot), gather(scores, slot)
    pairs = ops.reshape(scores, (-1, slot.shape[1] * classes))
    best, pair = ops.top_k(pairs, min(count, slot.shape[1] * classes))
    pair = ops.cast(pair, "int32")
    return gather(boxes, pair // classes), best, pair % classes


def greedy(boxes: Tensor, labels: Tensor, valid: Tensor, *, iou: float, class_agnostic: bool) -> Tensor:
    """Mask (B, K) of the boxes (B, K, 4), best first, that survive NMS.

    A box is kept unless an already kept box of its class overlaps it above the threshold. This is the only solution of
    keep = valid and not any(covers and keep), and iterating that equation reaches it: after n rounds the first n boxes
    are settled; in practice a few rounds settle all.
    """
    order = ops.arange(boxes.shape[1])
    covers = (pairwise_iou(boxes, boxes) > iou) & (order[None, None, :] < order[None, :, None])  # (B, K, K)
    if not class_agnostic:
        covers &= labels[:, :, None] == labels[:, None, :]
    covers = ops.cast(covers, "float32")

    def survivors(keep: Tensor) -> Tensor:
        covered = ops.matmul(covers, ops.cast(keep, "float32")[..., None])[..., 0]
        return valid & (covered < 0.5)

    keep, _ = ops.while_loop(
        lambda keep, before: ops.any(ops.logical_xor(keep, before)),
        lambda keep, _: (survivors(keep), keep),
        (survivors(valid), valid),
    )
    return keep


def gather(rows: Tensor, index: Tensor) -> Tensor:
    """Rows (B, P, D) at index (B, K), as (B, K, D)."""
    return ops.take_along_axis(rows, ops.cast(index, "int32")[..., None], axis=1)
