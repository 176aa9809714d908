"""`yolov3 data convert DATA OUT`: writes a dataset in another format."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from yolo.cli.common import prepare_output
from yolo.cli.data_options import add_data_arguments, load_data
from yolo.config import check
from yolo.errors import ConfigError
from yolo.files.atomic import to_json
from yolo.system.startup import start_keras

if TYPE_CHECKING:
    from yolo.structs import Dataset

logger = logging.getLogger(__name__)

FORMATS = ("tfrecord",)
SPLITS = ("train", "val", "valid", "validation", "test")
"""Splits converted when none is named; others, such as trainval of VOC, repeat the same images."""
PROGRESS_SECONDS = 5.0


def add_arguments(parser: ArgumentParser) -> None:
    add_data_arguments(parser, split="each of them")
    parser.add_argument("out", type=str, help="new folder, or an address such as gs://bucket/folder")
    parser.add_argument("--to", type=str, required=True, metavar="NAME", help=f"format: {', '.join(FORMATS)}")
    parser.add_argument("--shards", type=int | None, help="number of files per split (default: of about 128 MB each)")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the order of the images")
    parser.add_argument("--workers", type=int, default=0, help="threads that read images; 0: one per core")
    parser.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    parser.add_argument("--json", action="store_true", help="print the results alone, as one JSON object, on stdout")


def run(arguments: Namespace) -> None:
    check(arguments.to in FORMATS, "to", f"one of {', '.join(FORMATS)}: others cannot be written yet", arguments.to)
    check(arguments.shards is None or 0 < arguments.shards < 100_000, "shards", "in 1..99999", arguments.shards)
    check(0 <= arguments.seed < 2**32, "seed", "in 0..2**32 - 1", arguments.seed)
    check(arguments.workers >= 0, "workers", ">= 0", arguments.workers)
    parts = [load_data(arguments, split) for split in chosen_splits(arguments)]
    refuse_own_source(arguments)
    start_keras()  # TensorFlow writes the shards
    folder = prepare_target(arguments.out, force=arguments.force)
    report: dict[str, Any] = {"folder": folder, "parts": []}
    try:
        for part in parts:
            report["parts"].append(convert_part(part, folder, arguments))
    finally:  # complete splits are usable even if a later one fails
        if report["parts"]:
            print(to_json(report) if arguments.json else to_text(report))


def chosen_splits(arguments: Namespace) -> list[str | None]:
    """Split that was asked for, else the dataset's usual splits, else [None] for everything at once."""
    if arguments.split is not None:
        return [arguments.split]
    from yolo.datasets.load import available_splits

    splits = available_splits(arguments.data)
    return [name for name in SPLITS if name in splits] or [None]


def refuse_own_source(arguments: Namespace) -> None:
    """Refuse to write over the user's data.

    Raises:
        ConfigError: the output folder is the dataset's.
    """
    from yolo.files.remote import is_remote

    if is_remote(arguments.data) or is_remote(arguments.out):
        same = arguments.data.rstrip("/") == arguments.out.rstrip("/")
    else:
        same = Path(arguments.out).resolve() in (Path(arguments.data).resolve(), Path(arguments.data).resolve().parent)
    if same:
        raise ConfigError(f"{arguments.out}: the dataset itself is there; give another OUT")


def prepare_target(out: str, *, force: bool) -> str:
    """Prepare the output folder or address; the index of an earlier conversion is removed.

    Raises:
        ConfigError: it is not empty and ``force`` is not given, or it cannot be created.
    """
    from yolo.datasets.tfrecord.writer import prepare_address, remove_parts
    from yolo.files.remote import is_remote

    folder = prepare_address(out, force=force) if is_remote(out) else str(prepare_output(out, force=force))
    remove_parts(folder)
    return folder


def convert_part(dataset: Dataset, folder: str, arguments: Namespace) -> dict[str, Any]:
    """Write one split and return its part of the report."""
    from yolo.datasets.tfrecord.writer import LEFT_OUT_SUFFIX, part_name, write_tfrecords

    said = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal said
        if done == total or time.monotonic() - said > PROGRESS_SECONDS:
            said = time.monotonic()
            logger.info("%s: %d of %d pictures", part_name(dataset), done, total)

    options = {"shards": arguments.shards, "seed": arguments.seed, "workers": arguments.workers}
    converted, store, left_out = write_tfrecords(dataset, folder, progress=progress, **options)
    return {
        "name": part_name(dataset),
        "pictures": len(converted),
        "boxes": len(converted.boxes),
        "shards": len(store.shards),
        "bytes": int(store.length.sum()),
        "left_out": len(left_out),
        "left_out_list": f"{part_name(dataset)}{LEFT_OUT_SUFFIX}" if left_out else None,
    }


def to_text(report: dict[str, Any]) -> str:
    lines = []
    for part in report["parts"]:
        line = (
            f"{report['folder']}: {part['name']}: {part['pictures']} pictures, {part['boxes']} boxes in "
            f"{part['shards']} shards, {part['bytes'] / 1e6:.1f} MB"
        )
        if part["left_out"]:
            line += f"; {part['left_out']} could not be read and were skipped: see {part['left_out_list']}"
        lines.append(line)
    return "\n".join(lines)
