"""Hypothesis strategies for detections and datasets."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from yolo.structs import Dataset, Detections

CLASSES = ("zebra", "cät, <&> 'x'", "1")
SIZE = (480, 640)

_FRACTION = st.floats(0, 1, width=32)
_ROW = st.tuples(_FRACTION, _FRACTION, _FRACTION, _FRACTION, _FRACTION, st.integers(0, 2), st.booleans())
ROWS = st.lists(_ROW, max_size=5)


def boxes_of(rows) -> np.ndarray:
    """Boxes (N, 4) in an image of `SIZE`, with sides of a tenth of a pixel at least."""
    table = np.array([row[:4] for row in rows], np.float64).reshape(-1, 4)
    across, down = np.sort(table[:, :2] * (SIZE[1] - 1)), np.sort(table[:, 2:] * (SIZE[0] - 1))
    boxes = np.stack([across[:, 0], down[:, 0], across[:, 1] + 0.1, down[:, 1] + 0.1], axis=1)
    return boxes.astype(np.float32)


def make_detections(rows) -> Detections:
    scores = np.sort(np.array([row[4] for row in rows], np.float32))[::-1]
    return Detections(boxes_of(rows), scores.copy(), np.array([row[5] for row in rows], np.int32), CLASSES)


def make_dataset(pictures, *, scored: bool) -> Dataset:
    rows = [row for picture in pictures for row in picture]
    boxes = boxes_of(rows)
    return Dataset(
        classes=CLASSES,
        files=[f"p{number}.png" for number in range(len(pictures))],
        sizes=np.tile(np.array(SIZE, np.int32), (len(pictures), 1)),
        offsets=np.concatenate([[0], np.cumsum([len(picture) for picture in pictures])]).astype(np.int64),
        boxes=boxes,
        labels=np.array([row[5] for row in rows], np.int32),
        ignore=np.array([row[6] for row in rows], bool),
        areas=(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) / 2,
        image_ids=list(range(7, 7 + len(pictures))),
        category_ids=(0, 1, 2),
        scores=np.array([row[4] for row in rows], np.float32) if scored else None,
    )


DETECTIONS = ROWS.map(make_detections)
DATASETS = st.builds(
    lambda pictures, scored: make_dataset(pictures, scored=scored),
    st.lists(ROWS, min_size=1, max_size=4),
    st.booleans(),
)
