"""Picture of a benchmark: accuracy over latency, or bars of latency and throughput."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from yolo.bench.labels import place_labels
from yolo.bench.results import Result
from yolo.images.plots import COLOURS, INK, make_figure, save_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = {"float32": "o", "bfloat16": "s", "float16": "D", "int8": "^"}
LEAST_AP_SPAN = 0.1
"""Smallest range of the axis of AP: differences in the third decimal are to look small."""
BAR_HEIGHT = 0.8


def plot_benchmark(results: Sequence[Result], path: str | Path) -> None:
    """Plot the candidates that were measured, as a PNG: AP over latency if AP was measured, else bars.

    Raises:
        ConfigError: the file cannot be written.
    """
    done = sorted((each for each in results if not each.failed), key=lambda each: each.median_ms)
    if any(each.metrics for each in done):
        figure = make_figure(11, 5.2)
        plot_accuracy(figure.subplots(), [each for each in done if each.metrics])
    else:
        figure = make_figure(11, 1.6 + 0.5 * len(done))
        left, right = figure.subplots(1, 2, sharey=True)
        plot_latency(left, done)
        plot_throughput(right, done)
    save_figure(figure, path)


def colours_of(results: Sequence[Result]) -> list[str]:
    """One colour a runtime."""
    runtimes = sorted({each.candidate.runtime for each in results})
    return [COLOURS[runtimes.index(each.candidate.runtime) % len(COLOURS)] for each in results]


def plot_accuracy(axes: Axes, done: Sequence[Result]) -> None:
    """Draw AP over latency, a numbered point for each candidate, named beside: up and to the left is better."""
    aps = np.array([each.metrics["AP"] for each in done], np.float64)
    times = np.array([each.median_ms for each in done], np.float64)
    numbers = [str(number) for number in range(1, len(done) + 1)]
    for x, y, colour, number, each in zip(times, aps, colours_of(done), numbers, done, strict=True):
        name = f"{number}  {each.label}: {x:.1f} ms, AP {y:.3f}"
        axes.plot([x], [y], MARKERS.get(each.precision, "o"), color=colour, markersize=8, linestyle="none", label=name)
    known = aps[np.isfinite(aps)]
    middle = (known.min() + known.max()) / 2 if len(known) else 0.5
    half = max(LEAST_AP_SPAN / 2, 0.8 * float(np.ptp(known)) if len(known) else 0.0)
    low = min(max(0.0, middle - half), 1 - 2 * half)
    axes.set_ylim(max(low, 0.0), max(low, 0.0) + 2 * half)
    axes.set_xlim(0, 1.15 * times.max())
    style(axes, title="Accuracy and speed", x_label="latency of one picture, median (ms)", y_label="AP50:95")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, labelcolor=INK, fontsize=9)
    place_labels(axes, times, aps, numbers)


def plot_latency(axes: Axes, done: Sequence[Result]) -> None:
    """Draw a bar of the median for each candidate, with a whisker to the 95th percentile."""
    rows = np.arange(len(done))
    medians, tails = (np.array([getattr(each, name) for each in done]) for name in ("median_ms", "p95_ms"))
    axes.barh(rows, medians, 0.6, color=colours_of(done))
    whiskers = np.stack([np.zeros(len(done)), np.maximum(tails - medians, 0)])
    axes.errorbar(medians, rows, xerr=whiskers, fmt="none", ecolor=INK, elinewidth=1, capsize=3)
    for row, median, tail in zip(rows, medians, tails, strict=True):
        write_value(axes, max(tail, median), row, f"{median:.1f}")
    axes.set_xlim(0, 1.18 * float(np.fmax(medians, tails).max()))
    axes.set_yticks(rows, [each.label for each in done])
    axes.invert_yaxis()
    style(axes, title="Latency of one picture", x_label="ms: median, whisker to the 95th percentile", y_label="")


def plot_throughput(axes: Axes, done: Sequence[Result]) -> None:
    """Draw a bar for each candidate and batch."""
    batches = sorted({batch for each in done for batch in each.rates})
    height = BAR_HEIGHT / max(len(batches), 1)
    most = max((each.rate(batch) for each in done for batch in batches), default=1.0)
    for number, batch in enumerate(batches):
        rows = np.arange(len(done)) - BAR_HEIGHT / 2 + height * (number + 0.5)
        rates = [each.rate(batch) for each in done]
        shade = 0.45 + 0.55 * (number + 1) / len(batches)
        axes.barh(rows, rates, 0.92 * height, color=colours_of(done), alpha=shade)
        for row, rate in zip(rows, rates, strict=True):
            write_value(axes, rate, row, f"{rate:.1f}  (batch {batch})")
    axes.set_xlim(0, 1.35 * most)
    style(axes, title="Throughput", x_label="pictures per second", y_label="")


def write_value(axes: Axes, x: float, y: Any, text: str) -> None:
    """Write a number behind the end of a bar."""
    axes.annotate(text, (x, y), (5, 0), textcoords="offset points", va="center", fontsize=8, color=INK)
