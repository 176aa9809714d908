"""Benchmark as a table for the terminal and as plain data for JSON."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from yolo.bench.results import Result

WIDTH = 100
"""Largest number of characters in a line."""
GAP = "  "

Columns = Mapping[str, Sequence[str]]
"""Cells by the title of their column; the first column is aligned to the left, others to the right."""


def to_data(results: Sequence[Result], machine: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Write a benchmark as plain data.

    Args:
        results: the results, failed ones included.
        machine: result of `describe_machine`.
        **more: further entries.
    """
    return {"machine": dict(machine), **more, "candidates": [each.to_dict() for each in results]}


def to_text(results: Sequence[Result], machine: Mapping[str, Any], notes: Sequence[str] = ()) -> str:
    """Format a benchmark: the machine, a table with the lowest latency first, reasons of failures, notes."""
    done = sorted((each for each in results if not each.failed), key=lambda each: each.median_ms)
    failed = [f"{each.label}: not measured: {each.failed}" for each in results if each.failed]
    parts = [wrapped(machine_line(machine, done)), *tables(done), *map(wrapped, failed)]
    return "\n".join([*parts, *(wrapped(f"note: {note}") for note in notes)])


def machine_line(machine: Mapping[str, Any], done: Sequence[Result]) -> str:
    """Describe on what, and on which canvas, everything was measured."""
    canvases = sorted({"{}x{}".format(*each.canvas) for each in done if each.canvas})
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    instructions = f" ({', '.join(machine['instructions'])})" if machine["instructions"] else ""
    return (
        f"{machine['processor']}{instructions}, {machine['cores']} cores; canvas {', '.join(canvases)}; "
        f"Python {machine['python']}, {packages}"
    )


def tables(done: Sequence[Result]) -> list[str]:
    """Make one table of all figures, or two, the second with the throughputs, where one would be too wide."""
    names = {"": [each.label for each in done]}
    speed = {
        "ms": [figure(each.median_ms) for each in done],
        "95 %": [figure(each.p95_ms) for each in done],
    }
    batches = sorted({batch for each in done for batch in each.rates})
    rates = {f"/s x {batch}": [figure(each.rate(batch)) for each in done] for batch in batches}
    rest = {
        "start s": [figure(each.startup_s) for each in done],
        "memory MB": [figure(megabytes(each.peak_bytes)) for each in done],
        "file MB": [figure(megabytes(each.file_bytes)) for each in done],
    }
    if any(each.metrics for each in done):
        for name in ("AP", "AP50"):
            rest[name] = [decimals(each.metrics.get(name)) for each in done]
    legend = wrapped(
        "ms: median of the latency of one picture, and its 95th percentile; "
        "/s x N: pictures per second in batches of N; from the pixels on the canvas to the boxes"
    )
    whole = table({**names, **speed, **rates, **rest})
    if fits(whole):
        return ["", whole, "", legend]
    return ["", table({**names, **speed, **rest}), "", table({**names, **rates}), "", legend]


def fits(text: str) -> bool:
    return max(map(len, text.splitlines()), default=0) <= WIDTH


def table(columns: Columns) -> str:
    """Format columns as a table; the names in the first one are shortened at their beginning, if need be."""
    others = {title: max(map(len, [title, *cells])) for title, cells in columns.items() if title}
    room = max(WIDTH - sum(width + len(GAP) for width in others.values()), 30)
    names = [name if len(name) <= room else "..." + name[3 - room :] for name in columns[""]]
    width = max(map(len, names), default=0)
    lines = [GAP.join([" " * width, *(title.rjust(size) for title, size in others.items())])]
    for row, name in enumerate(names):
        lines.append(GAP.join([name.ljust(width), *(columns[title][row].rjust(others[title]) for title in others)]))
    return "\n".join(lines)


def wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def megabytes(size: int | None) -> float | None:
    return None if size is None else size / 1e6


def figure(value: float | None) -> str:
    """Number with three digits; a dash for none."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def decimals(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.3f}"
