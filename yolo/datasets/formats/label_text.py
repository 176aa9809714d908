"""Text of a YOLO label file as numbers, and what is wrong with a line that has none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from yolo.files.quoted import quoted

UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""Byte order marks of UTF-16, as Windows' editors and PowerShell write it."""


class Rows(NamedTuple):
    """Rows of numbers of one label file."""

    lines: list[int]
    """(R) line of each row, from 1."""
    widths: list[int]
    """(R) numbers in each row."""
    values: list[float]
    """All numbers, row by row."""


class RowFaultError(ValueError):
    """Fault of a label file's text; the message begins with the line."""


def parse_rows(content: bytes) -> Rows:
    """Parse the rows of a label file.

    Raises:
        RowFaultError: a line holds something else than numbers, or the bytes are no text.
    """
    rows = Rows([], [], [])
    for number, line in enumerate(decode(content).split("\n"), start=1):
        fields = line.split()
        if not fields:
            continue
        try:
            rows.values.extend(map(float, fields))
        except ValueError:
            raise RowFaultError(f"{number}: {row_fault(fields)}") from None
        rows.lines.append(number)
        rows.widths.append(len(fields))
    return rows


def decode(content: bytes) -> str:
    """Decode UTF-8 or UTF-16 with a byte order mark; all line ends become line feeds.

    Raises:
        RowFaultError: it is neither.
    """
    try:
        text = content.decode("utf-16" if content.startswith(UTF_16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RowFaultError(f"{line}: not a text file in UTF-8; save it as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def row_fault(fields: Sequence[str]) -> str:
    """Say why a line is no row of numbers, with the usual cause."""
    strange = next(field for field in fields if not is_number(field))
    if ";" in strange or (strange.count(",") > 1 or (strange.endswith(",") and len(fields) > 1)):
        return f"numbers separated by commas or semicolons ({quoted(strange)}); separate them by blanks"
    if re.fullmatch(r"[-+]?\d*,\d+", strange):
        return f"a comma as the decimal point ({quoted(strange)}); write {strange.replace(',', '.')}"
    if strange == fields[0] and all(map(is_number, fields[1:])):
        return f"class {quoted(strange)} is a name; write its number in the list of classes, counted from 0"
    return f"expected 5 numbers, but {quoted(strange)} is none (class x y width height)"


def is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
