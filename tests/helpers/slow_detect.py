"""`yolov3 detect` with a detector that needs no weights, and waits at the second picture until it is told to go on.

It writes the file `waiting` when it has come there, and goes on when there is a file `go`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from yolo.cli import detect
from yolo.cli.main import main
from yolo.config import NmsConfig
from yolo.structs import Detections


class SlowDetector:
    """Finds a car in every picture."""

    nms = NmsConfig(conf=0.3, iou=0.5)
    seen = 0

    def detect_images(self, images, nms=None):  # noqa: ARG002 - as of a real one
        self.seen += len(images)
        if self.seen > 1:
            Path("waiting").touch()
            while not Path("go").exists():
                time.sleep(0.01)
        box = np.array([[1, 2, 3, 4]], np.float32)
        return [Detections(box, np.array([0.875], np.float32), np.array([0], np.int32), ("car",)) for _ in images]


if __name__ == "__main__":
    detect.load_detector = lambda *_, **__: SlowDetector()
    sys.exit(main(["detect", *sys.argv[1:]]))
