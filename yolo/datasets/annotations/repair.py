"""Repair of invalid boxes: clipped, corners swapped or dropped, counted, and reported once per dataset."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from yolo.structs import Boxes

logger = logging.getLogger(__name__)

PLACES_NAMED = 3
"""Largest number of places per fault that the report names."""
PLACES_KEPT = 1000
"""Largest number of places per fault that are kept, for `yolov3 data check`."""
ROUNDING = 1.0
"""Largest overhang in pixels that is put down to rounding, or to coordinates counted from 0 instead of 1."""
ARITHMETIC = 1e-3
"""Overhang in pixels below which a box counts as inside: limited decimal places cause it."""

NOT_FINITE = "boxes with NaN or infinite sides, dropped"
OUTSIDE = "boxes wholly outside their picture, dropped"
EMPTY = "boxes without area, dropped"
INVERTED = "boxes with inverted corners, swapped"
CLIPPED = "boxes over the edge of their picture, clipped"
ROUNDED = "boxes over the edge by at most a pixel, clipped"
LISTED_TWICE = "pictures listed twice, taken once"
REPEATED = "objects repeated in their file, taken once"
UNREAD = "pictures that cannot be read, to be replaced or skipped when they are used"
WRONG_SIZE = "annotated sizes missing, taken from the picture"
RESIZED = "pictures resized after annotating, boxes scaled with them"
SWAPPED_SIDES = "annotated sizes with height and width exchanged, taken from the picture"
OTHER_SHAPE = "annotated sizes of another shape than the picture, whose boxes may be wrong"
OUTLINED = "objects with an outline but no box, bounded"
NAMELESS = "objects without a class, dropped"
NO_AREA_SHAPES = "points, lines and painted masks, which give no box, dropped"
UNWANTED = "boxes of classes that were not asked for, dropped"
MERGED_CATEGORIES = "categories with the name of another, merged"
SHARED_ID = "annotations with the id of another, kept"
OTHER_SUFFIX = "pictures left out for their suffix, convert them to .jpg or .png"
UNLABELLED = "pictures without a label file, taken as without objects"
ORPHANED = "label files without a picture, ignored"
CONFIDENCE = "rows with a confidence as sixth number, dropped from them"
KEYPOINTS = "rows with keypoints, of which the box is taken"
LIKE_CORNERS = "rows that look like x1 y1 x2 y2, read as centre and size"
ROTATED = "rotated boxes, bounded"
REGIONS = "regions and objects of no class, ignored"
NO_OBJECTS = "regions labelled __ignore__ or _background_, dropped"
BOXLESS = "labels without a box beside others that have one, dropped"
NOT_LABELLED = "entries without an annotation, left out"
UNKNOWN_PICTURE = "annotations of pictures that are not listed, skipped"
ONLY_CLASS = "regions of a file without any class, called 'object'"
COCO_CORNERS = "boxes that look like corners x1, y1, x2, y2 where COCO has x, y, width, height; check them"
NO_AREA = "areas that are no numbers, those of the boxes taken"

MINOR = frozenset({ROUNDED, UNWANTED, UNLABELLED, KEYPOINTS})
"""Faults that are not worth a warning on their own."""


class Repairs:
    """Record of repaired and dropped boxes: the count of each fault and its first places."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.places: dict[str, list[str]] = {}

    def add(self, fault: str, place: str) -> None:
        self.counts[fault] = self.counts.get(fault, 0) + 1
        places = self.places.setdefault(fault, [])
        if len(places) < PLACES_KEPT:
            places.append(place)

    def add_rows(self, fault: str, rows: NDArray[np.bool_], place: Callable[[int], str]) -> None:
        """Record a fault for those of K boxes in the mask ``rows`` (K,); ``place`` describes where box k is."""
        found = np.flatnonzero(rows)
        for row in found[:PLACES_KEPT]:
            self.add(fault, place(int(row)))
        if len(found) > PLACES_KEPT:
            self.counts[fault] += len(found) - PLACES_KEPT

    def take_over(self, other: Repairs) -> None:
        """Add the faults of another record."""
        for fault, count in other.counts.items():
            self.counts[fault] = self.counts.get(fault, 0) + count
            places = self.places.setdefault(fault, [])
            places += other.places[fault][: PLACES_KEPT - len(places)]

    def report(self, name: str) -> None:
        """Log one message about all faults, with the first places of each."""
        if self.counts:
            level = logging.INFO if set(self.counts) <= MINOR else logging.WARNING
            logger.log(level, "%s: %s", name, "; ".join(map(self._line, self.counts)))

    def _line(self, fault: str) -> str:
        count, places = self.counts[fault], self.places[fault][:PLACES_NAMED]
        more = ", ..." if count > len(places) else ""
        return f"{fault}: {count} ({', '.join(places)}{more})"


def repair_boxes(
    boxes: NDArray[np.float64],
    sizes: NDArray[np.int32],
    *,
    place: Callable[[int], str],
    repairs: Repairs,
) -> tuple[Boxes, NDArray[np.bool_]]:
    """Clip boxes to their images, order their corners and mark those without an area.

    Args:
        boxes: (K, 4) two opposite corners x, y, x, y in continuous pixels, as found.
        sizes: (K, 2) height and width of each box's image.
        place: describes where box k is.
        repairs: record that the faults are added to.

    Returns:
        (K, 4) xyxy, and the mask (K,) of those to keep; the others are meaningless.
    """
    finite = np.isfinite(np.abs(boxes).max(axis=1, initial=0.0))
    found = np.where(finite[:, None], boxes, 0.0)
    low, high = np.minimum(found[:, :2], found[:, 2:]), np.maximum(found[:, :2], found[:, 2:])
    ordered = np.concatenate([low, high], axis=1)
    edges = sizes[:, [1, 0, 1, 0]].astype(np.float64)
    inside = np.clip(ordered, 0.0, edges)
    overhang = np.abs(ordered - inside).max(axis=1, initial=0.0)
    # Checked in float32, as the Dataset stores boxes: a sliver may vanish by rounding.
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
