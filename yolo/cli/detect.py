"""`yolov3 detect WEIGHTS SOURCE...`: find objects in pictures, folders and globs."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from yolo.cli.common import (
    WEIGHTS_HELP,
    add_weights_options,
    check_output,
    load_detector,
    parse_size,
    prepare_output,
)
from yolo.config import NmsConfig, check
from yolo.detect.outputs import check_targets, output_names, to_line, to_record, write_picture
from yolo.detect.predictor import Prediction, Unreadable, predict
from yolo.detect.sources import find_pictures
from yolo.errors import MediaError
from yolo.files.atomic import to_json, write_text

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_NEWS = 5.0


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("weights", type=str, help=WEIGHTS_HELP)
    parser.add_argument("sources", type=str, nargs="+", metavar="SOURCE", help="pictures, folders, globs")
    parser.add_argument(
        "--out", type=str | None, default=None, help="folder for annotated pictures and detections.json"
    )
    add_weights_options(parser)
    parser.add_argument("--size", type=str | None, default=None, help="another canvas than the model's own")
    parser.add_argument("--conf", type=float | None, default=None, help="lowest score; unset: the model's own")
    parser.add_argument(
        "--iou",
        type=float | None,
        default=None,
        help="overlap above which NMS suppresses; unset: the model's own",
    )
    parser.add_argument("--class_agnostic", action="store_true", help="suppress across classes too")
    parser.add_argument("--batch", type=int, default=8, help="pictures at once")
    parser.add_argument("--force", action="store_true", help="write into --out although it is not empty")


def run(arguments: Namespace) -> None:
    # All that can be wrong with the arguments first: loading a model takes seconds.
    changes = nms_changes(arguments)
    check(arguments.batch > 0, "batch", "> 0", arguments.batch)
    paths = find_pictures(arguments.sources)
    names = output_names(paths)
    if arguments.out is not None:
        check_targets(Path(arguments.out), names, paths)
        check_output(arguments.out, force=arguments.force)
    detector = load_detector(arguments, size=None if arguments.size is None else parse_size(arguments.size))
    folder = None if arguments.out is None else prepare_output(arguments.out, force=arguments.force)
    results = predict(detector, paths, nms=replace(detector.nms, **changes), batch=arguments.batch)
    targets = [folder / name if folder else None for name in names]
    records = deliver(results, targets, lines=not arguments.json)
    if not records:
        raise MediaError(f"none of the {len(paths)} files could be read as a picture")
    if folder:
        write_records(folder, records)
    if arguments.json:
        print(to_json(records))


def nms_changes(arguments: Namespace) -> dict[str, Any]:
    """What the options change in the model's own thresholds.

    Raises:
        ConfigError: a value is out of range.
    """
    changes = {name: arguments[name] for name in ("conf", "iou") if arguments[name] is not None}
    if arguments.class_agnostic:
        changes["class_agnostic"] = True
    NmsConfig(**changes)
    return changes


def deliver(
    results: Iterator[Prediction | Unreadable], targets: Sequence[Path | None], *, lines: bool
) -> list[dict[str, Any]]:
    """Write, print and collect each result as it comes; name the files that could not be read."""
    records: list[dict[str, Any]] = []
    begin = news = time.monotonic()
    for number, (result, target) in enumerate(zip(results, targets, strict=True), 1):
        if isinstance(result, Unreadable):
            logger.warning("skipped %s", result.error)
        else:
            records.append(to_record(result.path, result.detections))
            if target:
                write_picture(target, result)
            if lines:
                print(to_line(result.path, result.detections))
        if time.monotonic() - news > SECONDS_BETWEEN_NEWS:
            news = time.monotonic()
            logger.info("%d of %d pictures", number, len(targets))
    objects = sum(len(record["detections"]) for record in records)
    logger.info("%d pictures, %d objects, %.1f s", len(records), objects, time.monotonic() - begin)
    return records


def write_records(folder: Path, records: list[dict[str, Any]]) -> None:
    write_text(folder / "detections.json", to_json(records, indent=2) + "\n")
    logger.info("annotated pictures and detections.json written to %s", folder)
