"""Rows of all label files of a dataset in one table, and what they say: classes and boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.repair import CONFIDENCE, KEYPOINTS, LIKE_CORNERS, REPEATED, Repairs
from yolo.datasets.formats.row_kinds import RowTable, keypoint_kind, outline_boxes
from yolo.errors import AnnotationError

PIXELS = 2.0
"""Value of a box from which it cannot be a fraction of the image's side."""
LARGEST_PIXEL = 1e5
"""Value from which a number is no pixel either."""
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""Odd number with mixed bits, for sums that tell rows apart."""
ASTRAY = 0.01
"""Overhang of a box, as a fraction of the image's side, that is no rounding."""


@dataclass
class LabelTable:
    """Rows of the label files of N images; K rows in the order of the images."""

    files: Sequence[str | None]
    """(N) label file of each image."""
    pictures: NDArray[np.int64]
    """(K,) index of each row's image."""
    lines: NDArray[np.int64]
    """(K,) line of each row."""
    rows: RowTable
    faults: dict[int, str] = field(default_factory=dict)
    """Reason why an image's label file cannot be used, by the image's index; it names the file and line."""

    def place(self, row: int) -> str:
        return f"{self.files[self.pictures[row]]}:{self.lines[row]}"

    def fault(self, rows: NDArray[np.bool_], reason: str) -> None:
        """Record a fault of the files in which rows of a mask (K,) stand, with ``{}`` for the count of numbers."""
        for row in np.flatnonzero(rows):
            self.faults.setdefault(
                int(self.pictures[row]), f"{self.place(int(row))}: {reason.format(self.rows.widths[row])}"
            )


@dataclass(frozen=True)
class Objects:
    """Content of K rows."""

    labels: NDArray[np.int32]
    """(K,) class numbers; meaningless in files with faults."""
    boxes: NDArray[np.float64]
    """(K, 4) centre x and y, width and height as fractions of the image's sides."""


def read_objects(
    table: LabelTable, class_count: int, repairs: Repairs, *, keypoints: tuple[int, ...] | None = None
) -> Objects:
    """Read classes and boxes from rows of numbers.

    Args:
        table: the rows; files of rows that are no objects get a fault.
        class_count: number of classes.
        repairs: record of what is dropped from the rows.
        keypoints: number of keypoints and of values of each; empty: there are none; None: unknown.

    Raises:
        AnnotationError: the rows of the whole dataset are not as they have to be.
    """
    rows = table.rows
    long = rows.widths > 6
    with_keypoints = find_keypoints(table, long, keypoints)
    outlined = long & ~with_keypoints
    scored = rows.widths == 6
    table.fault(rows.widths < 5, "expected 5 numbers, got {} (class x y width height)")
    table.fault(
        outlined & (rows.widths % 2 == 0), "expected 5 numbers, got {} (class x y width height, or class and outline)"
    )
    usable = rows.widths >= 5
    first = np.where(usable[:, None], rows.values[rows.starts[:, None] + np.where(usable[:, None], np.arange(5), 0)], 0)
    last = np.where(scored, rows.values[rows.starts + rows.widths - 1], 0.0)
    table.fault(
        scored & ~((last >= 0) & (last <= 1)),
        "expected 5 numbers, got 6, of which the last is no confidence (class x y width height)",
    )
    boxes = first[:, 1:].copy()
    closed = outlined & (rows.widths % 2 == 1)
    boxes[closed] = outline_boxes(rows, np.flatnonzero(closed))
    check_classes(table, first[:, 0], class_count)
    check_fractions(table, boxes)
    repairs.add_rows(CONFIDENCE, scored, table.place)
    repairs.add_rows(KEYPOINTS, with_keypoints, table.place)
    notice_corners(table, boxes[rows.widths == 5], repairs, np.flatnonzero(rows.widths == 5))
    with np.errstate(invalid="ignore"):
        return Objects(np.nan_to_num(first[:, 0]).clip(0, max(class_count - 1, 0)).astype(np.int32), boxes)


def find_keypoints(table: LabelTable, long: NDArray[np.bool_], keypoints: tuple[int, ...] | None) -> NDArray[np.bool_]:
    """Mask (K,) of the rows with keypoints.

    Raises:
        AnnotationError: they may be keypoints or outlines.
    """
    if not long.any() or keypoints == ():
        return np.zeros_like(long)
    if keypoints is not None:
        width = 5 + keypoints[0] * keypoints[1]
        shape = f"kpt_shape: [{keypoints[0]}, {keypoints[1]}]"
        table.fault(long & (table.rows.widths != width), f"expected {width} numbers by {shape}, got {{}}")
        return long
    kind, width = keypoint_kind(table.rows, long)
    if kind == "unclear":
        row = int(np.flatnonzero(long)[0])
        raise AnnotationError(
            f"{table.place(row)}: {width} numbers may be an outline or a box with keypoints; write "
            f"kpt_shape: [{(width - 5) // 2}, 2] into the data.yaml for keypoints, kpt_shape: [] for outlines"
        )
    return long if kind == "pose" else np.zeros_like(long)


def check_classes(table: LabelTable, numbers: NDArray[np.float64], class_count: int) -> None:
    """Record a fault of the files with class numbers (K,) that are not in the list.

    Raises:
        AnnotationError: all numbers count from 1.
    """
    wrong = ~((numbers >= 0) & (numbers < class_count) & (numbers == np.floor(numbers)))
    if not wrong.any():
        return
    if len(numbers) and numbers.min() == 1 and numbers.max() == class_count:
        row = int(np.flatnonzero(wrong)[0])
        raise AnnotationError(
            f"{table.place(row)}: class {class_count} is not in names (0 to {class_count - 1}): "
            f"the labels count classes from 1; subtract 1 from each"
        )
    for row in map(int, np.flatnonzero(wrong)):
        table.faults.setdefault(
            int(table.pictures[row]),
            f"{table.place(row)}: class {numbers[row]:.12g} is not in names (0 to {class_count - 1}); mend one of them",
        )


def check_fractions(table: LabelTable, boxes: NDArray[np.float64]) -> None:
    """Refuse boxes (K, 4) in pixels.

    Raises:
        AnnotationError: most of them are.
    """
    with np.errstate(invalid="ignore"):
        largest = np.abs(boxes).max(axis=1, initial=0.0)
        pixels = (largest > PIXELS) & (largest < LARGEST_PIXEL)
    if pixels.any() and pixels.mean() >= 0.5:
        row = int(np.flatnonzero(pixels)[0])
        raise AnnotationError(
            f"{table.place(row)}: the values are pixels, not fractions ({largest[row]:.6g}); divide x and width by the "
            "picture's width, y and height by its height"
        )


def notice_corners(table: LabelTable, boxes: NDArray[np.float64], repairs: Repairs, at: NDArray[np.int64]) -> None:
    """Record boxes (B, 4) of the rows ``at`` that look like two corners.

    The second is beyond the first in all of them, and a third are over the edge if taken for centre and size.
    """
    if not len(boxes):
        return
    with np.errstate(invalid="ignore", over="ignore"):
        ordered = (boxes[:, 2:] > boxes[:, :2]) & (boxes[:, :2] >= 0) & (boxes[:, 2:] <= 1 + ASTRAY)
        over = (np.abs(boxes[:, :2] - 0.5) + boxes[:, 2:] / 2 > 0.5 + ASTRAY).any(axis=1)
    if ordered.all() and over.mean() >= 1 / 3:
        rows = np.zeros(len(table.pictures), bool)
        rows[at] = True
        repairs.add_rows(LIKE_CORNERS, rows, table.place)


def repeated(table: LabelTable, objects: Objects, repairs: Repairs) -> NDArray[np.bool_]:
    """Mask (K,) of the rows that repeat another of their file; they are counted."""
    columns = (table.pictures, objects.labels, *objects.boxes.T)
    # Sorted by one sum of all columns: equal rows become neighbours, except by a chance that costs nothing.
    mixed = table.pictures.astype(np.uint64)
    for column in columns[1:]:
        bits = np.ascontiguousarray(column, np.float64).view(np.uint64)
        mixed = (mixed ^ (mixed >> np.uint64(29))) * MULTIPLIER + bits
    order = np.argsort(mixed, kind="stable")
    same = np.ones(len(order), bool)
    for column in columns:
        ordered = column[order]
        same[1:] &= ordered[1:] == ordered[:-1]
    same[:1] = False
    mask = np.zeros(len(order), bool)
    mask[order[same]] = True
    repairs.add_rows(REPEATED, mask, table.place)
    return mask
