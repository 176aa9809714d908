"""Pictures and datasets of known content for the tests of `yolo.doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from yolo.structs import Dataset

SIZE = (96, 128)
"""Height and width of the pictures."""


def write_scene(path: Path, seed: int, *, size: tuple[int, int] = SIZE, noise: int = 0, **options: Any) -> Path:
    """A picture of soft spots; pictures of one seed show the same in any size and with any noise."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_LINEAR).astype(np.int16)
    pixels = np.clip(smooth + np.random.default_rng(noise).integers(-noise, noise + 1, smooth.shape), 0, 255)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path, **options)
    return path


def make(
    folder: Path,
    boxes: dict[str, list[tuple[str, list[float]]]],
    classes: tuple[str, ...] = ("cat", "dog"),
    *,
    size: tuple[int, int] = SIZE,
    **changes: Any,
) -> Dataset:
    """Dataset of files with boxes of named classes."""
    rows = [row for each in boxes.values() for row in each]
    corners = np.array([box for _, box in rows], np.float32).reshape(-1, 4)
    values: dict[str, Any] = {
        "classes": classes,
        "files": list(boxes),
        "sizes": np.tile(np.array(size, np.int32), (len(boxes), 1)),
        "offsets": np.cumsum([0, *map(len, boxes.values())]).astype(np.int64),
        "boxes": corners,
        "labels": np.array([classes.index(name) for name, _ in rows], np.int32),
        "ignore": np.zeros(len(rows), bool),
        "areas": np.prod(corners[:, 2:] - corners[:, :2], axis=1),
        "image_ids": list(boxes),
        "category_ids": tuple(range(len(classes))),
        "folder": folder,
        **changes,
    }
    return Dataset(**values)


def sound(folder: Path, split: str, first: int, count: int = 14) -> Dataset:
    """A split without a fault: pictures of their own, four boxes each, two of each class."""
    content = {}
    for seed in range(first, first + count):
        write_scene(folder / split / f"{seed}.jpg", seed)
        content[f"{seed}.jpg"] = [
            (name, [10.0 + seed, 10 + 20 * row, 40.0 + seed, 25 + 20 * row])
            for row, name in enumerate(("cat", "dog", "cat", "dog"))
        ]
    return make(folder / split, content)
