"""Write nms.npz: what the Darknet program's own functions leave of random boxes.

git clone https://github.com/AlexeyAB/darknet
echo 'void *xcalloc_location(void) { return 0; }' > unused.c
gcc -O2 -shared -fPIC -I darknet/include -I darknet/src -o box.so darknet/src/box.c unused.c -lm
python tests/references/suppression/make_nms.py box.so
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import numpy as np

Floats = ctypes.POINTER(ctypes.c_float)
KINDS = {"default": 0, "greedynms": 1, "diounms": 2}
CANVASES = ((416, 416), (320, 608))
CASES = [("default", 0.6), ("greedynms", 0.6), ("greedynms", 1.0), ("diounms", 0.6), ("diounms", 1.0), ("diounms", 0.3)]


class Detection(ctypes.Structure):
    """``detection`` of darknet.h."""

    _fields_ = (
        *((name, ctypes.c_float) for name in ("x", "y", "w", "h")),
        *(("classes", ctypes.c_int), ("best_class", ctypes.c_int), ("prob", Floats), ("mask", Floats)),
        *(("objectness", ctypes.c_float), ("sort_class", ctypes.c_int), ("uc", Floats), ("points", ctypes.c_int)),
        *(("embeddings", Floats), ("embedding_size", ctypes.c_int), ("sim", ctypes.c_float), ("id", ctypes.c_int)),
    )


def draw(rng: np.random.Generator, canvas: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (60, 4) in pixels in six heaps, and scores (60, 3), a third of them 0."""
    height, width = canvas
    centre = rng.uniform(0.2, 0.8, (6, 1, 2)) * (width, height) + rng.normal(0, 14, (6, 10, 2))
    half = rng.uniform(20, 60, (6, 1, 2)) * rng.uniform(0.8, 1.25, (6, 10, 2))
    boxes = np.concatenate([centre - half, centre + half], -1).reshape(60, 4)
    scores = rng.permutation(np.linspace(0.01, 0.99, 180)).reshape(60, 3) * (rng.random((60, 3)) > 1 / 3)
    return boxes.astype(np.float32), scores.astype(np.float32)


def left_by_darknet(library, boxes, scores, canvas, *, kind: str, beta: float) -> np.ndarray:
    """Scores (60, 3) after suppression above 0.45, 0 for what is suppressed."""
    height, width = canvas
    fractions = boxes / np.array([width, height, width, height], np.float32)
    rows = (Detection * len(boxes))()
    probabilities = [(ctypes.c_float * scores.shape[1])(*row) for row in scores.tolist()]
    for index, (row, (left, top, right, bottom)) in enumerate(zip(rows, fractions.tolist(), strict=True)):
        row.x, row.y, row.w, row.h = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
        row.prob, row.objectness, row.id = probabilities[index], 1.0, index
    arguments = (rows, len(boxes), scores.shape[1], ctypes.c_float(0.45))
    if kind == "default":  # as in detector.c
        library.do_nms_sort(*arguments)
    else:
        library.diounms_sort(*arguments, KINDS[kind], ctypes.c_float(beta))
    left = np.zeros_like(scores)
    for row in rows:
        left[row.id] = [row.prob[label] for label in range(scores.shape[1])]
    return left


def main(library: str) -> None:
    loaded, rng, found = ctypes.CDLL(str(Path(library).resolve())), np.random.default_rng(0), {}
    for height, width in CANVASES:
        boxes, scores = draw(rng, (height, width))
        found |= {f"{height}x{width} boxes": boxes, f"{height}x{width} scores": scores}
        for kind, beta in CASES:
            left = left_by_darknet(loaded, boxes, scores, (height, width), kind=kind, beta=beta)
            found[f"{height}x{width} {kind} {beta}"] = left
    np.savez_compressed(Path(__file__).with_name("nms.npz"), **found)


if __name__ == "__main__":
    main(sys.argv[1])
