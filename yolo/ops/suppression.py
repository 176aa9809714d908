"""Names and constants that suppression in Keras and in numpy share; nothing here imports Keras."""

from __future__ import annotations

from typing import Any, NamedTuple

from yolo.config import NmsConfig

EPSILON = 1e-9
"""Added to denominators so that quotients of empty boxes stay finite; far below one square pixel."""

GREEDY_BETA = 0.6
"""Exponent of the distance in Darknet's greedynms, whatever beta_nms says (``box_diou`` of its box.c)."""


class Kept(NamedTuple):
    """Detections of each image after NMS, D of them, best first, padded with zeros; tensors or numpy arrays."""

    boxes: Any
    """(B, D, 4) xyxy."""
    scores: Any
    """(B, D) in 0..1."""
    labels: Any
    """(B, D) int32."""
    valid: Any
    """(B, D) bool; False marks padding."""


def distance_exponent(config: NmsConfig) -> float | None:
    """Exponent of the distance ratio that a kind of NMS subtracts from the IoU; None: it subtracts nothing."""
    return {"greedynms": GREEDY_BETA, "diounms": config.beta}.get(config.kind)


def aspect_of(canvas: tuple[int, int]) -> float:
    """Length of a vertical pixel of a canvas (height, width) in horizontal ones, when both sides are taken as equal.

    Darknet measures the distances of its NMS in fractions of the picture's width and height.
    """
    return canvas[1] / canvas[0]
