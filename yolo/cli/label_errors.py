"""`yolov3 eval WEIGHTS DATA --label-errors --out DIR`: probable label errors as lists, pictures and text."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from yolo.analysis.label_error_files import summary, to_text, write_lists
from yolo.analysis.label_errors import LabelError, find_label_errors
from yolo.config import NmsConfig, TrainConfig, check, train_config
from yolo.errors import ConfigError
from yolo.evaluation.results import DetectionColumns
from yolo.evaluation.splits import trained_fraction
from yolo.files.atomic import exists, write_text
from yolo.structs import Dataset
from yolo.weights.locate import exported_runtime, is_run

if TYPE_CHECKING:
    from yolo.model.detector import Detector
    from yolo.runtimes.interface import AnyDetector

logger = logging.getLogger(__name__)

LEAST = 0.02
"""Lowest score of the errors that are listed: somewhat above that of a label that nothing speaks against."""
SHOWN = 60
"""Number of errors on the contact sheets."""
NETWORK = ("model", "backbone", "weights", "cfg", "names", "new", "anchors", "size", "letterbox")
"""Options in the config.yaml of a run that make its detector."""


def add_label_error_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--label_errors", action="store_true", help="list probable label errors in --out, with pictures"
    )
    parser.add_argument(
        "--folds",
        type=int | None,
        metavar="K",
        help="judge each image by a model trained on the others: trains K models as WEIGHTS were, for --label-errors",
    )
    parser.add_argument(
        "--epochs", type=int | None, help="epochs of the trainings of --folds (default: those of WEIGHTS)"
    )


def check_label_error_options(arguments: Namespace) -> None:
    """Check the options against each other, before anything is read.

    Raises:
        ConfigError: one is out of range, or needs another.
    """
    if arguments.label_errors and not arguments.out:
        raise ConfigError("--label-errors writes lists and pictures; give --out DIR")
    if arguments.folds is None:
        check(arguments.epochs is None, "epochs", "given with --folds", arguments.epochs)
        return
    check(arguments.label_errors, "folds", "given with --label-errors", arguments.folds)
    check(arguments.folds >= 2, "folds", ">= 2", arguments.folds)
    check(arguments.epochs is None or arguments.epochs > 0, "epochs", "> 0", arguments.epochs)
    if arguments.detections:
        raise ConfigError(f"--folds trains models, and {arguments.detections} holds detections; give WEIGHTS instead")
    if exported_runtime(arguments.weights) is not None:
        raise ConfigError(
            f"--folds trains models, and {arguments.weights} is made for another program; "
            "give the .keras file or the run's folder"
        )


def check_labels(arguments: Namespace, origin: Mapping[str, Any], dataset: Dataset) -> None:
    """Warn, with --label-errors, if the model has learned the labels that it is to judge."""
    if arguments.label_errors and arguments.folds is None and trained_fraction(origin, dataset):
        logger.warning(
            "%s: a model overlooks errors in labels that it has learned; --folds 5 judges each picture by a model "
            "that was not trained on it",
            dataset.name,
        )


def write_label_errors(folder: Path, dataset: Dataset, detections: DetectionColumns) -> tuple[dict[str, Any], str]:
    """Rank the label errors, write lists, pictures and text; return the numbers, and the text.

    Raises:
        ConfigError: a file cannot be written.
    """
    from yolo.analysis.label_error_views import error_tiles
    from yolo.datasets.contact_sheets import page_paths, write_sheets

    errors = listed_errors(dataset, detections)
    text = to_text(dataset, detections, errors)
    write_lists(folder, dataset, detections, errors)
    write_text(folder / "label-errors.txt", text + "\n")
    shown = errors[:SHOWN]
    write_sheets(error_tiles(dataset, detections, shown), page_paths(folder / "label-errors.jpg", len(shown)))
    return summary(dataset, errors), text


def listed_errors(dataset: Dataset, detections: DetectionColumns) -> list[LabelError]:
    """Label errors that are probable enough to be listed, in their order."""
    return [error for error in find_label_errors(dataset, detections) if error.score >= LEAST]


def detect_out_of_fold(
    arguments: Namespace, detector: AnyDetector, dataset: Dataset, *, batch: int, nms: NmsConfig
) -> DetectionColumns:
    """Detect the objects of each fold with a detector that was trained on the others as WEIGHTS were.

    Raises:
        YoloError: the trainings cannot begin.
    """
    from yolo.training.folds import find_out_of_fold

    check(arguments.folds <= len(dataset), "folds", f"at most the number of pictures, {len(dataset)}", arguments.folds)
    make, config = training_of(arguments, detector, dataset)
    if arguments.epochs is not None:
        config = replace(config, epochs=arguments.epochs)
    return find_out_of_fold(make, dataset, folds=arguments.folds, config=config, batch=batch, nms=nms)


def training_of(
    arguments: Namespace, detector: AnyDetector, dataset: Dataset
) -> tuple[Callable[[Dataset], Detector], TrainConfig]:
    """How the detectors of the folds are made, and the options of their trainings.

    A run's folder says both. Else the network is that of WEIGHTS, begun from them unless they were trained on these
    images, and then from random weights; the options are those stored in the model, or the defaults.
    """
    from yolo.training import setup

    folder = Path(arguments.weights) if is_run(arguments.weights) else Path(arguments.weights).parent
    options = options_of_run(folder) if is_run(folder) else None
    stored = detector.origin.get("config")
    config = train_config(stored) if isinstance(stored, dict) else TrainConfig()
    if options is not None:
        size = detector.canvas
        return (lambda part: setup.make_detector(part, **options, size=size, seed=config.seed)), config
    if not trained_fraction(detector.origin, dataset):
        given = {"weights": arguments.weights, "cfg": arguments.cfg, "size": detector.canvas}
        given |= {"names": list(detector.classes)} if arguments.names else {}
        return (lambda part: setup.make_detector(part, **given, seed=config.seed)), config
    logger.info("%s was trained on these pictures: the folds begin from random weights", arguments.weights)
    return (lambda part: fresh(detector, part, config.seed)), config


def options_of_run(folder: Path) -> dict[str, Any] | None:
    """Arguments of `make_detector` in the config.yaml of a run; None if there is none."""
    from yolo.cli.config_file import options_of
    from yolo.files.yaml_file import read_yaml

    path = folder / "config.yaml"
    if not exists(path):
        return None
    content = options_of(path, read_yaml(path))
    options = {name: content[name] for name in NETWORK if content.get(name) is not None and name != "size"}
    backbone = options.pop("backbone", None)
    return options if backbone is None else {**options, "model": backbone}


def fresh(detector: Any, dataset: Dataset, seed: int) -> Detector:
    """Make a detector of the same network with random weights."""
    from yolo.model.detector import Detector
    from yolo.training.setup import network_options

    return Detector(**network_options(None, detector, None), classes=dataset.classes, seed=seed)
