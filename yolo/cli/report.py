"""`yolov3 report DIR`: the page about a run or an evaluation, made anew from what lies in its folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import ArgumentParser, Namespace

from yolo.cli.common import hold_output
from yolo.cli.data_options import choose_split, load_data
from yolo.cli.eval_model import choose_images
from yolo.cli.eval_report import content_of_eval
from yolo.cli.resume_options import DATA_FILE, read_data_file
from yolo.config import NmsConfig
from yolo.errors import ConfigError, YoloError
from yolo.evaluation.results import RESULTS
from yolo.files.atomic import exists, is_file, is_folder, to_json
from yolo.report.about import read_about
from yolo.report.content import Content
from yolo.report.folder import REMEDY, content_of, read_metrics
from yolo.report.report import write_report
from yolo.structs import Dataset
from yolo.weights.locate import BEST, is_run

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=str, metavar="DIR", help="folder of a run, or of eval --out")


def run(arguments: Namespace) -> None:
    folder = Path(arguments.folder)
    if not is_folder(folder):
        raise ConfigError(f"{folder}: no such folder; {REMEDY}")
    content = content_of_folder(folder)
    hold_output(folder)
    path = write_report(folder, content)
    print(to_json({"report": str(path)}) if arguments.json else path)


def content_of_folder(folder: Path) -> Content:
    """Content of the report about a run or an evaluation.

    Raises:
        ConfigError: the folder is of neither, or has no metrics.
        YoloError: its images cannot be read as they were.
    """
    read_metrics(folder)  # before anything is evaluated
    about = read_about(folder)
    if is_run(folder):
        return content_of_run(folder)
    if isinstance(about.get("eval"), dict):
        return content_of_eval(folder, about)
    return content_of(folder, title=folder.resolve().name, metrics=read_metrics(folder), dataset=None)


def content_of_run(folder: Path) -> Content:
    """Content of the report about a run, whose validation images are evaluated if that has left no detections."""
    from yolo.weights.keras_archive import read_description

    config = read_description(folder / BEST).get("config")
    config = config if isinstance(config, dict) else {}
    dataset, train = images_of_run(folder, config)
    if dataset is not None and not is_file(folder / RESULTS):
        evaluate_run(folder)
    anchors = [shape for scale in config.get("anchors", [])[::-1] for shape in scale]
    size = config.get("size")
    where = "" if dataset is None else f" on {dataset.name}"
    parts: dict[str | None, Dataset] = {}
    if train is not None and dataset is not None:
        parts = {train.split or "train": train, dataset.split or "val": dataset}
    return content_of(
        folder,
        title=f"{config.get('model', folder.resolve().name)}{where}",
        metrics=read_metrics(folder),
        dataset=dataset,
        parts=parts or None,
        anchors=np.array(anchors, np.float64) if anchors else None,
        canvas=(int(size[0]), int(size[1])) if isinstance(size, list) else None,
    )


def images_of_run(folder: Path, config: dict[str, Any]) -> tuple[Dataset | None, Dataset | None]:
    """Validation and training images of a run; None where its folder does not say where they lie, or they are gone."""
    stored = read_data_file(folder)
    if stored is None:
        logger.warning("%s: has no %s, so that the report is without pictures and curves", folder, DATA_FILE)
        return None, None
    if not exists(stored["data"]):
        logger.warning("%s: gone, so that the report is without pictures and curves", stored["data"])
        return None, None
    origin, classes = config.get("origin") or {}, config["classes"]
    other = stored["val"] if stored["val"] and exists(stored["val"]) else None
    options = Namespace(**{**stored, "split": None, "images": None if other else stored["images"]})
    options.data = other or stored["data"]
    dataset = choose_images(options, classes, origin)
    options = Namespace(**stored)
    try:
        train = load_data(options, choose_split(options, "train", "trainval"), classes=classes)
    except YoloError as error:
        logger.warning("%s", error)
        return dataset, None
    held_out = origin.get("held_out")
    if isinstance(held_out, dict):
        train = train.subset(others_than(train, dataset))
    return dataset, train


def others_than(whole: Dataset, part: Dataset) -> np.ndarray:
    """Indices of the images of a dataset that are not in a part of it."""
    files = {str(file) for file in part.files}
    return np.array([index for index, file in enumerate(whole.files) if str(file) not in files], np.int64)


def evaluate_run(folder: Path) -> None:
    """Detect in the validation images of a run that has left no detections, and write them into its folder."""
    from yolo.cli.eval import add_arguments as add_eval_arguments
    from yolo.cli.eval import settle_positionals
    from yolo.cli.eval_model import detect_all
    from yolo.cli.options import parse
    from yolo.evaluation.results import to_results
    from yolo.files.atomic import write_text

    logger.info("%s: no %s: evaluating once more", folder, RESULTS)
    arguments = parse("eval", "", add_eval_arguments, [str(folder)])
    settle_positionals(arguments)
    dataset, found = detect_all(arguments, NmsConfig(conf=arguments.conf, iou=arguments.iou))
    write_text(folder / RESULTS, to_json(to_results(dataset, found)) + "\n")
