"""Inverse of decoding, in numpy: raw network outputs for given boxes."""

from __future__ import annotations

import numpy as np


def encode_boxes(boxes, cell, stride, anchor):
    """The raw t_x, t_y, t_w, t_h (..., 4) of boxes xyxy (..., 4).

    A centre on the border of its cell would need an infinite t; it is moved inside by a thousandth of the cell.
    """
    corner, opposite = boxes[..., :2], boxes[..., 2:]
    offset = np.clip((corner + opposite) / 2 / stride - cell, 1e-3, 1 - 1e-3)
    size = np.log((opposite - corner) / anchor)
    return np.concatenate([np.log(offset / (1 - offset)), size], -1).astype(np.float32)
