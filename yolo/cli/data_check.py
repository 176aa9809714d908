"""`yolov3 data check DATA`: says everything that looks wrong with a dataset, and writes a corrected copy."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from yolo.cli.common import parse_size, prepare_output
from yolo.cli.data_options import add_data_arguments, chosen_splits, load_data, repeats
from yolo.config import check
from yolo.errors import ConfigError, YoloError
from yolo.files.atomic import to_json
from yolo.files.remote import is_remote

if TYPE_CHECKING:
    from yolo.doctor.findings import Finding
    from yolo.doctor.scan import Scan
    from yolo.structs import Dataset

logger = logging.getLogger(__name__)

FORMATS = ("coco", "yolo", "voc")
CHANGES = "changes.csv"
"""List of the changes, in the folder of the corrected copy."""
FAULTY = 3
"""Exit code for a dataset with errors."""
TOLD_HERE = ("yolo.datasets.annotations.repair", "yolo.datasets.annotations.left_out")
"""Loggers whose warnings the report repeats, with all places."""


def add_arguments(parser: ArgumentParser) -> None:
    add_data_arguments(parser, split="all of them, together")
    parser.add_argument("--size", type=str | int, default=416, help="input size that it is to be trained at")
    parser.add_argument("--quick", action="store_true", help="read the headers of the images alone, without decoding")
    parser.add_argument("--fix", type=str | None, metavar="OUT", help="write a corrected copy into this new folder")
    parser.add_argument("--to", type=str, default="coco", metavar="NAME", help=f"format of OUT: {', '.join(FORMATS)}")
    parser.add_argument("--force", action="store_true", help="write into OUT even if it is not empty")
    parser.add_argument("--workers", type=int, default=0, help="threads that read images; 0: one per core")
    parser.add_argument("--json", action="store_true", help="print the report alone, as one JSON object, on stdout")


def run(arguments: Namespace) -> int:
    """Check the dataset, and print the report.

    Returns:
        The exit code: 0 without errors, 3 with errors, 2 if it does not load at all.
    """
    from yolo.doctor.check import check as check_dataset
    from yolo.doctor.check import scan_parts

    size = parse_size(arguments.size)
    check_options(arguments)
    parts, faults = load_what_loads(arguments)
    with shown_progress() as progress:
        scans = scan_parts(parts, quick=arguments.quick, workers=arguments.workers, progress=progress)
    report = check_dataset(
        parts,
        scans,
        size=size,
        format_name=format_name(arguments.data),
        faults=faults,
        whole=arguments.split is None and not faults,
    )
    if parts and arguments.fix is not None:
        write_corrected(parts, scans, arguments)
    if arguments.json:
        print(to_json(report.to_dict()))
    else:
        from yolo.doctor.report import to_text

        print(to_text(report, arguments.data))
    return 2 if not parts else FAULTY if report.count("error") else 0


def check_options(arguments: Namespace) -> None:
    """Check the options by themselves.

    Raises:
        ConfigError: one is out of its range, or OUT lies in DATA.
    """
    check(arguments.workers >= 0, "workers", ">= 0", arguments.workers)
    check(arguments.to in FORMATS, "to", f"one of {', '.join(FORMATS)}", arguments.to)
    if arguments.fix is None:
        return
    check(not arguments.quick, "quick", "left out with --fix: all pictures have to be read", arguments.quick)
    check(not is_remote(arguments.fix), "fix", "a folder of this machine", arguments.fix)
    source = Path(arguments.data).resolve()
    folder = source if source.is_dir() else source.parent
    if not is_remote(arguments.data) and Path(arguments.fix).resolve().is_relative_to(folder):
        raise ConfigError(f"{arguments.fix}: the dataset itself is there; give another OUT")


def load_what_loads(arguments: Namespace) -> tuple[dict[str | None, Dataset], list[Finding]]:
    """Load all splits, or the one that was asked for, or a dataset without splits as None; and what does not load."""
    from yolo.doctor.findings import Spot, finding

    parts: dict[str | None, Dataset] = {}
    faults = []
    with silenced():
        try:
            names = chosen_splits(arguments)
        except YoloError as error:
            return {}, finding("not_loaded", [Spot(arguments.data, detail=reason(error, arguments.data))])
        for name in names:
            try:
                part = load_data(arguments, name)
            except YoloError as error:
                faults.append(Spot(arguments.data, "", name, reason(error, arguments.data)))
                continue
            if not repeats(part, parts):
                parts[name] = part
    return parts, finding("not_loaded", faults)


def reason(error: YoloError, data: str) -> str:
    """Message of a fault in one line, without the dataset's name before it."""
    return " ".join(str(error).split()).removeprefix(f"{data}: ")


@contextmanager
def silenced() -> Iterator[None]:
    """Silence the loggers whose warnings the report repeats."""
    loggers = [logging.getLogger(name) for name in TOLD_HERE]
    before = [each.level for each in loggers]
    try:
        for each in loggers:
            each.setLevel(logging.CRITICAL)
        yield
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)


@contextmanager
def shown_progress() -> Iterator[Callable[[int, int], None]]:
    """Show how many images are done: in a line that is redrawn on a terminal, else in a plain one at times."""
    from yolo.training.callbacks.display import Display

    display = Display()
    display.begin(time.perf_counter())

    def progress(done: int, total: int) -> None:
        if display.due(time.perf_counter()):
            display.show(f"{done} of {total} pictures read")

    try:
        yield progress
    finally:
        display.clear()


def format_name(data: str) -> str:
    """Name of a dataset's format; empty if it is not recognised."""
    from yolo.datasets.load import recognise

    try:
        return recognise(data).format
    except (YoloError, OSError):
        return ""


def write_corrected(
    parts: Mapping[str | None, Dataset], scans: Mapping[str | None, Scan], arguments: Namespace
) -> None:
    """Write the corrected copy and the list of changes.

    Raises:
        YoloError: the folder is not empty, or cannot be written.
    """
    from yolo.datasets.write import write_dataset
    from yolo.doctor.correct import COLUMNS, corrected
    from yolo.files.csv_table import write_csv

    result, changes = corrected(parts, scans)
    folder = prepare_output(arguments.fix, force=arguments.force)
    report = write_dataset(result, folder, to=arguments.to, force=arguments.force, workers=arguments.workers)
    write_csv(folder / CHANGES, COLUMNS, changes)
    pictures = sum(map(len, result.values()))
    logger.info("%s: %d pictures, corrected; %d changes are listed in %s", folder, pictures, len(changes), CHANGES)
    for kind, number in report.not_held.items():
        logger.warning("%s: %s cannot hold: %s: %d", folder, arguments.to, kind, number)
