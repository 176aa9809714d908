"""Detections of a padded batch in the pixels of each image, without Keras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from yolo.config import NmsConfig
from yolo.images.letterbox import Letterbox
from yolo.scores import NO_RULES, ScoreRules
from yolo.structs import Detections


def unpad(
    kept: Any,
    letterboxes: Sequence[Letterbox],
    classes: tuple[str, ...],
    *,
    rules: ScoreRules = NO_RULES,
    nms: NmsConfig | None = None,
) -> list[Detections]:
    """Map a batch's detections to the pixels of each image, clip them and calibrate their scores.

    One `Detections` per letterbox; rows of the batch beyond the letterboxes are padding, and skipped.

    Args:
        kept: `Kept` of numpy arrays (B, D), boxes in canvas pixels.
        letterboxes: mapping of each image to its canvas, at most B.
        classes: class names.
        rules: calibration of the scores.
        nms: thresholds of calibrated scores, or of each class; None: all detections are kept.
    """
    found = []
    for index, letterbox in enumerate(letterboxes):
        valid = kept.valid[index]
        height, width = letterbox.image_size
        boxes = letterbox.boxes_to_image(kept.boxes[index][valid])
        boxes = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
        labels = kept.labels[index][valid].astype(np.int32)
        boxes, labels, scores = rules.finished(boxes, labels, kept.scores[index][valid], nms)
        found.append(Detections(boxes, scores, labels, classes))
    return found
