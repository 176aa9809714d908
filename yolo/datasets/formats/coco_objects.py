"""Annotations of a COCO file: in bulk where all are sound, else one by one, with what is wrong left out and counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.left_out import LeftOut
from yolo.datasets.annotations.repair import (
    COCO_CORNERS,
    NO_AREA,
    OUTLINED,
    ROUNDING,
    SHARED_ID,
    UNKNOWN_PICTURE,
    Repairs,
)
from yolo.datasets.formats.coco_entries import Id, id_of, number
from yolo.datasets.formats.coco_outlines import Corners, bounding_box
from yolo.errors import AnnotationError
from yolo.files.quoted import quoted

SAME_AREA = 0.01
"""Largest relative difference of two areas that count as the same."""


@dataclass
class Objects:
    """K objects of a file."""

    pictures: NDArray[np.int64]
    """(K,) index of each object's image, or `LEFT_OUT`."""
    labels: NDArray[np.int32]
    """(K,)"""
    boxes: NDArray[np.float64]
    """(K, 4) corners."""
    areas: NDArray[np.float64]
    """(K,) NaN where missing."""
    ignore: NDArray[np.bool_]
    """(K,)"""
    entries: NDArray[np.int64]
    """(K,) positions in the list of annotations."""

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Objects:
        return Objects(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def read_objects(
    path: Path,
    annotations: list[Any],
    index_of: dict[Id, int],
    label_of: dict[Id, int],
    *,
    left_out: LeftOut,
    repairs: Repairs,
    strict: bool = False,
) -> Objects:
    """Read the objects; annotations that cannot be read are left out.

    Args:
        path: the file, for messages.
        annotations: its list of annotations.
        index_of: index of the image of each id, or `LEFT_OUT`.
        label_of: label of each category id.
        left_out: list that unreadable annotations are added to.
        repairs: record that other faults are added to.
        strict: whether an annotation of an image that is not listed counts as unreadable; else it is skipped.

    Raises:
        AnnotationError: no annotation is of a listed image.
    """
    try:
        objects = in_bulk(annotations, index_of, label_of)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        # The bulk conversion does not say which one failed: read one by one.
        objects = OneByOne(path, index_of, label_of, left_out, repairs, strict).read(annotations)
    add_outlines(path, annotations, objects, repairs)
    return objects


def in_bulk(annotations: list[Any], index_of: dict[Id, int], label_of: dict[Id, int]) -> Objects:
    """Objects of annotations without faults; with one, any of several errors is raised."""
    crowds = [entry.get("iscrowd") for entry in annotations]
    if str in set(map(type, crowds)):
        raise TypeError("expected numbers")
    return Objects(
        pictures=np.array([index_of[entry["image_id"]] for entry in annotations], np.int64),
        labels=np.array([label_of[entry["category_id"]] for entry in annotations], np.int32),
        boxes=to_corners([entry["bbox"] for entry in annotations]),
        areas=numbers([entry.get("area") for entry in annotations], {int, float, type(None)}),
        ignore=np.array([each == 1 for each in crowds], bool),
        entries=np.arange(len(annotations)),
    )


def numbers(values: Sequence[Any], types: set[type]) -> NDArray[np.float64]:
    """Convert K values of these types to numbers (K,); None becomes NaN."""
    if not set(map(type, values)) <= types:
        raise TypeError(f"expected {types}")
    return np.array(values, np.float64)


def to_corners(boxes: list[Any]) -> NDArray[np.float64]:
    """Convert K lists x, y, width, height to xyxy (K, 4)."""
    if not (set(map(type, boxes)) <= {list} and set(map(len, boxes)) <= {4}):
        raise TypeError("expected lists of 4 numbers")
    corners = numbers(list(chain.from_iterable(boxes)), {int, float}).reshape(-1, 4)
    with np.errstate(over="ignore", invalid="ignore"):  # boxes with NaN or infinity are dropped and counted later
        corners[:, 2:] += corners[:, :2]
    return corners


@dataclass
class OneByOne:
    """Reader of annotations among which some have faults; fields as in `read_objects`."""

    path: Path
    index_of: dict[Id, int]
    label_of: dict[Id, int]
    left_out: LeftOut
    repairs: Repairs
    strict: bool

    def read(self, annotations: list[Any]) -> Objects:
        """Read those that can be.

        Raises:
            AnnotationError: none is of a listed image.
        """
        rows = [(row, index) for index, entry in enumerate(annotations) if (row := self.row(index, entry))]
        if not rows and UNKNOWN_PICTURE in self.repairs.counts:
            raise AnnotationError(
                f"{self.repairs.places[UNKNOWN_PICTURE][0]}.image_id is not among the ids of images, nor is that of "
                "any other annotation; mend the ids"
            )
        pictures, labels, boxes, areas, ignore = zip(*(row for row, _ in rows), strict=True) if rows else [()] * 5
        return Objects(
            pictures=np.array(pictures, np.int64),
            labels=np.array(labels, np.int32),
            boxes=to_corners(list(map(list, boxes))),
            areas=np.array(areas, np.float64),
            ignore=np.array(ignore, bool),
            entries=np.array([index for _, index in rows], np.int64),
        )

    def row(self, index: int, entry: Any) -> tuple[int, int, Corners, float, bool] | None:
        """Image, label, x, y, width and height, area and crowd of an annotation; None: it is left out."""
        where = f"{self.path}: annotations[{index}]"
        fault = annotation_fault(entry, self.label_of)
        if fault:
            self.left_out.add(where, f"{where}{fault}")
            return None
        picture = self.index_of.get(id_of(entry["image_id"]))  # type: ignore[arg-type]  # checked above
        if picture is None and self.strict:
            self.left_out.add(where, f"{where}.image_id: {quoted(entry['image_id'])} is not among the ids of images")
        elif picture is None:
            self.repairs.add(UNKNOWN_PICTURE, where)
        if picture is None:
            return None
        area, crowd = number(entry.get("area")), entry.get("iscrowd")
        if area is None and entry.get("area") is not None:
            self.repairs.add(NO_AREA, where)
        return (
            picture,
            self.label_of[id_of(entry["category_id"])],  # type: ignore[index]  # checked above
            # One without a box gets that of its outline afterwards, as one with an empty box does.
            given_box(entry.get("bbox")) or (0.0, 0.0, 0.0, 0.0),
            np.nan if area is None else area,
            number(crowd) == 1 or crowd in (True, "true", "True"),
        )


def annotation_fault(entry: Any, label_of: dict[Id, int]) -> str | None:
    """Describe the fault of one annotation: place and remedy."""
    if not isinstance(entry, dict):
        return f": expected an object, got {quoted(entry)}"
    if id_of(entry.get("image_id")) is None:
        return f".image_id: {quoted(entry.get('image_id'))} is not among the ids of images; mend it or add the entry"
    key = id_of(entry.get("category_id"))
    if key is None or key not in label_of:
        value = quoted(entry.get("category_id"))
        return f".category_id: {value} is not among the ids of categories; mend it or add the entry"
    if given_box(entry.get("bbox")) is None and bounding_box(entry.get("segmentation")) is None:
        return f".bbox: expected 4 numbers, got {quoted(entry.get('bbox'), 80)}"
    return None


def given_box(value: Any) -> Corners | None:
    """The four numbers of a box, texts included; None if these are others."""
    sides = [number(each) for each in value] if isinstance(value, list) and len(value) == 4 else [None]
    known = [side for side in sides if side is not None]
    return (known[0], known[1], known[2], known[3]) if len(known) == 4 else None


def add_outlines(path: Path, annotations: list[Any], objects: Objects, repairs: Repairs) -> None:
    """Bound the outlines of objects whose box is missing or nothing but zeros."""
    for row in np.flatnonzero(~objects.boxes.any(axis=1)):
        entry = annotations[objects.entries[row]]
        found = bounding_box(entry.get("segmentation"))
        if found is not None:
            objects.boxes[row] = found
            repairs.add(OUTLINED, f"{path}: annotations[{objects.entries[row]}]")


def note_corners(path: Path, objects: Objects, sizes: NDArray[np.int32], repairs: Repairs) -> None:
    """Note boxes that look like corners: most areas fit only these; or, without areas, most lie only so in the image.

    Args:
        path: the file, for messages.
        objects: its objects, all of images that are used.
        sizes: (N, 2) sizes of the images; 0 where unknown.
        repairs: record that they are added to.
    """
    boxes = objects.boxes
    if not len(boxes):
        return
    with np.errstate(all="ignore"):
        sides = boxes[:, 2:] - boxes[:, :2]
        other = sides - boxes[:, :2]  # sides of the boxes if these are corners
        given, area, other_area = objects.areas > 0, sides.prod(axis=1), other.prod(axis=1)
        edges = sizes[objects.pictures][:, ::-1]
        differ, upright = boxes[:, :2].any(axis=1), (other > 0).all(axis=1)
        like = upright & (np.abs(other_area - objects.areas) <= SAME_AREA * objects.areas)
        like &= np.abs(area - objects.areas) > 2 * SAME_AREA * objects.areas
        beyond = (boxes[:, 2:] > edges + ROUNDING).any(axis=1) & (edges > 0).all(axis=1)
        within = upright & (sides <= edges + ROUNDING).all(axis=1)
    judged = differ & given
    if judged.any():
        found = judged & like if 2 * like[judged].sum() >= judged.sum() else np.zeros(len(boxes), bool)
    else:
        found = beyond if within.all() and 2 * beyond.sum() >= len(boxes) else np.zeros(len(boxes), bool)
    repairs.add_rows(COCO_CORNERS, found, lambda row: f"{path}: annotations[{objects.entries[row]}]")


def count_shared_ids(path: Path, annotations: list[Any], repairs: Repairs) -> None:
    """Report annotations that share an id: each counts here, while other programs may keep only one of them."""
    ids = [str(entry["id"]) for entry in annotations if isinstance(entry, dict) and entry.get("id") is not None]
    if len(set(ids)) == len(ids):
        return
    seen: set[str] = set()
    for index, entry in enumerate(annotations):
        if isinstance(entry, dict) and entry.get("id") is not None:
            each = str(entry["id"])
            if each in seen:
                repairs.add(SHARED_ID, f"{path}: annotations[{index}]")
            seen.add(each)
