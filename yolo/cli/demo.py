"""`yolov3 demo`: anchors, training, evaluation and detection on data that needs no download."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jsonargparse import ArgumentParser, Namespace

from yolo.anchors import (
    Anchors,
    canvas_shapes,
    fit_anchors,
    mean_iou_by_count,
    measure_anchors,
    published_anchors,
    write_anchors,
)
from yolo.cli.common import prepare_output
from yolo.cli.data_options import READING
from yolo.cli.resume_options import write_data_file
from yolo.config import AugmentConfig, NmsConfig, TrainConfig, check
from yolo.datasets.digits import make_digits
from yolo.datasets.load import load_dataset
from yolo.files.atomic import to_json, write_text
from yolo.images.codec import read_image, write_image
from yolo.images.draw import tile_images
from yolo.images.plots import plot_anchor_counts
from yolo.structs import Dataset, Detections
from yolo.system.startup import start_keras

logger = logging.getLogger(__name__)

SIZE = 160
"""Side of the scenes and of the network's canvas, in pixels."""
VALIDATION = 120
"""Number of scenes that are evaluated."""
ANCHORS = 6
RECIPE: dict[str, Any] = {
    "learning_rate": 0.002,
    # Mirroring would change a digit.
    "augment": AugmentConfig(flip=0.0, scale=0.2),
}
"""Training options that differ from the defaults."""
SHOWN = 12
"""Number of images on the sheet of detections."""
SHEET_COLUMNS = 4


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--out", type=str, default="demo", metavar="DIR", help="folder for all output")
    parser.add_argument("--force", action="store_true", help="write into --out even if it is not empty")
    parser.add_argument("--scenes", type=int, default=1000, help="number of training images")
    parser.add_argument("--epochs", type=int, default=11, help="number of passes over the training images")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the images, the weights and the training")


def run(arguments: Namespace) -> None:
    check(arguments.scenes > 0, "scenes", "> 0", arguments.scenes)
    config = TrainConfig(epochs=arguments.epochs, seed=arguments.seed, **RECIPE)
    folder, began = prepare_output(arguments.out, force=arguments.force), time.monotonic()
    start_keras()
    from yolo.evaluation.evaluator import evaluate
    from yolo.model.detector import Detector
    from yolo.training.trainer import train
    from yolo.weights.load import load

    logger.info("1. data: handwritten digits over photographs, as a VOC dataset in %s", folder / "digits")
    make_digits(folder / "digits", train=arguments.scenes, val=VALIDATION, size=SIZE, seed=arguments.seed)
    train_part, val_part = (load_dataset(folder / "digits", split) for split in ("train", "val"))
    logger.info("2. anchors")
    anchors = fit_demo_anchors(train_part, folder, seed=arguments.seed)
    logger.info("3. training yolov3-tiny on %d pictures", len(train_part))
    detector = Detector(
        "yolov3-tiny",
        classes=train_part.classes,
        anchors=anchors,
        size=SIZE,
        nms=NmsConfig(class_agnostic=True),  # one place holds one digit
        seed=arguments.seed,
    )
    (folder / "run").mkdir(exist_ok=True)
    write_data_file(folder / "run", data_options(folder / "digits"))
    train(detector, train_part, validation=val_part, out=folder / "run", config=config, live=True)
    logger.info("4. evaluation on %d pictures made of other digits", len(val_part))
    detector = load(folder / "run" / "best.keras")
    metrics = evaluate(detector, val_part)
    write_text(folder / "metrics.json", to_json(metrics, indent=2) + "\n")
    logger.info("5. detection")
    draw_sheet(
        val_part,
        detector.detect([sample.path for sample in list(val_part)[:SHOWN]]),
        folder / "detections.jpg",
    )
    if arguments.json:
        print(to_json(metrics))
    else:
        print(summary(folder, metrics["coco"], time.monotonic() - began))


def data_options(data: Path) -> Namespace:
    """Options of `yolov3 train` that stand for the demo's data, so that other commands find them again."""
    given = {"data": str(data), "split": "train", "val": "val", "strict": False}
    return Namespace(**{**dict.fromkeys(READING), **given})


def fit_demo_anchors(dataset: Dataset, folder: Path, *, seed: int) -> Anchors:
    """Fit anchors; write them and a plot of mean IoU over the number of anchors."""
    anchors = fit_anchors(dataset, ANCHORS, SIZE, seed=seed)
    shapes = canvas_shapes(dataset, SIZE)
    fitted = measure_anchors(shapes, anchors).mean_iou
    published = measure_anchors(shapes, published_anchors("yolov3-tiny-coco", SIZE)).mean_iou
    logger.info("mean IoU %.3f with %d anchors (published ones: %.3f)", fitted, ANCHORS, published)
    origin = f"Fitted to the {len(shapes)} digits of `yolov3 demo` (seed {seed}).\nMean IoU {fitted:.4f}."
    write_anchors(folder / "anchors.txt", anchors, origin=origin, size=SIZE)
    counts = mean_iou_by_count(shapes, range(1, 10), seed=seed)
    plot_anchor_counts(counts, folder / "anchors.png", marked={"fitted": (ANCHORS, fitted)})
    return anchors


def draw_sheet(dataset: Dataset, found: Sequence[Detections], path: Path) -> None:
    """Draw the detections on some images, at twice their size, on one sheet."""
    pictures = []
    for sample, detections in zip(dataset, found, strict=False):
        image = read_image(sample.path)
        large = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        scaled = replace(detections, boxes=detections.boxes * 2)
        pictures.append(scaled.draw(np.asarray(large, np.uint8)))
    write_image(path, tile_images(pictures, SHEET_COLUMNS))


def summary(folder: Path, coco: dict[str, float], seconds: float) -> str:
    """Text with the results and where to find the files."""
    places = {
        "digits/": "the dataset, in VOC format",
        "anchors.txt, anchors.png": "the anchors fitted to it",
        "run/report.html": "all about the detector on one page: open it in a browser",
        "run/": "the training: best.keras, history.csv, curves.png",
        "metrics.json": "mAP in COCO's and VOC's manner, by class",
        "detections.jpg": "what the detector finds in pictures it has not seen",
    }
    rows = "\n".join(f"  {name:<25} {text}" for name, text in places.items())
    return (
        f"AP50 {coco['AP50']:.4f}, AP {coco['AP']:.4f} after {seconds:.0f} s. Look into {folder}:\n{rows}\n"
        f"Go on with: yolov3 detect {folder / 'run' / 'best.keras'} {folder / 'digits' / 'JPEGImages'} --out seen"
    )
