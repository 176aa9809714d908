"""YOLO txt labels: ``images/SPLIT/``, ``labels/SPLIT/`` and a ``data.yaml`` that describes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import yaml

from yolo.datasets.writers.writer import (
    AREAS,
    CATEGORY_IDS,
    DUPLICATES,
    FLAGS,
    IMAGE_IDS,
    SCORES,
    UNDIVIDED,
    Layout,
    Part,
    Target,
    Writer,
    count_areas,
    count_category_ids,
    count_duplicates,
    count_flags,
    count_image_ids,
    count_scores,
    reader_ids,
    shortest,
    total,
)

DIGITS = 10
"""Decimals of a fraction: a hundred-thousandth of a pixel in the largest images."""


def write(parts: Sequence[Part], target: Target) -> None:
    for part in parts:
        folder = part.folder.replace("images", "labels", 1)
        for stem, lines in zip(part.stems, label_lines(part), strict=True):
            target.put(f"{folder}/{stem}.txt", "".join(f"{line}\n" for line in lines).encode())
    target.put("data.yaml", description(parts))


def label_lines(part: Part) -> list[list[str]]:
    """Lines of each image's label file: class, centre x and y, width and height as fractions."""
    data = part.dataset
    corners = shortest(data.boxes).reshape(-1, 2, 2)
    sides = data.sizes[data.box_pictures][:, None, ::-1].astype(np.float64)
    low, high = np.moveaxis(corners / sides, 1, 0)
    rows = np.concatenate([(low + high) / 2, high - low], axis=1).tolist()
    lines = [" ".join([str(label), *map(fraction, row)]) for label, row in zip(data.labels.tolist(), rows, strict=True)]
    return [lines[start:end] for start, end in zip(data.offsets[:-1], data.offsets[1:], strict=True)]


def fraction(value: float) -> str:
    """Decimal fraction without an exponent, which some programs do not read."""
    return f"{value:.{DIGITS}f}".rstrip("0").rstrip(".")


def description(parts: Sequence[Part]) -> bytes:
    """Content of ``data.yaml``: the folders of the splits, relative to it, and the classes."""
    content = {part.split or "train": part.folder for part in parts}
    names = dict(enumerate(parts[0].dataset.classes))
    return yaml.safe_dump(
        {**content, "nc": len(names), "names": names},
        allow_unicode=True,
        sort_keys=False,
        width=float("inf"),
        encoding="utf-8",
    )


def cannot_hold(parts: Sequence[Part]) -> Mapping[str, int]:
    return {
        AREAS: total(parts, count_areas),
        CATEGORY_IDS: count_category_ids(parts),
        DUPLICATES: total(parts, count_duplicates),
        FLAGS: total(parts, count_flags),
        IMAGE_IDS: total(parts, lambda part: count_image_ids(part, reader_ids(part))),
        SCORES: total(parts, count_scores),
        UNDIVIDED: sum(part.split is None for part in parts),
    }


LAYOUT = Layout("images/{split}", "images/train", by_stem=True, shown=True, usual_splits=True)
WRITER = Writer("yolo", write, cannot_hold, LAYOUT)
