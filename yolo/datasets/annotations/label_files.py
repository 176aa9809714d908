"""Folders of plain label files, one per image and one object a line, and the folder of their images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from yolo.datasets.annotations.left_out import LeftOut
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.records import Object, Record
from yolo.datasets.annotations.repair import Repairs
from yolo.datasets.annotations.text_files import LARGEST_ANNOTATION, read_lines
from yolo.errors import AnnotationError
from yolo.files.bounded import open_file

FILES_TRIED = 20
"""Largest number of files by whose first lines a folder is recognised: many may be empty."""
GLANCE = 1024
"""Number of bytes at the beginning of a label file in which the first line is looked for."""

LineReader = Callable[[str, str], Object | None]
"""Function that makes an object of a line and its place; None: the line is none. It raises ValueError for a fault."""


def first_line(path: Path) -> str:
    """First line of a text file that is not empty; empty if there is none, or the file cannot be read."""
    try:
        with open_file(path) as file:
            head = file.read(GLANCE).decode("utf-8-sig", "replace")
    except OSError:
        return ""
    return next((line.strip() for line in head.splitlines() if line.strip()), "")


def holds_labels(place: Place, is_line: Callable[[str], bool]) -> bool:
    """Whether the first line in a folder's ``.txt`` files is one of a format."""
    lines = (first_line(file) for file in place.with_suffix(".txt", most=FILES_TRIED))
    return place.is_folder and is_line(next((line for line in lines if line), ""))


def read_label_files(files: Iterable[Path], read_line: LineReader, left_out: LeftOut) -> list[Record]:
    """Read the records of label files, whose images have their stems; files and lines with a fault are left out."""
    records = []
    for file in files:
        try:
            lines = read_lines(file, limit=LARGEST_ANNOTATION)
        except AnnotationError as error:
            left_out.add(file, error)
            continue
        objects = []
        for number, line in lines:
            try:
                found = read_line(line, f":{number}")
            except ValueError as error:
                left_out.add(f"{file}:{number}", f"{file}:{number}: {error}")
                continue
            if found is not None:
                objects.append(found)
        records.append(Record(str(file), file.stem, objects=objects))
    return records


def numbers(fields: Sequence[str], what: str) -> list[float]:
    """Convert fields to numbers.

    Raises:
        ValueError: one is none; the message says so.
    """
    try:
        return [float(each) for each in fields]
    except ValueError as error:
        raise ValueError(f"expected {what} ({error!s:.80})") from None


def assign_regions(
    records: Sequence[Record], counts: Counter[str], fault: str, repairs: Repairs, *, others: Sequence[Record] = ()
) -> list[str]:
    """Give regions without labels, which are ignored objects without a name, the class with the most objects.

    Training takes no background from an ignored box, whatever its class; evaluation ignores detections of that class.
    Regions of a dataset without any object are dropped.

    Args:
        records: records that are changed.
        counts: objects of the classes that must exist, such as those of other splits; counted further here.
        fault: description under which regions are counted.
        repairs: record that they are counted in.
        others: records that only count for the classes.

    Returns:
        The class names, sorted.
    """
    counts.update(each.name for record in (*records, *others) for each in record.objects if each.name)
    common = min(counts, key=lambda name: (-counts[name], name), default="")
    for record in records:
        for each in record.objects:
            if not each.name:
                repairs.add(fault, record.locate(each))
        named = [each if each.name else each._replace(name=common) for each in record.objects]
        record.objects = [each for each in named if each.name]
    return sorted(counts)
