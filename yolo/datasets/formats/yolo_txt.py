"""YOLO text labels: one ``.txt`` per image, in ``labels/`` for images in ``images/``.

A line is an object: class, then centre x and y, width and height as fractions of the image's sides; or class and the
corners of a polygon, whose bounding box is used; or class, box and keypoints. (Ultralytics' "Object detection datasets
overview".)
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.columns import Columns, unique_ids
from yolo.datasets.annotations.left_out import LeftOut
from yolo.datasets.annotations.repair import ORPHANED, UNLABELLED, Repairs
from yolo.datasets.annotations.sizes import read_headers
from yolo.datasets.annotations.source import ReadOptions
from yolo.datasets.formats.label_files import LabelFinder, label_file, stem_of
from yolo.datasets.formats.label_reading import read_label_files
from yolo.datasets.formats.label_table import Objects, read_objects, repeated
from yolo.datasets.formats.yolo_pictures import PictureList
from yolo.files.path_text import join

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class YoloSet:
    """Description of YOLO labels: by a file, or by the layout of a folder."""

    name: str
    """File or folder, for messages."""
    folder: Path
    """Folder that the images' paths become relative to."""
    names: tuple[str, ...]
    """Class names."""
    keypoints: tuple[int, ...] | None = None
    """Number of keypoints and of values of each; empty: rows have none; None: unknown."""


def read_yolo(source: YoloSet, pictures: PictureList, options: ReadOptions, split: str | None = None) -> Columns:
    """Read the labels of images.

    Args:
        source: what is known of the dataset.
        pictures: the images, with the record of those listed in vain.
        options: how to read.
        split: name of the split.

    Raises:
        AnnotationError: too many files are missing or malformed.
    """
    files, repairs, left_out = list(pictures.files), pictures.repairs, pictures.left_out
    total = len(files) + len(left_out)
    headers = read_headers(files)
    for index, reason in headers.faults.items():
        left_out.add(files[index], f"{reason}; remove the picture or replace it")
    finder = LabelFinder()
    table = read_label_files([finder.find(file) for file in files])
    objects = read_objects(table, len(source.names), repairs, keypoints=source.keypoints)
    for index, reason in table.faults.items():
        left_out.add(files[index], reason)
    report_unpaired(source.name, files, table.files, finder, repairs)
    left_out.settle(total, name=source.name, strict=options.strict)
    kept = np.ones(len(files), bool)
    kept[[*headers.faults, *table.faults]] = False
    rows = kept[table.pictures]
    rows &= ~repeated(table, objects, repairs)
    place_of = np.flatnonzero(rows)
    sizes = headers.shown
    chosen = [file for file, keep in zip(files, kept, strict=True) if keep]
    relative = relative_names(chosen, source.folder)
    at = table.pictures[rows]
    return Columns(
        folder=source.folder,
        files=relative,
        sizes=sizes[kept],
        image_ids=unique_ids([stem_of(file.rpartition(os.sep)[2]) for file in chosen], relative),
        names=source.names,
        pictures=(np.cumsum(kept) - 1)[at],
        labels=objects.labels[rows],
        boxes=to_corners(Objects(objects.labels, objects.boxes[rows]), sizes[at]),
        place=lambda row: table.place(int(place_of[row])),
        repairs=repairs,
        left_out=left_out.entries,
        split=split,
    )


def to_corners(objects: Objects, sizes: NDArray[np.int32]) -> NDArray[np.float64]:
    """Convert K boxes to xyxy (K, 4) in pixels of images of (K, 2) height and width."""
    relative = objects.boxes.reshape(-1, 2, 2)
    with np.errstate(over="ignore", invalid="ignore"):  # boxes with NaN or infinity are dropped and counted later
        centre, size = np.moveaxis(relative * sizes[:, None, ::-1], 1, 0)
        return np.concatenate([centre - size / 2, centre + size / 2], axis=1)


def relative_names(files: Sequence[str], folder: Path) -> list[str]:
    """Names of files relative to the dataset's folder, which stay valid when it is moved; absolute for others."""
    start = join(str(folder), "")
    outside = (os.sep, os.pardir) if not start else ()
    return [
        file[len(start) :] if file.startswith(start) and not file.startswith(outside) else os.path.realpath(file)
        for file in files
    ]


def report_unpaired(
    name: str, files: Sequence[str], labels: Sequence[str | None], finder: LabelFinder, repairs: Repairs
) -> None:
    """Record images without a label file, which count as without objects, and label files without an image."""
    without = [file for file, label in zip(files, labels, strict=True) if label is None]
    if without and len(without) == len(files):
        logger.warning(
            "%s: none of its %d pictures has a label file (no %s, ...): they count as without objects",
            name,
            len(files),
            label_file(Path(without[0])),
        )
    for file in without:
        repairs.add(UNLABELLED, file)
    for file in finder.orphans():
        repairs.add(ORPHANED, file)


def new_pictures(bases: Sequence[Path], options: ReadOptions) -> PictureList:
    """Make an empty list of images that are looked for below some folders, and below that of the options."""
    given = [] if options.images is None else [options.images]
    return PictureList([*given, *bases], repairs=Repairs(), left_out=LeftOut())
