"""`yolov3 eval WEIGHTS DATA` and `yolov3 eval --detections R.json DATA`: COCO and VOC metrics."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from jsonargparse import ArgumentParser, Namespace

from yolo.analysis.calibration import calibration_figures
from yolo.cli.common import (
    DETECTOR_HELP,
    SIZE_HELP,
    add_runtime_options,
    add_weights_options,
    check_output,
    find_weights,
    load_any_detector,
    load_detector,
    parse_size,
    prepare_output,
)
from yolo.cli.data_options import add_data_arguments, choose_split, load_data
from yolo.cli.resume_options import read_data_file, take_reading_options
from yolo.config import NmsConfig, NmsKind, Precision, RuntimePrecision, check
from yolo.datasets.annotations.splits import find_split
from yolo.datasets.load import available_splits, check_split, dataset_name
from yolo.errors import AnnotationError, ConfigError
from yolo.evaluation.class_mapping import map_classes
from yolo.evaluation.coco import Evaluator
from yolo.evaluation.metrics import compute_metrics
from yolo.evaluation.results import DetectionColumns, read_results, to_results
from yolo.evaluation.splits import warn_if_trained_on
from yolo.files.atomic import exists, to_json, write_text
from yolo.structs import Dataset
from yolo.system.startup import start_keras
from yolo.training.run.held_out import HELD_OUT, held_out_of
from yolo.weights.locate import check_loadable, exported_runtime, is_run

if TYPE_CHECKING:
    from yolo.runtimes.interface import AnyDetector

logger = logging.getLogger(__name__)

BATCH = 8
"""Default number of images per batch."""
TRAINING_WORDS = {"bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
"""Training's words of precisions, whose weights and heads are float32."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("weights", type=str, nargs="?", help=f"{DETECTOR_HELP}; left out with --detections")
    split = "what training validated on, such as held-out, if DATA has it; else val, else test, else everything"
    add_data_arguments(parser, split=split, required=False, names=False)
    parser.add_argument("--detections", type=str | None, metavar="FILE", help="COCO results file, instead of WEIGHTS")
    add_weights_options(parser)
    parser.add_argument("--size", type=str | None, help=SIZE_HELP)
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
    parser.add_argument("--out", type=str | None, metavar="DIR", help="folder for metrics.json and results.json")
    parser.add_argument("--force", action="store_true", help="write into --out even if it is not empty")


def run(arguments: Namespace) -> None:
    settle_positionals(arguments)
    check(arguments.batch is None or arguments.batch > 0, "batch", "> 0", arguments.batch)
    check(0 < arguments.voc_iou <= 1, "voc_iou", "in (0, 1]", arguments.voc_iou)
    nms = NmsConfig(conf=arguments.conf, iou=arguments.iou)
    if arguments.out:
        check_output(arguments.out, force=arguments.force)
    if arguments.detections:
        split = choose_split(arguments, "val", "test")
        dataset = load_data(arguments, split, need_images=False)
        found = read_results(arguments.detections, dataset)
    else:
        dataset, found = detect_all(arguments, nms)
    metrics = compute_metrics(dataset, found, voc_iou=arguments.voc_iou, evaluator=arguments.evaluator)
    metrics["calibration"] = calibration_figures(dataset, found)
    try:
        if arguments.out:
            write(prepare_output(arguments.out, force=arguments.force), arguments, metrics, dataset, found)
    finally:  # the metrics are known even if the disk is full
        print(to_json(metrics) if arguments.json else to_text(metrics))


def settle_positionals(arguments: Namespace) -> None:
    """With --detections the only positional argument is DATA; else WEIGHTS and DATA are needed.

    Raises:
        ConfigError: one is missing, or there is one too many.
    """
    if arguments.detections and arguments.data is None:
        arguments.weights, arguments.data = None, arguments.weights
    if arguments.weights and arguments.data is None and is_run(arguments.weights):
        take_data_of_run(arguments)
    if arguments.weights and arguments.data is None:
        check_loadable(arguments.weights, exported=True)
    if arguments.data is None or (arguments.weights is None) == (arguments.detections is None):
        alone = f"; got {arguments.weights} alone" if arguments.weights and arguments.data is None else ""
        raise ConfigError(f"give either WEIGHTS DATA or --detections R.json DATA (both names side by side){alone}")


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


def detect_all(arguments: Namespace, nms: NmsConfig) -> tuple[Dataset, DetectionColumns]:
    """Run the model on a dataset; returns the dataset, with its classes in the model's order, and the detections."""
    size = None if arguments.size is None else parse_size(arguments.size)
    splits = available_splits(arguments.data)
    if arguments.split not in (None, HELD_OUT):
        check_split(arguments.data, arguments.split, (*splits, HELD_OUT))
    path = find_weights(arguments, exported=True)
    start_keras()  # the input pipeline is TensorFlow's, whatever runs the network
    runtime = arguments.runtime or ("keras" if exported_runtime(path) is None else "auto")
    if runtime == "keras" and exported_runtime(path) is None:
        detector = load_reference(arguments, path, size)
    else:
        options = {**vars(arguments), "runtime": runtime, "precision": arguments.precision or "auto"}
        detector = load_any_detector(Namespace(**options), size=size)
    about = detector.origin
    from yolo.evaluation.evaluator import evaluation_nms, find_all

    dataset = choose_images(arguments, detector.classes, about)
    warn_if_trained_on(about, dataset)
    batch = arguments.batch or measured(about).get("batch") or BATCH
    own = evaluation_nms(detector.nms)
    nms = replace(own, conf=nms.conf, iou=nms.iou, kind=arguments.nms or own.kind)
    return dataset, find_all(detector, dataset, batch=batch, nms=nms)


def load_reference(arguments: Namespace, path: str | Path, size: tuple[int, int] | None) -> AnyDetector:
    """Load the detector as training validates it, in the same precision."""
    set_precision(arguments.precision, read_origin(path))
    return load_detector(arguments, size=size)


def read_origin(path: str | Path) -> dict[str, Any]:
    """Read the origin in a model file of this package; empty for other files."""
    from yolo.weights.load import read_description

    if Path(path).suffix != ".keras":
        return {}
    config = read_description(Path(path)).get("config")
    origin = config.get("origin") if isinstance(config, dict) else None
    return origin if isinstance(origin, dict) else {}


def measured(origin: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with which training validated a model, from its origin."""
    found = origin.get("validation")
    return found if isinstance(found, dict) else {}


def set_precision(wanted: RuntimePrecision | None, origin: Mapping[str, Any]) -> None:
    """Set the precision of an option, else that of the model's validation in training, to get the same metrics."""
    import keras

    from yolo.model.backend.precision import choose_precision

    chosen: Any = TRAINING_WORDS.get(wanted or "", wanted) or measured(origin).get("precision")
    if chosen in get_args(Precision):
        keras.config.set_dtype_policy(choose_precision(chosen))


def choose_images(arguments: Namespace, classes: Sequence[str], origin: Mapping[str, Any]) -> Dataset:
    """Load the split of an option, else the one that training validated on, else val, test or everything.

    Raises:
        AnnotationError: there is no such split, or its images are not in DATA.
    """
    held_out = origin.get("held_out")
    if arguments.split == HELD_OUT and not isinstance(held_out, dict):
        raise AnnotationError(
            f"--split {HELD_OUT}: the model held no images out in its training; {splits_of(arguments)}"
        )
    if arguments.split in (None, HELD_OUT) and isinstance(held_out, dict):
        found = load_held_out(arguments, classes, held_out)
        if found is not None:
            logger.info("measured on the %d images that training held out (--split names others)", len(found))
            return found
        if arguments.split == HELD_OUT:
            raise AnnotationError(
                f"--split {HELD_OUT}: {arguments.data} is not, or no longer, the dataset that the model was "
                f"trained on; {splits_of(arguments)}"
            )
    split = None if validated_whole(arguments, origin) else choose_split(arguments, *validated(origin), "val", "test")
    return map_classes(load_data(arguments, split), classes)


def validated(origin: Mapping[str, Any]) -> list[str]:
    """List the split that training validated on, if it had a name."""
    split = measured(origin).get("split")
    return [split] if isinstance(split, str) else []


def validated_whole(arguments: Namespace, origin: Mapping[str, Any]) -> bool:
    """Whether training validated on all of DATA (``--val DATA``), and no --split is given."""
    about = measured(origin)
    return (
        arguments.split is None
        and "split" in about
        and about["split"] is None
        and about.get("dataset") == dataset_name(arguments.data)
    )


def load_held_out(arguments: Namespace, classes: Sequence[str], held_out: Mapping[str, Any]) -> Dataset | None:
    """Load the images that training held out, or None if they are not in DATA."""
    splits, split = available_splits(arguments.data), held_out.get("split")
    if split is not None and find_split(split, splits) is None:
        return None
    return held_out_of(map_classes(load_data(arguments, split), classes), held_out)


def splits_of(arguments: Namespace) -> str:
    """Names of the splits in DATA, as part of a message."""
    splits = available_splits(arguments.data)
    return f"{arguments.data} has {', '.join(splits)}" if splits else f"{arguments.data} is not divided into splits"


def write(
    folder: Path, arguments: Namespace, metrics: dict[str, Any], dataset: Dataset, found: DetectionColumns
) -> None:
    """Write metrics.json, and results.json unless the detections were read from such a file."""
    write_text(folder / "metrics.json", to_json(metrics, indent=2) + "\n")
    if not arguments.detections:  # a copy would be useless, or overwrite the original
        write_text(folder / "results.json", to_json(to_results(dataset, found)) + "\n")
    logger.info("results written to %s", folder)


def to_text(metrics: dict[str, Any]) -> str:
    """Format the metrics as tables; a dash stands for an undefined value."""
    classes = metrics["classes"]
    width = max([len("class"), *map(len, classes)])
    summary = [*metrics["coco"].items(), ("VOC 2007 mAP", metrics["voc07"]["mAP"])]
    summary.append(("VOC 2012 mAP", metrics["voc12"]["mAP"]))
    summary += [(name, metrics["calibration"][name]) for name in ("D-ECE", "LaECE") if "calibration" in metrics]
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
