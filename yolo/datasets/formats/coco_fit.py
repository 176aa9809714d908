"""Images and objects of a COCO file fitted to the images that are there: those missing left out, boxes scaled."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.left_out import LeftOut
from yolo.datasets.annotations.records import extents
from yolo.datasets.annotations.repair import LISTED_TWICE, Repairs
from yolo.datasets.annotations.source import ReadOptions
from yolo.datasets.formats.coco_entries import LEFT_OUT, Pictures
from yolo.datasets.formats.coco_objects import Objects, note_corners
from yolo.datasets.formats.coco_pictures import find_pictures, hold_against_headers
from yolo.errors import AnnotationError
from yolo.files.quoted import quoted

logger = logging.getLogger(__name__)


def fit_to_images(
    path: Path,
    pictures: Pictures,
    objects: Objects,
    images: Path | None,
    options: ReadOptions,
    *,
    lost: LeftOut,
    repairs: Repairs,
) -> tuple[Path, list[str], Pictures, Objects]:
    """Find the images, leave those out that are not there, and bring the boxes to the frame of the others.

    Without any image everything is kept as annotated.

    Args:
        path: the COCO file.
        pictures: its images.
        objects: its objects.
        images: folder of the images; None: look for it near the file.
        options: how to read.
        lost: list of the images that cannot be used, with those whose entries are faulty.
        repairs: record of other faults.

    Returns:
        The folder of the images, their files, and the images and objects that are used.

    Raises:
        AnnotationError: too many images cannot be used.
    """
    total = len(pictures.names) + len(lost)
    folder, found = find_pictures(path, pictures.names, images)
    if not any(found):
        report_none_found(path, pictures, folder, needed=options.need_images)
    there = np.array([file is not None for file in found], bool)
    unknown = (pictures.sizes == 0).any(axis=1)
    needed = options.need_images and bool(there.any())
    opened = np.flatnonzero(there & (unknown | needed))
    sizes, unread = scale(path, pictures, objects, lambda row: folder / str(found[row]), opened=opened, repairs=repairs)
    absent = np.flatnonzero(~there & (unknown | needed)).tolist()
    useless = {row: f"there is no picture {quoted(pictures.names[row], 200)}" for row in absent}
    useless |= {row: fault for row, fault in unread.items() if unknown[row]}
    for row, fault in sorted(useless.items()):
        place = f"{path}: images[{pictures.entries[row]}]"
        lost.add(place, f"{place}: it has no height and width, and {fault}" if unknown[row] else f"{place}: {fault}")
    lost.settle(total, name=f"{path}: pictures", strict=options.strict)
    files = [file or name for file, name in zip(found, pictures.names, strict=True)]
    kept = [row for row in range(len(files)) if row not in useless] if useless else list(range(len(files)))
    index = np.full(len(files), LEFT_OUT, np.int64)
    index[kept] = np.arange(len(kept))
    if needed and len({files[row] for row in kept}) < len(kept):
        kept, index = once_each(path, pictures, files, kept, repairs)
    objects = with_images(objects, index)
    if len(kept) < len(files):
        files = [files[row] for row in kept]
    used = taken(replace(pictures, sizes=sizes), kept)
    note_corners(path, objects, used.sizes, repairs)
    return folder, files, used, objects


def taken(pictures: Pictures, rows: list[int]) -> Pictures:
    """Some of the images."""
    if len(rows) == len(pictures.names):
        return pictures
    return Pictures(
        ids=[pictures.ids[row] for row in rows],
        names=[pictures.names[row] for row in rows],
        sizes=pictures.sizes[rows],
        entries=[pictures.entries[row] for row in rows],
        index_of={},
    )


def with_images(objects: Objects, index: NDArray[np.int64]) -> Objects:
    """Objects of the images that are used; ``index`` (N,) has the new index of each image or `LEFT_OUT`."""
    listed = objects.pictures != LEFT_OUT
    moved = np.where(listed, index[np.where(listed, objects.pictures, 0)], LEFT_OUT) if len(index) else objects.pictures
    kept = moved != LEFT_OUT
    return replace(objects, pictures=moved) if kept.all() else replace(objects, pictures=moved).take(kept)


def once_each(
    path: Path, pictures: Pictures, files: list[str], kept: list[int], repairs: Repairs
) -> tuple[list[int], NDArray[np.int64]]:
    """Take images that are listed with several ids once, with the objects of all: else each would lack some.

    Returns:
        The rows that are kept, and the new index of each row or `LEFT_OUT`.
    """
    first: dict[str, int] = {}
    index = np.full(len(files), LEFT_OUT, np.int64)
    rows: list[int] = []
    for row in kept:
        if files[row] in first:
            repairs.add(LISTED_TWICE, f"{path}: images[{pictures.entries[row]}]")
        else:
            first[files[row]] = len(rows)
            rows.append(row)
        index[row] = first[files[row]]
    return rows, index


def scale(
    path: Path,
    pictures: Pictures,
    objects: Objects,
    path_of: Callable[[int], Path],
    *,
    opened: NDArray[np.int64],
    repairs: Repairs,
) -> tuple[NDArray[np.int32], dict[int, str]]:
    """Hold the sizes of some images against their headers, and scale the boxes of those resized, in place.

    Returns:
        (N, 2) height and width of all images, and the reason for each whose header cannot be read.
    """
    sizes = pictures.sizes.copy()
    if not len(opened):
        return sizes, {}
    listed = np.where(objects.pictures == LEFT_OUT, len(sizes), objects.pictures)
    far = extents(objects.boxes, listed, np.ones(len(listed)), count=len(sizes) + 1)[opened]
    sizes[opened], factors, unread = hold_against_headers(
        lambda row: path_of(int(opened[row])),
        pictures.sizes[opened],
        far,
        place=lambda row: f"{path}: images[{pictures.entries[int(opened[row])]}]",
        repairs=repairs,
    )
    if (factors != 1).any():
        table = np.ones((len(sizes) + 1, 2))
        table[opened] = factors
        objects.boxes *= table[listed][:, [1, 0, 1, 0]]
        objects.areas *= table[listed].prod(axis=1)
    return sizes, {int(opened[row]): fault for row, fault in unread.items()}


def report_none_found(path: Path, pictures: Pictures, folder: Path, *, needed: bool) -> None:
    """Warn that no image is found.

    Raises:
        AnnotationError: their sizes are not known either.
    """
    if not pictures.names:
        return
    complaint = (
        f"{path}: none of its {len(pictures.names)} pictures is found, such as {quoted(pictures.names[0], 200)}; "
        f"looked in {folder}; name their folder (--images DIR)"
    )
    if (pictures.sizes == 0).all():
        raise AnnotationError(f"{complaint}, as the file has no heights and widths")
    if needed:
        logger.warning("%s", complaint)
