"""Changes to a Darknet network file that leave its other lines, comments included, as they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yolo.config import LetterboxMode
from yolo.darknet.cfg import Section
from yolo.darknet.network import Layer, Plan, head_of
from yolo.darknet.plan import make_detector_plan

Anchors = Sequence[NDArray[np.float32]]
"""One (A, 2) array of widths and heights in canvas pixels a head, coarse to fine."""


def retarget(
    text: str,
    source: str,
    *,
    canvas: tuple[int, int],
    letterbox: LetterboxMode,
    classes: int,
    anchors: Anchors | None = None,
) -> str:
    """A network file's text for another canvas, other anchors or another number of classes.

    The convolution before each head gets as many filters as the head then needs.

    Args:
        text: of the ``.cfg`` file.
        source: its name, for messages.
        canvas: (height, width) of the input.
        letterbox: how a picture comes onto the canvas.
        classes: their number.
        anchors: of each head; None: those of the file.

    Raises:
        ConfigError: the text is not that of a network that detects.
    """
    plan = make_detector_plan(text, source, canvas=canvas)
    editor = _Editor(text)
    editor.set(plan.net, "height", str(canvas[0]))
    editor.set(plan.net, "width", str(canvas[1]))
    if plan.letterbox != letterbox:
        editor.set(plan.net, "letter_box", str(int(letterbox == "letterbox")))
    shapes = [np.asarray(head_of(layer).anchors, np.float32) for layer in plan.heads]
    changed = anchors is not None and any(
        not np.array_equal(old, new) for old, new in zip(shapes, anchors, strict=True)
    )
    if anchors is not None and changed:
        shapes = list(anchors)
        _set_anchors(editor, plan, shapes)
    for layer, own in zip(plan.heads, shapes, strict=True):
        editor.set(layer.section, "classes", str(classes), default=20)
        convolution = plan.layers[layer.index - 1].section
        editor.set(convolution, "filters", str(len(own) * (5 + classes)), default=1)
    return editor.text()


def _set_anchors(editor: _Editor, plan: Plan, shapes: Anchors) -> None:
    """All anchors in every head, the finest head's first, and each one's own in its mask."""
    listed = np.concatenate([*shapes[::-1]])
    first = len(listed)
    for layer, own in zip(plan.heads, shapes, strict=True):
        first -= len(own)
        if layer.section.kind == "region":
            _set_region_anchors(editor, layer, own)
            continue
        editor.set(layer.section, "mask", ",".join(str(first + index) for index in range(len(own))))
        editor.set(layer.section, "anchors", pairs(listed))
        editor.set(layer.section, "num", str(len(listed)))


def _set_region_anchors(editor: _Editor, layer: Layer, own: NDArray[np.float32]) -> None:
    """A region's anchors are its own alone, and counted in cells."""
    stride = head_of(layer).stride
    editor.set(layer.section, "anchors", ",  ".join(",".join(in_cells(side, stride) for side in each) for each in own))
    editor.set(layer.section, "num", str(len(own)))


def pairs(anchors: NDArray[np.float32]) -> str:
    """Anchors (A, 2) as Darknet lists them, so that reading gives the same numbers again."""
    return ",  ".join(f"{number(width)},{number(height)}" for width, height in anchors)


def number(value: np.float32) -> str:
    """The shortest text that is read as this number again; whole ones without a point."""
    return np.format_float_positional(value, unique=True, trim="-")


def in_cells(length: np.float32, stride: int) -> str:
    """A short text of a length, counted in cells, that is read as this length again."""
    short = number(length / np.float32(stride))
    exact = np.float32(float(short) * stride) == length
    return short if exact else np.format_float_positional(np.float64(length) / stride, unique=True, trim="-")


class _Editor:
    """The lines of a file, and the values that are to be set in them."""

    def __init__(self, text: str):
        self.lines = text.split("\n")
        self.added: dict[int, list[str]] = {}

    def set(self, section: Section, key: str, value: str, *, default: int | None = None) -> None:
        """Replace the option's line, wherever it is given, or add one behind the section's name."""
        option = section.options.get(key)
        if option is not None:
            if option.value != value:
                for each in (option, *section.repeated.get(key, ())):
                    self._replace(each.line, f"{key}={value}")
        elif default is None or str(default) != value:
            ending = "\r" if self.lines[section.line - 1].endswith("\r") else ""
            self.added.setdefault(section.line, []).append(f"{key}={value}{ending}")

    def _replace(self, line: int, setting: str) -> None:
        """Change a line and leave the comment and the blanks at its end."""
        old = self.lines[line - 1]
        setting_before = old.partition("#")[0].partition(";")[0].rstrip()
        self.lines[line - 1] = setting + old[len(setting_before) :]

    def text(self) -> str:
        return "\n".join(
            line for number, own in enumerate(self.lines, 1) for line in (own, *self.added.get(number, ()))
        )
