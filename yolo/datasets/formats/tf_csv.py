"""CSV files with a header: those of TensorFlow's object detection tutorials, Roboflow, VoTT, makesense.ai and others.

``filename,width,height,class,xmin,ymin,xmax,ymax`` in any order and under the usual other names; a row is an object,
and one without class and box an image without objects. Corners are continuous pixels from 0, as the scripts that make
TFRecords of these files divide them by the image's sides unchanged (``generate_tfrecord.py`` of the tutorials); all of
them between 0 and 1 are fractions. Without a column of classes all objects are of one.
(`xml_to_csv.py` of datitran/raccoon_dataset; Roboflow's "Tensorflow Object
Detection CSV"; VoTT's "CSV" export.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from yolo.datasets.annotations.part_files import Reading, annotation_files, file_source
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.records import Record
from yolo.datasets.annotations.sizes import LARGEST_SIDE
from yolo.datasets.annotations.source import FILES, Format, Source
from yolo.datasets.annotations.tables import RowRecords, Table, glance, read_rows, to_number
from yolo.errors import AnnotationError
from yolo.files.quoted import quoted
from yolo.images.suffixes import SUFFIXES as PICTURES
from yolo.structs import Size

SUFFIXES = (".csv", ".tsv", ".txt")
MOST_TEXTS = 20
"""Largest number of ``.txt`` files in a folder that are looked at: more are label files of single images."""
PICTURE = (
    *("filename", "file", "imagename", "imagepath", "imgpath", "image", "path", "filepath", "imagefile", "img"),
    *("imgname", "imagefilename", "picture", "frame", "imageid", "externalid"),
)
NAME = (
    *("class", "label", "classname", "labelname", "category", "name", "categoryname", "object", "objectclass"),
    *("classid", "labelid", "categoryid"),
)
CORNERS = (
    ("xmin", "x1", "x0", "left", "xtl", "bboxxmin", "bboxx1", "minx", "topleftx"),
    ("ymin", "y1", "y0", "top", "ytl", "bboxymin", "bboxy1", "miny", "toplefty"),
    ("xmax", "x2", "right", "xbr", "bboxxmax", "bboxx2", "maxx", "bottomrightx"),
    ("ymax", "y2", "bottom", "ybr", "bboxymax", "bboxy2", "maxy", "bottomrighty"),
)
CORNER_AND_SIZE = (
    ("bboxx", "x", "xmin", "left", "bboxleft"),
    ("bboxy", "y", "ymin", "top", "bboxtop"),
    ("bboxwidth", "w", "bboxw", "boxwidth", "width"),
    ("bboxheight", "h", "bboxh", "boxheight", "height"),
)
SIZE = (("height", "imageheight", "imgheight", "imgh"), ("width", "imagewidth", "imgwidth", "imgw"))
"""Names of columns, in small letters and digits alone, the likeliest first."""
BOX = ("bbox", "box", "boundingbox")
"""Names of a column with a corner and the sides in one field, such as ``[10, 20, 200, 100]``."""
MAKESENSE = ("label_name", "bbox_x", "bbox_y", "bbox_width", "bbox_height", "image_name", "image_width", "image_height")
"""Header of makesense.ai's table, whose older versions write the rows alone."""
OPEN_IMAGES = {"imageid", "labelname", "xmin", "xmax", "ymin", "ymax"}
ONLY_CLASS = "object"
"""Class of all objects of a table without a column for it."""
CLASSLESS = f"objects of a table without a column of classes, called {ONLY_CLASS!r}"
WANTED = "filename, class, xmin, ymin, xmax, ymax (and width, height)"


class Layout(NamedTuple):
    """Columns of a table by their meaning."""

    picture: int
    name: int
    """Column of the class; -1: there is none, and all objects are of one."""
    box: tuple[int, ...]
    """Two corners x, y, x, y, or a corner and the sides; or one column with these."""
    has_sides: bool
    """Whether the box is a corner and the sides."""
    size: tuple[int, ...]
    """Height and width of the image; empty if there are none."""

    @property
    def width(self) -> int:
        """Smallest number of fields of a row."""
        return max(self.picture, self.name, *self.box) + 1


def find_layout(header: Sequence[str]) -> Layout | None:
    """Find the columns by their names; None if some are missing, or it is Open Images' header."""
    names = [plain(each) for each in header]
    if set(names) >= OPEN_IMAGES:
        return None

    def column(accepted: Sequence[str], taken: Sequence[int] = ()) -> int:
        places = (names.index(each) for each in accepted if each in names)
        return next((place for place in places if place not in taken), -1)

    picture, name = column(PICTURE), column(NAME)
    box = tuple(map(column, CORNERS))
    has_sides = min(box) < 0
    if has_sides:
        box = tuple(map(column, CORNER_AND_SIZE))
    if has_sides and min(box) < 0:
        box = (column(BOX),)
    if min(picture, *box) < 0:
        return None
    size = tuple(column(each, taken=box) for each in SIZE)
    return Layout(picture, name, box, has_sides, size if min(size) >= 0 else ())


def plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def read_file(path: Path, reading: Reading) -> list[Record]:
    """Read the records of one file.

    Raises:
        AnnotationError: the file cannot be read, or is no CSV.
    """
    table = glance(path)
    header = () if table is None else header_of(table)
    layout = find_layout(header)
    if table is None or layout is None:
        raise AnnotationError(f"{path}: it has changed while it was read; load it again")
    rows = RowRecords(table, reading.repairs, reading.left_out)
    for line, row in read_rows(table):
        if row == header:  # also further down, in files that were joined
            continue
        if len(row) < layout.width:
            place = f"{path}:{line}"
            reading.left_out.add(place, f"{place}: expected {len(header)} fields, got {len(row)}; mend the line")
            continue
        box = box_of(row, layout, table.delimiter)
        size = read_size([row[each] if each < len(row) else "" for each in layout.size], table.delimiter)
        name = row[layout.name] if layout.name >= 0 else ONLY_CLASS * any(box)
        rows.add(line, picture=row[layout.picture], name=name, box=box, size=size)
        if layout.name < 0 and any(box):
            reading.repairs.add(CLASSLESS, f"{path}:{line}")
    records = list(rows.records.values())
    mark_fractions(records)
    return records


def header_of(table: Table) -> tuple[str, ...]:
    """First row of a table; makesense.ai's where that is missing."""
    row = table.first[0]
    numbers = (*row[1:5], *row[6:]) if len(row) == len(MAKESENSE) and is_picture(row[5]) else ("",)
    return MAKESENSE if all(re.fullmatch(r"-?\d+(\.\d+)?", each) for each in numbers) else row


def is_picture(name: str) -> bool:
    return Path(name.replace("\\", "/")).suffix.lower() in PICTURES


def box_of(row: Sequence[str], layout: Layout, delimiter: str) -> list[str]:
    """Two corners of a row's box; four empty fields if it has none."""
    box = [row[each] for each in layout.box]
    if len(box) == 1:
        inner = box[0].strip("[]() ")
        box = re.split(r"[,;\s]+", inner) if inner else [""] * 4
        box = box if len(box) == 4 else [row[layout.box[0]]] * 4  # which is reported as no number
    return far_corner(box, delimiter) if layout.has_sides else box


def far_corner(box: Sequence[str], delimiter: str) -> list[str]:
    """Two corners of a box from one corner and the sides; as it is if that is no box."""
    try:
        x, y, width, height = (to_number(text, delimiter) for text in box)
    except ValueError:
        return list(box)
    return [*box[:2], repr(x + width), repr(y + height)]


def read_size(fields: Sequence[str], delimiter: str) -> Size | None:
    """Height and width of an image; None if missing or no numbers of pixels."""
    try:
        height, width = (to_number(text, delimiter) for text in fields)
    except ValueError:
        return None
    return (int(height), int(width)) if 1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE else None


def mark_fractions(records: Sequence[Record]) -> None:
    """Mark the corners as fractions of the images' sides if all of a file lie between 0 and 1, and not all on them."""
    numbers = {side for record in records for each in record.objects for side in each.corners}
    if numbers and not numbers <= {0.0, 1.0} and all(0 <= side <= 1 for side in numbers):
        for record in records:
            record.relative = True


def is_table(path: Path) -> bool:
    """Whether a file is a table with the columns of this format."""
    table = glance(path)
    return table is not None and find_layout(header_of(table)) is not None


def recognise(place: Place) -> Source | None:
    """Recognise a table, or a folder with some."""
    files = annotation_files(place, is_table, *looked_at(place))
    return file_source("CSV", place, files, read_file) if files else None


def looked_at(place: Place) -> tuple[str, ...]:
    """Suffixes of the files that may be tables, without ``.txt`` in a folder of label files."""
    return SUFFIXES if not place.is_folder or len(place.with_suffix(".txt")) <= MOST_TEXTS else SUFFIXES[:2]


def near_miss(place: Place) -> str | None:
    """Say which columns a table has and which it needs; in a folder only of one that seems to be about pictures."""
    tables = [each for each in map(glance, place.with_suffix(*SUFFIXES[:2])) if each is not None]
    known = {*PICTURE, *chain(*CORNERS, *CORNER_AND_SIZE)}
    for table in tables:
        header = table.first[0]
        if not place.is_folder or known & set(map(plain, header)):
            return (
                f"{table.path}: a table whose columns are not known: {quoted(', '.join(header), 200)}; "
                f"wanted are {WANTED}; or, without a header, path, x1, y1, x2, y2, class"
            )
    return None


FORMAT = Format("CSV", FILES, recognise, near_miss)
