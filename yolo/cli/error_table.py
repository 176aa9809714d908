"""Table of errors by kind, as `yolov3 eval` prints it below the metrics."""

from __future__ import annotations

import math

from yolo.analysis.error_kinds import ErrorKinds


def error_table(errors: ErrorKinds) -> str:
    """Format the number of each kind of errors, and the AP50 that mending it would add."""
    rows = [(row.kind, f"{row.count:7d}", row.delta_ap50) for row in errors.rows]
    rows += [("all false positives", " " * 7, errors.false_positives), ("all misses", " " * 7, errors.false_negatives)]
    lines = [f"{'errors (TIDE)':<20}  number  AP50 if mended"]
    lines += [f"{name:<20} {count}  {gain(value)}" for name, count, value in rows]
    return "\n".join(lines)


def gain(value: float) -> str:
    """Difference with its sign; a dash if undefined."""
    return "      -" if math.isnan(value) else f"{value:+7.4f}"
