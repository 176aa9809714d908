"""Dataset of small images whose every pixel differs, so that any mix-up is detected."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from yolo.structs import Dataset

LONG_AGO = 1_500_000_000


def write_noise(path: Path, *, height: int, width: int, seed: int) -> Path:
    """A JPEG or PNG of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def make_noise_dataset(folder: Path, count: int = 6, **changes: object) -> Dataset:
    """``count`` pictures of different sizes, JPEG and PNG in turn; picture k has k % 4 boxes."""
    random = np.random.default_rng(1)
    files, sizes, boxes = [], [], []
    for number in range(count):
        height, width = 30 + 3 * number, 60 - 4 * (number % 9)
        name = f"sub/{number:03}.{'jpg' if number % 2 else 'png'}"
        path = write_noise(folder / name, height=height, width=width, seed=number)
        os.utime(path, (LONG_AGO, LONG_AGO))
        corners = np.sort(random.random((number % 4, 2, 2)), axis=1) * 0.8 + [[0, 0], [0.2, 0.2]]
        files.append(name)
        sizes.append((height, width))
        boxes.append((corners * [width, height]).reshape(-1, 4))
    columns = np.concatenate(boxes).astype(np.float32)
    values: dict[str, object] = {
        "classes": ("cat", "dog", "owl"),
        "files": files,
        "sizes": np.array(sizes, np.int32),
        "offsets": np.concatenate([[0], np.cumsum([len(each) for each in boxes])]).astype(np.int64),
        "boxes": columns,
        "labels": (np.arange(len(columns)) % 2).astype(np.int32),
        "ignore": np.arange(len(columns)) % 3 == 0,
        "areas": (np.arange(len(columns)) / 3).astype(np.float32),
        "image_ids": [100 + number if number % 2 else f"id {number}" for number in range(count)],
        "category_ids": (7, 2, 9),
        "folder": folder,
        **changes,
    }
    return Dataset(**values)  # type: ignore[arg-type]
