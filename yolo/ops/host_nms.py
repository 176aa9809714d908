"""Decoding and non-maximum suppression in numpy alone, for the raw maps of runtimes that are not Keras.

The results are those of `yolo/ops/decode.py` and `yolo/ops/nms.py`, in order and ties too, up to the last digits of the
sigmoid. Nothing is computed of slots whose objectness is below the threshold, and no K x K matrix is made. Functions
hold no state, so that any number of threads may call them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.config import NmsConfig
from yolo.ops.slots import LARGEST_EXPONENT, Coding, Slots
from yolo.ops.suppression import EPSILON, Kept, aspect_of, distance_exponent

Floats = NDArray[np.float32]
Candidates = tuple[Floats, Floats, NDArray[np.int32]]
"""Boxes (K, 4), scores (K,) and labels (K,) of (box, class) pairs, best first."""

BLOCK = 64
"""Candidates compared with all later ones at once; the temporaries then stay in the processor's cache."""
MARGIN = 1e-3
"""Slack of the objectness logit, as the sigmoid of numpy rounds; the score itself is compared exactly afterwards."""


def decode_and_suppress(maps: Sequence[NDArray[Any]], slots: Slots, config: NmsConfig) -> Kept:
    """Detections (B, D) of raw maps, as numpy arrays in the order of `yolo.ops.nms.suppress`.

    Args:
        maps: one raw map per scale, coarse to fine: (B, h, w, A, 5 + C) or (B, h, w, A x (5 + C)).
        slots: slots of the canvas on which the network ran.
        config: thresholds and kind of suppression.

    Raises:
        ValueError: the maps do not have the slots' grids and anchors.
    """
    flat = _flatten(maps, slots)
    batch, classes = flat[0].shape[0], flat[0].shape[2] - 5
    count = min(config.max_detections, config.max_candidates, len(slots) * classes)
    kept = Kept(
        np.zeros((batch, count, 4), np.float32),
        np.zeros((batch, count), np.float32),
        np.zeros((batch, count), np.int32),
        np.zeros((batch, count), bool),
    )
    for index in range(batch):
        with np.errstate(over="ignore", invalid="ignore"):  # of logits beyond float32's exponent, and NaN
            candidates, _ = _candidates([part[index] for part in flat], slots, config)
            found = suppress_candidates(candidates, config, canvas=slots.canvas)
        for whole, own in zip(kept, found, strict=False):
            whole[index, : len(own)] = own[:count]
        kept.valid[index, : len(found[1])] = True
    return kept


def find_candidates(
    maps: Sequence[NDArray[Any]], slots: Slots, config: NmsConfig
) -> tuple[Candidates, NDArray[np.intp]]:
    """Candidates of a batch's first image, as suppression gets them, and the slot (K,) of each.

    Args:
        maps: as in `decode_and_suppress`.
        slots: slots of the canvas on which the network ran.
        config: ``conf`` and ``max_candidates``.

    Raises:
        ValueError: the maps do not have the slots' grids and anchors.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return _candidates([part[0] for part in _flatten(maps, slots)], slots, config)


def survivors(candidates: Candidates, config: NmsConfig, *, canvas: tuple[int, int] = (1, 1)) -> NDArray[np.bool_]:
    """Mask (K,) of the candidates, best first, that no kept one suppresses; of every kind but ``soft``."""
    boxes, _, labels = candidates
    return _greedy(boxes, labels, config, aspect_of(canvas))


def overlap_with(box: Floats, boxes: Floats, config: NmsConfig, *, canvas: tuple[int, int] = (1, 1)) -> Floats:
    """Overlap (K,) of a box (4,) with boxes (K, 4), as a kind of suppression compares it with ``iou``."""
    return _overlap(box[:, None], boxes.T, distance_exponent(config), aspect_of(canvas))


def soft_scores(candidates: Candidates, config: NmsConfig) -> Floats:
    """Scores (K,) with which soft-NMS takes the candidates, best first; 0 for those that it leaves."""
    boxes, scores, labels = candidates
    order, taken = _soft(boxes, scores, labels, config)
    found = np.zeros_like(scores)
    found[order] = taken
    return found


def decode_slots(maps: Sequence[NDArray[Any]], slots: Slots) -> tuple[Floats, Floats, Floats]:
    """Boxes (P, 4), objectness (P,) and class probabilities (P, C) of every slot of a batch's first image.

    Args:
        maps: as in `decode_and_suppress`.
        slots: slots of the canvas on which the network ran.
    """
    raw = np.concatenate([part[0] for part in _flatten(maps, slots)]).astype(np.float32, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        classes = _softmax(raw[:, 5:]) if slots.coding.softmax else _sigmoid(raw[:, 5:])
        return _decode_boxes(raw[:, :4], np.arange(len(slots)), slots), _sigmoid(raw[:, 4]), classes


def suppress_candidates(candidates: Candidates, config: NmsConfig, *, canvas: tuple[int, int] = (1, 1)) -> Candidates:
    """Select what NMS leaves of one image's candidates: at most ``max_detections``, best first.

    Args:
        candidates: boxes, scores and labels, best first, none below ``conf``.
        config: thresholds and kind of suppression.
        canvas: (height, width); only the ratio matters, and only to kinds that measure distances.
    """
    boxes, scores, labels = candidates
    if config.kind == "soft":
        order, scores = _soft(boxes, scores, labels, config)
        return boxes[order], scores, labels[order]
    order = np.flatnonzero(_greedy(boxes, labels, config, aspect_of(canvas)))[: config.max_detections]
    return boxes[order], scores[order], labels[order]


# Candidates


def _flatten(maps: Sequence[NDArray[Any]], slots: Slots) -> list[NDArray[Any]]:
    """Views (B, h x w x A, 5 + C) of the maps, coarse to fine.

    Raises:
        ValueError: a map does not have its scale's grid and anchors, or a number of classes of its own.
    """
    grids = list(_grids(slots))
    if len(maps) != len(grids):
        raise ValueError(f"expected {len(grids)} maps, got {len(maps)}")
    flat = []
    for raw, (rows, columns, anchors) in zip(maps, grids, strict=True):
        inner = math.prod(raw.shape[3:]) if raw.shape[1:3] == (rows, columns) else 0
        if inner % anchors or inner // anchors < 6 or (raw.ndim == 5 and raw.shape[3] != anchors):
            raise ValueError(f"expected a map (B, {rows}, {columns}, {anchors}, 5 + C), got {raw.shape}")
        flat.append(raw.reshape(len(raw), -1, inner // anchors))
    if len({(len(part), part.shape[2]) for part in flat}) > 1:
        raise ValueError(f"expected maps of one batch and one number of classes, got {[raw.shape for raw in maps]}")
    return flat


def _grids(slots: Slots) -> Iterator[tuple[int, int, int]]:
    """Rows, columns and anchors of each scale, coarse to fine."""
    layout, anchor = slots.layout, 0
    while anchor < len(layout.step):
        yield int(layout.rows[anchor]), int(layout.columns[anchor]), int(layout.step[anchor])
        anchor += int(layout.step[anchor])


def _candidates(parts: Sequence[NDArray[Any]], slots: Slots, config: NmsConfig) -> tuple[Candidates, NDArray[np.intp]]:
    """Candidates of one image: its best pairs of at least ``conf``, from its slots (P, 5 + C), a part per scale.

    With the slot (K,) of each.
    """
    bound = _logit(config.conf) - MARGIN
    likely = [np.flatnonzero(part[:, 4] >= bound) for part in parts]
    firsts = np.cumsum([0, *(len(part) for part in parts[:-1])])
    slot = np.concatenate([first + own for first, own in zip(firsts, likely, strict=True)])
    raw = np.concatenate([part[own] for part, own in zip(parts, likely, strict=True)]).astype(np.float32, copy=False)
    objectness = _sigmoid(raw[:, 4])
    if slots.coding.softmax:
        probabilities = _softmax(raw[:, 5:])
        best = objectness * probabilities.max(axis=1)
    else:
        best = objectness * _sigmoid(raw[:, 5:].max(axis=1))
    usable = np.flatnonzero((best >= config.conf) & ~np.isnan(raw[:, :4]).any(axis=1))
    chosen = usable[_largest(best[usable], config.max_candidates)]
    probabilities = probabilities[chosen] if slots.coding.softmax else _sigmoid(raw[chosen, 5:])
    scores = objectness[chosen, None] * probabilities
    pairs = np.flatnonzero(scores >= config.conf)
    pairs = pairs[_largest(scores.ravel()[pairs], config.max_candidates)]
    row, label = np.divmod(pairs, scores.shape[1])
    boxes = _decode_boxes(raw[chosen, :4], slot[chosen], slots)
    return (boxes[row], scores.ravel()[pairs], label.astype(np.int32)), slot[chosen][row]


def _largest(values: Floats, count: int) -> NDArray[np.intp]:
    """Indices of the ``count`` largest values, largest first, of equal ones the first first, as ``top_k``."""
    index = np.arange(len(values))
    if len(values) > count:
        smallest = np.partition(values, len(values) - count)[len(values) - count]
        above, equal = np.flatnonzero(values > smallest), np.flatnonzero(values == smallest)
        index = np.sort(np.concatenate([above, equal[: count - len(above)]]))
    return index[np.argsort(-values[index], kind="stable")]


def _logit(probability: float) -> float:
    """Logit of a probability; for 1 that of one that float32 still tells from it."""
    return math.log(probability / max(1.0 - probability, 1e-6)) if probability > 0 else -math.inf


def _sigmoid(logits: Floats) -> Floats:
    return np.float32(1.0) / (np.float32(1.0) + np.exp(-logits))


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=1, keepdims=True)


def _decode_boxes(raw: Floats, slot: NDArray[np.intp], slots: Slots) -> Floats:
    """Boxes (N, 4) xyxy in canvas pixels of raw t_x, t_y, t_w, t_h (N, 4) of some slots (N,)."""
    scale = slots.scale_xy[slot]
    offset = _sigmoid(raw[:, :2]) * scale - (scale - 1.0) / 2.0
    centre = (offset + slots.cell[slot]) * slots.stride[slot]
    half = _relative_size(raw[:, 2:], slots.coding) * slots.anchor[slot] / 2.0
    return np.concatenate([centre - half, centre + half], axis=1)


def _relative_size(raw: Floats, coding: Coding) -> Floats:
    """Width and height relative to the anchor's."""
    if coding.sizes == "squared":
        return np.square(2.0 * _sigmoid(raw))
    return np.exp(np.minimum(raw, LARGEST_EXPONENT))


# Suppression


def _greedy(boxes: Floats, labels: NDArray[np.int32], config: NmsConfig, aspect: float) -> NDArray[np.bool_]:
    """Mask (K,) of the candidates, best first, that no kept one of their class suppresses."""
    groups = np.zeros_like(labels) if config.class_agnostic else labels
    order = np.argsort(groups, kind="stable")  # class by class, so that a block meets few of other classes
    groups, corners = groups[order], np.ascontiguousarray(boxes[order].T)
    ends = np.searchsorted(groups, groups, side="right")
    exponent, keep = distance_exponent(config), np.ones(len(boxes), bool)
    for first in range(0, len(boxes), BLOCK):
        rows = first + np.flatnonzero(keep[first : first + BLOCK])
        if not len(rows):
            continue
        columns = rows[0] + np.flatnonzero(keep[rows[0] : ends[rows[-1]]])  # its first ones are the rows
        overlap = _overlap(corners[:, rows, None], corners[:, None, columns], exponent, aspect)
        covers = (overlap > config.iou) & (groups[rows, None] == groups[columns]) & (rows[:, None] < columns)
        left = np.ones(len(columns), bool)
        for row in np.flatnonzero(covers.any(axis=1)):
            if left[row]:
                left &= ~covers[row]
        keep[columns] = left
    mask = np.empty_like(keep)
    mask[order] = keep
    return mask


def _soft(
    boxes: Floats, scores: Floats, labels: NDArray[np.int32], config: NmsConfig
) -> tuple[NDArray[np.intp], Floats]:
    """Indices of the candidates that soft-NMS takes, in its order, and their decayed scores."""
    groups = np.zeros_like(labels) if config.class_agnostic else labels
    left = {group: np.flatnonzero(groups == group) for group in np.unique(groups).tolist()}
    scores, taken = scores.copy(), np.zeros(min(len(scores), config.max_detections), np.float32)
    order = np.zeros(len(taken), np.intp)
    for step in range(len(order)):
        top = int(scores.argmax())
        if scores[top] < 0.0:
            return order[:step], taken[:step]
        order[step], taken[step], scores[top] = top, scores[top], -1.0
        group = int(groups[top])
        others = left[group][left[group] != top]
        overlap = _overlap(boxes[top, :, None], boxes[others].T, None, 1.0)
        decayed = scores[others] * np.exp(-np.square(overlap) / np.float32(config.sigma))
        still = decayed >= config.conf
        scores[others] = np.where(still, decayed, np.float32(-1.0))
        left[group] = others[still]
    return order, taken


def _overlap(a: Floats, b: Floats, exponent: float | None, aspect: float) -> Floats:
    """IoU of boxes a and b, corners (4, ...), less their distance ratio to the power of an exponent.

    The operations and their order are those of `yolo/ops/boxes.py`, so that no threshold falls between the two.
    """
    width = np.minimum(a[2], b[2]) - np.maximum(a[0], b[0])
    height = np.minimum(a[3], b[3]) - np.maximum(a[1], b[1])
    common = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    overlap = common / (_area(a) + _area(b) - common + EPSILON)
    if exponent is None:
        return overlap
    across = np.square(a[0] + a[2] - b[0] - b[2]) / 4.0
    down = np.square(a[1] + a[3] - b[1] - b[3]) / 4.0 * aspect**2
    hull_width = np.maximum(a[2], b[2]) - np.minimum(a[0], b[0])
    hull_height = np.maximum(a[3], b[3]) - np.minimum(a[1], b[1])
    ratio = (across + down) / (np.square(hull_width) + np.square(hull_height) * aspect**2 + EPSILON)
    return overlap - np.power(ratio, np.float32(exponent))


def _area(corners: Floats) -> Floats:
    return np.maximum(corners[2] - corners[0], 0.0) * np.maximum(corners[3] - corners[1], 0.0)
