"""A look at a picture without a network: raw maps of two small scales, as explanations need them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from yolo.config import NmsConfig
from yolo.explaining.look import Look
from yolo.images.letterbox import Letterbox
from yolo.ops.slots import make_slots
from yolo.scores import NO_RULES

CANVAS = (64, 64)
SLOTS = make_slots(CANVAS, (32, 16), (np.array([[40, 30], [20, 50]], "f4"), np.array([[16, 16], [24, 12]], "f4")))
CLASSES = ("a", "b", "c")


def look_of(maps: list[np.ndarray], nms: NmsConfig) -> Look:
    """A look with the given maps (1, h, w, 2, 8) of the slots above, at a black picture as large as the canvas."""
    heads = [SimpleNamespace(name="coarse"), SimpleNamespace(name="fine")]
    detector = SimpleNamespace(classes=CLASSES, slots=SLOTS, heads=heads, score_rules=NO_RULES)
    picture = np.zeros((*CANVAS, 3), np.uint8)
    return Look(detector, picture, Letterbox(CANVAS, CANVAS), picture[None].astype("f4"), maps, nms)  # type: ignore[arg-type]
