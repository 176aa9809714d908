"""Report in the folder of `yolov3 eval --out`, and what that folder says about its data to make it anew."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import Namespace

from yolo.cli.data_options import READING, choose_split, load_data
from yolo.cli.eval_model import choose_images
from yolo.errors import ConfigError
from yolo.files.atomic import exists
from yolo.report.about import describe, write_about
from yolo.report.content import Content
from yolo.report.folder import content_of, read_metrics
from yolo.report.report import write_report
from yolo.structs import Dataset

logger = logging.getLogger(__name__)

PATHS = ("data", "images", "names", "detections")
"""Options of eval that are paths, kept whole."""


def write_about_eval(folder: Path, arguments: Namespace, about: Mapping[str, Any]) -> None:
    """Write into the folder of an evaluation which images, model and machine its figures come from."""
    write_about(folder, describe(eval=options_of(arguments), **about))


def write_eval_report(
    folder: Path, arguments: Namespace, metrics: Mapping[str, Any], dataset: Dataset, about: Mapping[str, Any]
) -> None:
    """Write report.html into the folder of an evaluation; a fault of the page is a warning."""
    try:
        logger.info("report: %s", write_report(folder, eval_content(folder, metrics, dataset, about, arguments)))
    except Exception as error:
        logger.warning("%s: the report could not be made (%s)", folder, error)


def options_of(arguments: Namespace) -> dict[str, Any]:
    """Options of eval that say which images were measured, with whole paths."""
    options = {name: arguments[name] for name in dict.fromkeys((*PATHS, *READING, "split"))}
    whole = {name: options[name] for name in PATHS if options[name] and exists(options[name])}
    return {**options, **{name: str(Path(path).resolve()) for name, path in whole.items()}}


def eval_content(
    folder: Path, metrics: Mapping[str, Any], dataset: Dataset | None, about: Mapping[str, Any], options: Namespace
) -> Content:
    """Content of the report about an evaluation."""
    name = Path(about.get("model", {}).get("weights") or options.detections or folder).stem
    anchors, canvas = about.get("anchors"), about.get("canvas")
    return content_of(
        folder,
        title=f"{name} on {dataset.name}" if dataset is not None else name,
        metrics=metrics,
        dataset=dataset,
        results=Path(options.detections) if options.detections else None,
        anchors=None if anchors is None else np.array(anchors, np.float64),
        canvas=None if canvas is None else (int(canvas[0]), int(canvas[1])),
    )


def content_of_eval(folder: Path, about: Mapping[str, Any]) -> Content:
    """Content of the report about an evaluation of which only the folder is left.

    Args:
        folder: its folder.
        about: what is in its about.json.

    Raises:
        ConfigError: it has no metrics.
        YoloError: its images cannot be read as they were.
    """
    metrics, options = read_metrics(folder), Namespace(**about["eval"])
    if not exists(options.data):
        raise ConfigError(f"{options.data}: no such file or folder, on which {folder} was measured; evaluate again")
    if options.detections:
        dataset = load_data(options, choose_split(options, "val", "test"), need_images=False)
    else:
        dataset = choose_images(options, about["classes"], about.get("origin") or {})
    return eval_content(folder, metrics, dataset, about, options)
