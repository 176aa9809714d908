"""Detector without a network, which finds the same object in every picture."""

from __future__ import annotations

import threading

import numpy as np

from yolo.config import NmsConfig
from yolo.ops.suppression import Kept
from yolo.ops.unpad import unpad
from yolo.scores import ScoreRules


class FakeDetector:
    """Finds one object of the second class in the middle half of each canvas; keeps what it was asked.

    Stretched images make that the middle half of each image, whatever its size.
    """

    classes = ("dog", "car")
    fixed_canvas = True
    letterbox = "stretch"
    stride = 32
    parallel = 0  # with the one more that is under way, a call at a time

    def __init__(self, canvas: tuple[int, int] = (64, 64)):
        self.nms = NmsConfig(conf=0.3, iou=0.5)
        self.origin = {}
        self.score_rules = ScoreRules()
        self.canvas = canvas
        self.asked = []
        """Number of images and thresholds of each call."""
        self.batches = []
        """First red value of each image of each call."""
        self.lock = threading.Lock()

    def find(self, images, nms=None) -> Kept:
        with self.lock:
            self.asked.append((len(images), nms))
            self.batches.append([int(image[0, 0, 0]) for image in images])
        height, width = images.shape[1:3]
        box = np.array([width / 4, height / 4, width * 3 / 4, height * 3 / 4], np.float32)
        one = (len(images), 1)
        return Kept(
            np.broadcast_to(box, (*one, 4)),
            np.full(one, 0.875, np.float32),
            np.ones(one, np.int32),
            np.ones(one, bool),
        )

    def unpad(self, kept, letterboxes, nms=None):
        return unpad(kept, letterboxes, self.classes, rules=self.score_rules, nms=nms)
