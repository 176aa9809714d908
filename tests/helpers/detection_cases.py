"""Random truths and detections that reach the corners of COCO's evaluation, and random results files."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.results import DetectionColumns
from yolo.structs import Dataset

SIDES = (10, 60, 300)
"""Largest coordinate, so that boxes fall into different ranges of areas."""
AREAS = (0, 1024, 9216, 1e10)
"""Borders of COCO's ranges of areas, and the largest one."""


def random_boxes(rng: np.random.Generator, count: int, side: int) -> NDArray[np.float32]:
    """Boxes (K, 4) xyxy; half the time on a grid, so that overlaps are equal, sometimes without area."""
    corners, sides = rng.uniform(0, side, (2, count, 2))
    if rng.random() < 0.5:
        corners, sides = (np.round(each / side * 6) * side / 6 for each in (corners, sides))
    if rng.random() < 0.3:
        sides[rng.random((count, 2)) < 0.2] = 0
    return np.concatenate([corners, corners + sides], axis=1).astype(np.float32)


def random_truth(rng: np.random.Generator, side: int) -> Dataset:
    """One to five images with up to four classes, crowds, images without boxes, numbers or words as ids."""
    images, classes = rng.integers(1, 6), rng.integers(1, 5)
    counts = rng.integers(0, 7, images) * (rng.random(images) < 0.8)
    boxes = random_boxes(rng, counts.sum(), side)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) * rng.choice([1, 0.5, 0.8], len(boxes))
    if rng.random() < 0.2:
        areas[rng.random(len(boxes)) < 0.3] = rng.choice(AREAS)
    ids = rng.permutation(1000)[:images].tolist()
    return Dataset(
        classes=tuple(f"class {label}" for label in range(classes)),
        files=[f"{image}.jpg" for image in range(images)],
        sizes=np.full((images, 2), 640, np.int32),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        boxes=boxes,
        labels=rng.integers(0, classes, len(boxes)).astype(np.int32),
        ignore=rng.random(len(boxes)) < rng.choice([0, 0.3, 0.7]),
        areas=areas.astype(np.float32),
        image_ids=ids if rng.random() < 0.7 else [f"image {each}" for each in ids],
        category_ids=tuple(range(classes)),
    )


def random_case(seed: int) -> tuple[Dataset, DetectionColumns]:
    """Truth and detections: most lie near a true box; scores may be equal; one time in ten over 100 in an image."""
    rng = np.random.default_rng(seed)
    side = int(rng.choice(SIDES))
    truth = random_truth(rng, side)
    crowded = rng.random() < 0.1
    count = int(rng.integers(150, 400) if crowded else rng.integers(0, 40))
    pictures = rng.integers(0, 1 if crowded else len(truth), count)
    labels, boxes = rng.integers(0, len(truth.classes), count), random_boxes(rng, count, side)
    if len(truth.boxes):
        near, at = rng.random(count) < 0.7, rng.integers(0, len(truth.boxes), count)
        moved = truth.boxes[at] + rng.normal(0, rng.choice([0, 0.05 * side]), (count, 4))
        moved[:, 2:] = np.maximum(moved[:, :2], moved[:, 2:])
        boxes = np.where(near[:, None], moved, boxes)
        pictures, labels = (
            np.where(near, true[at], other) for true, other in ((truth.box_pictures, pictures), (truth.labels, labels))
        )
    scores = rng.random(count) if rng.random() < 0.5 else rng.integers(0, 4, count) / 4
    return truth, DetectionColumns(pictures, labels.astype(np.int32), scores, boxes.astype(np.float32))


IMAGE_IDS = (7, 42, "a", "ü", 2**70)
CATEGORY_IDS = (18, 90, "x")
TEXTS = ("}, {", '"},\n{"', "], [", "\\", "\\u0041", "ü", "\u2028", "\t")


def random_value(draw: random.Random, depth: int = 0) -> Any:
    """JSON of any kind, with texts and nested lists in which an entry seems to end."""
    kind = draw.randrange(3 if depth < 3 else 2)
    if kind == 0:
        return draw.choice([0, -3, 1.5, 1e-5, None, True, 10**30])
    if kind == 1:
        return draw.choice(TEXTS)
    values = [random_value(draw, depth + 1) for _ in range(draw.randrange(4))]
    return values if draw.random() < 0.5 else {f"key {number}": value for number, value in enumerate(values)}


def random_number(draw: random.Random) -> float:
    return draw.choice(
        [draw.randrange(600), round(draw.uniform(0, 600), 3), draw.uniform(0, 1e-8), 1e7 * draw.random()]
    )


def random_entry(draw: random.Random) -> dict[str, Any]:
    """Entry of a results file, its keys in any order and perhaps others among them."""
    entry = {
        "image_id": draw.choice(IMAGE_IDS),
        "category_id": draw.choice(CATEGORY_IDS),
        "bbox": [random_number(draw) for _ in range(4)],
        "score": draw.choice([1, -draw.random(), draw.random()]),
    }
    if draw.random() < 0.4:
        entry[draw.choice(["segmentation", "id", "ü"])] = random_value(draw)
    items = list(entry.items())
    draw.shuffle(items)
    return dict(items)


def random_results(seed: int) -> bytes:
    """Results file of up to 25 entries, in any layout."""
    draw = random.Random(seed)
    text = json.dumps(
        [random_entry(draw) for _ in range(draw.randrange(26))],
        ensure_ascii=draw.random() < 0.5,
        indent=draw.choice([None, None, 0, 4, "\t"]),
        separators=draw.choice([None, (",", ":"), (" , ", " : "), (",\r\n", ":")]),
    )
    return (draw.choice(["", "\n"]) + text.replace("e-", "E-") + draw.choice(["", "\n", " "])).encode()


BYTES = b'{}[],:"\\0123.eE+-\n\t ua\x00\xff\xc3\x80\x1f'
"""What a damage puts into a file."""


def damaged(content: bytes, seed: int) -> bytes:
    """Content with a byte removed, changed or added, cut off, or with a part of it twice."""
    draw, changed = random.Random(seed), bytearray(content)
    at, other = sorted(draw.randrange(len(content)) for _ in range(2))
    kind = draw.randrange(5)
    if kind == 0:
        del changed[at]
    elif kind == 1:
        changed[at] = draw.choice(BYTES)
    elif kind == 2:
        changed.insert(at, draw.choice(BYTES))
    elif kind == 3:
        del changed[at:]
    else:
        changed[at:at] = content[at : min(other, at + 40)]
    return bytes(changed)
