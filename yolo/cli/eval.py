"""`yolov3 eval WEIGHTS DATA` and `yolov3 eval --detections R.json DATA`: metrics."""

from __future__ import annotations

import logging
import math
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from yolo.cli.common import (
    SIZE_HELP,
    WEIGHTS_HELP,
    add_data_arguments,
    add_weights_options,
    choose_split,
    load_detector,
    parse_size,
    prepare_output,
)
from yolo.config import NmsConfig, check
from yolo.datasets.load import load_dataset
from yolo.errors import ConfigError
from yolo.evaluation.metrics import compute_metrics
from yolo.evaluation.results import DetectionColumns, read_results, to_results
from yolo.files.atomic import to_json, write_text
from yolo.structs import Dataset

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("weights", type=str, nargs="?", help=f"{WEIGHTS_HELP}; left out with --detections")
    add_data_arguments(parser, split="val if there is one, else test, else everything")
    parser.add_argument("--detections", type=str | None, metavar="FILE", help="COCO results file, instead of WEIGHTS")
    add_weights_options(parser)
    parser.add_argument("--size", type=str | None, help=SIZE_HELP)
    parser.add_argument("--voc_iou", type=float, default=0.5, help="IoU threshold of the VOC metrics")
    parser.add_argument("--batch", type=int, default=8, help="images per batch")
    parser.add_argument("--conf", type=float, default=0.001, help="lowest score of a detection")
    parser.add_argument("--iou", type=float, default=0.6, help="IoU threshold of NMS")
    parser.add_argument("--out", type=str | None, metavar="DIR", help="folder for metrics.json and results.json")
    parser.add_argument("--force", action="store_true", help="write into --out even if it is not empty")


def run(arguments: Namespace) -> None:
    if (arguments.weights is None) == (arguments.detections is None):
        raise ConfigError("give either WEIGHTS DATA or --detections R.json DATA (both names side by side)")
    check(arguments.batch > 0, "batch", "> 0", arguments.batch)
    check(0 < arguments.voc_iou <= 1, "voc_iou", "in (0, 1]", arguments.voc_iou)
    nms = NmsConfig(conf=arguments.conf, iou=arguments.iou)
    folder = prepare_output(arguments.out, force=arguments.force) if arguments.out else None
    split = choose_split(arguments, "val", "valid", "test")
    if arguments.detections:
        dataset = load_dataset(arguments.data, split, images=arguments.images)
        found = read_results(arguments.detections, dataset)
    else:
        dataset, found = detect_all(arguments, split, nms)
    metrics = compute_metrics(dataset, found, voc_iou=arguments.voc_iou)
    try:
        if folder:
            write_text(folder / "metrics.json", to_json(metrics, indent=2) + "\n")
            if not arguments.detections:  # else it would be a copy, or take the original's place
                write_text(folder / "results.json", to_json(to_results(dataset, found)) + "\n")
            logger.info("results written to %s", folder)
    finally:  # the metrics are known even if the disk is full
        print(to_json(metrics) if arguments.json else to_text(metrics))


def detect_all(arguments: Namespace, split: str | None, nms: NmsConfig) -> tuple[Dataset, DetectionColumns]:
    """The dataset, in the order of the model's classes, and what the model finds in it."""
    detector = load_detector(arguments, size=None if arguments.size is None else parse_size(arguments.size))
    from yolo.evaluation.evaluator import find_all

    dataset = load_dataset(arguments.data, split, images=arguments.images, classes=detector.classes)
    return dataset, find_all(detector, dataset, batch=arguments.batch, nms=nms)


def to_text(metrics: dict[str, Any]) -> str:
    """The metrics as tables; a dash where there is nothing to measure."""
    classes = metrics["classes"]
    width = max([len("class"), *map(len, classes)])
    summary = [*metrics["coco"].items(), ("VOC 2007 mAP", metrics["voc07"]["mAP"])]
    summary.append(("VOC 2012 mAP", metrics["voc12"]["mAP"]))
    return "\n".join(
        [
            f"{metrics['images']} pictures",
            *(f"{name:<13} {_figure(value)}" for name, value in summary),
            "",
            f"{'class':{width}}      AP    AP50  instances",
            *(
                f"{name:{width}}  {_figure(row['AP'])}  {_figure(row['AP50'])}  {row['instances']:9d}"
                for name, row in classes.items()
            ),
        ]
    )


def _figure(value: float) -> str:
    return "     -" if math.isnan(value) else f"{value:6.4f}"
