"""Checks of a file that a runtime has read, before anything is computed: its description against its graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from yolo.config import Contents, LetterboxMode
from yolo.conversion.description import Description
from yolo.errors import WeightsError
from yolo.files.bounded import open_or_fault

Shape = tuple[int | None, ...] | None
"""Shape of an input or output; None for a length, or for the number of them, that is not fixed."""

MOST_CLASSES = 100_000
"""Limit of a description's classes."""
LONGEST_SIDE = 2**14
"""Limit of a canvas' sides in pixels."""
MOST_ANCHORS = 1000
"""Limit of a scale's anchors."""
NAMES_SHOWN = 8


def check_not_empty(path: Path) -> None:
    """Check that a regular file has a content, as runtimes do not say that it has none.

    Raises:
        WeightsError: it is missing, empty, or no file.
    """
    with open_or_fault(path, WeightsError) as file:
        if not file.read(1):
            raise WeightsError(f"{path}: the file is empty")


def first_line(error: Exception) -> str:
    """First line of a runtime's message that says something, shortened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    return f"{(told or lines or [type(error).__name__])[0]:.200}"


def check_graph(description: Description, inputs: Sequence[Shape], outputs: Mapping[str, Shape], source: str) -> None:
    """Check that a graph has the inputs and outputs that its description promises.

    Args:
        description: description of the network.
        inputs: shapes of the graph's inputs.
        outputs: shapes of the graph's outputs by name.
        source: name of the file, for errors.

    Raises:
        WeightsError: it does not, or the description describes nothing that can be run.
    """
    check_values(description, source)
    fixed = description.canvas if description.fixed_canvas else (None, None)
    if len(inputs) != 1 or not fits(inputs[0], (None, *fixed, 3)):
        raise WeightsError(f"{source}: expected one input of images (B, H, W, 3), its graph has {_text(inputs)}")
    for name, expected in expected_outputs(description).items():
        if name not in outputs:
            there = ", ".join(sorted(outputs)[:NAMES_SHOWN]) or "none"
            raise WeightsError(f"{source}: its description names the output {name}, its graph has {there}")
        if not fits(outputs[name], expected):
            raise WeightsError(
                f"{source}: its description says that {name} is {_text([expected])}, in its graph it is "
                f"{_text([outputs[name]])}"
            )


def check_values(description: Description, source: str) -> None:
    """Check the values of a description, which may come from any file.

    Raises:
        WeightsError: one is out of range.
    """
    d, finest = description, min(description.strides, default=0)
    numbers = [side for shapes in d.anchors for shape in shapes for side in shape]
    right = {
        "contents": d.contents in get_args(Contents),
        "letterbox": d.letterbox in get_args(LetterboxMode),
        "classes": 0 < len(d.classes) <= MOST_CLASSES,
        "strides": len(d.strides) > 0 and finest > 0,
        "canvas": finest > 0 and all(0 < side <= LONGEST_SIDE and side % max(d.strides) == 0 for side in d.canvas),
        "anchors": len(d.anchors) == len(d.strides)
        and all(0 < len(shapes) <= MOST_ANCHORS for shapes in d.anchors)
        and all(0 < side < math.inf for side in numbers),
        "batch": d.batch is None or (isinstance(d.batch, int) and d.batch > 0),
        "coding": len(d.coding.scale_xy) in (0, len(d.strides)) and d.coding.sizes in ("exponential", "squared"),
        "origin": isinstance(d.origin, dict),
    }
    for name, holds in right.items():
        if not holds:
            value = f"{getattr(d, name)!s:.80}"
            raise WeightsError(f"{source}: the description inside is damaged ({name} is {value}); export it anew")


def expected_outputs(description: Description) -> dict[str, Shape]:
    """Shapes of the outputs by name, as far as a description tells them."""
    d = description
    if d.contents == "maps":
        return {
            name: (
                None,
                *((side // stride if d.fixed_canvas else None) for side in d.canvas),
                len(shapes) * (5 + len(d.classes)),
            )
            for name, stride, shapes in zip(d.outputs, d.strides, d.anchors, strict=True)
        }
    if d.contents == "predictions":
        return {"boxes": (None, None, 4), "scores": (None, None, len(d.classes))}
    return {"boxes": (None, None, 4), "scores": (None, None), "labels": (None, None), "valid": (None, None)}


def fits(shape: Shape, expected: Shape) -> bool:
    """Whether a shape agrees with an expected one in all lengths that both know."""
    if shape is None or expected is None:
        return True
    return len(shape) == len(expected) and all(
        None in (own, other) or own == other for own, other in zip(shape, expected, strict=True)
    )


def _text(shapes: Sequence[Shape]) -> str:
    found = [
        "unknown" if shape is None else f"({', '.join('?' if n is None else str(n) for n in shape)})"
        for shape in shapes
    ]
    return ", ".join(found) or "none"
