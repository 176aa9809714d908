"""Small datasets made by hand for the tests of the pipeline."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from yolo.structs import Dataset

COUNTS = (1, 0, 3, 9, 2, 20, 0)
"""Boxes of the pictures of `pictures`."""


def make_dataset(folder: Path, counts: tuple[int, ...] = COUNTS) -> Dataset:
    """Grey pictures of different sizes, each of its own shade, with random boxes."""
    random = np.random.default_rng(0)
    sizes, boxes = [], []
    for number, count in enumerate(counts):
        height, width = 40 + 8 * number, 90 - 6 * number
        image = np.full((height, width, 3), 20 * number, np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), image)
        corners = np.sort(random.random((count, 2, 2)), axis=1) * 0.9 + [[0, 0], [0.1, 0.1]]
        boxes.append((corners * [width, height]).reshape(count, 4))
        sizes.append((height, width))
    columns = np.concatenate(boxes).astype(np.float32)
    return Dataset(
        classes=("a", "b"),
        files=[f"{number}.png" for number in range(len(counts))],
        sizes=np.array(sizes, np.int32),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        boxes=columns,
        labels=(np.arange(len(columns)) % 2).astype(np.int32),
        ignore=np.arange(len(columns)) % 3 == 0,
        areas=np.prod(columns[:, 2:] - columns[:, :2], axis=1),
        image_ids=list(range(len(counts))),
        category_ids=(1, 2),
        folder=folder,
    )


def labelled(pictures: list[list[int]], classes: int = 3) -> Dataset:
    """Pictures without files that show these labels."""
    counts = [len(labels) for labels in pictures]
    total = sum(counts)
    return Dataset(
        classes=tuple("abcdefg"[:classes]),
        files=[f"{number}.png" for number in range(len(pictures))],
        sizes=np.full((len(pictures), 2), 50, np.int32),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        boxes=np.tile(np.array([0, 0, 5, 5], np.float32), (total, 1)),
        labels=np.array([label for labels in pictures for label in labels], np.int32),
        ignore=np.zeros(total, np.bool_),
        areas=np.full(total, 25, np.float32),
        image_ids=list(range(len(pictures))),
        category_ids=tuple(range(classes)),
    )
