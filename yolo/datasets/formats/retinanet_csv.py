"""CSV files of keras-retinanet, also of its PyTorch version and of keras-frcnn: no header, one object a row.

``path/to/image.jpg,x1,y1,x2,y2,class``; a row with a path alone (``path/to/image.jpg,,,,,``) is an image without
objects. Pixels count from 0, and a width is x2 - x1: continuous pixels. Another file (``classes.csv``) gives each class
name its number. (keras-retinanet, "CSV datasets".)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from yolo.datasets.annotations.part_files import Reading, annotation_files, file_source
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.records import Record
from yolo.datasets.annotations.source import FILES, Format, Source
from yolo.datasets.annotations.tables import RowRecords, glance, read_rows, to_number
from yolo.errors import AnnotationError
from yolo.files.quoted import quoted
from yolo.images.suffixes import SUFFIXES as PICTURES

SUFFIXES = (".csv", ".tsv", ".txt")
MOST_TEXTS = 20
"""Largest number of ``.txt`` files in a folder that are looked at: more are label files of single images."""
FIELDS = 6


def is_row(row: Sequence[str], delimiter: str) -> bool:
    """Whether a row names an image and an object, or an image alone."""
    if len(row) != FIELDS or Path(row[0].replace("\\", "/")).suffix.lower() not in PICTURES:
        return False
    if not any(row[1:]):
        return True
    try:
        return all(to_number(text, delimiter) is not None for text in row[1:5])
    except ValueError:
        return False


def is_table(path: Path) -> bool:
    """Whether most of the first rows of a file are of this format."""
    table = glance(path)
    if table is None:
        return False
    right = sum(is_row(row, table.delimiter) for row in table.first)
    return right * 2 > len(table.first)


def read_file(path: Path, reading: Reading) -> list[Record]:
    """Read the records of one file.

    Raises:
        AnnotationError: the file cannot be read, or is no CSV.
    """
    table = glance(path)
    if table is None:
        raise AnnotationError(f"{path}: it has changed while it was read; load it again")
    rows = RowRecords(table, reading.repairs, reading.left_out)
    for line, row in read_rows(table):
        if len(row) != FIELDS and any(row[1:]):
            place = f"{path}:{line}"
            reading.left_out.add(
                place, f"{place}: expected path, x1, y1, x2, y2, class, got {len(row)} fields; mend or remove the line"
            )
            continue
        rows.add(line, picture=row[0], name=row[5] if len(row) > 5 else "", box=row[1:5])
    return list(rows.records.values())


def find_classes(places: Sequence[Place]) -> Callable[[], Sequence[str]] | None:
    """Function that reads the file of class names near a table; None: there is none."""
    for place in places:
        for file in place.with_suffix(*SUFFIXES):
            if ("class" in file.stem.lower() or "mapping" in file.stem.lower()) and is_class_list(file):
                return lambda file=file: read_classes(file)  # type: ignore[misc]
    return None


def is_class_list(path: Path) -> bool:
    table = glance(path)
    return table is not None and all(len(row) == 2 for row in table.first) and table.first[-1][1].isdecimal()


def read_classes(path: Path) -> list[str]:
    """Read the class names in the order of their numbers.

    Raises:
        AnnotationError: the file cannot be read, or a row is no name and number, or a number is there twice.
    """
    table = glance(path)
    numbers: dict[int, str] = {}
    for line, row in read_rows(table) if table is not None else ():
        if table is not None and row == table.first[0] and not row[-1].isdecimal():  # a header
            continue
        if len(row) != 2 or not row[0] or not row[1].isdecimal() or len(row[1]) > 9:
            raise AnnotationError(f"{path}:{line}: expected a class and its number, got {quoted(','.join(row))}")
        if int(row[1]) in numbers:
            raise AnnotationError(f"{path}:{line}: number {row[1]} is that of {numbers[int(row[1])]!r} already")
        numbers[int(row[1])] = row[0]
    return [numbers[each] for each in sorted(numbers)]


def recognise(place: Place) -> Source | None:
    """Recognise a table, or a folder with some."""
    few = not place.is_folder or len(place.with_suffix(".txt")) <= MOST_TEXTS
    files = annotation_files(place, is_table, *(SUFFIXES if few else SUFFIXES[:2]))
    if not files:
        return None
    near = [
        place if place.is_folder else Place(place.path.parent),
        Place(files[0].parent),
        Place(files[0].parent.parent),
    ]
    return file_source("keras-retinanet CSV", place, files, read_file, classes=find_classes(near))


FORMAT = Format("keras-retinanet CSV", FILES, recognise)
