"""`yolov3 eval WEIGHTS DATA`, `eval --detections R.json DATA` and `eval --compare A B DATA`: COCO and VOC metrics."""

from __future__ import annotations

import logging
from argparse import BooleanOptionalAction
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from yolo.analysis.calibration import calibration_figures
from yolo.analysis.error_kinds import errors_by_kind
from yolo.cli.common import (
    DETECTOR_HELP,
    SIZE_HELP,
    add_runtime_options,
    add_weights_options,
    check_output,
    prepare_output,
)
from yolo.cli.data_options import add_data_arguments, choose_split, load_data
from yolo.cli.error_table import error_table
from yolo.cli.eval_compare import run_comparison
from yolo.cli.eval_extras import add_extra_metrics, add_extra_options, check_extra_options, curves
from yolo.cli.eval_model import BATCH, check_has_true_boxes, detect_and_describe
from yolo.cli.eval_report import write_about_eval, write_eval_report
from yolo.cli.label_errors import (
    add_label_error_arguments,
    check_label_error_options,
    write_label_errors,
)
from yolo.cli.resume_options import read_data_file, take_reading_options
from yolo.config import NmsConfig, NmsKind, check
from yolo.errors import ConfigError
from yolo.evaluation.coco import Evaluator
from yolo.evaluation.intervals import RESAMPLES
from yolo.evaluation.metrics import Metrics, compute_metrics
from yolo.evaluation.results import DetectionColumns, read_some_results, to_results
from yolo.files.atomic import exists, to_json, write_text
from yolo.structs import Dataset
from yolo.weights.locate import check_loadable, is_run

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    help_text = f"{DETECTOR_HELP}; left out with --detections and --compare"
    parser.add_argument("weights", type=str, nargs="?", help=help_text)
    split = "what training validated on, such as held-out, if DATA has it; else val, else test, else everything"
    add_data_arguments(parser, split=split, required=False, names=False)
    parser.add_argument("--detections", type=str | None, metavar="FILE", help="COCO results file, instead of WEIGHTS")
    parser.add_argument(
        "--compare",
        type=str,
        nargs=2,
        metavar="A B",
        help="compare two, each WEIGHTS, the folder of a run or of eval --out, or a COCO results file",
    )
    add_weights_options(parser)
    parser.add_argument("--size", type=str | None, help=SIZE_HELP)
    parser.add_argument(
        "--resamples", type=int, default=RESAMPLES, help="resamples of the images for confidence intervals; 0: none"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the resamples")
    add_extra_options(parser)
    parser.add_argument("--voc_iou", type=float, default=0.5, help="IoU threshold of the VOC metrics")
    parser.add_argument(
        "--evaluator",
        type=Evaluator,
        default="hotcoco",
        help="library that computes COCO's metrics: the same figures, pycocotools as the slow reference",
    )
    parser.add_argument("--batch", type=int | None, help=f"images per batch (default: as in training, else {BATCH})")
    add_runtime_options(
        parser,
        runtime=None,
        runtime_help="program that runs the network (default: keras, an exported file its own); auto: the fastest",
        precision=None,
        precision_help="numeric precision of the network (default: with keras as in training, else auto)",
    )
    parser.add_argument("--conf", type=float, default=0.001, help="lowest score of a detection")
    parser.add_argument("--iou", type=float, default=0.6, help="IoU threshold of NMS")
    parser.add_argument("--nms", type=NmsKind | None, help="kind of NMS (default: the model's own)")
    add_label_error_arguments(parser)
    parser.add_argument(
        "--out",
        type=str | None,
        metavar="DIR",
        help="folder for report.html, metrics and detections",
    )
    parser.add_argument(
        "--report", action=BooleanOptionalAction, default=True, help="write report.html into --out, or not"
    )
    parser.add_argument("--force", action="store_true", help="write into --out even if it is not empty")


def run(arguments: Namespace) -> None:
    settle_positionals(arguments)
    check(arguments.batch is None or arguments.batch > 0, "batch", "> 0", arguments.batch)
    check(0 < arguments.voc_iou <= 1, "voc_iou", "in (0, 1]", arguments.voc_iou)
    check(arguments.resamples >= 0, "resamples", ">= 0", arguments.resamples)
    check(arguments.seed >= 0, "seed", ">= 0", arguments.seed)
    check_extra_options(arguments)
    nms = NmsConfig(conf=arguments.conf, iou=arguments.iou)
    check_label_error_options(arguments)
    if arguments.out:
        check_output(arguments.out, force=arguments.force)
    if arguments.compare:
        run_comparison(arguments, nms)
    else:
        run_one(arguments, nms)


def run_one(arguments: Namespace, nms: NmsConfig) -> None:
    """Measure one model or results file, print the metrics and write them."""
    about: dict[str, Any] = {}
    if arguments.detections:
        dataset = load_data(arguments, choose_split(arguments, "val", "test"), need_images=False)
        check_has_true_boxes(dataset)
        found = read_some_results(arguments.detections, dataset)
    else:
        dataset, found, about = detect_and_describe(arguments, nms)
    metrics = compute_metrics(
        dataset,
        found,
        voc_iou=arguments.voc_iou,
        evaluator=arguments.evaluator,
        resamples=arguments.resamples,
        seed=arguments.seed,
    )
    add_extra_metrics(metrics, arguments, dataset, found)
    metrics["calibration"] = calibration_figures(dataset, found)
    errors = errors_by_kind(dataset, found)
    text = f"{metrics}\n\n{error_table(errors)}"
    try:
        if arguments.out:
            metrics["errors"] = errors.to_dict()
            folder = prepare_output(arguments.out, force=arguments.force)
            if arguments.label_errors:
                metrics["label_errors"], listed = write_label_errors(folder, dataset, found)
                text += f"\n\n{listed}"
            write(folder, arguments, metrics, dataset, found)
            write_about_eval(folder, arguments, about)
            if arguments.report:
                write_eval_report(folder, arguments, metrics, dataset, about)
    finally:  # the metrics are known even if the disk is full
        print(to_json(metrics) if arguments.json else text)


def settle_positionals(arguments: Namespace) -> None:
    """With --detections or --compare the only positional argument is DATA; else WEIGHTS and DATA are needed.

    Raises:
        ConfigError: one is missing, or there is one too many.
    """
    instead = arguments.detections or arguments.compare
    if instead and arguments.data is None:
        arguments.weights, arguments.data = None, arguments.weights
    if arguments.weights and arguments.data is None and is_run(arguments.weights):
        take_data_of_run(arguments)
    if arguments.weights and arguments.data is None:
        check_loadable(arguments.weights, exported=True)
    given = [arguments.weights, arguments.detections, arguments.compare]
    if arguments.data is None or sum(each is not None for each in given) != 1:
        alone = f"; got {arguments.weights} alone" if arguments.weights and arguments.data is None else ""
        raise ConfigError(
            "give either WEIGHTS DATA or --detections R.json DATA (both names side by side), or --compare A B DATA"
            + alone
        )


def take_data_of_run(arguments: Namespace) -> None:
    """Set DATA and its options to those that a run's folder names.

    Raises:
        ConfigError: the folder names no data.
    """
    stored = read_data_file(Path(arguments.weights))
    if stored is None:
        raise ConfigError(
            f"{arguments.weights}: this run's folder does not say where its data lie; name them "
            f"(yolov3 eval {arguments.weights} DATA)"
        )
    other = stored["val"] if stored["val"] and exists(stored["val"]) else None  # else --val was a split, or not given
    arguments.data = other or stored["data"]
    arguments.images = arguments.images or (None if other else stored["images"])
    take_reading_options(arguments, stored)
    logger.info("measured on %s, as the run was", arguments.data)


def write(folder: Path, arguments: Namespace, metrics: Metrics, dataset: Dataset, found: DetectionColumns) -> None:
    """Write metrics.json, curves.json, and results.json unless the detections were read from such a file."""
    write_text(folder / "metrics.json", to_json(metrics, indent=2) + "\n")
    write_text(folder / "curves.json", to_json(curves(dataset, found)) + "\n")
    if not arguments.detections:  # a copy would be useless, or overwrite the original
        write_text(folder / "results.json", to_json(to_results(dataset, found)) + "\n")
    logger.info("results written to %s", folder)
