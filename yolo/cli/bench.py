"""`yolov3 bench WEIGHTS...`: speed, memory, size and AP in every runtime and precision, side by side."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from yolo.bench.candidates import BenchPrecision, BenchRuntime, find_candidates
from yolo.cli.common import (
    DETECTOR_HELP,
    SIZE_HELP,
    add_weights_options,
    check_output,
    find_weights,
    parse_size,
    prepare_output,
)
from yolo.cli.data_options import DATA_HELP, add_reading_options, choose_split, load_data, loading_options
from yolo.config import check
from yolo.errors import ConfigError
from yolo.files.atomic import to_json, write_text

logger = logging.getLogger(__name__)

MOST_SECONDS = 3600.0
MOST_BATCH = 1024


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("weights", type=str, nargs="+", help=DETECTOR_HELP)
    parser.add_argument("--runtime", type=BenchRuntime, nargs="+", help="only these runtimes (default: all)")
    parser.add_argument("--precisions", type=BenchPrecision, nargs="+", help="only these precisions (default: all)")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8], help="images per batch (default: 1 8)")
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each latency and each throughput")
    parser.add_argument("--size", type=str | None, help=SIZE_HELP)
    parser.add_argument("--out", type=str | None, metavar="DIR", help="folder for bench.json and bench.png")
    parser.add_argument("--force", action="store_true", help="write into --out even if it is not empty")
    parser.add_argument("--data", type=str | None, help=f"measure AP and int8 too; {DATA_HELP}")
    add_reading_options(parser, split="val, else test, else everything", names=False)
    add_weights_options(parser)


def run(arguments: Namespace) -> None:
    check_options(arguments)
    if arguments.out is not None:
        check_output(arguments.out, force=arguments.force)
    size = None if arguments.size is None else parse_size(arguments.size)
    paths = [str(find_file(arguments, weights)) for weights in arguments.weights]
    options = {path: weights_options(arguments, path, size) for path in paths}
    dataset = find_data(arguments)
    candidates = find_candidates(
        paths,
        runtimes=arguments.runtime or (),
        precisions=arguments.precisions or (),
        pictures=dataset is not None,
    )
    from yolo.bench.bench import Plan, run_benchmark
    from yolo.bench.machine import describe_machine
    from yolo.bench.report import to_data, to_text
    from yolo.bench.results import find_noise

    machine, batches = describe_machine(), sorted(set(arguments.batch))
    plan = Plan(batches=batches, seconds=arguments.seconds, options=options, data=dataset)
    results = run_benchmark(candidates, plan)
    notes = find_noise(results, load=machine["load"], cores=machine["cores"])
    settings = {"seconds": arguments.seconds, "batches": batches, "data": arguments.data}
    data = to_data(results, machine, settings=settings, notes=notes)
    try:
        if arguments.out is not None:
            write(prepare_output(arguments.out, force=arguments.force), results, data)
    finally:  # the figures are known even if the disk is full
        print(to_json(data) if arguments.json else to_text(results, machine, notes))


def check_options(arguments: Namespace) -> None:
    """Refuse options that are out of range, or that need --data.

    Raises:
        ConfigError: one is wrong.
    """
    check(0 < arguments.seconds <= MOST_SECONDS, "seconds", f"in (0, {MOST_SECONDS:g}]", arguments.seconds)
    for batch in arguments.batch:
        check(0 < batch <= MOST_BATCH, "batch", f"from 1 to {MOST_BATCH}", batch)
    if arguments.data is None:
        given = [name for name in ("split", "images", "classes", "rename", "merge") if arguments[name] is not None]
        if given:
            raise ConfigError(f"{given[0]}: says how --data is read; give --data too, or leave it out")


def find_file(arguments: Namespace, weights: str) -> str | Path:
    """Find the file of one of WEIGHTS.

    Raises:
        YoloError: it is missing or of a wrong kind.
    """
    darknet = Path(weights).suffix in (".weights", ".backup")
    own = {"weights": weights} if darknet else {"weights": weights, "cfg": None}
    if arguments.cfg and not any(Path(each).suffix in (".weights", ".backup") for each in arguments.weights):
        own["cfg"] = arguments.cfg  # for no file at all: refused
    return find_weights(Namespace(**{**arguments.as_dict(), **own}), exported=True)


def weights_options(arguments: Namespace, path: str, size: tuple[int, int] | None) -> dict[str, Any]:
    """Collect the arguments of `yolo.load` for one file."""
    from yolo.weights.locate import is_darknet

    darknet = {"cfg": arguments.cfg, "names": arguments.names} if is_darknet(path) else {}
    own = {**darknet, "size": size, "letterbox": arguments.letterbox, "offline": arguments.offline}
    return {name: value for name, value in own.items() if value not in (None, False)}


def find_data(arguments: Namespace) -> dict[str, Any] | None:
    """Collect the arguments of `load_dataset` for AP, and load it once, so that its faults are said before.

    Raises:
        YoloError: the dataset cannot be read.
    """
    if arguments.data is None:
        return None
    split = choose_split(arguments, "val", "test")
    logger.info("AP is measured on %d pictures", len(load_data(arguments, split)))
    return loading_options(arguments.data, arguments, split, images=arguments.images)


def write(folder: Path, results: list[Any], data: dict[str, Any]) -> None:
    """Write bench.json and bench.png."""
    from yolo.bench.plot import plot_benchmark

    write_text(folder / "bench.json", to_json(data, indent=2) + "\n")
    plot_benchmark(results, folder / "bench.png")
    logger.info("bench.json and bench.png written to %s", folder)
