"""Reading of very many label files into one table; rows are kept in the cache folder between runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.text_files import LARGEST_ANNOTATION
from yolo.datasets.formats.label_table import LabelTable
from yolo.datasets.formats.label_text import RowFaultError, Rows, parse_rows
from yolo.datasets.formats.row_kinds import RowTable
from yolo.errors import AnnotationError
from yolo.files.bounded import read_bytes
from yolo.files.kept_arrays import KeptArrays, Ragged

NO_ROWS = Ragged(
    {"rows": np.zeros(0, np.int64), "values": np.zeros(0, np.int64)},
    {"rows": np.zeros((0, 2), np.int32), "values": np.zeros(0, np.float64)},
)
"""Kept values: line and width of each row, and all numbers."""


def read_label_files(files: Sequence[str | None]) -> LabelTable:
    """Read the label files of N images; None for an image without one."""
    there = list(dict.fromkeys(file for file in files if file is not None))
    kept = KeptArrays("labels", there, NO_ROWS)
    rows, faults = read_missing(there, kept.missing)
    usable = np.array([file not in faults for file in there], bool)
    place = dict(zip(there, range(len(there)), strict=True))
    found = np.array([-1 if file is None else place[file] for file in files], np.int64)
    table = kept.complete(rows, usable).take(found[found >= 0])
    counts = np.zeros(len(files), np.int64)
    counts[found >= 0] = table.counts["rows"]
    lines, widths = table.columns["rows"].astype(np.int64).T
    return LabelTable(
        files=files,
        pictures=np.repeat(np.arange(len(files)), counts),
        lines=lines,
        rows=RowTable(table.columns["values"], np.cumsum(widths) - widths, widths),
        faults={index: faults[file] for index, file in enumerate(files) if file in faults},
    )


def read_missing(files: Sequence[str], missing: Sequence[int]) -> tuple[Ragged, dict[str | None, str]]:
    """Read the label files at ``missing``; also the reasons of those that cannot be read."""
    lines: list[int] = []
    widths: list[int] = []
    values: list[float] = []
    row_counts, value_counts = np.zeros((2, len(missing)), np.int64)
    faults: dict[str | None, str] = {}
    for index, file in enumerate(files[each] for each in missing):
        try:
            rows = read_rows(file)
        except AnnotationError as error:
            faults[file] = str(error)
            continue
        row_counts[index], value_counts[index] = len(rows.lines), len(rows.values)
        lines += rows.lines
        widths += rows.widths
        values += rows.values
    columns: dict[str, NDArray[Any]] = {
        "rows": np.array([lines, widths], np.int32).T,
        "values": np.array(values, np.float64),
    }
    return Ragged({"rows": row_counts, "values": value_counts}, columns), faults


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
