"""Kinds of box shapes, and scaled copies that complete them where there are fewer kinds than anchors.

Shapes are widths and heights (K, 2) in canvas pixels. Shapes that differ by less than 2 % are of one kind: an anchor
each would only divide the same objects among several slots by chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Shapes = NDArray[np.float64]

ALIKE = math.log(1.02)
"""Largest difference of the logarithms of two widths, or of two heights, of one kind."""
SMALLEST_SIDE = 1e-6
OCTAVES = 2
"""Copies are scaled by 2**-2 to 2**2: what mosaic, zoom and other distances from the camera make of an object."""


def shape_kinds(shapes: Shapes, most: int) -> Shapes:
    """Kinds of shapes (N, 2), the commonest first; only ``most`` of them are looked for.

    The commonest of the remaining shapes and all that are like it are a kind, whose width and height are their medians.
    """
    logs = np.log(np.maximum(shapes, SMALLEST_SIDE))
    values, owners, counts = np.unique(np.round(logs, 3), axis=0, return_inverse=True, return_counts=True)
    owners = owners.reshape(-1)  # numpy 2.0 alone gives it a second axis
    left = np.ones(len(values), bool)
    kinds: list[Shapes] = []
    while left.any() and len(kinds) < most:
        commonest = np.where(left, counts, 0).argmax()
        alike = left & (np.abs(values - values[commonest]) <= ALIKE).all(axis=1)
        kinds.append(np.median(shapes[alike[owners]], axis=0))
        left &= ~alike
    return np.array(kinds).reshape(-1, 2)


def with_copies(kinds: Shapes, count: int) -> Shapes:
    """Complete N kinds of shapes to ``count`` (at least N) by scaled copies, the nearest scales first."""
    anchors = list(kinds)
    copies = (kind * factor for factor in scale_factors() for kind in kinds)
    while len(anchors) < count:
        copy = next(copies)
        known = np.log(np.maximum(anchors, SMALLEST_SIDE))
        if (np.abs(known - np.log(np.maximum(copy, SMALLEST_SIDE))).max(axis=1) > ALIKE / 100).all():
            anchors.append(copy)
    return np.array(anchors)


def scale_factors() -> Iterator[float]:
    """Factors from 1/4 to 4: the powers of 2**(1/2), the nearest first, then those between, halfway, without end."""
    steps = 2
    while True:
        exponents = range(1, OCTAVES * steps + 1) if steps == 2 else range(1, OCTAVES * steps, 2)
        for exponent in exponents:
            yield 2 ** (exponent / steps)
            yield 2 ** (-exponent / steps)
        steps *= 2
