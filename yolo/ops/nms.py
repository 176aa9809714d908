"""Non-maximum suppression, batched and with static shapes, so that it compiles with the network.

`yolo/ops/host_nms.py` is the same in numpy, for other runtimes.
"""

from __future__ import annotations

from keras import ops

from yolo.config import NmsConfig
from yolo.ops.boxes import Tensor, distance_ratio, iou, pairwise_iou
from yolo.ops.decode import Predictions
from yolo.ops.suppression import Kept, aspect_of, distance_exponent

INVALID = -1.0
"""Score of what is no candidate, or none any more."""


def suppress(predictions: Predictions, config: NmsConfig, *, canvas: tuple[int, int] = (1, 1)) -> Kept:
    """Select the detections of each image: the best (box, class) pairs, minus those that a better one suppresses.

    Args:
        predictions: decoded predictions of B images.
        config: thresholds and kind of suppression.
        canvas: (height, width); only the ratio matters, and only to kinds that measure distances.
    """
    scores = predictions.objectness[..., None] * predictions.classes
    boxes, scores, labels = best_candidates(predictions.boxes, scores, config.max_candidates)
    count = min(config.max_detections, scores.shape[1])
    scores = ops.where(scores >= config.conf, scores, INVALID)
    if config.kind == "soft":
        ranked, order = soft(boxes, labels, scores, config, count)
    else:
        keep = greedy(boxes, labels, scores >= 0.0, config, aspect=aspect_of(canvas))
        ranked, order = ops.top_k(ops.where(keep, scores, INVALID), count)
    valid = ranked >= 0.0
    return Kept(
        boxes=ops.where(valid[..., None], gather(boxes, order), 0.0),
        scores=ops.where(valid, ranked, 0.0),
        labels=ops.where(valid, ops.take_along_axis(labels, ops.cast(order, "int32"), axis=1), 0),
        valid=valid,
    )


def best_candidates(boxes: Tensor, scores: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Select the ``count`` best (box, class) pairs, best first: boxes (B, K, 4), scores (B, K), labels (B, K).

    Slots with a NaN come last, with the score of what is no candidate.

    Args:
        boxes: (B, P, 4).
        scores: (B, P, C).
        count: K, reduced to the number of pairs if that is smaller.
    """
    # The best pairs lie in the slots whose best class scores highest: two small top-k instead of one over P x C.
    slots, classes = scores.shape[1:]
    best = ops.max(scores, axis=-1)
    best = ops.where(ops.isnan(best + ops.sum(boxes, axis=-1)), INVALID, best)
    best, slot = ops.top_k(best, min(count, slots))
    boxes, scores = gather(boxes, slot), ops.where(best[..., None] < 0.0, INVALID, gather(scores, slot))
    pairs = ops.reshape(scores, (-1, slot.shape[1] * classes))
    best, pair = ops.top_k(pairs, min(count, slot.shape[1] * classes))
    pair = ops.cast(pair, "int32")
    return gather(boxes, pair // classes), best, pair % classes


def greedy(boxes: Tensor, labels: Tensor, valid: Tensor, config: NmsConfig, *, aspect: float = 1.0) -> Tensor:
    """Mask (B, K) of the boxes (B, K, 4), best first, that survive NMS.

    A box is kept unless an already kept box of its class overlaps it above the threshold. This is the only solution of
    keep = valid and not any(covers and keep), and iterating that equation reaches it: after n rounds the first n boxes
    are settled; in practice a few rounds settle all.
    """
    order = ops.arange(boxes.shape[1])
    overlap = pairwise_overlap(boxes, distance_exponent(config), aspect)
    covers = (overlap > config.iou) & (order[None, None, :] < order[None, :, None])  # (B, K, K)
    if not config.class_agnostic:
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


def pairwise_overlap(boxes: Tensor, exponent: float | None, aspect: float) -> Tensor:
    """IoU (B, K, K) of all pairs of boxes, less their distance ratio to the power of the exponent if there is one."""
    if exponent is None:
        return pairwise_iou(boxes, boxes)
    a, b = boxes[:, :, None], boxes[:, None]
    return iou(a, b) - ops.power(distance_ratio(a, b, aspect=aspect), exponent)


def soft(boxes: Tensor, labels: Tensor, scores: Tensor, config: NmsConfig, count: int) -> tuple[Tensor, Tensor]:
    """Soft-NMS with a Gaussian (Bodla et al. 2017, figure 2 and equation 3): decayed scores (B, D) and indices (B, D).

    The best candidate is taken, and the scores of the others of its class decay with their IoU to it; again and again,
    until D are taken or no score is left above the threshold.

    Args:
        boxes: candidates (B, K, 4).
        labels: (B, K).
        scores: (B, K), negative for what is no candidate.
        config: thresholds.
        count: D, at most K.
    """
    column, place = ops.arange(boxes.shape[1])[None], ops.arange(count)[None]

    def pick(step: Tensor, left: Tensor, ranked: Tensor, order: Tensor) -> tuple[Tensor, ...]:
        top = ops.cast(ops.argmax(left, axis=-1), "int32")[:, None]
        best = ops.take_along_axis(left, top, axis=1)
        decay = ops.exp(-ops.square(pairwise_iou(gather(boxes, top), boxes)[:, 0]) / config.sigma)
        if not config.class_agnostic:
            decay = ops.where(labels == ops.take_along_axis(labels, top, axis=1), decay, 1.0)
        decayed = left * decay
        left = ops.where((left >= 0.0) & (column != top) & (decayed >= config.conf), decayed, INVALID)
        here = place == step
        return step + 1, left, ops.where(here, best, ranked), ops.where(here, top, order)

    nothing = ops.full_like(scores[:, :count], INVALID)
    _, _, ranked, order = ops.while_loop(
        lambda step, left, *_: (step < count) & ops.any(left >= 0.0),
        pick,
        (ops.zeros((), "int32"), scores, nothing, ops.zeros_like(nothing, dtype="int32")),
    )
    return ranked, order


def gather(rows: Tensor, index: Tensor) -> Tensor:
    """Rows (B, P, D) at index (B, K), as (B, K, D)."""
    return ops.take_along_axis(rows, ops.cast(index, "int32")[..., None], axis=1)
