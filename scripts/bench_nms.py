"""Milliseconds a picture that decoding and suppression take: in numpy on raw maps, and in Keras behind the network.

python scripts/bench_nms.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from yolo.anchors import published_anchors
from yolo.config import NmsConfig, NmsKind
from yolo.ops.decode import decode
from yolo.ops.host_nms import decode_and_suppress
from yolo.ops.nms import suppress
from yolo.ops.slots import make_slots

STRIDES = (32, 16, 8)

Maps = list[NDArray[np.float32]]


def cases(canvas: tuple[int, int], classes: int) -> dict[str, Maps]:
    """Raw maps of one picture: all scores random, an untrained network's, and a trained one's of twenty objects."""
    rng = np.random.default_rng(0)

    def maps(objectness: float, spread: float) -> Maps:
        made = [
            rng.normal(0, spread, (1, canvas[0] // stride, canvas[1] // stride, 3, 5 + classes)).astype(np.float32)
            for stride in STRIDES
        ]
        for raw in made:
            raw[..., 4] += objectness
        return made

    trained = maps(-12, 1)
    for raw in trained:
        raw[..., 5:] -= 6
    for _ in range(20):
        raw = trained[rng.integers(3)]
        row, column = (rng.integers(1, side - 1) for side in raw.shape[1:3])
        label = rng.integers(classes)
        raw[0, row - 1 : row + 2, column - 1 : column + 2, :, 4] += rng.uniform(6, 14, (3, 3, 3))
        raw[0, row - 1 : row + 2, column - 1 : column + 2, :, 5 + label] += 9
    return {"all random": maps(0, 2), "untrained": maps(0, 0.1), "twenty objects": trained}


def milliseconds(functions: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median time of each function, taking turns."""
    spent: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(rounds + 1):
        for name, function in functions.items():
            begin = time.perf_counter()
            function()
            if turn:  # the first turn compiles
                spent[name].append(1000 * (time.perf_counter() - begin))
    return {name: float(np.median(each)) for name, each in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=416, help="side of the canvas")
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--rounds", type=int, default=30, help="runs, of which the median is taken")
    options = parser.parse_args()
    canvas = (options.size, options.size)
    shapes = published_anchors("yolov3-coco", canvas)
    slots = make_slots(canvas, STRIDES, [shapes[6:], shapes[3:6], shapes[:3]])
    print(f"{len(slots)} slots, {options.classes} classes, keras on {keras.backend.backend()}; ms a picture, median")
    for name, maps in cases(canvas, options.classes).items():
        tensors = [tf.constant(raw) for raw in maps]
        for conf in (0.001, 0.25):
            for kind in get_args(NmsKind):
                config = replace(NmsConfig(conf=conf, iou=0.6), kind=kind)
                compiled = tf.function(lambda *each, own=config: suppress(decode(each, slots), own))
                runs = {
                    "numpy": lambda own=config, raw=maps: decode_and_suppress(raw, slots, own),
                    "keras": lambda run=compiled, each=tensors: run(*each),
                }
                found = milliseconds(runs, options.rounds)
                times = "  ".join(f"{each} {value:7.2f}" for each, value in found.items())
                print(f"{name:<15} conf {conf:<5} {kind:<9} {times}", flush=True)


if __name__ == "__main__":
    main()
