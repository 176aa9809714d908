"""Content of a report, read from the folder of a run or of an evaluation."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.analysis.analysis import Analysis, analyse
from yolo.doctor.findings import Parts
from yolo.errors import ConfigError
from yolo.evaluation.metrics import Metrics
from yolo.evaluation.results import RESULTS, read_results
from yolo.files.atomic import is_file
from yolo.report.about import read_about
from yolo.report.content import Content
from yolo.structs import Dataset, Size

METRICS = "metrics.json"
HISTORY = "history.csv"
REMEDY = "give the folder of a run (yolov3 train --out) or of an evaluation (yolov3 eval --out)"


def read_metrics(folder: Path) -> Metrics:
    """Read the metrics object in a folder.

    Raises:
        ConfigError: there is none, or the file is damaged.
    """
    path = folder / METRICS
    if not is_file(path):
        remedy = "train on, or evaluate its model (yolov3 eval)" if is_file(folder / HISTORY) else REMEDY
        raise ConfigError(f"{folder}: holds no {METRICS}; {remedy}")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        metrics = Metrics(found)
        values = [metrics.ap, metrics.ap50, metrics.images, *metrics.classes.values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: not the metrics of an evaluation ({error!r:.80}); evaluate again") from error
    if not values:
        raise ConfigError(f"{path}: empty")
    return metrics


def read_history(folder: Path) -> dict[str, list[float]]:
    """Read the columns of a run's history; empty if there is none, NaN for what is no number."""
    try:
        text = (folder / HISTORY).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return {}
    rows = list(csv.DictReader(text.splitlines()))
    return {name: [to_number(row.get(name)) for row in rows] for name in (rows[0] if rows else ()) if name}


def to_number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def content_of(
    folder: Path,
    *,
    title: str,
    metrics: Mapping[str, Any],
    dataset: Dataset | None,
    results: Path | None = None,
    parts: Parts | None = None,
    anchors: NDArray[np.floating] | None = None,
    canvas: Size | None = None,
) -> Content:
    """Put the content of a report together.

    Args:
        folder: folder of the run or evaluation, whose history and description are read.
        title: title of the page.
        metrics: the metrics object.
        dataset: the images measured on; None: not known.
        results: file of the detections in them; None: that in the folder.
        parts: splits whose health is shown; None: the images measured on.
        anchors: (N, 2) anchors of the model in pixels of the canvas.
        canvas: (height, width) of its input.
    """
    analysis = None if dataset is None else read_analysis(results or folder / RESULTS, dataset, metrics)
    known: dict[str | None, Dataset] = {} if dataset is None else {dataset.split or "all": dataset}
    return Content(
        title=title,
        metrics=metrics if analysis is None else analysis.metrics,
        analysis=analysis,
        history=read_history(folder),
        parts=known if parts is None else parts,
        anchors={} if anchors is None or not len(anchors) else {"model": anchors},
        canvas=canvas,
        about=read_about(folder),
    )


def read_analysis(results: Path, dataset: Dataset, metrics: Mapping[str, Any]) -> Analysis | None:
    """Analyse the detections in a results file; None if it is not there, or there is nothing to find.

    Raises:
        AnnotationError: the file is not that of these images.
    """
    if not is_file(results) or dataset.ignore.all():
        return None
    return analyse(dataset, read_results(results, dataset), metrics=metrics)
