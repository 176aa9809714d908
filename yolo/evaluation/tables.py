"""Tables of figures as text and as HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

UNDEFINED = "-"
"""Sign in place of an undefined value."""

Rows = Sequence[Sequence[str]]


def figure(value: float | None, places: int = 4) -> str:
    """Format a number with a fixed number of decimal places."""
    return UNDEFINED if value is None or math.isnan(value) else f"{value:.{places}f}"


def span(interval: Sequence[float | None] | None) -> str:
    """Format an interval: ``0.123-0.456``."""
    if interval is None or any(end is None or math.isnan(end) for end in interval):
        return UNDEFINED
    return "-".join(figure(end, 3) for end in interval)


def text_table(header: Sequence[str], rows: Rows) -> str:
    """Align columns: the first to the left, the others to the right."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def html_table(header: Sequence[str], rows: Rows) -> str:
    """Make an HTML table, whose look is the page's."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
