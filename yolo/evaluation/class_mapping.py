"""Classes of a dataset mapped to those of a model by name, where the two differ."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from yolo.class_names import match_names
from yolo.errors import AnnotationError
from yolo.structs import Dataset, counted

logger = logging.getLogger(__name__)

NAMED = 12
"""Largest number of class names that a message lists."""


def map_classes(dataset: Dataset, classes: Sequence[str]) -> Dataset:
    """Dataset with a model's classes; the same, with nothing said, if it has these already.

    A class is found by its name, else by another spelling or synonym (`yolo.class_names`). Boxes of classes that the
    model does not know are left out, and one message says what was mapped and left out.

    Args:
        dataset: the ground truth, with classes of its own.
        classes: class names of the model.

    Raises:
        AnnotationError: the two have no class in common.
    """
    wanted = tuple(classes)
    if dataset.classes == wanted:
        return dataset
    found = match_names(dataset.classes, wanted)
    if not found:
        raise AnnotationError(
            f"{dataset.name}: none of its classes ({listed(dataset.classes)}) is known to the model "
            f"({listed(wanted)}); rename them if they mean the same (--rename OLD=NEW)"
        )
    table = np.array([wanted.index(found[name]) if name in found else -1 for name in dataset.classes], np.int32)
    dropped = int((table[dataset.labels] < 0).sum())
    report(dataset, found, wanted, dropped=dropped)
    return with_classes(dataset, table, wanted, mapped_ids(dataset, found, wanted))


def with_classes(
    dataset: Dataset, table: NDArray[np.int32], classes: Sequence[str], category_ids: tuple[int, ...]
) -> Dataset:
    """Dataset with other classes.

    Args:
        dataset: the dataset.
        table: new label of each label; boxes with -1 are left out.
        classes: names of the new labels.
        category_ids: ids of the new labels in the source.
    """
    labels = table[dataset.labels]
    kept = np.flatnonzero(labels >= 0)
    counts = np.bincount(dataset.box_pictures[kept], minlength=len(dataset))
    return replace(
        dataset,
        classes=tuple(classes),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        boxes=dataset.boxes[kept],
        labels=labels[kept],
        ignore=dataset.ignore[kept],
        areas=dataset.areas[kept],
        category_ids=category_ids,
    )


def mapped_ids(dataset: Dataset, found: dict[str, str], wanted: Sequence[str]) -> tuple[int, ...]:
    """Ids of the wanted classes in the dataset's source; unused ones for those that it does not have."""
    own = dict(zip(dataset.classes, dataset.category_ids, strict=True))
    ids = {new: own[old] for old, new in found.items()}
    free = max(own.values(), default=-1) + 1
    for name in wanted:
        if name not in ids:
            ids[name], free = free, free + 1
    return tuple(ids[name] for name in wanted)


def report(dataset: Dataset, found: dict[str, str], wanted: Sequence[str], *, dropped: int) -> None:
    """Say in one message which classes were mapped by meaning, and which are not known to both."""
    renamed = [f"{old} as {new}" for old, new in found.items() if old != new]
    unknown = [name for name in dataset.classes if name not in found]
    absent = set(wanted) - set(found.values())
    parts = [f"measured on the {counted(len(found), 'class')} that both know"] if unknown or absent else []
    parts += [f"taken by meaning: {listed(renamed)}"] if renamed else []
    parts += [f"not known to the model, with {counted(dropped, 'box')} left out: {listed(unknown)}"] if unknown else []
    parts += [f"{len(absent)} of the model's are not in the data"] if absent else []
    if parts:
        logger.log(logging.WARNING if unknown else logging.INFO, "%s: %s", dataset.name, "; ".join(parts))


def listed(names: Sequence[str]) -> str:
    """Names, of which at most `NAMED` are listed."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
