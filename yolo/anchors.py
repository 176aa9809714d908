"""Anchor sets: k-means fit to a dataset, quality measures, files, published sets.

Anchors are (N, 2) float32, width and height in canvas pixels, by increasing area. Only the shape of a box matters here,
its width and height on the canvas: IoU is that of box and anchor on one centre (YOLOv2, section 2, "Dimension
Clusters").
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolo.anchor_shapes import Shapes, shape_kinds, with_copies
from yolo.config import LetterboxMode, canvas_size, check
from yolo.errors import AnnotationError, ConfigError
from yolo.files.atomic import write_text
from yolo.files.bounded import MIB, read_text
from yolo.files.quoted import quoted
from yolo.files.shipped import shipped_file, shipped_folder
from yolo.images.letterbox import letterbox_scales
from yolo.structs import Dataset

Anchors = NDArray[np.float32]

PUBLISHED_SIZE = 416
LARGEST_FILE = MIB
"""Bytes of a file of anchors, at most."""

MOST_ANCHORS = 1_000
"""Largest number of anchors to fit."""
SMALLEST_ANCHOR = 1e-4
"""Smallest width and height of a fitted anchor, in pixels: a fraction of a pixel is a shape, nothing is none."""
FIT_LIMIT = 10_000
"""Number of shapes above which a sample is fitted; the mean IoU of the result changes by less than 0.001."""
CURVE_LIMIT = 2_000
REFINED_STARTS = 3
"""Number of the best k-means results that are refined."""
RECALL_RATIO = 4.0
WORTHWHILE_GAIN = 0.02
"""Gain in mean IoU from which new anchors are recommended: they no longer match pretrained weights."""
SHAPES_AT_ONCE = 65_536
DIRECTIONS = np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1], [1, -1], [-1, 1]], np.float64)


@dataclass(frozen=True)
class AnchorQuality:
    """Quality of anchors on a set of shapes."""

    mean_iou: float
    """Mean IoU of the shapes with their best anchors."""
    best_possible_recall: float
    """Fraction of the shapes with an anchor whose width and height are both within a factor of 4 (the `anchor_t` test
    of the PyTorch YOLOv3's autoanchor)."""


def fit_anchors(
    dataset: Dataset,
    count: int = 9,
    size: int | tuple[int, int] = PUBLISHED_SIZE,
    *,
    seed: int = 0,
    mode: LetterboxMode = "letterbox",
    restarts: int = 12,
) -> Anchors:
    """Fit anchors to a dataset: k-means under 1 - IoU, then refined; deterministic for a seed.

    Where the boxes have fewer kinds of shapes than anchors are wanted, the kinds themselves are anchors and the others
    copies of them, scaled by powers of the square root of 2: every box has an anchor of its shape.

    Args:
        dataset: dataset whose boxes are fitted, without ignored ones (crowds cover groups, not objects).
        count: number of anchors.
        size: network input, one side or (height, width).
        seed: seed of the starting points and, above 10,000 boxes, of the sample.
        mode: how images are fitted to the canvas.
        restarts: number of k-means runs to choose from.

    Returns:
        (count, 2) float32, width and height in canvas pixels, to 0.01 px, by increasing area.

    Raises:
        AnnotationError: the dataset has no boxes.
        ConfigError: the count or size is invalid.
    """
    return fit_shapes(canvas_shapes(dataset, size, mode=mode), count, seed=seed, restarts=restarts)


def canvas_shapes(dataset: Dataset, size: int | tuple[int, int], *, mode: LetterboxMode = "letterbox") -> Shapes:
    """Width and height on the canvas (K, 2) of the K boxes that are not ignored.

    Raises:
        AnnotationError: there are no such boxes.
        ConfigError: the size is not a multiple of 32.
    """
    canvas = canvas_size(size)
    kept = ~dataset.ignore
    if not kept.any():
        raise AnnotationError(f"{dataset.name}: has no boxes to fit anchors to; {_why_none(dataset)}")
    scales = letterbox_scales(dataset.sizes, canvas, mode)[dataset.box_pictures[kept]]
    boxes = dataset.boxes[kept].astype(np.float64)
    return (boxes[:, 2:] - boxes[:, :2]) * scales[:, ::-1]


def _why_none(dataset: Dataset) -> str:
    if len(dataset.boxes):
        return "all of them are to be ignored (crowds, difficult): mark some objects as ordinary ones"
    where = "" if dataset.split is None else f" of the split {dataset.split}"
    return f"all {len(dataset)} pictures{where} are without one: check that their annotations are where they belong"


def fit_shapes(shapes: Shapes, count: int, *, seed: int = 0, restarts: int = 12) -> Anchors:
    """Fit anchors to widths and heights (K, 2), as `fit_anchors` does."""
    check(0 < count <= MOST_ANCHORS, "count", f"in 1..{MOST_ANCHORS}", count)
    check(0 <= seed < 2**32, "seed", "in 0..2**32 - 1", seed)
    kinds = shape_kinds(shapes, count)
    sample = _sample(shapes, FIT_LIMIT, seed)
    if len(kinds) == count and sample is not shapes:
        kinds = shape_kinds(sample, count)
    best = with_copies(kinds, count) if len(kinds) < count else _fit_kmeans(sample, count, seed=seed, restarts=restarts)
    return sort_anchors(_rounded(best))


def _fit_kmeans(shapes: Shapes, count: int, *, seed: int, restarts: int) -> Shapes:
    starts = [_kmeans(shapes, _seed_anchors(shapes, count, seed=seed + run)) for run in range(restarts)]
    starts.sort(key=lambda anchors: -_mean_best(shape_iou(shapes, anchors)))
    refined = [_refine(shapes, anchors) for anchors in starts[:REFINED_STARTS]]
    return max(refined, key=lambda anchors: _mean_best(shape_iou(shapes, anchors)))


def _rounded(anchors: Shapes) -> Shapes:
    """Round to 0.01 px, and sides below a pixel, of which that is no small part, to 0.0001 px."""
    return np.maximum(np.where(anchors < 1, np.round(anchors, 4), np.round(anchors, 2)), SMALLEST_ANCHOR)


def sort_anchors(anchors: NDArray[np.floating]) -> Anchors:
    """Sort by increasing area, the order in which the scales, fine to coarse, use them."""
    return anchors[np.argsort(anchors.prod(axis=-1), kind="stable")].astype(np.float32)


def shape_iou(shapes: Shapes, anchors: NDArray[np.floating]) -> NDArray[np.float64]:
    """IoU (K, N) of every shape (K, 2) with every anchor (N, 2) on one centre."""
    widths = np.minimum(shapes[:, :1], anchors[:, 0])
    heights = np.minimum(shapes[:, 1:], anchors[:, 1])
    intersections = widths * heights
    return intersections / (shapes.prod(axis=-1)[:, None] + anchors.prod(axis=-1) - intersections)


def _mean_best(overlaps: NDArray[np.float64]) -> float:
    return float(overlaps.max(axis=1).mean())


def _sample(shapes: Shapes, limit: int, seed: int) -> Shapes:
    if len(shapes) <= limit:
        return shapes
    return shapes[np.random.default_rng(seed).choice(len(shapes), limit, replace=False)]


def _seed_anchors(shapes: Shapes, count: int, *, seed: int) -> Shapes:
    """K-means++ starting points, (count, 2).

    They are chosen by logarithms, where equal distances are equal ratios: 1 - IoU of similar shapes is about the sum of
    the two log differences, whatever their size.
    """
    from sklearn.cluster import kmeans_plusplus

    centres, _ = kmeans_plusplus(np.log(np.maximum(shapes, 1e-6)), count, random_state=seed % 2**32)
    return np.exp(centres)


def _kmeans(shapes: Shapes, anchors: Shapes, *, rounds: int = 100) -> Shapes:
    """Lloyd's algorithm under 1 - IoU.

    The centre of a cluster is its median, whose mean IoU with it is clearly higher than the mean's (0.62 against 0.59
    on coco128).
    """
    owners = np.full(len(shapes), -1)
    for _ in range(rounds):
        nearest = shape_iou(shapes, anchors).argmax(axis=1)
        if (nearest == owners).all():
            break
        owners = nearest
        members = [shapes[owners == index] for index in range(len(anchors))]
        anchors = np.array([np.median(group, axis=0) if len(group) else anchors[i] for i, group in enumerate(members)])
    return anchors


def _refine(shapes: Shapes, anchors: Shapes) -> Shapes:
    """Increase the mean best IoU itself by pattern search; it has kinks, so gradients do not help."""
    anchors, overlaps = anchors.copy(), shape_iou(shapes, anchors)
    step = 0.1
    while step > 0.001:
        moved = [_move(shapes, anchors, overlaps, index, step) for index in range(len(anchors))]
        if not any(moved):
            step /= 2
    return anchors


def _move(shapes: Shapes, anchors: Shapes, overlaps: NDArray[np.float64], index: int, step: float) -> bool:
    """Move one anchor by one step if that increases the mean best IoU; updates both arrays in place."""
    candidates = anchors[index] * np.exp(step * DIRECTIONS)
    tried = shape_iou(shapes, candidates)
    others = np.delete(overlaps, index, axis=1).max(axis=1, initial=0.0)
    scores = np.maximum(tried, others[:, None]).mean(axis=0)
    best = int(scores.argmax())
    if scores[best] <= _mean_best(overlaps) + 1e-7:
        return False
    anchors[index], overlaps[:, index] = candidates[best], tried[:, best]
    return True


def measure_anchors(shapes: Shapes, anchors: NDArray[np.floating]) -> AnchorQuality:
    """Measure how well anchors (N, 2) fit shapes (K, 2), both in pixels of one canvas."""
    total, recalled = 0.0, 0
    for start in range(0, len(shapes), SHAPES_AT_ONCE):
        part = shapes[start : start + SHAPES_AT_ONCE]
        total += float(shape_iou(part, anchors).max(axis=1).sum())
        ratios = part[:, None] / anchors
        worst = np.maximum(ratios, 1 / ratios).max(axis=2)
        recalled += int((worst.min(axis=1) < RECALL_RATIO).sum())
    return AnchorQuality(total / len(shapes), recalled / len(shapes))


def mean_iou_by_count(shapes: Shapes, counts: Iterable[int], *, seed: int = 0) -> dict[int, float]:
    """Mean best IoU of fitted anchors for each number of anchors, on a sample of the shapes."""
    sample = _sample(shapes, CURVE_LIMIT, seed)
    return {
        count: measure_anchors(sample, fit_shapes(sample, count, seed=seed, restarts=4)).mean_iou for count in counts
    }


def choose_anchors(fitted: AnchorQuality, current: AnchorQuality, name: str) -> str:
    """Verdict in one sentence: which anchors to use, and why."""
    gain = fitted.mean_iou - current.mean_iou
    figures = f"mean IoU {fitted.mean_iou:.3f} against {current.mean_iou:.3f} of {name}"
    if gain >= WORTHWHILE_GAIN:
        return f"use the fitted anchors: {figures}"
    if gain > 0:
        return f"keep {name}: the fitted anchors gain less than {WORTHWHILE_GAIN} ({figures})"
    return f"keep {name}: the fitted anchors are no better ({figures})"


def scale_anchors(
    anchors: NDArray[np.floating], from_size: int | tuple[int, int], to_size: int | tuple[int, int]
) -> Anchors:
    """Scale anchors (N, 2) from one input size to another.

    Their aspect ratio is kept, as the letterbox keeps that of objects: between sizes of different aspect ratios the
    factor is the geometric mean of those of the two sides.
    """
    (rows, columns), (new_rows, new_columns) = canvas_size(from_size), canvas_size(to_size)
    return (anchors * math.sqrt(new_rows * new_columns / (rows * columns))).astype(np.float32)


def published_anchors(name: str, size: int | tuple[int, int] = PUBLISHED_SIZE) -> Anchors:
    """Shipped anchors by name, such as ``yolov3-coco``, scaled to an input size.

    Raises:
        ConfigError: there are no anchors of that name.
    """
    path = shipped_file("anchors", f"{name}.txt")
    if path is None:
        raise ConfigError(f"no anchors {name!r}; there are {', '.join(published_names())}, or give a file")
    return read_anchors(path, size)


def published_names() -> list[str]:
    return sorted(path.stem for path in shipped_folder("anchors").glob("*.txt"))


def read_anchors(path: str | Path, size: int | tuple[int, int] | None = None) -> Anchors:
    """Read anchors from a text file: ``w,h`` per line, or Darknet's single line of pairs; ``#`` starts a comment.

    If a comment states the input size they were made for (``# size: 416 x 416``, height first) and ``size`` is given,
    they are scaled to it.

    Raises:
        ConfigError: the file cannot be read or does not hold anchors.
    """
    lines = read_text(path, limit=LARGEST_FILE, what="a file of anchors").splitlines()
    pairs = [pair for number, line in enumerate(lines, 1) for pair in _pairs(line, f"{path}:{number}")]
    if not pairs:
        raise ConfigError(f"{path}: contains no anchors; expected lines of width,height")
    anchors = sort_anchors(np.array(pairs))
    stated = re.search(r"^#\s*size:\s*(\d{1,9})\s*x\s*(\d{1,9})\b", "\n".join(lines), re.MULTILINE)
    if stated is None or size is None:
        return anchors
    try:
        return scale_anchors(anchors, (int(stated[1]), int(stated[2])), size)
    except ConfigError as error:
        raise ConfigError(f"{path}: in its comment: {error}") from error


def _pairs(line: str, place: str) -> list[tuple[float, float]]:
    fields = line.partition("#")[0].replace(",", " ").split()
    try:
        numbers = [float(item) for item in fields]
    except ValueError as error:
        raise ConfigError(f"{place}: {error!s:.100}; expected width,height") from error
    if len(numbers) % 2:
        raise ConfigError(f"{place}: expected pairs of width,height, got {len(numbers)} numbers")
    if not all(0 < number < 1e6 for number in numbers):
        raise ConfigError(f"{place}: widths and heights must be positive pixels, got {quoted(line.strip())}")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def write_anchors(
    path: str | Path, anchors: Anchors, *, origin: str, size: int | tuple[int, int] = PUBLISHED_SIZE
) -> None:
    """Write a text file for `read_anchors`; ``origin``, one or more lines, describes where the anchors come from.

    Raises:
        ConfigError: the file cannot be written.
    """
    height, width = canvas_size(size)
    comments = [f"# {line}" for line in origin.splitlines()]
    rows = [f"{anchor[0]:g},{anchor[1]:g}" for anchor in anchors.tolist()]
    write_text(path, "\n".join([*comments, f"# size: {height} x {width} (height x width)", *rows, ""]))
