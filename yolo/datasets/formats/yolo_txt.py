"""YOLO text labels: one ``.txt`` per image, in ``labels/`` for images in ``images/``.

A line is an object: class, then centre x and y, width and height as fractions of the image's sides; or class and the
corners of a polygon, whose bounding box is used. (Ultralytics' "Object detection datasets overview".)
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.columns import Columns, unique_ids
from yolo.datasets.annotations.repair import LISTED_TWICE, REPEATED, Repairs
from yolo.datasets.annotations.text_files import LARGEST_ANNOTATION, read_lines
from yolo.datasets.formats.data_yaml import base_folder, class_list, resolve
from yolo.errors import AnnotationError, MediaError
from yolo.files.atomic import is_file, is_folder
from yolo.files.quoted import quoted
from yolo.images.codec import image_size, list_images

logger = logging.getLogger(__name__)

Row = tuple[int, float, float, float, float]
"""Class, centre x and y, width and height, as fractions of the image's sides."""


@dataclass
class Labels:
    """Content of the label files: K objects in the order of the images."""

    pictures: list[int] = field(default_factory=list)
    """(K) index of each object's image."""
    rows: list[Row] = field(default_factory=list)
    places: list[tuple[Path, int]] = field(default_factory=list)
    """(K) file and line of each object."""
    without: list[Path] = field(default_factory=list)
    """Images without a label file."""


def read_yolo(path: Path, content: Mapping[str, Any], splits: Sequence[str]) -> Columns:
    """Read the images of some splits of a description.

    Args:
        path: file of the description.
        content: content of the description.
        splits: keys of the splits.

    Raises:
        AnnotationError: something is missing or malformed.
    """
    names, repairs = class_list(path, content), Repairs()
    files = list_pictures(path, content, splits, repairs)
    sizes = picture_sizes(path, files)
    labels = read_labels(files, len(names), repairs)
    report_unlabelled(path, files, labels)
    pictures = np.array(labels.pictures, np.int64)
    folder, relative = common_folder(path, content, files)
    return Columns(
        folder=folder,
        files=relative,
        sizes=sizes,
        image_ids=unique_ids([file.stem for file in files], relative),
        names=names,
        pictures=pictures,
        labels=np.array([row[0] for row in labels.rows], np.int32),
        boxes=to_corners(labels.rows, sizes[pictures]),
        place=lambda row: f"{labels.places[row][0]}:{labels.places[row][1]}",
        repairs=repairs,
        split=splits[0] if len(splits) == 1 else None,
    )


def list_pictures(path: Path, content: Mapping[str, Any], splits: Sequence[str], repairs: Repairs) -> list[Path]:
    """List the images of some splits, each once.

    Raises:
        AnnotationError: there are none, or a listed one does not exist.
    """
    pictures: dict[Path, None] = {}
    for split in splits:
        entries = content[split]
        for entry in entries if isinstance(entries, list) else [entries]:
            place = resolve(path, content, split, entry)
            found = list_images(place) if is_folder(place) else listed_pictures(path, content, place)
            if not found:
                raise AnnotationError(f"{path}: {split}: there are no pictures in {place}")
            for picture in found:
                if picture in pictures:
                    repairs.add(LISTED_TWICE, str(picture))
                pictures[picture] = None
    return list(pictures)


def listed_pictures(path: Path, content: Mapping[str, Any], file: Path) -> list[Path]:
    """Find the images that a text file lists, relative to itself, to the dataset's folder or to the working folder."""
    bases = [file.parent, base_folder(path, content), Path()]
    pictures = []
    for number, line in read_lines(file):
        places = [base / form for form in (line, line.replace("\\", "/")) for base in bases]
        picture = next((place for place in places if is_file(place)), None)
        if picture is None:
            raise AnnotationError(
                f"{file}:{number}: there is no picture {quoted(line, 200)}; remove the line or add the picture"
            )
        pictures.append(picture)
    return pictures


def picture_sizes(path: Path, files: Sequence[Path]) -> NDArray[np.int32]:
    """Read the height and width of N images, (N, 2)."""
    try:
        return np.array([image_size(file) for file in files], np.int32).reshape(-1, 2)
    except MediaError as error:
        raise AnnotationError(f"{path}: {error}; remove the picture or replace it") from error


def common_folder(path: Path, content: Mapping[str, Any], files: Sequence[Path]) -> tuple[Path, list[str]]:
    """Split paths into the dataset's folder and names relative to it, which stay valid when the dataset is moved."""
    try:
        folder = base_folder(path, content)
    except AnnotationError:
        folder = path.parent
    return folder, [str(file.relative_to(folder) if file.is_relative_to(folder) else file.resolve()) for file in files]


def label_file(picture: Path) -> Path:
    """Label file of an image: the last folder ``images`` of its path becomes ``labels``."""
    parts = list(picture.parent.parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return Path(*parts, f"{picture.stem}.txt")


def read_labels(pictures: Sequence[Path], class_count: int, repairs: Repairs) -> Labels:
    """Read the objects of all images.

    Raises:
        AnnotationError: a line does not describe an object.
    """
    labels = Labels()
    for index, picture in enumerate(pictures):
        # Beside the image if its path has no folder `images`.
        file = next(filter(is_file, (label_file(picture), picture.with_suffix(".txt"))), None)
        if file is None:
            labels.without.append(picture)
            continue
        seen: set[Row] = set()
        for number, line in read_lines(file, limit=LARGEST_ANNOTATION):
            row = read_row(line.split(), f"{file}:{number}", class_count)
            if row in seen:
                repairs.add(REPEATED, f"{file}:{number}")
                continue
            seen.add(row)
            labels.pictures.append(index)
            labels.rows.append(row)
            labels.places.append((file, number))
    return labels


def read_row(fields: Sequence[str], place: str, class_count: int) -> Row:
    """Parse the object of a line.

    Raises:
        AnnotationError: the line does not describe an object.
    """
    if len(fields) != 5 and (len(fields) < 7 or len(fields) % 2 == 0):
        raise AnnotationError(
            f"{place}: expected 5 numbers, got {len(fields)} (class x y width height, or class and polygon)"
        )
    try:
        label, *sides = (float(each) for each in fields)
    except ValueError as error:
        raise AnnotationError(f"{place}: expected 5 numbers ({error!s:.80})") from error
    if not (label.is_integer() and 0 <= label < class_count):
        raise AnnotationError(
            f"{place}: class {fields[0]:.40} is not in names (0 to {class_count - 1}); mend one of them"
        )
    x, y, width, height = sides if len(sides) == 4 else bounding_box(sides)
    return int(label), x, y, width, height


def bounding_box(polygon: Sequence[float]) -> tuple[float, float, float, float]:
    """Centre and size of the box around a polygon x, y, x, y, ...; NaN if a corner is non-finite."""
    if not all(map(math.isfinite, polygon)):
        return math.nan, math.nan, math.nan, math.nan
    across, down = polygon[0::2], polygon[1::2]
    left, top, right, bottom = min(across), min(down), max(across), max(down)
    return left / 2 + right / 2, top / 2 + bottom / 2, right - left, bottom - top


def to_corners(rows: Sequence[Row], sizes: NDArray[np.int32]) -> NDArray[np.float64]:
    """Convert K label rows to xyxy (K, 4) in pixels of images of (K, 2) height and width."""
    relative = np.array([row[1:] for row in rows], np.float64).reshape(-1, 2, 2)
    with np.errstate(over="ignore", invalid="ignore"):  # boxes with NaN or infinity are dropped and counted later
        centre, size = np.moveaxis(relative * sizes[:, None, ::-1], 1, 0)
        return np.concatenate([centre - size / 2, centre + size / 2], axis=1)


def report_unlabelled(path: Path, files: Sequence[Path], labels: Labels) -> None:
    """Report images without a label file, which count as images without objects; warn if none has one."""
    if labels.without:
        level = logging.WARNING if len(labels.without) == len(files) else logging.INFO
        first = label_file(labels.without[0])
        logger.log(
            level,
            "%s: %d of %d pictures have no label file and count as without objects (no %s, ...)",
            path,
            len(labels.without),
            len(files),
            first,
        )
