"""From what a reader found to a `Dataset`: boxes are checked, mended or dropped, counted and reported."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolo.structs import Dataset

logger = logging.getLogger(__name__)

PLACES_NAMED = 3
"""How many faulty boxes a warning names."""
ROUNDING = 1.0
"""Boxes that reach over the edge by no more pixels than this were rounded, not misplaced."""

NOT_FINITE = "boxes with NaN or infinite sides, dropped"
INVERTED = "boxes with inverted corners, swapped"
OUTSIDE = "boxes wholly outside their picture, dropped"
EMPTY = "boxes without area, dropped"
CLIPPED = "boxes over the edge of their picture, clipped"
ROUNDED = "boxes over the edge by at most a pixel, clipped"


def repair_boxes(
    boxes: NDArray[np.float64], sizes: NDArray[np.int32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], dict[str, NDArray[np.bool_]]]:
    """Boxes that lie inside their pictures.

    Args:
        boxes: (K, 4) corners in pixels, as found.
        sizes: (K, 2) height and width of each box's picture.

    Returns:
        The boxes (K, 4) xyxy; (K,) which to keep; and for each fault (K,) which boxes have it.
    """
    finite = np.isfinite(boxes).all(axis=1)
    found = np.where(finite[:, None], boxes, 0.0)
    ordered = np.concatenate(
        [np.minimum(found[:, :2], found[:, 2:]), np.maximum(found[:, :2], found[:, 2:])], 1
    )
    edges = sizes[:, [1, 0, 1, 0]].astype(np.float64)
    inside = np.clip(ordered, 0.0, edges)
    overhang = np.abs(ordered - inside).max(axis=1, initial=0.0)
    # In float32, in which the boxes go on: a sliver may vanish by rounding.
    clipped = inside.astype(np.float32)
    has_area = (clipped[:, 2:] > clipped[:, :2]).all(axis=1)
    outside = (ordered[:, 2:] <= 0).any(axis=1) | (ordered[:, :2] >= edges[:, 2:]).any(axis=1)
    outside &= finite & (ordered[:, 2:] > ordered[:, :2]).all(axis=1)
    keep = finite & has_area
    faults = {
        NOT_FINITE: ~finite,
        OUTSIDE: outside & ~keep,
        EMPTY: finite & ~has_area & ~outside,
        INVERTED: keep & (boxes != ordered).any(axis=1),
        CLIPPED: keep & (overhang > ROUNDING),
        ROUNDED: keep & (overhang > 0) & (overhang <= ROUNDING),
    }
    return clipped, keep, faults


def build_dataset(
    *,
    classes: Sequence[str],
    files: Sequence[str],
    sizes: NDArray[np.int32],
    pictures: NDArray[np.int64],
    boxes: NDArray[np.float64],
    labels: NDArray[np.int32],
    place: Callable[[int], str],
    folder: Path,
    name: str,
    split: str | None,
    ignore: NDArray[np.bool_] | None = None,
    areas: NDArray[np.float32] | None = None,
    image_ids: Sequence[int | str] | None = None,
    category_ids: Sequence[int] | None = None,
    repairs: dict[str, int] | None = None,
) -> Dataset:
    """A dataset of boxes in any order, the broken ones mended or dropped.

    Args:
        classes: names.
        files: (N) pictures, relative to the folder.
        sizes: (N, 2) height and width.
        pictures: (K,) which picture each box lies in.
        boxes: (K, 4) corners in pixels, as found.
        labels: (K,) indices into the classes.
        place: says where box k stands, for the warning.
        folder: of the pictures.
        name: of the dataset.
        split: which part of it this is.
        ignore: (K,) crowds and difficult objects; None: none.
        areas: (K,) of the objects; None: the boxes'.
        image_ids: the source's own; None: the files' stems.
        category_ids: the source's own; None: 0, 1, ...
        repairs: what the reader has mended already, by kind.
    """
    if len(pictures) > 1 and (np.diff(pictures) < 0).any():
        order = np.argsort(pictures, kind="stable")
    else:
        order = np.arange(len(pictures))
    pictures = pictures[order]
    fixed, keep, faults = repair_boxes(boxes[order], sizes[pictures])
    counts = dict(repairs or {})
    for fault, rows in faults.items():
        if rows.any():
            counts[fault] = int(rows.sum())
            named = ", ".join(place(int(order[row])) for row in np.flatnonzero(rows)[:PLACES_NAMED])
            level = logging.INFO if fault == ROUNDED else logging.WARNING
            logger.log(
                level, "%s: %d %s (%s%s)", name, counts[fault], fault, named, ", ..." * (rows.sum() > 3)
            )
    kept = fixed[keep]
    return Dataset(
        classes=tuple(classes),
        files=files,
        sizes=np.asarray(sizes, np.int32).reshape(-1, 2),
        offsets=np.concatenate([[0], np.cumsum(np.bincount(pictures[keep], minlength=len(files)))]).astype(
            np.int64
        ),
        boxes=kept,
        labels=labels[order][keep].astype(np.int32),
        ignore=np.zeros(len(kept), bool) if ignore is None else ignore[order][keep],
        areas=(kept[:, 2:] - kept[:, :2]).prod(axis=1) if areas is None else areas[order][keep],
        image_ids=[Path(file).stem for file in files] if image_ids is None else image_ids,
        category_ids=tuple(range(len(classes)) if category_ids is None else category_ids),
        folder=folder,
        name=name,
        split=split,
        repairs=counts,
    )
