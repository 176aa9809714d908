"""`yolov3 compare RUN...`: runs side by side, as tables and as a page."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from yolo.cli.eval_compare import Side as Detected
from yolo.cli.eval_compare import on_common_classes
from yolo.cli.report import content_of_folder
from yolo.config import check
from yolo.errors import ConfigError, YoloError
from yolo.evaluation.comparison import Comparison, compare_detections
from yolo.evaluation.intervals import RESAMPLES
from yolo.evaluation.metrics import Metrics
from yolo.files.atomic import exists, is_folder, to_json
from yolo.report.comparison import Runs, Side, render_comparison, to_text
from yolo.report.content import Content
from yolo.report.folder import REMEDY, read_history, read_metrics
from yolo.report.page import write_page

logger = logging.getLogger(__name__)

CONFIG = "config.yaml"
FEWEST = 2


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("runs", type=str, nargs="+", metavar="RUN", help="folders of runs, or of eval --out")
    parser.add_argument("--out", type=str | None, metavar="FILE", help="page to write, such as compare.html")
    parser.add_argument("--force", action="store_true", help="write over an existing --out")
    parser.add_argument(
        "--resamples", type=int, default=RESAMPLES, help="resamples of the images for confidence intervals; 0: none"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the resamples")


def run(arguments: Namespace) -> None:
    check(len(arguments.runs) >= FEWEST, "runs", "two or more folders", " ".join(arguments.runs))
    check(arguments.resamples >= 0, "resamples", ">= 0", arguments.resamples)
    check(arguments.seed >= 0, "seed", ">= 0", arguments.seed)
    if arguments.out and exists(arguments.out) and not arguments.force:
        raise ConfigError(f"{arguments.out}: exists; give another --out, or --force to write over it")
    folders = [Path(name) for name in arguments.runs]
    for folder in folders:
        if not is_folder(folder):
            raise ConfigError(f"{folder}: no such folder; {REMEDY}")
        read_metrics(folder)
    runs = gather(folders, arguments.runs, resamples=arguments.resamples, seed=arguments.seed)
    if arguments.out:
        write_page(Path(arguments.out), render_comparison(runs))
        logger.info("page: %s", arguments.out)
    print(to_json(runs.to_dict()) if arguments.json else to_text(runs))


def gather(folders: Sequence[Path], names: Sequence[str], *, resamples: int, seed: int) -> Runs:
    """Read the runs, and compare the others with the first where they were measured on the same images."""
    contents = [readable_content(folder) for folder in folders]
    sides = [
        Side(
            name=name,
            metrics=read_metrics(folder) if content is None else Metrics(content.metrics),
            history=read_history(folder),
            options=read_options(folder),
        )
        for name, folder, content in zip(names, folders, contents, strict=True)
    ]
    paired = {}
    for index in range(1, len(folders)):
        found = paired_with(contents[0], contents[index], names[0], names[index], resamples=resamples, seed=seed)
        if found is not None:
            paired[index] = found
    return Runs(sides, paired)


def readable_content(folder: Path) -> Content | None:
    """Content of the report of a folder; None, and a warning, if its images cannot be read as they were."""
    try:
        return content_of_folder(folder)
    except YoloError as error:
        logger.warning("%s: compared by its metrics alone (%s)", folder, error)
        return None


def paired_with(
    first: Content | None, other: Content | None, first_name: str, other_name: str, *, resamples: int, seed: int
) -> Comparison | None:
    """Compare two on the same images; None, with the reason as a message, if they were measured on others."""
    a, b = (None if each is None else each.analysis for each in (first, other))
    if a is None or b is None or not resamples:
        return None
    if list(map(str, a.dataset.files)) != list(map(str, b.dataset.files)):
        logger.warning(
            "%s and %s: measured on different pictures, so that no difference is said", first_name, other_name
        )
        return None
    detected = [
        Detected(name, each.dataset.classes, each.detections) for name, each in ((first_name, a), (other_name, b))
    ]
    dataset, found = on_common_classes(a.dataset, detected)
    return compare_detections(dataset, *found, resamples=resamples, seed=seed)


def read_options(folder: Path) -> dict[str, str]:
    """Options of a run, those of groups by names such as ``augment.flip``; empty for an evaluation."""
    try:
        found = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return dict(flattened(found)) if isinstance(found, dict) else {}


def flattened(values: Mapping[Any, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Names and values of nested options."""
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, dict) and value:
            rows += flattened(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", "none" if value is None else str(value)))
    return rows
