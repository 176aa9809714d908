"""Columns of a Dataset, and the columns of several parts of a dataset joined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.columns import Columns
from yolo.datasets.annotations.repair import Repairs
from yolo.structs import Dataset


def to_columns(dataset: Dataset) -> Columns:
    """Convert a Dataset back to columns, for readers that have one."""
    pictures = dataset.box_pictures
    return Columns(
        folder=dataset.folder,
        files=dataset.files,
        sizes=dataset.sizes,
        image_ids=dataset.image_ids,
        names=dataset.classes,
        category_ids=dataset.category_ids,
        split=dataset.split,
        pictures=pictures,
        labels=dataset.labels,
        boxes=dataset.boxes.astype(np.float64),
        ignore=dataset.ignore,
        areas=dataset.areas.astype(np.float64),
        place=lambda row: f"{dataset.path(int(pictures[row]))}: object {row - dataset.offsets[pictures[row]] + 1}",
        left_out=dataset.left_out,
        store=dataset.store,
    )


def common_ids(parts: Sequence[Columns], names: Sequence[str]) -> list[int] | None:
    """Id of each class in the sources of several parts; None if these have none, or differ."""
    ids: dict[str, int] = {}
    for part in parts:
        for name, each in reversed(list(zip(part.names, part.category_ids or (), strict=False))):
            if part is parts[0]:
                ids[name] = each  # at last the first of several with one name
            elif ids.setdefault(name, each) != each:
                return None
    known = [ids[name] for name in names if name in ids]
    return known if len(known) == len(names) == len(set(known)) else None


def concatenate(parts: Sequence[Columns], *, folder: Path, classes: Sequence[str]) -> Columns:
    """Join the columns of several parts of a dataset, such as its splits.

    Args:
        parts: the parts, without stores.
        folder: folder that the images' paths become relative to.
        classes: class names of the whole.
    """
    names = list(dict.fromkeys([*classes, *(name for part in parts for name in part.names)]))
    label_of = {name: label for label, name in enumerate(names)}
    paths = [part.folder / file for part in parts for file in part.files]
    files = [str(path.relative_to(folder) if path.is_relative_to(folder) else path) for path in paths]
    firsts = np.cumsum([0, *(len(part.files) for part in parts)])
    rows = np.cumsum([0, *(len(part.boxes) for part in parts)])
    repairs = Repairs()
    for part in parts:
        repairs.take_over(part.repairs)

    def place(row: int) -> str:
        part = int(np.searchsorted(rows, row, side="right")) - 1
        return parts[part].place(row - int(rows[part]))

    def joined(name: str, missing: float) -> NDArray[Any]:
        columns = [getattr(part, name) for part in parts]
        return np.concatenate(
            [
                np.full(len(part.boxes), missing) if column is None else column
                for part, column in zip(parts, columns, strict=True)
            ]
        )

    ids = [each for part in parts for each in part.image_ids]
    return Columns(
        folder=folder,
        files=files,
        sizes=np.concatenate([part.sizes for part in parts]),
        image_ids=ids if len(set(ids)) == len(ids) else files,
        names=names,
        classes=classes,
        category_ids=common_ids(parts, names),
        pictures=np.concatenate([part.pictures + first for part, first in zip(parts, firsts, strict=False)]),
        labels=np.concatenate(
            [np.array([label_of[name] for name in part.names], np.int32)[part.labels] for part in parts]
        ),
        boxes=np.concatenate([part.boxes for part in parts]),
        ignore=joined("ignore", missing=0).astype(bool),
        areas=joined("areas", missing=np.nan),
        place=place,
        repairs=repairs,
        left_out={file: reason for part in parts for file, reason in part.left_out.items()},
    )
