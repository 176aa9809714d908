"""CSV tables: formatting, and atomic writing to a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from yolo.files.atomic import write_whole


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Format a table as CSV in UTF-8; file names that are not valid Unicode survive a reader with ``surrogatepass``."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode(errors="surrogatepass")


def write_csv(path: str | Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file whole or not at all.

    Raises:
        ConfigError: it cannot be written.
    """
    content = csv_bytes(header, rows)
    write_whole(path, lambda temporary: temporary.write_bytes(content))
