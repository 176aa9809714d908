"""Comparison of runs side by side: options that differ, metrics with intervals, curves; as data, text and page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import yolo
from yolo.evaluation.comparison import Comparison, Difference
from yolo.evaluation.metrics import Metrics
from yolo.evaluation.tables import figure, span, text_table
from yolo.report.charts import COLOURS, Figure, Line, difference_bar, epochs_chart, interval_bar
from yolo.report.page import render
from yolo.report.sections import dash
from yolo.structs import counted

ROWS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100")
"""Metrics of a comparison, by COCO's names."""
MOST_CLASSES = 200
MISSING = "-"
"""Value of an option that a run does not have."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Side:
    """One run of a comparison."""

    name: str
    metrics: Metrics
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    """Value of each option, as text."""

    @property
    def epochs(self) -> int:
        """Number of epochs trained."""
        return len(self.history.get("epoch", ()))

    @property
    def minutes(self) -> float:
        """Minutes of training and validation; NaN if unknown."""
        known = [self.history[name] for name in ("train_seconds", "evaluation_seconds") if name in self.history]
        return sum(value for column in known for value in column if math.isfinite(value)) / 60 if known else math.nan


@dataclass(frozen=True, eq=False)
class Runs:
    """Two or more runs, and how those after the first compare with it on the same pictures."""

    sides: Sequence[Side]
    paired: Mapping[int, Comparison] = field(default_factory=dict)
    """Comparison of the first run with another, by that one's index; those measured on other pictures are missing."""

    def differing(self) -> dict[str, list[str]]:
        """Value in each run of the options that are not the same in all."""
        names = dict.fromkeys(name for side in self.sides for name in side.options)
        rows = {name: [side.options.get(name, MISSING) for side in self.sides] for name in names}
        return {name: values for name, values in rows.items() if len(set(values)) > 1}

    def unpaired(self) -> list[str]:
        """Sentence about each run that is not compared with the first, whose metrics are easily taken for better."""
        first, *others = (side.name for side in self.sides)
        return [
            f"{other} is not compared with {first} by picture: their metrics may differ because the pictures do."
            for index, other in enumerate(others, start=1)
            if index not in self.paired
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain data of the comparison."""
        return {
            "runs": [
                {
                    "name": side.name,
                    "epochs": side.epochs,
                    "minutes": side.minutes,
                    "metrics": dict(side.metrics),
                }
                for side in self.sides
            ],
            "options": self.differing(),
            "paired": [
                {"a": self.sides[0].name, "b": self.sides[index].name, **each.to_dict()}
                for index, each in self.paired.items()
            ],
        }


def to_text(runs: Runs) -> str:
    """Format a comparison as tables."""
    names = [side.name for side in runs.sides]
    parts = [text_table(["", *names], metric_lines(runs.sides))]
    for index, each in runs.paired.items():
        share = f"{100 * each.level:g} %"
        header = ["", "difference", share, "p"]
        rows = [difference_cells(name, found) for name, found in (("AP", each.ap), ("AP50", each.ap50))]
        title = f"{names[index]} less {names[0]}, on the same {counted(each.images, 'picture')}"
        parts.append(f"{title}\n{text_table(header, rows)}")
    parts += runs.unpaired()
    differing = runs.differing()
    if differing:
        parts.append(text_table(["options", *names], [[name, *values] for name, values in differing.items()]))
    elif any(side.options for side in runs.sides):
        parts.append("no options differ")
    return "\n\n".join(parts)


def metric_lines(sides: Sequence[Side]) -> list[list[str]]:
    """Rows of the table of metrics, a column for each run."""
    rows = []
    for name in ROWS:
        rows.append([name, *(figure(side.metrics.coco.get(name)) for side in sides)])
        if name in ("AP", "AP50") and any("intervals" in side.metrics for side in sides):
            rows.append([f"  {name} interval", *(span(side.metrics.get("intervals", {}).get(name)) for side in sides)])
    rows.append(["pictures", *(f"{side.metrics.images}" for side in sides)])
    if any(side.epochs for side in sides):
        rows.append(["epochs", *(f"{side.epochs}" if side.epochs else MISSING for side in sides)])
        rows.append(["minutes", *(figure(side.minutes, 1) for side in sides)])
    return rows


def difference_cells(name: str, each: Difference) -> list[str]:
    """Format one difference with its interval and p-value."""
    low, high = each.interval
    ends = MISSING if math.isnan(low) else f"{low:+.3f} to {high:+.3f}"
    return [name, MISSING if math.isnan(each.difference) else f"{each.difference:+.4f}", ends, figure(each.p, 3)]


def render_comparison(runs: Runs) -> str:
    """Make the page: one HTML file that needs nothing else."""
    names = [side.name for side in runs.sides]
    return render(
        "compare",
        {
            "title": f"Comparison of {len(names)} runs",
            "version": yolo.__version__,
            "names": names,
            "metrics": metric_lines(runs.sides),
            "verdicts": [
                *(verdict(names[0], names[index], each) for index, each in runs.paired.items()),
                *runs.unpaired(),
            ],
            "paired": [paired_table(names[0], names[index], each) for index, each in runs.paired.items()],
            "options": runs.differing(),
            "figures": curve_figures(runs.sides),
            "classes": class_rows(runs.sides),
        },
    )


def verdict(first: str, other: str, each: Comparison) -> str:
    """Say which of two is better, and how sure that is."""
    found = each.ap50
    if math.isnan(found.difference):
        return f"{other} and {first} cannot be compared: no metric is defined."
    low, high = found.interval
    if low <= 0 <= high:
        return (
            f"{other} and {first} cannot be told apart by these pictures: AP50 differs by {found.difference:+.3f} "
            f"({low:+.3f} to {high:+.3f}, p {dash(found.p)})."
        )
    better, worse = (other, first) if found.difference > 0 else (first, other)
    return (
        f"{better} is better than {worse}: AP50 of {other} less that of {first} is {found.difference:+.3f} "
        f"({low:+.3f} to {high:+.3f}, p {dash(found.p)})."
    )


def paired_table(first: str, other: str, each: Comparison) -> dict[str, Any]:
    """Table of the differences of two runs, of all classes and of each."""
    rows = [("all classes, AP", each.ap), ("all classes, AP50", each.ap50)]
    rows += [(f"{name}, AP50", found) for name, found in zip(each.classes, each.class_ap50, strict=True)]
    rows = [(name, found) for name, found in rows if math.isfinite(found.difference)][:MOST_CLASSES]
    ends = [abs(end) for _, found in rows for end in (*found.interval, found.difference) if math.isfinite(end)]
    most = max([*ends, 1e-6])
    return {
        "title": f"{other} less {first}",
        "images": f"{each.images:,}",
        "level": f"{100 * each.level:g}",
        "rows": [
            {
                "name": name,
                "a": dash(found.a),
                "b": dash(found.b),
                "difference": f"{found.difference:+.3f}",
                "bar": difference_bar(found.difference, *found.interval, most=most),
                "range": difference_cells(name, found)[2],
                "p": dash(found.p),
            }
            for name, found in rows
        ],
    }


def class_rows(sides: Sequence[Side]) -> list[dict[str, Any]]:
    """AP50 of each class in each run, with its interval as a bar."""
    every = [side.metrics.classes for side in sides]
    names = list(dict.fromkeys(name for classes in every for name in classes))
    count = {name: max((each[name].instances for each in every if name in each), default=0) for name in names}
    rows = []
    for name in sorted(names, key=lambda name: -count[name])[:MOST_CLASSES]:
        cells = []
        for classes in every:
            found = classes.get(name)
            value = math.nan if found is None else found.ap50
            low, high = (math.nan, math.nan) if found is None else found.ap50_interval or (math.nan, math.nan)
            cells.append({"value": dash(value), "bar": interval_bar(value, low, high)})
        if count[name]:
            rows.append({"name": name, "instances": f"{count[name]:,}", "cells": cells})
    return rows


def curve_figures(sides: Sequence[Side]) -> list[Figure]:
    """Curves of the runs over the epochs, one line each."""
    found = []
    for column, title, label, unit in (
        ("AP50", "AP50 on validation", "AP50", True),
        ("AP", "AP on validation", "AP", True),
        ("loss", "Training loss", "loss per picture", False),
    ):
        lines = [
            history_line(side, column, f"c{index}" if index < COLOURS else "thin") for index, side in enumerate(sides)
        ]
        drawn = [line for line in lines if len(line.x)]
        chart = epochs_chart(title, drawn, y_label=label, unit=unit)
        if chart is not None:  # of several runs one line needs its name too
            named = tuple((line.cls, line.name) for line in drawn if line.cls != "thin")
            found.append(replace(chart, legend=named))
    return found


def history_line(side: Side, column: str, cls: str) -> Line:
    """Line of a run's column over the epochs."""
    known = [(epoch, value) for epoch, value in enumerate(side.history.get(column, ()), 1) if math.isfinite(value)]
    return Line(side.name, [float(epoch) for epoch, _ in known], [value for _, value in known], cls)
