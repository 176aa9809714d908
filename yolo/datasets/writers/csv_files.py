"""CSV files with the columns of TensorFlow's object detection tutorials, one a split, for the images in its folder.

A row is an object, of a detected one with its score; an image without objects has a row without class and box, which
not all programs read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from yolo.datasets.writers.writer import (
    AREAS,
    CATEGORY_IDS,
    DUPLICATES,
    FLAGS,
    IMAGE_IDS,
    UNUSED_CLASSES,
    Layout,
    Part,
    Target,
    Writer,
    count_areas,
    count_category_ids,
    count_duplicates,
    count_flags,
    count_image_ids,
    count_unlisted_classes,
    reader_ids,
    shortest,
    total,
)
from yolo.files.csv_table import csv_bytes

HEADER = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
WHOLE = "annotations"
"""Name of the file of a dataset that is not divided into splits."""


def write(parts: Sequence[Part], target: Target) -> None:
    for part in parts:
        target.put(f"{part.name or WHOLE}.csv", csv_bytes(header(part), rows(part)))


def header(part: Part) -> tuple[str, ...]:
    """Names of the columns."""
    return HEADER if part.dataset.scores is None else (*HEADER, "score")


def rows(part: Part) -> Iterator[tuple[Any, ...]]:
    """Rows of a part, in the order of its images."""
    data, boxes = part.dataset, shortest(part.dataset.boxes).tolist()
    scores = None if data.scores is None else shortest(data.scores).tolist()
    for index, (file, (height, width)) in enumerate(zip(part.files, data.sizes.tolist(), strict=True)):
        first, last = data.offsets[index], data.offsets[index + 1]
        for row in range(first, last):
            score = () if scores is None else (number(scores[row]),)
            yield (file, width, height, data.classes[data.labels[row]], *map(number, boxes[row]), *score)
        if first == last:
            yield (file, width, height, *[""] * (len(header(part)) - 3))


def number(value: float) -> str:
    return f"{value:.15g}"


def cannot_hold(parts: Sequence[Part]) -> Mapping[str, int]:
    return {
        AREAS: total(parts, count_areas),
        CATEGORY_IDS: count_category_ids(parts),
        DUPLICATES: total(parts, count_duplicates),
        FLAGS: total(parts, count_flags),
        IMAGE_IDS: total(parts, lambda part: count_image_ids(part, reader_ids(part))),
        UNUSED_CLASSES: count_unlisted_classes(parts),
    }


WRITER = Writer("csv", write, cannot_hold, Layout("images/{split}", "images", usual_splits=True))
