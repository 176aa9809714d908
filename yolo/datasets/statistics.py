"""Statistics of a dataset: classes, numbers, sizes, shapes and positions of boxes, sizes of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.config import LetterboxMode, canvas_size
from yolo.images.letterbox import letterbox_scales
from yolo.structs import Dataset

SMALL, MEDIUM = 32.0**2, 96.0**2
"""Areas in square pixels from which a box is medium, and large (cocodataset.org, "Detection evaluation")."""
TINY_SIDE = 8.0
"""Shorter side in pixels of the canvas below which an object is smaller than the finest stride."""
COMMONEST = 5
"""Number of image sizes that are listed."""
GRID = 64
"""Cells of a heat map along each side."""
QUANTILES = {"min": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "max": 1.0}


def describe_boxes(
    dataset: Dataset, size: int | tuple[int, int], *, mode: LetterboxMode = "letterbox"
) -> dict[str, Any]:
    """Statistics of a dataset as plain data.

    Args:
        dataset: images to describe.
        size: input size of the network, at which boxes are small, medium or large.
        mode: how images are fitted to the canvas.
    """
    shapes = box_shapes(dataset, size, mode=mode)
    return {
        "split": dataset.split,
        "pictures": len(dataset),
        "pictures_without_boxes": int((dataset.box_counts == 0).sum()),
        "boxes": len(dataset.boxes),
        "ignored": int(dataset.ignore.sum()),
        "classes": count_classes(dataset),
        "boxes_per_picture": quantiles(dataset.box_counts),
        "sizes": size_shares(shapes),
        "width": quantiles(shapes[:, 0]),
        "height": quantiles(shapes[:, 1]),
        "width_to_height": quantiles(shapes[:, 0] / np.maximum(shapes[:, 1], 1e-9)),
        "picture_width": quantiles(dataset.sizes[:, 1]),
        "picture_height": quantiles(dataset.sizes[:, 0]),
        "picture_sizes": commonest_sizes(dataset),
    }


def box_shapes(dataset: Dataset, size: int | tuple[int, int], *, mode: LetterboxMode) -> NDArray[np.float64]:
    """Width and height (K, 2) of every box on the canvas, ignored ones included."""
    scales = letterbox_scales(dataset.sizes, canvas_size(size), mode)[dataset.box_pictures]
    boxes = dataset.boxes.astype(np.float64)
    return (boxes[:, 2:] - boxes[:, :2]) * scales[:, ::-1]


def count_classes(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Number of boxes of each class, and of images with one."""
    boxes = np.bincount(dataset.labels, minlength=len(dataset.classes))
    seen = np.unique(np.stack([dataset.box_pictures, dataset.labels.astype(np.int64)]), axis=1)[1]
    pictures = np.bincount(seen, minlength=len(dataset.classes))
    return {
        name: {"boxes": int(boxes[label]), "pictures": int(pictures[label])}
        for label, name in enumerate(dataset.classes)
    }


def quantiles(values: NDArray[Any]) -> dict[str, float] | None:
    """Quantiles of some numbers, to 3 digits after the point; None without any."""
    if not len(values):
        return None
    found = np.quantile(values.astype(np.float64), list(QUANTILES.values()))
    return {name: round(float(value), 3) for name, value in zip(QUANTILES, found, strict=True)}


def size_shares(shapes: NDArray[np.float64]) -> dict[str, float]:
    """Shares of small, medium and large boxes on the canvas, and of those thinner than the finest stride."""
    if not len(shapes):
        return {"small": 0.0, "medium": 0.0, "large": 0.0, "thinner_than_8_px": 0.0}
    areas = shapes.prod(axis=1)
    small, large = float((areas < SMALL).mean()), float((areas >= MEDIUM).mean())
    return {
        "small": round(small, 4),
        "medium": round(max(0.0, 1 - small - large), 4),
        "large": round(large, 4),
        "thinner_than_8_px": round(float((shapes.min(axis=1) < TINY_SIDE).mean()), 4),
    }


def commonest_sizes(dataset: Dataset) -> list[dict[str, int]]:
    """The commonest image sizes with their numbers."""
    counts = Counter((width, height) for height, width in dataset.sizes.tolist())
    return [
        {"width": width, "height": height, "pictures": number}
        for (width, height), number in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:COMMONEST]
    ]


def coverage(datasets: Sequence[Dataset], cells: int = GRID) -> NDArray[np.float64]:
    """Share of the boxes that cover each cell (rows, columns) of a grid over the image, whatever its size.

    A box covers the rows and columns whose middles it contains; if it contains none, that of its own centre.
    """
    # Marks at the corners whose sums over rows and columns are the numbers of boxes.
    marks, total = np.zeros((cells + 1, cells + 1), np.int64), 0
    for dataset in datasets:
        sizes = dataset.sizes[dataset.box_pictures][:, ::-1].astype(np.float64)
        corners = np.clip(dataset.boxes.astype(np.float64) / np.tile(sizes, 2), 0, 1) * cells
        first, last = np.ceil(corners[:, :2] - 0.5).astype(int), np.ceil(corners[:, 2:] - 0.5).astype(int)
        centre = np.minimum(corners.reshape(-1, 2, 2).mean(axis=1).astype(int), cells - 1)
        first, last = np.where(last > first, first, centre), np.where(last > first, last, centre + 1)
        for columns, rows, sign in (
            (first[:, 0], first[:, 1], 1),
            (last[:, 0], first[:, 1], -1),
            (first[:, 0], last[:, 1], -1),
            (last[:, 0], last[:, 1], 1),
        ):
            np.add.at(marks, (rows, columns), sign)
        total += len(corners)
    return marks.cumsum(axis=0).cumsum(axis=1)[:cells, :cells] / max(total, 1)
