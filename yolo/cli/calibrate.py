"""`yolov3 calibrate WEIGHTS DATA --out NEW.keras`: thresholds and calibration of its scores, stored in it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import ArgumentParser, Namespace

from yolo.cli.common import WEIGHTS_HELP, add_weights_options, find_weights, load_detector
from yolo.cli.data_options import add_data_arguments
from yolo.cli.eval_model import choose_images, read_origin, set_precision
from yolo.cli.info import to_table
from yolo.config import check
from yolo.errors import ConfigError
from yolo.files.atomic import exists, is_folder, to_json
from yolo.scores import Method
from yolo.system.startup import start_keras
from yolo.weights.locate import BEST, exported_runtime, is_run

if TYPE_CHECKING:
    from yolo.analysis.calibrate import Calibrated

logger = logging.getLogger(__name__)

BATCH = 8
"""Default number of images per batch."""
FIGURES = {
    "d_ece": "D-ECE",
    "laece": "LaECE",
    "d_ece_in_use": "D-ECE above the best-F1 thresholds",
    "laece_in_use": "LaECE above the best-F1 thresholds",
    "ap": "AP",
    "ap50": "AP50",
}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("weights", type=str, help=WEIGHTS_HELP)
    split = "what training validated on, such as held-out, if DATA has it; else val, else test, else everything"
    add_data_arguments(parser, split=split, names=False)
    add_weights_options(parser)
    parser.add_argument("--out", type=str | None, metavar="FILE", help="model file to write (.keras)")
    parser.add_argument(
        "--method",
        type=Method | Literal["none"],
        default="isotonic",
        help="kind of calibration: isotonic, platt (two numbers a class), or none for thresholds alone",
    )
    parser.add_argument("--by_size", action="store_true", help="calibrate small, medium and large boxes by themselves")
    parser.add_argument(
        "--precision", type=float | None, metavar="P", help="thresholds for a precision (default: best F1)"
    )
    parser.add_argument("--recall", type=float | None, metavar="R", help="thresholds for a recall (default: best F1)")
    parser.add_argument("--batch", type=int, default=BATCH, help="images per batch")
    parser.add_argument("--force", action="store_true", help="write over an existing --out")


def run(arguments: Namespace) -> None:
    # Check all arguments first: loading a model takes seconds.
    check(arguments.batch > 0, "batch", "> 0", arguments.batch)
    check_wish(arguments)
    target = check_target(arguments)
    path = find_weights(arguments, exported=True)
    if exported_runtime(path) is not None:
        raise ConfigError(f"{path}: is an exported file; calibrate the .keras file, then export it")
    start_keras()
    from yolo.analysis.calibrate import calibrate, check_boxes
    from yolo.evaluation.splits import warn_if_trained_on

    set_precision(None, read_origin(path))
    detector = load_detector(arguments)
    dataset = choose_images(arguments, detector.classes, detector.origin)
    check_boxes(dataset)
    warn_if_trained_on(detector.origin, dataset)
    result = calibrate(
        detector,
        dataset,
        method=arguments.method,
        by_size=arguments.by_size,
        precision=arguments.precision,
        recall=arguments.recall,
        batch=arguments.batch,
    )
    detector.save(target)
    warn_of_classes(result)
    report = {"file": str(target), "method": arguments.method, "by_size": arguments.by_size, **result.to_dict()}
    print(to_json(report) if arguments.json else to_text(report))


def check_wish(arguments: Namespace) -> None:
    """Check what is wished for, before anything heavy is imported.

    Raises:
        ConfigError: a wish is not in (0, 1], or two exclude each other.
    """
    for name in ("precision", "recall"):
        value = arguments[name]
        check(value is None or 0 < value <= 1, name, "in (0, 1]", value)
    check(arguments.precision is None or arguments.recall is None, "recall", "left out with --precision", "both")
    check(arguments.method != "none" or not arguments.by_size, "by_size", "left out with --method none", "both")


def check_target(arguments: Namespace) -> Path:
    """Check that --out may be written.

    Raises:
        ConfigError: it is not given, ends in something else than .keras, is the source, or exists without --force.
    """
    if arguments.out is None:
        raise ConfigError("give --out NEW.keras, the file that thresholds and calibration are written into")
    path = Path(arguments.out)
    source = Path(arguments.weights) / BEST if is_run(arguments.weights) else Path(arguments.weights)
    if path.suffix != ".keras":
        raise ConfigError(f"out {path}: give a name that ends in .keras")
    if path.resolve() == source.resolve():
        raise ConfigError(f"{path}: is read from and would be written to; give another --out")
    if is_folder(path) or (exists(path) and not arguments.force):
        raise ConfigError(f"{path}: exists; give another --out, or --force to write over it")
    if not is_folder(path.parent):
        raise ConfigError(f"{path}: there is no folder {path.parent}")
    return path


def warn_of_classes(result: Calibrated) -> None:
    """Name the classes whose thresholds are not what was wished for."""
    from yolo.analysis.thresholds import FEWEST_BOXES

    few = [row.name for row in result.thresholds if not row.own]
    if few:
        logger.warning(
            "too few boxes (fewer than %d) or no right detection for a threshold of its own, that of all classes is "
            "taken: %s",
            FEWEST_BOXES,
            ", ".join(few),
        )
    short = [
        f"{row.name} ({row.precision:.2f}, {row.recall:.2f})"
        for row in result.thresholds
        if row.own and not row.reached
    ]
    if short:
        logger.warning(
            "%s not reached, the closest threshold is taken (precision, recall): %s",
            result.rules.about["thresholds"],
            ", ".join(short),
        )


def to_text(report: dict[str, Any]) -> str:
    """Format the figures before and after, and the thresholds, as tables."""
    before, after = report["before"], report["after"]
    cells = [(name, f"{before[key]:.4f}", f"{after[key]:.4f}") for key, name in FIGURES.items()]
    kind = (
        "no calibration"
        if report["method"] == "none"
        else report["method"] + (", by size" if report["by_size"] else "")
    )
    lines = [f"{report['file']}: {kind}, measured on {report['pictures']} pictures"]
    if report["parts"]:
        lines += [f"after: each of {report['parts']} parts of the pictures is calibrated by what the others say"]
    lines += ["", *to_table(("figure", "before", "after"), cells, right=2), ""]
    rows = [
        (
            name,
            f"{row['value']:.3f}",
            _figure(row["precision"]),
            _figure(row["recall"]),
            "" if row["own"] else "all classes'",
        )
        for name, row in report["thresholds"].items()
    ]
    table = to_table(("class", "threshold", "precision", "recall", ""), rows)
    return "\n".join([*lines, *(line.rstrip() for line in table)])


def _figure(value: float) -> str:
    return "-" if value != value else f"{value:.3f}"  # noqa: PLR0124 - NaN
