"""Pictures of explanations: maps over the picture, slots, anchors, receptive fields, feature maps and filters.

Maps are drawn in viridis, whose lightness rises evenly and which colour-blind people read as others do, over the
picture in grey; where a map is empty the picture stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yolo.explaining.explain import Explained, Explanation
from yolo.explaining.look import Look
from yolo.explaining.missing import Box, SlotReport
from yolo.explaining.receptive_field import Field
from yolo.images.plots import INK, make_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOUR_MAP = "viridis"
STRONGEST = 0.75
"""Opacity of a map where it is largest."""
ORANGE, BLUE, PINK, YELLOW, WHITE = "#e69f00", "#56b4e9", "#cc79a7", "#f0e442", "#ffffff"
"""Colours of lines, which colour-blind people tell apart (Okabe and Ito 2008)."""
TILES = 64
"""Largest number of feature maps or filters in a grid."""
LARGEST_SIDE = 1024
"""Longest side in pixels at which a picture is drawn in a figure."""


def draw_detection(explained: Explained, explanation: Explanation, number: int, path: Path) -> None:
    """Draw one detection in three panels: its box with cell and anchor, the map of its class, and that of its box."""
    look, slot = explanation.look, explained.slot
    panels = _panels(look, 3, title=f"{number}. {explained.name} {explained.score:.2f}:  {describe_slot(explained)}")
    figure, (first, second, third) = panels
    _show(first, look.picture)
    _outline(first, explained.box, ORANGE, 2.2, label="box")
    _outline(first, to_picture(look, slot.anchor_box), BLUE, 1.6, style="--", label="anchor")
    _outline(first, to_picture(look, slot.cell), PINK, 2.2, label="cell")
    first.set_title("where it came from", color=INK, fontsize=10, loc="left")
    _legend(first)
    shown = None
    for axes, heat, title in (
        (second, explained.class_map, f"class: what speaks for {explained.name} ({explained.probability:.2f})"),
        (third, explained.box_map, f"box: object ({explained.objectness:.2f}) and edges"),
    ):
        shown = _overlay(axes, look.picture, heat)
        _outline(axes, explained.box, WHITE, 1.8)
        axes.set_title(title, color=INK, fontsize=10, loc="left")
    _bar(figure, shown, [second, third], f"{explanation.method}, share of the largest value")
    save_figure(figure, path)


def describe_slot(explained: Explained) -> str:
    """Layer, cell and anchor of a detection in words."""
    slot = explained.slot
    width, height = slot.anchor_size
    return (
        f"head {slot.layer} (1 cell = {slot.stride} px), row {slot.row}, column {slot.column}, "
        f"anchor {width:.0f} x {height:.0f}"
    )


def draw_overview(explanation: Explanation, path: Path) -> None:
    """Draw all explained detections with their cells on the picture."""
    look = explanation.look
    figure, (axes,) = _panels(look, 1, title=f"{len(explanation)} detections and the cells that made them", width=9)
    _show(axes, look.picture)
    for number, each in enumerate(explanation.detections, 1):
        _outline(axes, each.box, ORANGE, 2, label="box" if number == 1 else None)
        _outline(axes, to_picture(look, each.slot.cell), PINK, 2.2, label="cell" if number == 1 else None)
        _caption(axes, each.box[0], each.box[1], f"{number}. {each.name} {each.score:.2f}")
    _legend(axes)
    save_figure(figure, path)


def draw_anchors(look: Look, points: Sequence[tuple[float, float]], path: Path) -> None:
    """Draw the anchors of every scale, with the grid of its cells, around the cells that hold some points (x, y)."""
    strides = look.detector.architecture.strides
    heads, sizes = look.detector.heads, look.detector.architecture.anchors
    title = "Anchors, in their own size on the picture, and the cells of each scale"
    figure, panels = _panels(look, len(strides), title=title)
    for axes, stride, shapes, head in zip(panels, strides, sizes, heads, strict=True):
        _show(axes, look.picture, grey=True)
        _grid(axes, look, stride)
        for x, y in points:
            on_canvas = look.box.boxes_to_canvas(np.array([[x, y, x, y]], np.float32))[0]
            column, row = (math.floor(float(each) / stride) for each in on_canvas[:2])
            middle = np.array([column + 0.5, row + 0.5]) * stride
            cell = (column * stride, row * stride, (column + 1) * stride, (row + 1) * stride)
            _outline(axes, to_picture(look, cell), PINK, 2.4)
            for index, (colour, shape) in enumerate(zip((ORANGE, BLUE, YELLOW) * 9, shapes, strict=False)):
                box = to_picture(look, (*(middle - shape / 2), *(middle + shape / 2)))
                label = f"{shape[0]:.0f} x {shape[1]:.0f}" if (x, y) == tuple(points[0]) else None
                _outline(axes, box, colour, 1.8, style=("-", "--", ":")[index % 3], label=label)
        axes.set_title(f"{head.name}: 1 cell = {stride} px of the canvas", color=INK, fontsize=10, loc="left")
        _legend(axes)
    save_figure(figure, path)


def draw_fields(look: Look, layer: str, cell: tuple[int, int], fields: tuple[Field, Field], path: Path) -> None:
    """Draw the theoretical and the effective receptive field of a layer's cell on the picture."""
    theory, effective = fields
    rows, columns = theory.size
    title = f"Receptive field of {layer}, cell (row {cell[0]}, column {cell[1]}): {columns} x {rows} px of the canvas"
    figure, (axes,) = _panels(look, 1, title=title, width=9)
    _show(axes, look.picture)
    _outline(axes, to_picture(look, theory), ORANGE, 2.4, label="pixels it can depend on")
    label = "95% of its gradient across, and down"
    _outline(axes, to_picture(look, effective), BLUE, 2.4, style="--", label=label)
    _legend(axes)
    save_figure(figure, path)


def draw_features(maps: NDArray[np.float32], layer: str, path: Path) -> None:
    """Draw feature maps (h, w, channels) as a grid, the first `TILES` of them, each scaled by itself."""
    count = min(maps.shape[2], TILES)
    chosen = [maps[..., index] for index in range(count)]
    scaled = [(each - each.min()) / max(float(np.ptp(each)), 1e-12) for each in chosen]
    height, width, channels = maps.shape
    first = "" if count == channels else f", the {count} that vary most"
    title = f"{layer}: {channels} feature maps of {width} x {height}{first} (each from its least to its largest value)"
    _tiles(scaled, title, path, map_name=COLOUR_MAP)


def draw_filters(filters: NDArray[np.float32], layer: str, path: Path) -> None:
    """Draw filters (filters, h, w, 3) in 0..1 as a grid of pictures, the first `TILES` of them."""
    count, height, width = filters.shape[:3]
    title = f"{layer}: {count} filters of {width} x {height} over red, green and blue (grey is a weight of 0)"
    _tiles(list(filters[:TILES]), title, path, map_name=None)


def draw_missing(
    look: Look, reports: Sequence[SlotReport], wanted: Box | tuple[float, float], path: Path, *, most: int = 8
) -> None:
    """Draw the best slots at a point or box that was asked for, by their fate, beside the detections."""
    figure, (axes,) = _panels(
        look, 1, title="Slots at the place asked for", width=9, below=0.28 * (min(len(reports), most) + 1)
    )
    _show(axes, look.picture, grey=True)
    shown = list(enumerate(reports, 1))[:most]
    for _, report in shown[::-1]:
        colour, style = _fate(report)
        _outline(axes, report.box, colour, 2, style=style)
    if len(wanted) == 4:
        _outline(axes, wanted, PINK, 3, label="asked for")
    else:
        mark: dict[str, Any] = {"marker": "+", "markersize": 18, "markeredgewidth": 3, "linestyle": ""}
        axes.plot(*wanted, color=PINK, label="asked for", **mark)
    for number, report in shown:
        _caption(axes, *_corner(report.box, number, look.box.image_size), str(number))
        colour, style = _fate(report)
        name, score = report.classes[0][0], report.score
        axes.plot([], [], color=colour, linestyle=style, label=f"{number}. {name} {score:.2g}: {report.reason}")
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.01), fontsize=8, frameon=False, labelcolor=INK)
    save_figure(figure, path)


def _corner(box: Box, number: int, size: tuple[int, int]) -> tuple[float, float]:
    """Place of a slot's number: on the left edge of its box, each one lower than the one before."""
    height, width = size
    x, y = max(box[0], 0), max(box[1], 0)
    return min(x, width * 0.97), min(y + number * height / 26, height)


def _fate(report: SlotReport) -> tuple[str, str]:
    """Colour and line of a slot: of a detection, a suppressed one, and one below the threshold."""
    if report.detection is not None:
        return ORANGE, "-"
    return (YELLOW, ":") if report.suppressor is None else (BLUE, "--")


def draw_class_maps(
    picture: NDArray[np.uint8], rows: Sequence[tuple[str, float, NDArray[np.float32]]], method: str, path: Path
) -> None:
    """Draw maps (H, W) of classes, with their names and scores, over a picture."""
    figure = make_figure(4.6 * len(rows) + 0.8, 4.6 * picture.shape[0] / picture.shape[1] + 0.8)
    panels = np.atleast_1d(figure.subplots(1, len(rows)))
    shown = None
    for axes, (name, score, heat) in zip(panels, rows, strict=True):
        shown = _overlay(axes, picture, heat)
        axes.set_title(f"{name} {score:.3f}", color=INK, fontsize=10, loc="left")
    _bar(figure, shown, list(panels), f"{method}, share of the largest value")
    save_figure(figure, path)


# Parts


def to_picture(look: Look, box: Sequence[float]) -> NDArray[np.float32]:
    """Box xyxy (4,) of the canvas in pixels of the picture."""
    return look.box.boxes_to_image(np.array([box], np.float32))[0]


def _panels(look: Look, count: int, *, title: str, width: float = 5.2, below: float = 0.0) -> tuple[Figure, list[Axes]]:
    """Figure with panels of the picture's shape in a row, and room for text ``below`` them, in inches."""
    height, across = look.picture.shape[:2]
    tall = min(max(width * height / across, 2.5), 3 * width)
    figure = make_figure(width * count + (0.8 if count > 1 else 0), tall + 0.6 + below)
    figure.suptitle(title, color=INK, fontsize=12, x=0.01, ha="left")
    return figure, list(np.atleast_1d(figure.subplots(1, count)))


def _show(axes: Axes, picture: NDArray[np.uint8], *, grey: bool = False) -> None:
    height, width = picture.shape[:2]
    shown = _greyed(picture) if grey else _smaller(picture)
    axes.imshow(shown, extent=(0, width, height, 0))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_anchor("N")
    axes.set_axis_off()


def _smaller(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Picture scaled down to what a figure shows."""
    import cv2

    scale = LARGEST_SIDE / max(picture.shape[:2])
    if scale >= 1:
        return picture
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _greyed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Picture in grey (Rec. 601), still with three channels."""
    grey = _smaller(picture).astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.repeat(grey[..., None], 3, axis=-1).astype(np.uint8)


def _overlay(axes: Axes, picture: NDArray[np.uint8], heat: NDArray[np.float32]) -> Any:
    """Draw a map (H, W) in 0..1 over the greyed picture, the more opaque the larger; return it for a colour bar."""
    _show(axes, picture, grey=True)
    height, width = picture.shape[:2]
    return axes.imshow(
        heat,
        cmap=COLOUR_MAP,
        vmin=0,
        vmax=1,
        alpha=STRONGEST * np.clip(heat, 0, 1) ** 0.7,
        extent=(0, width, height, 0),
        interpolation="nearest",
    )


def _bar(figure: Figure, shown: Any, panels: list[Axes], label: str) -> None:
    from matplotlib.cm import ScalarMappable

    solid = ScalarMappable(shown.norm, shown.cmap)  # the map's own opacity would make the bar pale
    bar = figure.colorbar(solid, ax=panels, fraction=0.03, pad=0.01)
    bar.set_label(label, color=INK)
    bar.ax.tick_params(colors=INK)


def _outline(axes: Axes, box: Any, colour: str, width: float, *, style: str = "-", label: str | None = None) -> None:
    """Draw a box xyxy with a dark rim, so that it shows on light and dark."""
    from matplotlib.patches import Rectangle

    x1, y1, x2, y2 = (float(each) for each in box)
    for colour_now, width_now, style_now, label_now in (
        ("#000000", width + 1.6, "-", None),
        (colour, width, style, label),
    ):
        frame = Rectangle(
            (x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour_now, linewidth=width_now, linestyle=style_now
        )
        frame.set_label(label_now or "_nolegend_")
        axes.add_patch(frame)


def _caption(axes: Axes, x: float, y: float, text: str) -> None:
    patch = {"facecolor": "#000000", "alpha": 0.75, "edgecolor": "none", "pad": 1.5}
    axes.text(x, y, text, color="white", fontsize=9, va="bottom", clip_on=True, bbox=patch)


def _legend(axes: Axes) -> None:
    axes.legend(loc="lower right", fontsize=8, framealpha=0.85, labelcolor=INK)


def _grid(axes: Axes, look: Look, stride: int) -> None:
    """Draw the borders of a scale's cells."""
    height, width = look.box.canvas_size
    for x in range(0, width + 1, stride):
        axes.axvline(to_picture(look, (x, 0, x, 0))[0], color="white", linewidth=0.4, alpha=0.6)
    for y in range(0, height + 1, stride):
        axes.axhline(to_picture(look, (0, y, 0, y))[1], color="white", linewidth=0.4, alpha=0.6)


def _tiles(images: Sequence[NDArray[np.float32]], title: str, path: Path, *, map_name: str | None) -> None:
    columns = min(8, len(images))
    rows = -(-len(images) // columns)
    figure = make_figure(1.35 * columns + 0.5, 1.35 * rows + 0.7)
    figure.suptitle(title, color=INK, fontsize=10, x=0.01, ha="left")
    panels = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    options: Mapping[str, Any] = {} if map_name is None else {"cmap": map_name, "vmin": 0, "vmax": 1}
    for axes in panels:
        axes.set_axis_off()
    for axes, image in zip(panels, images, strict=False):
        axes.imshow(image, interpolation="nearest", **options)
    save_figure(figure, path)
