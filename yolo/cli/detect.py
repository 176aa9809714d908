"""`yolov3 detect WEIGHTS SOURCE...`: find objects in pictures, folders and globs."""

from __future__ import annotations

import logging
import time
from argparse import BooleanOptionalAction
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from yolo.cli.common import (
    DETECTOR_HELP,
    SIZE_HELP,
    add_nms_options,
    add_runtime_options,
    add_weights_options,
    check_output,
    load_any_detector,
    nms_changes,
    parse_size,
    prepare_output,
)
from yolo.config import check
from yolo.detect.found_dataset import FoundDataset, FoundFormat, check_found_format
from yolo.detect.outputs import Drawn, Records, check_targets, draw, output_names, to_line, to_record
from yolo.detect.predictor import Prediction, Unreadable, check_rect, predict
from yolo.detect.sources import find_pictures
from yolo.errors import ConfigError, MediaError
from yolo.files.atomic import to_json
from yolo.model.pictures import with_conf
from yolo.structs import counted
from yolo.training.run.signals import Interruption, interruptible

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_NEWS = 5.0


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("weights", type=str, help=DETECTOR_HELP)
    parser.add_argument("sources", type=str, nargs="+", metavar="SOURCE", help="images, folders or globs")
    parser.add_argument("--out", type=str | None, metavar="DIR", help="folder for annotated images and detections.json")
    parser.add_argument(
        "--save_as",
        type=FoundFormat | None,
        help="write what was found as annotations, too, which labelling tools open: in a folder of this name in --out",
    )
    add_weights_options(parser)
    add_runtime_options(parser)
    parser.add_argument("--size", type=str | None, help=SIZE_HELP)
    parser.add_argument(
        "--rect",
        action=BooleanOptionalAction,
        help="put each image on as little of the input as holds it (default: wherever the model allows it)",
    )
    add_nms_options(parser, auto=True)
    parser.add_argument("--batch", type=int, default=8, help="images per batch")
    parser.add_argument("--force", action="store_true", help="write into --out even if it is not empty")


def run(arguments: Namespace) -> None:
    # Check all arguments first: loading a model takes seconds.
    changes = nms_changes(arguments)
    check(arguments.batch > 0, "batch", "> 0", arguments.batch)
    paths = find_pictures(arguments.sources)
    names = output_names(paths)
    check_found_format(arguments.save_as, arguments.out, names)
    dataset = FoundDataset(arguments.save_as, force=arguments.force) if arguments.save_as else None
    if arguments.out is not None:
        check_targets(Path(arguments.out), names, paths)
        check_output(arguments.out, force=arguments.force)
    folder, records = None, Records()
    with salvaged(records, len(paths), as_json=arguments.json):
        detector = load_any_detector(arguments, size=None if arguments.size is None else parse_size(arguments.size))
        nms = with_conf(detector, replace(detector.nms, **changes), arguments.conf)
        rect = check_rect(detector, arguments.rect)
        if arguments.out is not None:
            folder = prepare_output(arguments.out, force=arguments.force)
            records.write_to(folder)
        targets = {path: folder / name for path, name in zip(paths, names, strict=True)} if folder else {}
        results = predict(
            detector,
            paths,
            nms=nms,
            batch=arguments.batch,
            rect=rect,
            finish=(lambda path, image, found: draw(image, found, targets[path])) if targets else None,
        )
        with interruptible() as interruption, closing(results):
            kept = collected(results, dataset)
            deliver(kept, len(paths), records, lines=not arguments.json, stop=interruption)
            if interruption.signal is not None:
                interruption.leave()
    if not records.all:
        records.salvage()
        raise MediaError(f"none of the {len(paths)} files could be read as a picture")
    finish(records, as_json=arguments.json)
    if dataset is not None and folder is not None:
        logger.info("annotations written to %s", dataset.write(folder))


def collected(
    results: Iterable[Prediction | Unreadable], dataset: FoundDataset | None
) -> Iterator[Prediction | Unreadable]:
    """Pass results on, and add them to a dataset if there is one."""
    for result in results:
        if dataset is not None and isinstance(result, Prediction) and isinstance(result.finished, Drawn):
            dataset.add(result.path, result.finished.size, result.detections)
        yield result


@contextmanager
def salvaged(records: Records, total: int, *, as_json: bool) -> Iterator[None]:
    """Save the records so far if the work in the context is broken off (Ctrl-C, a full disk, a defect).

    Without records, no file is written, so that the list of an earlier command stays, and JSON is printed only after a
    signal.
    """
    try:
        yield
    except BaseException as error:
        signalled = not isinstance(error, Exception)
        path = records.salvage()
        place = f"; {path} says what is in {records.kept} of them" if path else ""
        if records.all or signalled:
            logger.info("stopped after %d of %d pictures%s", len(records.all), total, place)
            if as_json:
                print(to_json(records.all))
        raise


def finish(records: Records, *, as_json: bool) -> None:
    """Write and print the records of all images; if one of the two fails, the other is still done.

    Raises:
        ConfigError: they cannot be written.
    """
    try:
        path = records.finish()
    except ConfigError as error:
        raise ConfigError(f"{error}; what was found is in {records.salvage()}") from error
    finally:
        if as_json:
            print(to_json(records.all))
    if path:
        logger.info("annotated pictures and %s written to %s", path.name, path.parent)


def deliver(
    results: Iterable[Prediction | Unreadable], total: int, records: Records, *, lines: bool, stop: Interruption
) -> None:
    """Write, print and collect each result as it comes, until a signal; name the unreadable files.

    Raises:
        YoloError: a file cannot be written.
    """
    begin = news = time.monotonic()
    for number, result in enumerate(results, 1):
        if stop.signal is not None:
            return
        if isinstance(result, Unreadable):
            logger.warning("skipped %s", result.error)
        else:
            deliver_one(result, records, line=lines)
        if time.monotonic() - news > SECONDS_BETWEEN_NEWS:
            news = time.monotonic()
            logger.info("%d of %d pictures", number, total)
    objects = sum(len(record["detections"]) for record in records.all)
    found = f"{counted(len(records.all), 'picture')}, {counted(objects, 'object')}"
    logger.info("%s, %.1f s", found, time.monotonic() - begin)


def deliver_one(result: Prediction, records: Records, *, line: bool) -> None:
    """Print, collect and write the detections in one image, the smallest output first in case the disk is full.

    Raises:
        YoloError: a file cannot be written.
    """
    if line:
        print(to_line(result.path, result.detections))
    records.add(to_record(result.path, result.detections))
    if isinstance(result.finished, Drawn):
        result.finished.write()
