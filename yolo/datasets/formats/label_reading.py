"""Reading of very many label files into one table; rows are kept in the cache folder between runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from yolo.datasets.annotations.text_files import LARGEST_ANNOTATION
from yolo.datasets.formats.label_table import LabelTable
from yolo.datasets.formats.label_text import RowFaultError, Rows, parse_rows
from yolo.datasets.formats.row_kinds import RowTable
from yolo.errors import AnnotationError
from yolo.files.bounded import read_bytes


def read_label_files(files: Sequence[str | None]) -> LabelTable:
    """Read the label files of N images; None for an image without one."""
    lines: list[int] = []
    widths: list[int] = []
    values: list[float] = []
    counts = np.zeros(len(files), np.int64)
    faults: dict[int, str] = {}
    for index, file in enumerate(files):
        if file is None:
            continue
        try:
            rows = read_rows(file)
        except (AnnotationError, RowFaultError) as error:
            faults[index] = str(error)
            continue
        counts[index] = len(rows.lines)
        lines += rows.lines
        widths += rows.widths
        values += rows.values
    lengths = np.array(widths, np.int64)
    return LabelTable(
        files=files,
        pictures=np.repeat(np.arange(len(files)), counts),
        lines=np.array(lines, np.int64),
        rows=RowTable(np.array(values, np.float64), np.cumsum(lengths) - lengths, lengths),
        faults=faults,
    )


def read_rows(file: str) -> Rows:
    """Read the rows of a label file.

    Raises:
        AnnotationError: it cannot be read, or a line is no row of numbers; the message names the file.
    """
    content = read_bytes(file, limit=LARGEST_ANNOTATION, error=AnnotationError, what="a label file")
    try:
        return parse_rows(content)
    except RowFaultError as error:
        raise AnnotationError(f"{file}:{error}") from None
