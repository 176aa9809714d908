"""Columns in the form that COCO's evaluators share: images by the rank of their ids, boxes by corner and sides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from yolo.structs import Boxes, Dataset


def image_ranks(dataset: Dataset) -> NDArray[np.int64]:
    """(N,) rank of each image by the source's ids: COCOeval breaks ties between scores by it."""
    order = np.argsort(np.asarray(dataset.image_ids), kind="stable")
    ranks = np.empty(len(dataset), np.int64)
    ranks[order] = np.arange(len(dataset))
    return ranks


def to_xywh(boxes: Boxes) -> NDArray[np.float64]:
    """Convert boxes (K, 4) from xyxy to x, y, width and height in double precision."""
    converted = boxes.astype(np.float64)
    converted[:, 2:] -= converted[:, :2]
    return converted
