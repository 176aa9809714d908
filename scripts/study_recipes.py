"""Ablation of the training defaults: short runs that each change one option, as a table.

    python scripts/study_recipes.py                               # digits, made on the spot; both seeds
    python scripts/study_recipes.py raccoon=DIR/raccoon:test      # a dataset of yours: NAME=DATA[:VALIDATION SPLIT]
    python scripts/study_recipes.py --row "all defaults" --row "no running average" --out study.json

yolov3-tiny from random weights, 224 px (digits: 160), 12 epochs at batch 8. "Mean" is AP50 averaged over all epochs,
which shows how early a run is good; "end" is AP50 of the last one. Runs already in ``--out`` are not repeated.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

import yolo
from yolo.config import LossConfig, TrainConfig
from yolo.datasets.digits import make_digits
from yolo.structs import Dataset
from yolo.system.startup import start_keras

EPOCHS, SIZE, SMALL = 12, 224, 160
DIGITS = {"train": 300, "val": 120, "size": SMALL}
SLOW_STATISTICS = 0.97


def no_prior(detector: yolo.Detector) -> None:
    """Initialize objectness and classes at probability one half."""
    for head in detector.heads:
        head.convolution.bias.assign(np.zeros(head.convolution.bias.shape, np.float32))


def slow_statistics(detector: yolo.Detector) -> None:
    """Use the batch norm momentum of PyTorch's YOLOv3, in Keras' convention."""
    for layer in detector.convolutions:
        if layer.batch_norm is not None:
            layer.batch_norm.momentum = SLOW_STATISTICS


Change = tuple[dict[str, Any], Callable[[yolo.Detector], None] | None, str]
ROWS: dict[str, Change] = {
    "all defaults": ({}, None, "mixed_bfloat16"),
    "float32": ({}, None, "float32"),
    "no prior in the heads' biases": ({}, no_prior, "mixed_bfloat16"),
    "best anchor alone (the paper's matching)": ({"loss": LossConfig(assign_iou=None)}, None, "mixed_bfloat16"),
    "`class_weight` 1": ({"loss": LossConfig(class_weight=1.0)}, None, "mixed_bfloat16"),
    "objectness learns the IoU": ({"loss": LossConfig(objectness_target="iou")}, None, "mixed_bfloat16"),
    "warm-up of 2.4 epochs": ({"warmup_epochs": 2.4}, None, "mixed_bfloat16"),
    "no running average": ({"ema": 0.0}, None, "mixed_bfloat16"),
    "batch 16, rate by the square root": ({"batch": 16}, None, "mixed_bfloat16"),
    "batch 16, the rate of batch 8": ({"batch": 16, "learning_rate": 0.002 * 0.5**0.5}, None, "mixed_bfloat16"),
    "batch norm momentum 0.97": ({}, slow_statistics, "mixed_bfloat16"),
}


def load(text: str, folder: Path) -> tuple[str, Dataset, Dataset, int]:
    """Load a dataset: name, training images, validation images and side of the canvas."""
    if text == "digits":
        data = make_digits(folder / "digits", **DIGITS)
        return text, yolo.load_dataset(data, "train"), yolo.load_dataset(data, "val"), SMALL
    name, _, place = text.partition("=")
    data, _, split = place.partition(":")
    if not split:
        dataset = yolo.load_dataset(data)
        return name, dataset, dataset, SIZE
    dataset = yolo.load_dataset(data, "train")
    return name, dataset, yolo.load_dataset(data, split, classes=dataset.classes), SIZE


def run(
    dataset: Dataset, validation: Dataset, size: int, change: Change, *, model: str, epochs: int, seed: int
) -> dict[str, Any]:
    """Train once and return the results."""
    import keras

    options, prepare, precision = change
    keras.backend.clear_session()
    keras.config.set_dtype_policy(precision)
    anchors = yolo.fit_anchors(dataset, count=6, size=size)
    detector = yolo.make_detector(dataset, model=model, anchors=anchors, size=size, seed=seed)
    if prepare is not None:
        prepare(detector)
    config = replace(TrainConfig(epochs=epochs, seed=seed), **options)
    history = yolo.train(detector, dataset, validation=validation, out=None, config=config).history
    curve = [row["AP50"] for row in history]
    return {"mean": mean(curve), "end": curve[-1], "AP": history[-1]["AP"], "curve": curve}


def table(found: dict[str, dict[str, Any]], names: list[str], seeds: list[int]) -> str:
    """Table with a row per change: mean and last AP50 and last AP of each dataset, by seed."""
    kinds = {"mean": "mean AP50", "end": "end AP50", "AP": "AP"}
    lines = ["| change | " + " | ".join(f"{name}: {text}" for name in names for text in kinds.values()) + " |"]
    lines.append("|" + "---|" * (1 + len(names) * len(kinds)))
    for row in ROWS:
        cells = [
            ", ".join(f"{found[key][kind]:.3f}" for seed in seeds if (key := f"{name}/{row}/{seed}") in found)
            for name in names
            for kind in kinds
        ]
        if any(cells):
            lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", default=["digits"], help="digits, or NAME=DATA[:VALIDATION SPLIT]")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--row", action="append", choices=ROWS, help="of the table; may be repeated (default: all)")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--model", default="yolov3-tiny", help="network with two scales of three anchors")
    parser.add_argument("--out", type=Path, help="keep what was found in this file, and go on from it")
    arguments = parser.parse_args()
    start_keras()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    found = json.loads(arguments.out.read_text()) if arguments.out and arguments.out.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        sets = [load(text, Path(folder)) for text in arguments.data]
        for seed in seeds:
            for row in arguments.row or ROWS:
                for name, *pictures in sets:
                    key = f"{name}/{row}/{seed}"
                    if key not in found:
                        found[key] = run(
                            *pictures, ROWS[row], model=arguments.model, epochs=arguments.epochs, seed=seed
                        )
                        print(f"{key}: {found[key]['mean']:.3f} {found[key]['end']:.3f}", flush=True)
                    if arguments.out:
                        arguments.out.write_text(json.dumps(found))
    print(table(found, [name for name, *_ in sets], seeds))


if __name__ == "__main__":
    main()
