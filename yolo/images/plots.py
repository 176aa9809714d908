"""Plots of training runs, searches and numbers of anchors (matplotlib, without a display).

Each ``figure_...`` makes an ordinary matplotlib figure of plain data, and ``plot_...`` writes it as a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from yolo.files.atomic import write_whole
from yolo.images.fonts import families

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOSS_TERMS = {"loss": "total", "box_loss": "box", "objectness_loss": "objectness", "class_loss": "class"}
"""Columns of the history and their names in the legend."""
METRICS = {"AP50": "AP50", "AP": "AP50:95"}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#9a4386")
"""Colours that those who see few colours tell apart too (Okabe and Ito 2008), the last one darker against white."""
INK, PALE = "#333333", "#dddddd"


def plot_training(history: Mapping[str, Sequence[float]], path: str | Path) -> None:
    """Write the figure of `figure_training` as a PNG or SVG, by the path's suffix.

    Raises:
        ConfigError: the file cannot be written.
    """
    save_figure(figure_training(history), path)


def figure_training(history: Mapping[str, Sequence[float]]) -> Figure:
    """Plot the loss terms and validation metrics of a run over its epochs.

    Args:
        history: one value per epoch in each column; columns may be missing or shorter, values NaN.
    """
    figure = make_figure(11, 4.2)
    losses, metrics = figure.subplots(1, 2)
    _draw_series(losses, history, LOSS_TERMS)
    finish(losses, title="Training loss", x_label="epoch", y_label="loss per picture")
    losses.set_ylim(bottom=0)
    _draw_series(metrics, history, METRICS)
    epochs = max((len(values) for values in history.values()), default=0)
    for axes in (losses, metrics):
        axes.set_xlim(0.5, max(epochs, 1) + 0.5)
    finish(metrics, title="Validation", x_label="epoch", y_label="average precision")
    metrics.set_ylim(0, 1)
    return figure


def plot_runs(runs: Mapping[str, Sequence[Sequence[float]]], path: str | Path, *, metric: str = "AP50") -> None:
    """Write the figure of `figure_runs` as a PNG or SVG, by the path's suffix.

    Raises:
        ConfigError: the file cannot be written.
    """
    save_figure(figure_runs(runs, metric=metric), path)


def figure_runs(runs: Mapping[str, Sequence[Sequence[float]]], *, metric: str = "AP50") -> Figure:
    """Plot a metric of several groups of runs over their epochs: one colour per group, one line per run.

    Args:
        runs: for each group by name, the values of each run, one per epoch; values may be NaN.
        metric: name of the metric.
    """
    figure = make_figure(7, 4.2)
    axes = figure.subplots()
    for index, (name, curves) in enumerate(runs.items()):
        for number, values in enumerate(curves):
            label = None if number else f"{name} ({len(curves)} runs)" if len(curves) > 1 else name
            epochs = np.arange(1, len(values) + 1)
            colour = COLOURS[index % len(COLOURS)]
            axes.plot(epochs, np.asarray(values, np.float64), "o-", color=colour, markersize=3.5, label=label)
    axes.set_ylim(0, 1)
    finish(axes, title=f"{metric} of several runs", x_label="epoch", y_label=metric)
    return figure


def plot_anchor_counts(
    mean_ious: Mapping[int, float],
    path: str | Path,
    *,
    marked: Mapping[str, tuple[int, float]] | None = None,
) -> None:
    """Write the figure of `figure_anchor_counts` as a PNG or SVG, by the path's suffix.

    Raises:
        ConfigError: the file cannot be written.
    """
    save_figure(figure_anchor_counts(mean_ious, marked=marked), path)


def figure_anchor_counts(
    mean_ious: Mapping[int, float], *, marked: Mapping[str, tuple[int, float]] | None = None
) -> Figure:
    """Plot the mean IoU of fitted anchors over their number.

    Args:
        mean_ious: mean IoU by number of anchors.
        marked: other anchor sets by name, (number, mean IoU).
    """
    figure = make_figure(7, 4.2)
    axes = figure.subplots()
    axes.plot(list(mean_ious), list(mean_ious.values()), "o-", color=COLOURS[0], markersize=4, label="k-means fit")
    for colour, (name, (count, mean_iou)) in zip(COLOURS[1:], (marked or {}).items(), strict=False):
        axes.plot([count], [mean_iou], "D", color=colour, markersize=7, label=f"{name} ({mean_iou:.3f})")
    finish(axes, title="How many anchors", x_label="number of anchors", y_label="mean IoU with the best anchor")
    return figure


def plot_trials(values: Sequence[float], cut_short: Sequence[float], path: str | Path) -> None:
    """Write the figure of `figure_trials` as a PNG or SVG, by the path's suffix.

    Raises:
        ConfigError: the file cannot be written.
    """
    save_figure(figure_trials(values, cut_short), path)


def figure_trials(values: Sequence[float], cut_short: Sequence[float]) -> Figure:
    """Plot the AP of a search's trials in their order, and the best so far.

    Args:
        values: AP of each trial; NaN if the trial was not finished.
        cut_short: AP that an unfinished trial had reached; NaN: not shown.
    """
    figure = make_figure(7, 4.2)
    axes = figure.subplots()
    numbers, whole = np.arange(1, len(values) + 1), np.asarray(values, np.float64)
    ended = np.isfinite(whole)
    reached = np.where(ended, np.nan, np.asarray(cut_short, np.float64))
    if np.isfinite(reached).any():
        axes.plot(numbers, reached, "x", color=COLOURS[1], markersize=5, label="cut short")
    if ended.any():
        axes.plot(numbers[ended], whole[ended], "o", color=COLOURS[0], markersize=5, label="trial")
        best = np.fmax.accumulate(whole)
        axes.step(numbers, best, where="post", color=COLOURS[2], label="best so far")
    axes.set_xlim(0.5, max(len(whole), 1) + 0.5)
    axes.set_ylim(bottom=0)
    finish(axes, title="Search", x_label="trial", y_label="AP50:95")
    return figure


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure, whole or not at all, with fonts that have the characters of its texts.

    Args:
        figure: the figure.
        path: the file, replaced at once when it is complete; an SVG if its suffix is ``.svg``, else a PNG.

    Raises:
        ConfigError: the file cannot be written.
    """
    set_families(figure)
    kind = "svg" if Path(path).suffix.lower() == ".svg" else "png"
    write_whole(path, lambda file: figure.savefig(file, format=kind, dpi=120, facecolor="white"))


def set_families(figure: Figure) -> None:
    """Set fallback fonts with the characters of a figure's texts; matplotlib would draw missing ones as boxes."""
    from matplotlib.text import Text

    for text in figure.findobj(lambda artist: isinstance(artist, Text)):
        content = text.get_text()  # type: ignore[attr-defined]
        if not content.isascii():
            text.set_fontfamily(families([content]))  # type: ignore[attr-defined]


def make_figure(width: float, height: float) -> Figure:
    # Figure itself, not pyplot: no global state, no window, nothing to close.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _draw_series(axes: Axes, history: Mapping[str, Sequence[float]], columns: Mapping[str, str]) -> None:
    for colour, (column, label) in zip(COLOURS, columns.items(), strict=False):
        values = np.asarray(history.get(column, ()), np.float64)
        known = np.flatnonzero(np.isfinite(values))
        if len(known):
            # The line spans epochs without a value; alone, a point would not show without its marker.
            marker = "o" if len(values) <= 30 or len(known) == 1 else None
            axes.plot(known + 1, values[known], color=colour, marker=marker, markersize=3.5, label=label)


def finish(axes: Axes, *, title: str, x_label: str, y_label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    style(axes, title=title, x_label=x_label, y_label=y_label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if axes.lines:
        axes.legend(frameon=False, labelcolor=INK)
    else:
        axes.text(0.5, 0.5, "no values", color=INK, ha="center", transform=axes.transAxes)


def style(axes: Axes, *, title: str, x_label: str, y_label: str) -> None:
    """Set title, labels, grid and colours, as all plots have them."""
    axes.set_title(title, color=INK, fontsize=12, loc="left")
    axes.set_xlabel(x_label, color=INK)
    axes.set_ylabel(y_label, color=INK)
    axes.tick_params(colors=INK)
    axes.grid(color=PALE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
