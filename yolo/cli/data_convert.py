"""`yolov3 data convert DATA OUT`: writes a dataset in another format."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from yolo.cli.common import prepare_output
from yolo.cli.data_options import add_data_arguments, load_parts
from yolo.config import check
from yolo.errors import ConfigError
from yolo.files.atomic import is_folder, to_json
from yolo.structs import counted
from yolo.system.startup import start_keras

if TYPE_CHECKING:
    from yolo.datasets.write import Report
    from yolo.structs import Dataset

logger = logging.getLogger(__name__)

FORMATS = ("voc", "coco", "yolo", "labelme", "csv", "cvat", "fiftyone", "tfrecord")
PICTURES = ("copy", "link", "none")
NAMED = 3
"""Largest number of images that the printed report names."""
PROGRESS_SECONDS = 5.0


def add_arguments(parser: ArgumentParser) -> None:
    add_data_arguments(parser, split="each of them")
    parser.add_argument("out", type=str, help="new folder; for tfrecord also an address such as gs://bucket/folder")
    parser.add_argument("--to", type=str, required=True, metavar="NAME", help=f"format: {', '.join(FORMATS)}")
    parser.add_argument(
        "--pictures", type=str, default="copy", metavar="HOW", help="images: copy, link (symbolic links) or none"
    )
    parser.add_argument("--shards", type=int | None, help="number of files per split (default: of about 128 MB each)")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the order of the images in shards")
    parser.add_argument("--workers", type=int, default=0, help="threads that read images; 0: one per core")
    parser.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    parser.add_argument("--json", action="store_true", help="print the results alone, as one JSON object, on stdout")


def run(arguments: Namespace) -> None:
    check_options(arguments)
    parts = load_parts(arguments)
    refuse_own_source(arguments)
    if arguments.to == "tfrecord":
        write_shards(parts, arguments)
    else:
        write_files(parts, arguments)


def check_options(arguments: Namespace) -> None:
    """Check the options by themselves.

    Raises:
        ConfigError: one is out of its range, or does not fit the format.
    """
    from yolo.files.remote import is_remote

    packed = arguments.to == "tfrecord"
    check(arguments.to in FORMATS, "to", f"one of {', '.join(FORMATS)}", arguments.to)
    check(arguments.pictures in PICTURES, "pictures", f"one of {', '.join(PICTURES)}", arguments.pictures)
    check(
        not packed or arguments.pictures == "copy", "pictures", "copy: TFRecord holds the pictures", arguments.pictures
    )
    check(arguments.shards is None or 0 < arguments.shards < 100_000, "shards", "in 1..99999", arguments.shards)
    check(packed or arguments.shards is None, "shards", "left out: only tfrecord has them", arguments.shards)
    check(0 <= arguments.seed < 2**32, "seed", "in 0..2**32 - 1", arguments.seed)
    check(arguments.workers >= 0, "workers", ">= 0", arguments.workers)
    check(packed or not is_remote(arguments.out), "out", "a folder of this machine for this format", arguments.out)


def write_files(parts: Mapping[str | None, Dataset], arguments: Namespace) -> None:
    """Write a format of files for single images or splits, and print the report."""
    from yolo.datasets.write import write_dataset

    folder = prepare_output(arguments.out, force=arguments.force)
    report = write_dataset(
        parts,
        folder,
        to=arguments.to,
        pictures=arguments.pictures,
        force=arguments.force,
        workers=arguments.workers,
        progress=progress_lines(str(folder)),
    )
    print(to_json(report_of_files(report)) if arguments.json else "\n".join(lines_of_files(report)))


def report_of_files(report: Report) -> dict[str, Any]:
    return {
        "folder": str(report.folder),
        "format": report.format,
        "parts": [
            {"name": split, "pictures": part.pictures, "boxes": part.boxes} for split, part in report.parts.items()
        ],
        "not_held": report.not_held,
        "renamed": report.renamed,
        "left_out": report.left_out,
    }


def lines_of_files(report: Report) -> list[str]:

    lines = [
        f"{report.folder}: {split or 'all'}: {counted(part.pictures, 'picture')}, {counted(part.boxes, 'box')}"
        for split, part in report.parts.items()
    ]
    lines += [f"{report.format} cannot hold: {kind}: {number}" for kind, number in report.not_held.items()]
    if report.renamed:
        named = [f"{old} is {new}" for old, new in report.renamed.items()]
        lines.append(f"{counted(len(named), 'picture')} renamed: {first_of(named)}")
    if report.left_out:
        named = list(report.left_out.values())
        lines.append(f"{counted(len(named), 'picture')} could not be read and left out: {first_of(named)}")
    return lines


def first_of(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - NAMED} more (--json lists them)" if len(texts) > NAMED else ""
    return "; ".join(texts[:NAMED]) + more


def progress_lines(name: str) -> Callable[[int, int], None]:
    """Function that logs the numbers of images done and of all images, every few seconds."""
    said = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal said
        if done == total or time.monotonic() - said > PROGRESS_SECONDS:
            said = time.monotonic()
            logger.info("%s: %d of %d pictures", name, done, total)

    return progress


def write_shards(parts: Mapping[str | None, Dataset], arguments: Namespace) -> None:
    """Write TFRecord shards, and print the report."""
    start_keras()  # TensorFlow writes the shards
    folder = prepare_target(arguments.out, force=arguments.force)
    report: dict[str, Any] = {"folder": folder, "parts": []}
    try:
        for part in parts.values():
            report["parts"].append(convert_part(part, folder, arguments))
    finally:  # complete splits are usable even if a later one fails
        if report["parts"]:
            print(to_json(report) if arguments.json else to_text(report))


def refuse_own_source(arguments: Namespace) -> None:
    """Refuse to write over the user's data.

    Raises:
        ConfigError: the output folder is the dataset's, or lies in it.
    """
    from yolo.files.remote import is_remote

    if is_remote(arguments.data) or is_remote(arguments.out):
        same = arguments.data.rstrip("/") == arguments.out.rstrip("/")
    else:
        same = Path(arguments.out).resolve() in (Path(arguments.data).resolve(), Path(arguments.data).resolve().parent)
    if same:
        raise ConfigError(f"{arguments.out}: the dataset itself is there; give another OUT")
    if arguments.to != "tfrecord" and not is_remote(arguments.data) and is_folder(arguments.data):
        inside = Path(arguments.out).resolve().is_relative_to(Path(arguments.data).resolve())
        if inside:
            raise ConfigError(f"{arguments.out}: lies in the dataset itself; give an OUT outside of {arguments.data}")


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

    progress = progress_lines(part_name(dataset))
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
            f"{counted(part['shards'], 'shard')}, {part['bytes'] / 1e6:.1f} MB"
        )
        if part["left_out"]:
            line += f"; {part['left_out']} could not be read and were skipped: see {part['left_out_list']}"
        lines.append(line)
    return "\n".join(lines)
