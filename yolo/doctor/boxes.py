"""Checks of boxes: doubled, tiny on the canvas, filling the image, of odd shapes, too few."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.doctor.findings import Finding, Parts, Spot, box_spot, finding
from yolo.structs import Boxes, Dataset, Size, counted

SAME_PLACE = 0.95
"""IoU above which two boxes are around one object."""
TINY = 3.0
"""Side in pixels of the canvas below which a box is hardly found."""
MANY_TINY = 0.1
"""Fraction of tiny boxes above which they are a fault of the size."""
FILLS = 0.95
"""Fraction of the image's area above which a box fills it."""
LONG = 20.0
"""Ratio of a box' sides above which its shape is odd."""
FEW = 100
"""Number of boxes below which fitted anchors mean little."""


class Pairs(NamedTuple):
    """Boxes around one object: the rows of the later and of the earlier one of each pair."""

    later: NDArray[np.int64]
    earlier: NDArray[np.int64]


def box_findings(parts: Parts, size: Size) -> list[Finding]:
    """Findings about the boxes of all parts; ``size`` is the canvas, (height, width)."""
    spots: dict[str, list[Spot]] = {name: [] for name in ("box_doubled", "two_classes", "tiny", "fills", "odd")}
    for split, part in parts.items():
        doubled, other = same_places(part)
        spots["box_doubled"] += [pair_of_boxes(part, *pair, split) for pair in zip(*doubled, strict=True)]
        spots["two_classes"] += [pair_of_boxes(part, *pair, split) for pair in zip(*other, strict=True)]
        for name, rows in unusual(part, size).items():
            spots[name] += [box_spot(part, row, split) for row in np.flatnonzero(rows).tolist()]
    total = sum(len(part.boxes) for part in parts.values())
    tiny = "mostly_tiny" if len(spots["tiny"]) > MANY_TINY * total else "tiny"
    return [
        *finding("box_doubled", spots["box_doubled"]),
        *finding("two_classes", spots["two_classes"]),
        *finding(tiny, spots["tiny"]),
        *finding("fills_picture", spots["fills"]),
        *finding("odd_shape", spots["odd"]),
        *few_boxes(parts, total),
    ]


def few_boxes(parts: Parts, total: int) -> list[Finding]:
    """Finding about a dataset with few boxes."""
    if total >= FEW or not parts:
        return []
    return finding("few_boxes", [Spot(next(iter(parts.values())).name, detail=counted(total, "box"))])


def pair_of_boxes(part: Dataset, later: int, earlier: int, split: str | None) -> Spot:
    number = int(earlier) - int(part.offsets[part.offsets.searchsorted(earlier, side="right") - 1]) + 1
    return box_spot(part, int(later), split, f"as box {number} ({part.classes[part.labels[earlier]]})")


def unusual(part: Dataset, size: Size) -> dict[str, NDArray[np.bool_]]:
    """Masks (K,) of boxes that are tiny on the canvas, fill the image, or are of an odd shape; crowds are none."""
    sizes = part.sizes[part.box_pictures].astype(np.float64)
    sides = (part.boxes[:, [3, 2]] - part.boxes[:, [1, 0]]).astype(np.float64)
    scale = np.min(np.asarray(size) / np.maximum(sizes, 1), axis=1, initial=np.inf)
    shorter, longer = sides.min(axis=1, initial=np.inf), sides.max(axis=1, initial=0)
    tiny = shorter * scale < TINY
    own = ~part.ignore
    return {
        "tiny": own & tiny,
        "fills": own & (sides.prod(axis=1) > FILLS * sizes.prod(axis=1)),
        "odd": own & ~tiny & (longer > LONG * shorter),
    }


def same_places(part: Dataset) -> tuple[Pairs, Pairs]:
    """Pairs of boxes around one object: those of one class, and those of two; crowds are left out."""
    own = np.flatnonzero(~part.ignore)
    pictures = part.box_pictures[own]
    order = own[np.lexsort((part.boxes[own, 0], pictures))]
    pictures, boxes, labels = part.box_pictures[order], part.boxes[order], part.labels[order]
    same: list[NDArray[np.int64]] = []
    other: list[NDArray[np.int64]] = []
    rows, step = np.arange(len(order)), 0
    repeated = np.zeros(len(order), bool)
    # Boxes are sorted by x1 within their images: once the next one begins too far right, so do all after it.
    while True:
        step += 1
        rows = rows[(rows + step < len(order)) & ~repeated[rows]]
        reach = boxes[rows, 0] + (1 - SAME_PLACE) * (boxes[rows, 2] - boxes[rows, 0])
        beyond = np.minimum(rows + step, len(order) - 1)
        rows = rows[(pictures[rows] == pictures[beyond]) & (boxes[beyond, 0] <= reach)]
        if not len(rows):
            break
        found = rows[overlaps(boxes[rows], boxes[rows + step]) > SAME_PLACE]
        pairs = np.stack([found, found + step], axis=1)
        alike = labels[found] == labels[found + step]
        fresh = alike & ~repeated[found + step]
        repeated[found[fresh] + step] = True
        same.append(np.sort(order[pairs[fresh]], axis=1))
        other.append(np.sort(order[pairs[~alike]], axis=1))
    return as_pairs(same), as_pairs(other)


def as_pairs(found: list[NDArray[np.int64]]) -> Pairs:
    joined = np.concatenate([np.zeros((0, 2), np.int64), *found])
    joined = joined[np.argsort(joined[:, 1], kind="stable")]
    return Pairs(joined[:, 1], joined[:, 0])


def overlaps(one: Boxes, other: Boxes) -> NDArray[np.float64]:
    """IoU (K,) of K pairs of boxes (K, 4)."""
    low, high = np.maximum(one[:, :2], other[:, :2]), np.minimum(one[:, 2:], other[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1).astype(np.float64)
    areas = [(each[:, 2:] - each[:, :2]).prod(axis=1) for each in (one, other)]
    return np.asarray(shared / np.maximum(areas[0] + areas[1] - shared, 1e-9))
