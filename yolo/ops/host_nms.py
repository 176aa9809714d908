"""Decoding and suppression in numpy (a first version, to be replaced by the one that another branch brings)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from yolo.config import NmsConfig
from yolo.ops.nms import Kept
from yolo.ops.slots import Slots


def decode_and_suppress(maps: Sequence[Any], slots: Slots, config: NmsConfig) -> Kept:
    """Detections of raw maps (B, h, w, A x (5 + C))."""
    from yolo.ops.decode import decode
    from yolo.ops.nms import suppress

    anchors = len(slots.layout.anchors) // len(maps)
    shaped = [raw.reshape(*raw.shape[:3], anchors, -1) for raw in maps]
    return Kept(*(np.asarray(each) for each in suppress(decode(shaped, slots), config)))
