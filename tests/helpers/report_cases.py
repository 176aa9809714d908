"""Small evaluations with pictures, made by hand, for the tests of reports."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from yolo.evaluation.results import DetectionColumns
from yolo.structs import Dataset

NAMES = ("cat", '<script>alert("c")</script>')
"""Class names, one of them as an attacker would choose it."""
FILES = ("a.png", "<script>alert(1)<b>.png", "plain's & “odd”.png")


def three_pictures(folder: Path) -> tuple[Dataset, DetectionColumns]:
    """Three pictures with four true boxes and six detections.

    At IoU 0.5, right are 0.9 and 0.4 in the first picture and 0.615 in the second; wrong are 0.7 in the first, 0.55 in
    the second and 0.2 in the third.
    """
    for number, name in enumerate(FILES):
        image = np.full((120, 160, 3), 60 + 60 * number, np.uint8)
        (folder / name).write_bytes(cv2.imencode(".png", image)[1].tobytes())
    true = [(10, 10, 50, 50), (80, 10, 120, 50), (20, 20, 60, 100), (90, 60, 150, 110)]
    found = [
        (0, 0, 0.9, (10, 10, 50, 50)),
        (0, 0, 0.4, (80, 12, 120, 52)),
        (0, 1, 0.7, (10, 60, 40, 110)),
        (1, 1, 0.615, (20, 20, 60, 100)),
        (1, 0, 0.55, (22, 20, 60, 100)),
        (2, 0, 0.2, (0, 0, 30, 30)),
    ]
    boxes = np.array(true, np.float32)
    dataset = Dataset(
        classes=NAMES,
        files=list(FILES),
        sizes=np.array([(120, 160)] * 3, np.int32),
        offsets=np.array([0, 2, 4, 4]),
        boxes=boxes,
        labels=np.array([0, 0, 1, 1], np.int32),
        ignore=np.zeros(4, bool),
        areas=(boxes[:, 2:] - boxes[:, :2]).prod(axis=1),
        image_ids=[1, 2, 3],
        category_ids=(1, 2),
        folder=folder,
        name="three",
    )
    columns = DetectionColumns(
        pictures=np.array([row[0] for row in found], np.int64),
        labels=np.array([row[1] for row in found], np.int32),
        scores=np.array([row[2] for row in found]),
        boxes=np.array([row[3] for row in found], np.float32),
    )
    return dataset, columns


NOTHING = DetectionColumns(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0), np.zeros((0, 4), np.float32))
