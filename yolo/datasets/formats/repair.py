"""Broken boxes: clipped, turned round or dropped, counted, and reported once a dataset."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from yolo.structs import Boxes

logger = logging.getLogger(__name__)

PLACES_NAMED = 3
"""How many places of each fault the report names."""
ROUNDING = 1.0
"""Boxes over the edge by no more pixels than this were rounded, or counted from 0 instead of 1."""
ARITHMETIC = 1e-3
"""An overhang of fewer pixels comes from decimal places and is none."""

NOT_FINITE = "boxes with NaN or infinite sides, dropped"
OUTSIDE = "boxes wholly outside their picture, dropped"
EMPTY = "boxes without area, dropped"
INVERTED = "boxes with inverted corners, swapped"
CLIPPED = "boxes over the edge of their picture, clipped"
ROUNDED = "boxes over the edge by at most a pixel, clipped"
LISTED_TWICE = "pictures listed twice, taken once"
REPEATED = "objects repeated in their file, taken once"
WRONG_SIZE = "annotated sizes missing or wrong, taken from the picture"
SHARED_ID = "annotations with the id of another, kept"

MINOR = frozenset({ROUNDED})
"""Not worth a warning where there is nothing else."""


class Repairs:
    """What a reader mended or left out: how often each, and where first."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._places: dict[str, list[str]] = {}

    def add(self, fault: str, place: str) -> None:
        self.counts[fault] = self.counts.get(fault, 0) + 1
        places = self._places.setdefault(fault, [])
        if len(places) < PLACES_NAMED:
            places.append(place)

    def add_rows(self, fault: str, rows: NDArray[np.bool_], place: Callable[[int], str]) -> None:
        """Of K boxes at once: those in ``rows`` (K,) have the fault; ``place`` says where box k stands."""
        found = np.flatnonzero(rows)
        for row in found[:PLACES_NAMED]:
            self.add(fault, place(int(row)))
        if len(found) > PLACES_NAMED:
            self.counts[fault] += len(found) - PLACES_NAMED

    def report(self, name: str) -> None:
        """One message about all of them, with the first places of each."""
        if self.counts:
            level = logging.INFO if set(self.counts) <= MINOR else logging.WARNING
            logger.log(level, "%s: %s", name, "; ".join(map(self._line, self.counts)))

    def _line(self, fault: str) -> str:
        count, places = self.counts[fault], self._places[fault]
        more = ", ..." if count > len(places) else ""
        return f"{fault}: {count} ({', '.join(places)}{more})"


def repair_boxes(
    boxes: NDArray[np.float64],
    sizes: NDArray[np.int32],
    *,
    place: Callable[[int], str],
    repairs: Repairs,
) -> tuple[Boxes, NDArray[np.bool_]]:
    """Boxes that lie inside their pictures and have an area.

    Args:
        boxes: (K, 4) two opposite corners x, y, x, y in continuous pixels, as found.
        sizes: (K, 2) height and width of each box's picture.
        place: says where box k stands.
        repairs: gets what is mended and dropped.

    Returns:
        (K, 4) xyxy, and (K,) which of them to keep; the others hold nothing of use.
    """
    finite = np.isfinite(np.abs(boxes).max(axis=1, initial=0.0))
    found = np.where(finite[:, None], boxes, 0.0)
    low, high = np.minimum(found[:, :2], found[:, 2:]), np.maximum(found[:, :2], found[:, 2:])
    ordered = np.concatenate([low, high], axis=1)
    edges = sizes[:, [1, 0, 1, 0]].astype(np.float64)
    inside = np.clip(ordered, 0.0, edges)
    overhang = np.abs(ordered - inside).max(axis=1, initial=0.0)
    # Looked at in float32, in which the boxes go on: a sliver may vanish by rounding.
    repaired = inside.astype(np.float32)
    keep = finite & (repaired[:, 2:] > repaired[:, :2]).all(axis=1)
    beyond = ((high <= 0) | (low >= edges[:, :2])).any(axis=1) & (high > low).all(axis=1)
    faults = {
        NOT_FINITE: ~finite,
        OUTSIDE: finite & ~keep & beyond,
        EMPTY: finite & ~keep & ~beyond,
        INVERTED: keep & (found != ordered).any(axis=1),
        CLIPPED: keep & (overhang > ROUNDING),
        ROUNDED: keep & (overhang > ARITHMETIC) & (overhang <= ROUNDING),
    }
    for fault, rows in faults.items():
        repairs.add_rows(fault, rows, place)
    return repaired, keep
