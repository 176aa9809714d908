"""Plots of a dataset's statistics (matplotlib, without a display)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yolo.images.draw import one_line
from yolo.images.fonts import drawable
from yolo.images.plots import COLOURS, INK, PALE, make_figure, save_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLASSES_IN_COLUMN = 40
MOST_CLASSES = 120
"""Number of classes that are drawn; the rarest beyond it are counted in the title."""
LONGEST_NAME = 24
MOST_POINTS = 20_000
MARKERS = ("D", "X")
FILLS = ("#d1662b", "#2f8f5b")


def plot_classes(counts: Mapping[str, Mapping[str, int]], path: str | Path) -> None:
    """Plot the number of boxes of each class, the commonest first, as bars divided by split, as a PNG.

    Args:
        counts: boxes by class, by split.
        path: the file, replaced at once when the picture is complete.

    Raises:
        ConfigError: the file cannot be written.
    """
    names = list(dict.fromkeys(name for each in counts.values() for name in each))
    totals = {name: sum(each.get(name, 0) for each in counts.values()) for name in names}
    names.sort(key=lambda name: -totals[name])
    shown = names[:MOST_CLASSES]
    columns = [shown[start : start + CLASSES_IN_COLUMN] for start in range(0, len(shown), CLASSES_IN_COLUMN)] or [[]]
    figure = make_figure(max(7, 4.6 * len(columns)), 1.3 + 0.2 * max(4, *map(len, columns)))
    largest = max(totals.values(), default=1)
    every = np.ravel(figure.subplots(1, len(columns)))
    for index, (axes, part) in enumerate(zip(every, columns, strict=True)):
        _draw_bars(axes, counts, part, totals, largest)
        style(axes, title=_class_title(totals, len(shown)) if index == 0 else "", x_label="boxes", y_label="")
        axes.grid(visible=False, axis="y")
    if len(counts) > 1:  # above the bars, which fill the axes where there are few classes
        place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.2}
        every[-1].legend(frameon=False, labelcolor=INK, ncols=min(len(counts), 3), **place)
    save_figure(figure, path)


def _class_title(totals: Mapping[str, int], shown: int) -> str:
    more = f", the {shown} commonest" if shown < len(totals) else ""
    return f"Boxes of {len(totals)} {'class' if len(totals) == 1 else 'classes'}{more}"


def _draw_bars(
    axes: Axes, counts: Mapping[str, Mapping[str, int]], names: Sequence[str], totals: Mapping[str, int], largest: int
) -> None:
    places, left = np.arange(len(names)), np.zeros(len(names))
    for number, (split, each) in enumerate(counts.items()):
        widths = np.array([each.get(name, 0) for name in names], float)
        axes.barh(places, widths, left=left, height=0.72, color=COLOURS[number % len(COLOURS)], label=split)
        left += widths
    for place, name in enumerate(names):
        axes.text(left[place] + largest * 0.012, place, f"{totals[name]:,}", va="center", fontsize=7.5, color=INK)
    labels = {name: label for label, name in enumerate(totals)}
    plain = [drawable(one_line(name), labels[name]) for name in names]
    short = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name in plain]
    axes.set_yticks(places, [name.replace("$", r"\$") for name in short], fontsize=8)
    axes.set_ylim(max(len(names), 1) - 0.4, -0.6)
    axes.set_xlim(0, max(largest, 1) * 1.14)


def plot_boxes_per_picture(numbers: Mapping[str, NDArray[np.int64]], path: str | Path) -> None:
    """Plot how many images have how many boxes, by split, as a PNG.

    Raises:
        ConfigError: the file cannot be written.
    """
    figure = make_figure(7, 4.2)
    axes = figure.subplots()
    most = max((int(each.max()) for each in numbers.values() if len(each)), default=0)
    width = max(1, -(-(most + 1) // 40))
    edges = np.arange(0, most + width + 1, width) - 0.5
    colours = [COLOURS[index % len(COLOURS)] for index in range(len(numbers))]
    axes.hist(list(numbers.values()), edges.tolist(), stacked=True, color=colours, label=list(numbers), rwidth=0.85)
    style(axes, title="Boxes per picture", x_label=_binned("boxes", width), y_label="pictures")
    _whole_numbers(axes)
    axes.margins(y=0.12)
    if len(numbers) > 1:
        axes.legend(loc="upper right", labelcolor=INK, framealpha=0.9, edgecolor=PALE)
    save_figure(figure, path)


def _binned(what: str, width: int) -> str:
    return what if width == 1 else f"{what} (bars of {width} numbers)"


def _whole_numbers(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def plot_shapes(
    shapes: NDArray[np.float64],
    anchors: Mapping[str, NDArray[np.floating]],
    path: str | Path,
    *,
    canvas: tuple[int, int],
) -> None:
    """Plot widths and heights of boxes on the canvas on logarithmic axes, with anchors over them, as a PNG.

    Args:
        shapes: (K, 2) width and height in pixels of the canvas; a sample of them is drawn.
        anchors: (N, 2) of each set by name, at most two.
        path: the file, replaced at once when the picture is complete.
        canvas: (height, width).

    Raises:
        ConfigError: the file cannot be written.
    """
    figure = make_figure(7, 6.4)
    axes = figure.subplots()
    if len(shapes) > MOST_POINTS:
        shapes = shapes[np.random.default_rng(0).choice(len(shapes), MOST_POINTS, replace=False)]
    alpha = float(np.clip(60 / max(len(shapes), 1) ** 0.6, 0.08, 0.7))
    axes.scatter(shapes[:, 0], shapes[:, 1], s=9, color=COLOURS[0], alpha=alpha, linewidths=0, label="boxes")
    drawn = np.concatenate([shapes, *anchors.values()])
    low, high = drawn.min(initial=16) / 1.3, max(*canvas, drawn.max(initial=1)) * 1.3
    _draw_size_limits(axes, low, high)
    _say_if_empty(axes, len(shapes))
    for (name, each), marker, colour in zip(anchors.items(), MARKERS, FILLS, strict=False):
        axes.scatter(
            each[:, 0], each[:, 1], s=62, marker=marker, color=colour, edgecolors="white", linewidths=0.9, label=name
        )
    for axis in ("x", "y"):
        _pixel_axis(axes, axis, low, high)
    axes.set_aspect("equal")
    style(
        axes,
        title=f"Boxes on the canvas of {canvas[0]} x {canvas[1]} px",
        x_label="width in px",
        y_label="height in px",
    )
    legend = axes.legend(loc="upper left", labelcolor=INK, framealpha=0.9, edgecolor=PALE)
    legend.legend_handles[0].set_alpha(0.8)  # type: ignore[union-attr]
    save_figure(figure, path)


def _say_if_empty(axes: Axes, number: int, *, colour: str = INK) -> None:
    if not number:
        axes.text(0.5, 0.5, "no boxes", color=colour, ha="center", transform=axes.transAxes)


def _draw_size_limits(axes: Axes, low: float, high: float) -> None:
    """Lines of the areas that divide small, medium and large boxes (COCO)."""
    for side, text in ((32, "small | medium"), (96, "medium | large")):
        axes.plot([low, high], [side**2 / low, side**2 / high], "--", color="#999999", linewidth=0.9)
        x = min(high, side**2 / low) / 1.12
        if low < side**2 / x < high and low < x < high:
            axes.annotate(
                text,
                (x, side**2 / x),
                rotation=-45,
                fontsize=8,
                color="#777777",
                ha="right",
                va="bottom",
                rotation_mode="anchor",
                xytext=(0, 2),
                textcoords="offset points",
            )


def _pixel_axis(axes: Axes, axis: str, low: float, high: float) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set(**{f"{axis}scale": "log", f"{axis}lim": (low, high)})
    ticks = axes.xaxis if axis == "x" else axes.yaxis
    ticks.set_major_locator(LogLocator(base=2, numticks=12))
    ticks.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ticks.set_minor_formatter(NullFormatter())


def plot_positions(shares: NDArray[np.float64], path: str | Path) -> None:
    """Plot where boxes are in their images, as a PNG.

    Args:
        shares: share of the boxes that cover each cell (rows, columns) of a grid over the image.
        path: the file, replaced at once when the picture is complete.

    Raises:
        ConfigError: the file cannot be written.
    """
    from matplotlib.ticker import PercentFormatter

    figure = make_figure(6.4, 5)
    axes = figure.subplots()
    top = max(float(shares.max(initial=0)), 0.01)
    image = axes.imshow(shares, cmap="viridis", extent=(0, 1, 1, 0), vmin=0, vmax=top, interpolation="nearest")
    style(axes, title="Where the boxes are", x_label="left to right", y_label="top to bottom")
    _say_if_empty(axes, int(shares.max(initial=0) > 0), colour="white")
    axes.grid(visible=False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    bar = figure.colorbar(image, ax=axes, shrink=0.92, format=PercentFormatter(1, decimals=None))
    bar.set_label("boxes that cover the place", color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK)
    save_figure(figure, path)


def plot_picture_sizes(sizes: NDArray[Any], path: str | Path, *, canvas: tuple[int, int]) -> None:
    """Plot widths and heights of images, larger where there are many of one size, as a PNG.

    Args:
        sizes: (N, 2) height and width.
        path: the file, replaced at once when the picture is complete.
        canvas: (height, width) of the network's input, drawn for comparison.

    Raises:
        ConfigError: the file cannot be written.
    """
    figure = make_figure(6.4, 5.6)
    axes = figure.subplots()
    found, counts = np.unique(sizes, axis=0, return_counts=True) if len(sizes) else (np.zeros((0, 2)), np.zeros(0))
    order = np.argsort(-counts)  # small dots above large ones
    areas = 14 + 700 * counts[order] / max(counts.sum(), 1)
    axes.scatter(found[order, 1], found[order, 0], s=areas, color=COLOURS[0], alpha=0.55, edgecolors="white")
    axes.scatter([canvas[1]], [canvas[0]], s=70, marker="X", color=COLOURS[1], edgecolors="white", label="canvas")
    for row in order[:3]:
        share = counts[row] / counts.sum()
        if share >= 0.1:
            text = f"{found[row, 1]:.0f} x {found[row, 0]:.0f}: {share:.0%}"
            axes.annotate(
                text,
                (found[row, 1], found[row, 0]),
                xytext=(0, 13),
                textcoords="offset points",
                fontsize=8.5,
                color=INK,
                ha="center",
                bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1},
            )
    top = max(float(found.max(initial=0)), *canvas) * 1.12
    axes.plot([0, top], [0, top], color=PALE, linewidth=1, zorder=0)
    axes.set_xlim(0, top)
    axes.set_ylim(0, top)
    axes.set_aspect("equal")
    style(axes, title="Picture sizes", x_label="width in px", y_label="height in px")
    axes.legend(frameon=False, labelcolor=INK, loc="upper left")
    save_figure(figure, path)
