"""Open Images' tables of boxes (storage.googleapis.com/openimages, "Data formats", boxes), also by FiftyOne and CVAT.

``ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,...``: fractions of the
image's sides, which is ``ImageID.jpg``. ``class-descriptions*.csv`` names the classes (``/m/01yrx,Cat``).

The training set's file has 14 million rows, of which people keep a few thousand images: rows of images that are not on
the disk are passed over before they are parsed, and the others become arrays at once.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolo.datasets.annotations.columns import Columns, unique_ids
from yolo.datasets.annotations.joining import concatenate
from yolo.datasets.annotations.left_out import LeftOut
from yolo.datasets.annotations.part_files import annotation_files, by_split, find_near
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.records import relative_to
from yolo.datasets.annotations.sizes import read_headers
from yolo.datasets.annotations.source import FILES, Format, ReadOptions, Source
from yolo.datasets.annotations.tables import LARGEST_TABLE, glance, read_rows
from yolo.errors import AnnotationError
from yolo.files.bounded import in_units, open_or_fault
from yolo.files.quoted import quoted

logger = logging.getLogger(__name__)

CORNERS = ("XMin", "YMin", "XMax", "YMax")
AROUND = b'" \t\r\n'
"""Bytes around an ImageID that do not belong to it."""
LONGEST_LINE = 4096
"""Largest number of bytes of a line; they have about 100."""
CLASS_FOLDERS = ("metadata", "annotations", "csv_folder", "csv", "labels")


class Header(NamedTuple):
    """Columns of a table by their meaning."""

    name: int
    corners: tuple[int, ...]
    group: int | None


class Row(NamedTuple):
    """One object."""

    name: str
    corners: tuple[float, float, float, float]
    """x, y, x, y as fractions of the image's sides."""
    group: bool
    """Whether the box is around several objects."""


@dataclass
class Boxes:
    """Boxes of a table whose images are on the disk."""

    pictures: list[Path] = field(default_factory=list)
    index_of: dict[Path, int] = field(default_factory=dict)
    rows: array[int] = field(default_factory=lambda: array("q"))
    """(K) index of each box's image."""
    names: dict[str, int] = field(default_factory=dict)
    """Labels of the class names."""
    labels: array[int] = field(default_factory=lambda: array("i"))
    corners: array[float] = field(default_factory=lambda: array("d"))
    """(4 K) x, y, x, y as fractions."""
    groups: array[int] = field(default_factory=lambda: array("b"))
    lines: array[int] = field(default_factory=lambda: array("q"))

    def add(self, picture: Path, row: Row, *, line: int) -> None:
        index = self.index_of.setdefault(picture, len(self.pictures))
        if index == len(self.pictures):
            self.pictures.append(picture)
        self.rows.append(index)
        self.labels.append(self.names.setdefault(row.name, len(self.names)))
        self.corners.extend(row.corners)
        self.groups.append(row.group)
        self.lines.append(line)


def read_boxes(path: Path, pictures: Mapping[bytes, Path], titles: Mapping[str, str], left_out: LeftOut) -> Boxes:
    """Read the boxes of the images on the disk.

    Args:
        path: the table.
        pictures: images by ImageID.
        titles: class names by LabelName.
        left_out: what is left out so far.

    Raises:
        AnnotationError: the file cannot be read, or lacks something.
    """
    boxes, passed, last, sample = Boxes(), [0, 0], b"", b""
    with open_or_fault(path, AnnotationError) as file:
        if (size := path.stat().st_size) > LARGEST_TABLE:
            raise AnnotationError(f"{path}: {in_units(size)}; a table may have {in_units(LARGEST_TABLE)} at most")
        header = parse_header(file.readline(LONGEST_LINE))
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), start=2):
            image = line[: line.find(b",")].strip(AROUND)
            picture = pictures.get(image)
            if picture is None:
                passed[0] += 1
                passed[1] += image != last
                sample, last = sample or image, image
                continue
            try:
                boxes.add(picture, parse_row(header, line, titles), line=number)
            except (ValueError, IndexError):
                left_out.add(f"{path}:{number}", f"{path}:{number}: not as its header says: {quoted(line)}")
    if passed[0] and not boxes.pictures and not left_out:
        raise AnnotationError(
            f"{path}: none of its {passed[1]} pictures is found, such as {quoted(sample.decode('utf-8', 'replace'))}; "
            "name their folder (--images DIR)"
        )
    if passed[0]:
        logger.info("%s: %d rows of %d pictures that are not here, passed over", path, *passed)
    return boxes


def parse_header(line: bytes) -> Header:
    names = [name.strip(' "') for name in line.decode("utf-8-sig", "replace").strip().split(",")]
    group = names.index("IsGroupOf") if "IsGroupOf" in names else None
    return Header(names.index("LabelName"), tuple(names.index(each) for each in CORNERS), group)


def parse_row(header: Header, line: bytes, titles: Mapping[str, str]) -> Row:
    """Parse a row.

    Raises:
        ValueError, IndexError: it is not as the header says.
    """
    fields = [field.strip(' "') for field in line.decode().strip().split(",")]
    name = fields[header.name]
    if not name:
        raise ValueError("it names no class")
    x1, y1, x2, y2 = (float(fields[each]) for each in header.corners)
    return Row(titles.get(name, name), (x1, y1, x2, y2), header.group is not None and fields[header.group] == "1")


def read_titles(folders: Sequence[Path]) -> dict[str, str]:
    """Read the names of classes by LabelName, in the order of their file; empty if there is none."""
    places = [place for folder in folders for place in (Place(folder), *Place(folder).below(*CLASS_FOLDERS))]
    for place in places:
        for file in place.with_suffix(".csv") if "class" in " ".join(map(str, place.files)).lower() else ():
            table = glance(file) if "class" in file.stem.lower() else None
            if table is not None and all(len(row) == 2 for row in table.first):
                return {row[0]: row[1] for _, row in read_rows(table) if len(row) == 2 and row[0] and row[1]}
    return {}


def to_columns(boxes: Boxes, path: Path, root: Path, left_out: LeftOut, *, name: str, strict: bool) -> Columns:
    """Convert boxes to columns.

    Raises:
        AnnotationError: too much would be left out.
    """
    headers = read_headers(boxes.pictures)
    total = len(boxes.pictures) + len(left_out)
    for index, reason in headers.faults.items():
        left_out.add(boxes.pictures[index], reason)
    left_out.settle(total, name=name, strict=strict)
    readable = headers.shown[:, 0] > 0
    files = [file for file, each in zip(boxes.pictures, readable, strict=True) if each]
    relative = [relative_to(file, root) for file in files]
    rows = np.array(boxes.rows, np.int64)
    kept = readable[rows]
    sides = headers.shown[rows[kept]][:, [1, 0, 1, 0]]
    lines = np.array(boxes.lines, np.int64)[kept]
    return Columns(
        folder=root,
        files=relative,
        sizes=headers.shown[readable],
        image_ids=unique_ids([file.stem for file in files], relative),
        names=list(boxes.names),
        pictures=(np.cumsum(readable) - 1)[rows[kept]],
        labels=np.array(boxes.labels, np.int32)[kept],
        boxes=np.array(boxes.corners, np.float64).reshape(-1, 4)[kept] * sides,
        ignore=np.array(boxes.groups, np.bool_)[kept],
        place=lambda row: f"{path}:{lines[row]}",
        left_out=left_out.entries,
    )


def is_table(path: Path) -> bool:
    """Whether a file is a table of Open Images' boxes."""
    table = glance(path)
    if table is None or table.delimiter != "," or not table.encoding.startswith("utf-8"):
        return False
    return table.first[0][0] == "ImageID" and {"LabelName", *CORNERS} <= set(table.first[0])


def recognise(place: Place) -> Source | None:
    """Recognise a table, or a folder with some."""
    files = annotation_files(place, is_table, ".csv")
    return open_images_source(place, files) if files else None


def open_images_source(place: Place, files: Sequence[Path]) -> Source:
    parts = by_split(place, files)
    root = place.path if place.is_folder else place.path.parent

    def columns(split: str | None, options: ReadOptions) -> Columns:
        titles = read_titles([root, files[0].parent, root.parent])
        found, names = [], set[str]()
        for each, file in ((each, file) for each, part in parts.items() for file in part):
            pictures = find_near(file, root, each, options).pictures
            by_id = {picture.stem.encode(errors="replace"): picture for picture in reversed(pictures)}
            left_out, wanted = LeftOut(), split in (None, each)
            with suppress(*() if wanted else (AnnotationError,)):  # of another split, only its classes are of interest
                boxes = read_boxes(file, by_id, titles, left_out)
                names.update(boxes.names)
                if wanted:
                    found.append(to_columns(boxes, file, root, left_out, name=str(place.path), strict=options.strict))
        listed = [name for name in dict.fromkeys(titles.values()) if name in names]
        return concatenate(found, folder=root, classes=listed + sorted(names - set(listed)))

    return Source("Open Images", tuple(filter(None, parts)), columns)


FORMAT = Format("Open Images", FILES, recognise)
