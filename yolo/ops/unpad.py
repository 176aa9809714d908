"""Detections of a padded batch in the pixels of each image, without Keras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from yolo.images.letterbox import Letterbox
from yolo.structs import Detections


def unpad(kept: Any, letterboxes: Sequence[Letterbox], classes: tuple[str, ...]) -> list[Detections]:
    """Map a batch's detections to the pixels of each image, and clip them; one `Detections` per letterbox.

    Rows of the batch beyond the letterboxes are padding, and skipped.

    Args:
        kept: `Kept` of numpy arrays (B, D), boxes in canvas pixels.
        letterboxes: mapping of each image to its canvas, at most B.
        classes: class names.
    """
    found = []
    for index, letterbox in enumerate(letterboxes):
        valid = kept.valid[index]
        height, width = letterbox.image_size
        boxes = letterbox.boxes_to_image(kept.boxes[index][valid])
        boxes = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
        labels = kept.labels[index][valid].astype(np.int32)
        found.append(Detections(boxes, kept.scores[index][valid], labels, classes))
    return found
