"""Types of boxes and sizes, and the wording of numbers and lists."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
Size = tuple[int, int]
"""(height, width) in pixels."""

LISTED = 8
"""Largest number of class names that `str` of a Dataset lists, and of detections that `repr` of Detections lists."""


def counted(number: int, noun: str) -> str:
    """Number with its noun: ``1 box``, ``2 boxes``."""
    plural = f"{noun}es" if noun.endswith(("x", "s")) else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def abridged(words: Sequence[str], *, of: int | None = None) -> str:
    """List the first `LISTED` words and the number of the others; ``of`` is the total if not all are given."""
    more = (len(words) if of is None else of) - LISTED
    return ", ".join(words[:LISTED]) + (f" and {more} more" if more > 0 else "")
