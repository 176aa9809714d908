"""Tables of text (CSV): their delimiter and encoding, their first rows, and all rows with their lines."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from yolo.datasets.annotations.left_out import LeftOut
from yolo.datasets.annotations.records import Object, Record
from yolo.datasets.annotations.repair import NAMELESS, Repairs
from yolo.errors import AnnotationError
from yolo.files.bounded import MIB, in_units, open_file, open_or_fault
from yolo.files.quoted import quoted
from yolo.structs import Size

LARGEST_TABLE = 8192 * MIB
"""Largest size of a table in bytes; that of Open Images has 2,300 MiB."""
GLANCE = 65536
"""Number of bytes at the beginning of a file by which it is recognised."""
ROWS_SEEN = 5
"""Largest number of rows by which a table is recognised."""
DELIMITERS = ",;\t|"
ENCODINGS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""Encodings by byte order mark."""

csv.field_size_limit(csv.field_size_limit())  # the default, 128 KiB, bounds what an open quote can swallow


class Table(NamedTuple):
    """Beginning of a table, and how to read the rest."""

    path: Path
    delimiter: str
    encoding: str
    first: tuple[tuple[str, ...], ...]
    """First rows that are not empty, without blanks around the fields."""


def glance(path: Path) -> Table | None:
    """Look at the beginning of a file; None if it cannot be read or is no text."""
    try:
        status = path.stat()
        return _glance(path, status.st_size, status.st_mtime_ns)
    except OSError:
        return None


@lru_cache(maxsize=256)
def _glance(path: Path, size: int, changed: int) -> Table | None:  # noqa: ARG001 - a changed file is read again
    with open_file(path) as file:
        head = file.read(GLANCE)
    encoding = next((name for mark, name in ENCODINGS.items() if head.startswith(mark)), "utf-8")
    text = head.decode(encoding, "replace")
    if size > len(head):
        text = text[: text.rfind("\n") + 1]
    if not text.strip() or "\0" in text:
        return None
    lines = io.StringIO(text, newline="")
    delimiter = find_delimiter(text)
    try:
        rows = [row for row in map(stripped, csv.reader(lines, delimiter=delimiter)) if any(row) and not is_hint(row)]
    except csv.Error:
        return None
    return Table(path, delimiter, encoding, tuple(rows[:ROWS_SEEN])) if rows else None


def find_delimiter(text: str) -> str:
    """Delimiter of a table: the likeliest in its first line outside of quotes, or the one that Excel's hint names."""
    first = text.lstrip().partition("\n")[0].rstrip("\r")
    if re.fullmatch(r"sep=[,;|\t]", first.lower()):
        return first[-1]
    plain = re.sub('"[^"]*"', "", first)
    return max(DELIMITERS, key=plain.count)


def is_hint(row: Sequence[str]) -> bool:
    """Whether a row is Excel's ``sep=;``, which names the delimiter."""
    return row[0].lower().startswith("sep=") and not any(row[1:])


def stripped(row: Sequence[str]) -> tuple[str, ...]:
    return tuple(field.strip() for field in row)


def read_rows(table: Table) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Read the rows that are not empty, without blanks around the fields, each with its last line from 1.

    Raises:
        AnnotationError: the file cannot be read, is too large, is not in its encoding, or is no CSV.
    """
    with open_or_fault(table.path, AnnotationError) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST_TABLE:
            raise AnnotationError(f"{table.path}: {in_units(size)}; a table may have {in_units(LARGEST_TABLE)} at most")
        with io.TextIOWrapper(file, encoding=table.encoding, newline="") as text:
            reader = csv.reader(text, delimiter=table.delimiter)
            while True:
                try:
                    row = next(reader, None)
                except UnicodeError as error:
                    raise AnnotationError(
                        f"{table.path}: not a text file in UTF-8 (after line {reader.line_num}); save it as UTF-8"
                    ) from error
                except csv.Error as error:
                    raise AnnotationError(
                        f"{table.path}:{reader.line_num}: not valid CSV ({error}); look for a quote that is not closed"
                    ) from error
                if row is None:
                    return
                fields = stripped(row)
                if any(fields) and not is_hint(fields):
                    yield reader.line_num, fields


class RowRecords:
    """Records of a table's images, made row by row; a row that cannot be used is left out."""

    def __init__(self, table: Table, repairs: Repairs, left_out: LeftOut) -> None:
        self.table, self.repairs, self.left_out = table, repairs, left_out
        self.records: dict[str, Record] = {}

    def add(self, line: int, *, picture: str, name: str, box: Sequence[str], size: Size | None = None) -> None:
        """Add a row: an object, or an image without one if all of ``box`` (4) and ``name`` are empty."""
        place = f"{self.table.path}:{line}"
        if not picture:
            self.left_out.add(place, f"{place}: it names no picture; add the name or remove the line")
            return
        try:
            corners = self._numbers(box) if any(box) else None
        except ValueError as error:
            self.left_out.add(place, f"{place}: {error}")
            return
        if picture not in self.records:
            self.records[picture] = Record(place, picture, file=str(self.table.path))
        record = self.records[picture]
        record.size = record.size or size
        if corners is None:
            if name:
                self.left_out.add(place, f"{place}: {quoted(name)} has no box; add it or remove the line")
        elif not name:
            self.repairs.add(NAMELESS, place)
        else:
            record.objects.append(Object(name, corners, f":{line}"))

    def _numbers(self, box: Sequence[str]) -> tuple[float, float, float, float]:
        x1, y1, x2, y2 = (to_number(text, self.table.delimiter) for text in box)
        return x1, y1, x2, y2


def to_number(text: str, delimiter: str) -> float:
    """Convert a field to a number; a comma is a decimal point where it does not part the fields.

    Raises:
        ValueError: it is none; the message says so.
    """
    try:
        return float(text if delimiter == "," else text.replace(",", "."))
    except ValueError:
        raise ValueError(f"expected a number, got {quoted(text)}") from None
