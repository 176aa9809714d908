"""Suppression in plain loops over Python numbers, as the papers and the Darknet program's box.c describe it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from yolo.config import NmsConfig

Box = Sequence[float]


def overlap(a: Box, b: Box, config: NmsConfig, aspect: float = 1.0) -> float:
    """What the kind compares with the threshold; heights count ``aspect`` times."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    union = sum(areas) - common
    found = common / union if union > 0 else 0.0
    if config.kind in ("default", "soft"):
        return found
    hull = (max(a[2], b[2]) - min(a[0], b[0])) ** 2 + ((max(a[3], b[3]) - min(a[1], b[1])) * aspect) ** 2
    centres = [((box[0] + box[2]) / 2, (box[1] + box[3]) / 2 * aspect) for box in (a, b)]
    distance = math.dist(*centres) ** 2
    exponent = config.beta if config.kind == "diounms" else 0.6
    return found - (distance / hull) ** exponent if hull > 0 else found


def ranked_pairs(scores: np.ndarray, config: NmsConfig) -> list[tuple[float, int, int]]:
    """Score, slot and class of the candidates, best first; of equal ones that of the better slot, then class, first."""
    best = scores.max(axis=1)
    slots = sorted((slot for slot in range(len(scores)) if not np.isnan(best[slot])), key=lambda slot: -best[slot])
    pairs = [(float(scores[slot, label]), slot, label) for slot in slots for label in range(scores.shape[1])]
    pairs = [pair for pair in pairs if pair[0] >= config.conf]
    return sorted(pairs, key=lambda pair: -pair[0])[: config.max_candidates]


def expected(boxes: np.ndarray, scores: np.ndarray, config: NmsConfig, aspect: float = 1.0) -> list[tuple]:
    """Score, slot and class of what NMS leaves of boxes (P, 4) and scores (P, C) of one image, best first."""
    pairs = ranked_pairs(scores, config)
    if config.kind == "soft":
        return list(soft(boxes.tolist(), pairs, config))[: config.max_detections]
    kept: list[tuple[float, int, int]] = []
    for pair in pairs:
        rivals = [other for other in kept if config.class_agnostic or other[2] == pair[2]]
        own = boxes[pair[1]].tolist()
        if not any(overlap(boxes[other[1]].tolist(), own, config, aspect) > config.iou for other in rivals):
            kept.append(pair)
    return kept[: config.max_detections]


def soft(boxes: list[Box], pairs: list[tuple[float, int, int]], config: NmsConfig) -> Iterator[tuple]:
    """Soft-NMS (Bodla et al. 2017, figure 2) with the Gaussian of its equation 3."""
    left = list(pairs)
    while left:
        best = max(left, key=lambda pair: pair[0])
        left.remove(best)
        yield best
        decayed = []
        for score, slot, label in left:
            common = overlap(boxes[best[1]], boxes[slot], config)
            rival = config.class_agnostic or label == best[2]
            decayed.append((score * math.exp(-(common**2) / config.sigma) if rival else score, slot, label))
        left = [pair for pair in decayed if pair[0] >= config.conf]
