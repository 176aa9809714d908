"""WIDER FACE's lists of faces (shuoyang1213.me/WIDERFACE): ``wider_face_split/wider_face_train_bbx_gt.txt``.

For each image its path in ``WIDER_train/images``, the number of faces, and a line per face: left, top, width, height in
pixels from 0, blur, expression, illumination, invalid, occlusion and pose. Invalid faces are ignored. An image of 0
faces is followed by a line of zeros.
"""

from __future__ import annotations

from pathlib import Path

from yolo.datasets.annotations.label_files import numbers
from yolo.datasets.annotations.part_files import Reading, annotation_files, file_source
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.records import Object, Record
from yolo.datasets.annotations.source import FILES, Format, Source
from yolo.datasets.annotations.text_files import read_lines
from yolo.files.bounded import open_file
from yolo.files.quoted import quoted
from yolo.images.suffixes import SUFFIXES

GLANCE = 1024
FACE = "face"
INVALID = 7
"""Column that says whether a face is invalid."""


def is_list(path: Path) -> bool:
    """Whether a file begins with an image, a number and a face."""
    try:
        with open_file(path) as file:
            lines = file.read(GLANCE).decode("utf-8-sig", "replace").split("\n")
        return is_picture(lines[0]) and lines[1].strip().isdecimal() and len(numbers(lines[2].split(), "a face")) >= 4
    except (OSError, ValueError, IndexError):
        return False


def is_picture(line: str) -> bool:
    return Path(line.strip()).suffix.lower() in SUFFIXES


def read_file(path: Path, reading: Reading) -> list[Record]:
    """Read the records of one list.

    Raises:
        AnnotationError: the file cannot be read, or is no text.
    """
    records: list[Record] = []
    empty = False
    for number, line in read_lines(path):
        fields = line.split()
        if is_picture(line):
            records.append(Record(f"{path}:{number}", line, file=str(path)))
        elif len(fields) == 1 and line.isdecimal():
            empty = not line.strip("0")
        elif not (empty and set(fields) == {"0"}):
            try:
                face = read_face(line, f":{number}")
                records[-1].objects.append(face)
            except (ValueError, IndexError) as error:
                reading.left_out.add(f"{path}:{number}", f"{path}:{number}: {error!s:.120}")
    return records


def read_face(line: str, place: str) -> Object:
    fields = line.split()
    if len(fields) < 4:
        raise ValueError(f"expected x, y, width, height, ..., got {quoted(line)}")
    x, y, width, height = numbers(fields[:4], "x, y, width, height")
    return Object(FACE, (x, y, x + width, y + height), place, ignore=fields[INVALID:][:1] == ["1"])


def recognise(place: Place) -> Source | None:
    """Recognise a list of faces, or a folder with some."""
    for base in (place, *place.below("wider_face_split", "wider_face_annotations")):
        files = annotation_files(base, is_list, ".txt")
        if files:
            return file_source("WIDER FACE", place, files, read_file, classes=lambda: [FACE])
    return None


FORMAT = Format("WIDER FACE", FILES, recognise)
