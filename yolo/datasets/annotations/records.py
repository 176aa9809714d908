"""Records: the annotations of one image as most formats have them, and their conversion to columns."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.columns import Columns, unique_ids
from yolo.datasets.annotations.left_out import LeftOut
from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.repair import LISTED_TWICE, REPEATED, Repairs
from yolo.datasets.annotations.sizes import LARGEST_SIDE, Headers, fit_sizes, read_headers
from yolo.datasets.annotations.source import ReadOptions
from yolo.errors import AnnotationError
from yolo.structs import Size


class Object(NamedTuple):
    """One annotated object."""

    name: str
    """Class name."""
    corners: tuple[float, float, float, float]
    """Two opposite corners x, y, x, y in continuous pixels, or as fractions of the image's sides."""
    place: str
    """Where it stands in the file, such as ``shapes[2]``, or ``:17`` for a line."""
    ignore: bool = False


@dataclass
class Record:
    """Annotations of one image."""

    place: str
    """Where they stand: the file, with line or entry unless the file is about this image alone."""
    picture: str
    """Name or path of the image as the source has it."""
    size: Size | None = None
    """Annotated (height, width); None if missing or no numbers of pixels."""
    objects: list[Object] = field(default_factory=list)
    relative: bool = False
    """Whether the corners are fractions of the image's sides."""
    image_id: int | str | None = None
    """Id in the source; None: it has none, and the file's stem is taken."""
    file: str = ""
    """File that the objects' lines are counted in, where ``place`` names a line of its own."""

    def locate(self, each: Object) -> str:
        """Describe where an object stands: file and line, or file and entry."""
        if each.place.startswith(":"):
            return f"{self.file or self.place}{each.place}"
        return f"{self.place}: {each.place}"


def to_columns(
    records: Sequence[Record],
    finder: PictureFinder,
    *,
    folder: Path,
    name: str,
    options: ReadOptions,
    classes: Sequence[str] | None = None,
    repairs: Repairs | None = None,
    left_out: LeftOut | None = None,
    keep_repeated: bool = False,
) -> Columns:
    """Convert records to columns: images are found, annotated sizes held against theirs, boxes brought to pixels.

    Args:
        records: annotations of the images; several of one image are merged.
        finder: finds the images.
        folder: folder of the dataset, which the images' paths become relative to.
        name: the dataset, for messages.
        options: how to read.
        classes: class names in the source's order; None: those of the objects in alphabetical order.
        repairs: repairs that the reader has made.
        left_out: what the reader has left out.
        keep_repeated: keep equal objects of one record, which the format's own tools count twice.

    Raises:
        AnnotationError: no image is found, or too much would be left out.
    """
    repairs, left_out = repairs or Repairs(), left_out or LeftOut()
    total = len(records) + len(left_out)
    found = find_pictures(records, finder, left_out, repairs, name=name)
    parts, annotated, headers = usable(found, left_out)
    left_out.settle(total, name=name, strict=options.strict)
    rows = [
        (index, record, each)
        for index, part in enumerate(parts.values())
        for record, each in objects_of(part, repairs, keep_repeated=keep_repeated)
    ]
    pictures = np.array([index for index, _, _ in rows], np.int64)
    corners = np.array([each.corners for _, _, each in rows], np.float64).reshape(-1, 4)
    relative = np.array([record.relative for _, record, _ in rows], bool)
    places = [part[0].place for part in parts.values()]
    sizes, factors = fit_sizes(
        annotated,
        headers,
        extents(corners, pictures, np.where(relative, 0.0, 1.0), count=len(parts)),
        place=lambda index: places[index],
        repairs=repairs,
    )
    factors = np.where(relative[:, None], sizes[pictures], factors[pictures])
    names = list(classes or ())
    names += sorted({each.name for _, _, each in rows} - set(names))
    label_of = {each: label for label, each in enumerate(names)}
    relatives = [relative_to(file, folder) for file in parts]
    return Columns(
        folder=folder,
        files=relatives,
        sizes=sizes,
        image_ids=image_ids(parts, relatives),
        names=names,
        classes=None if classes is None else tuple(classes),
        pictures=pictures,
        labels=np.array([label_of[each.name] for _, _, each in rows], np.int32),
        boxes=corners * factors[:, [1, 0, 1, 0]],
        ignore=np.array([each.ignore for _, _, each in rows], bool),
        place=lambda row: rows[row][1].locate(rows[row][2]),
        repairs=repairs,
        left_out=left_out.entries,
    )


def usable(
    found: dict[Path, list[Record]], left_out: LeftOut
) -> tuple[dict[Path, list[Record]], NDArray[np.int32], Headers]:
    """The images of known size with their records; others are left out.

    Returns:
        The records by image, the annotated height and width (N, 2), 0 where missing, and the headers.
    """
    files = list(found)
    headers = read_headers(files)
    annotated = np.array([merged_size(each) for each in found.values()], np.int32).reshape(-1, 2)
    # Fractions need no annotated size: one that is missing there, as where nothing is annotated, is no fault.
    fractions = np.array([all(each.relative for each in part) for part in found.values()], bool)
    annotated = np.where(fractions[:, None] & (annotated <= 0), headers.shown, annotated)
    for index, reason in headers.faults.items():
        if not annotated[index].all():
            left_out.add(files[index], reason)
    kept = [index for index, file in enumerate(files) if file not in left_out]
    return {files[index]: found[files[index]] for index in kept}, annotated[kept], headers.take(kept)


def image_ids(parts: dict[Path, list[Record]], relatives: Sequence[str]) -> list[int | str]:
    """Ids of the images in the source if each has one of its own, else their stems or paths."""
    own = [part[0].image_id for part in parts.values() if part[0].image_id is not None]
    return own if len(set(own)) == len(parts) else [*unique_ids([file.stem for file in parts], relatives)]


def find_pictures(
    records: Iterable[Record], finder: PictureFinder, left_out: LeftOut, repairs: Repairs, *, name: str
) -> dict[Path, list[Record]]:
    """Find the image of each record; those without one are left out.

    Raises:
        AnnotationError: no record has an image.
    """
    found: dict[Path, list[Record]] = {}
    missing = []
    for record in records:
        file = finder.find(record.picture)
        if file is None:
            missing.append(record)
            left_out.add(record.place, f"{record.place}: there is no picture {record.picture!r:.200}")
            continue
        if file in found:
            repairs.add(LISTED_TWICE, record.place)
        found.setdefault(file, []).append(record)
    if missing and not found:
        where = " or ".join(map(str, finder.folders[:3]))
        raise AnnotationError(
            f"{name}: none of its {len(missing)} pictures is found, such as {missing[0].picture!r:.200}, in {where}; "
            "name their folder (--images DIR)"
        )
    return found


def merged_size(records: Sequence[Record]) -> Size:
    """Annotated size of an image's records: the first that is plausible, else (0, 0)."""
    for record in records:
        if record.size is not None and all(0 < side <= LARGEST_SIDE for side in record.size):
            return record.size
    return 0, 0


def objects_of(records: Sequence[Record], repairs: Repairs, *, keep_repeated: bool) -> list[tuple[Record, Object]]:
    """Objects of an image's records, each once; with ``keep_repeated`` those of a single record as they are."""
    if keep_repeated and len(records) == 1:
        return [(records[0], each) for each in records[0].objects]
    seen: set[tuple[object, ...]] = set()
    kept = []
    for record in records:
        for each in record.objects:
            key = (each.name, each.corners, each.ignore)
            if key in seen:
                repairs.add(REPEATED, record.locate(each))
                continue
            seen.add(key)
            kept.append((record, each))
    return kept


def extents(
    corners: NDArray[np.float64], pictures: NDArray[np.int64], weights: NDArray[np.float64], *, count: int
) -> NDArray[np.float64]:
    """Largest y and x (N, 2) of each image's boxes; boxes of weight 0 and NaN do not count."""
    found = np.zeros((count, 2))
    far = np.nan_to_num(np.stack([corners[:, 1::2].max(axis=1, initial=0), corners[:, 0::2].max(axis=1, initial=0)], 1))
    np.maximum.at(found, pictures, far * weights[:, None])
    return found


def relative_to(file: Path, folder: Path) -> str:
    """Path relative to the dataset's folder, which stays valid when that is moved; absolute for one elsewhere."""
    text, base = str(file), f"{folder}{os.sep}"
    if text.startswith(base):  # several times as fast as what follows
        return text[len(base) :]
    return str(file.relative_to(folder) if file.is_relative_to(folder) else file.resolve())
