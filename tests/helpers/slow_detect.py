"""`yolov3 detect` with a detector that needs no weights, and waits at the second picture until it is told to go on.

It writes the file `waiting` when it has come there, and goes on when there is a file `go`.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import numpy as np
from fake_detectors import FakeDetector

from yolo.cli import detect
from yolo.cli.main import main
from yolo.ops.suppression import Kept

delivered = threading.Event()
"""Set when the first picture's result is written."""


class SlowDetector(FakeDetector):
    """Finds a car at the same place in every picture."""

    classes = ("car",)

    def find(self, images, nms=None):
        super().find(images, nms)
        if sum(count for count, _ in self.asked) > 1:
            delivered.wait()
            Path("waiting").touch()
            while not Path("go").exists():
                time.sleep(0.01)
        one = (len(images), 1)
        box = np.array([[[1, 2, 3, 4]]], np.float32)
        return Kept(box, np.full(one, 0.875, np.float32), np.zeros(one, np.int32), np.ones(one, bool))


def deliver_one(*arguments, **options):
    deliver(*arguments, **options)
    delivered.set()


if __name__ == "__main__":
    deliver, detect.deliver_one = detect.deliver_one, deliver_one
    detect.load_any_detector = lambda *_, **__: SlowDetector(canvas=(40, 80))
    sys.exit(main(["detect", *sys.argv[1:]]))
