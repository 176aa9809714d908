"""Figures of an analysis: curves, confusion, calibration, errors by kind (matplotlib, without a display).

Each makes an ordinary matplotlib figure of plain data; `save_figure` writes it as a PNG or SVG.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yolo.images.draw import one_line
from yolo.images.plots import COLOURS, INK, PALE, make_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FAINT = "#a9b0b7"
MOST_COLOURED = 3
"""Number of classes that have colours of their own; more are drawn as thin lines."""
MOST_CLASSES = 20
"""Number of classes of a confusion matrix whose cells have numbers."""
WHITE_FROM = 0.6
"""Shade from which white figures are read better than black ones."""


def figure_pr_curves(
    curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    joint: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> Figure:
    """Plot precision over recall.

    Args:
        curves: recall (S,) and precision (S,) of each class by name.
        joint: the same of all classes together.
    """
    return _unit_figure(curves, joint, title="Precision and recall", x_label="recall", y_label="precision")


def figure_f1_curves(
    curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    joint: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> Figure:
    """Plot F1 over the score threshold.

    Args:
        curves: thresholds (S,) and F1 (S,) of each class by name.
        joint: the same of all classes together.
    """
    return _unit_figure(curves, joint, title="F1 over the threshold", x_label="score threshold", y_label="F1")


def _unit_figure(
    curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    joint: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
    **labels: str,
) -> Figure:
    figure = make_figure(6, 5)
    axes = figure.subplots()
    few = len(curves) <= MOST_COLOURED
    for index, (name, (x, y)) in enumerate(curves.items()):
        look = {"color": COLOURS[1 + index], "label": plain(name)} if few else {"color": FAINT, "linewidth": 0.7}
        axes.plot(x, y, **look)
    if joint is not None:
        axes.plot(*joint, color=COLOURS[0], linewidth=2.4, label="all classes")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    style(axes, **labels)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, labelcolor=INK)
    return figure


def figure_confusion(classes: Sequence[str], counts: NDArray[np.int64]) -> Figure:
    """Plot a confusion matrix, shaded by the share of each row.

    Args:
        classes: C class names.
        counts: (C + 1, C + 1): rows the true class, the last one background; columns the class found, the last one
            missed.
    """
    names = [plain(name) for name in classes]
    size = len(names) + 1
    figure = make_figure(*(min(2.5 + 0.42 * size, 14),) * 2)
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    style(axes, title="Confusion", x_label="found", y_label="true")
    axes.grid(visible=False)
    axes.set_xticks(range(size), [*names, "missed"], rotation=90, fontsize=8)
    axes.set_yticks(range(size), [*names, "background"], fontsize=8)
    if size <= MOST_CLASSES + 1:
        for row, column in np.argwhere(counts > 0).tolist():
            colour = "white" if shares[row, column] > WHITE_FROM else INK
            axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=7.5, color=colour)
    return figure


def figure_reliability(
    edges: NDArray[np.float64],
    counts: NDArray[np.int64],
    confidence: NDArray[np.float64],
    accuracy: NDArray[np.float64],
) -> Figure:
    """Plot the share of right detections over their score, with the number of detections below.

    Args:
        edges: (B + 1,) borders of the bins.
        counts: (B,) number of detections.
        confidence: (B,) mean score.
        accuracy: (B,) share that is right.
    """
    figure = make_figure(5.6, 6.2)
    axes, below = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    full = counts > 0
    axes.plot([0, 1], [0, 1], "--", color=FAINT, linewidth=1)
    axes.plot(confidence[full], accuracy[full], "o-", color=COLOURS[0], markersize=4.5)
    axes.set_ylim(0, 1.02)
    style(axes, title="Reliability of the scores", x_label="", y_label="share that is right")
    below.bar(edges[:-1], counts, np.diff(edges), align="edge", color=COLOURS[0], alpha=0.45, edgecolor="white")
    if full.any():
        below.set_yscale("log")
    below.set_xlim(0, 1)
    style(below, title="", x_label="score", y_label="detections")
    return figure


def figure_errors_by_kind(deltas: Mapping[str, float], counts: Mapping[str, int] | None = None) -> Figure:
    """Plot the AP50 that mending each kind of error would add, as bars.

    Args:
        deltas: AP50 by kind, in 0..1.
        counts: number of errors by kind, written beside the bars.
    """
    figure = make_figure(6.5, 0.9 + 0.45 * max(len(deltas), 2))
    axes = figure.subplots()
    places, values = np.arange(len(deltas)), np.array(list(deltas.values()), float)
    axes.barh(places, values, height=0.68, color=COLOURS[0])
    longest = float(values.max(initial=0)) or 1.0
    for place, (name, value) in enumerate(deltas.items()):
        number = f"  ({counts[name]:,})" if counts and name in counts else ""
        axes.text(max(value, 0) + longest * 0.015, place, f"+{value:.3f}{number}", va="center", fontsize=9, color=INK)
    axes.set_yticks(places, [plain(name) for name in deltas])
    axes.set_ylim(max(len(deltas), 1) - 0.4, -0.6)
    axes.set_xlim(min(0.0, float(values.min(initial=0))), longest * 1.3)
    style(axes, title="Errors by kind", x_label="AP50 that mending them would add", y_label="")
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color=PALE, linewidth=1)
    return figure


def plain(name: Any) -> str:
    """Name on one line, in which matplotlib sees no formula."""
    return one_line(str(name)).replace("$", r"\$")
