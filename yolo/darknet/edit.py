"""Edits of a Darknet network file that keep all other lines, comments included."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yolo.config import LetterboxMode, NmsConfig
from yolo.darknet.cfg import Section
from yolo.darknet.network import Layer, Plan, head_of
from yolo.darknet.plan import make_detector_plan

Anchors = Sequence[NDArray[np.float32]]
"""One (A, 2) array of widths and heights in canvas pixels per head, coarse to fine."""


def retarget(
    text: str,
    source: str,
    *,
    canvas: tuple[int, int],
    letterbox: LetterboxMode,
    classes: int,
    anchors: Anchors | None = None,
) -> str:
    """Rewrite a network file's text for another canvas, other anchors or another number of classes.

    The convolution before each head gets the number of filters that the head then needs.

    Args:
        text: text of the ``.cfg`` file.
        source: name of the file, for messages.
        canvas: (height, width) of the input.
        letterbox: how images are fitted to the canvas.
        classes: number of classes.
        anchors: anchors of each head; None: those of the file.

    Raises:
        ConfigError: the text does not describe a detection network.
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


def set_nms(text: str, source: str, nms: NmsConfig) -> str:
    """Rewrite the kind of suppression in every ``[yolo]`` section of a network file's text.

    Raises:
        ConfigError: the text does not describe a detection network.
    """
    editor = _Editor(text)
    for layer in make_detector_plan(text, source).heads:
        head = head_of(layer)
        if layer.section.kind == "region":
            continue  # Darknet does not read it there
        if head.nms_kind != nms.kind:
            editor.set(layer.section, "nms_kind", nms.kind)
        if head.beta_nms != nms.beta:
            editor.set(layer.section, "beta_nms", str(nms.beta))
    return editor.text()


def _set_anchors(editor: _Editor, plan: Plan, shapes: Anchors) -> None:
    """Write all anchors into every head, the finest head's first, and the indices of its own into its mask."""
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
    """Write the anchors of a region head, which lists only its own, in cells."""
    stride = head_of(layer).stride
    editor.set(layer.section, "anchors", ",  ".join(",".join(in_cells(side, stride) for side in each) for each in own))
    editor.set(layer.section, "num", str(len(own)))


def pairs(anchors: NDArray[np.float32]) -> str:
    """Format anchors (A, 2) as Darknet lists them, so that reading gives exactly the same numbers."""
    return ",  ".join(f"{number(width)},{number(height)}" for width, height in anchors)


def number(value: np.float32) -> str:
    """Shortest text that is read as the same number; integers without a point."""
    return np.format_float_positional(value, unique=True, trim="-")


def in_cells(length: np.float32, stride: int) -> str:
    """Short text of a length in cells that is read as exactly the same length."""
    short = number(length / np.float32(stride))
    exact = np.float32(float(short) * stride) == length
    return short if exact else np.format_float_positional(np.float64(length) / stride, unique=True, trim="-")


class _Editor:
    """Lines of a file and the values to set in them."""

    def __init__(self, text: str):
        self.lines = text.split("\n")
        self.added: dict[int, list[str]] = {}

    def set(self, section: Section, key: str, value: str, *, default: int | None = None) -> None:
        """Replace the option's line wherever it occurs, or add one after the section's name."""
        option = section.options.get(key)
        if option is not None:
            if option.value != value:
                for each in (option, *section.repeated.get(key, ())):
                    self._replace(each.line, f"{key}={value}")
        elif default is None or str(default) != value:
            ending = "\r" if self.lines[section.line - 1].endswith("\r") else ""
            self.added.setdefault(section.line, []).append(f"{key}={value}{ending}")

    def _replace(self, line: int, setting: str) -> None:
        """Change a line but keep the comment and blanks at its end."""
        old = self.lines[line - 1]
        setting_before = old.partition("#")[0].partition(";")[0].rstrip()
        self.lines[line - 1] = setting + old[len(setting_before) :]

    def text(self) -> str:
        return "\n".join(
            line for number, own in enumerate(self.lines, 1) for line in (own, *self.added.get(number, ()))
        )
