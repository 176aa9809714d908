"""`yolov3 convert SRC DST`: converts between Keras' and Darknet's files, and to other classes."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from yolo.cli.common import SIZE_HELP, WEIGHTS_HELP, add_weights_options, load_detector, parse_size
from yolo.config import NewClasses, check
from yolo.darknet.names import read_names, write_names
from yolo.errors import ConfigError
from yolo.files.atomic import exists, is_folder, to_json, write_text
from yolo.weights.locate import BEST, is_run

if TYPE_CHECKING:
    from yolo.model.detector import Detector

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("weights", type=str, metavar="SRC", help=WEIGHTS_HELP)
    parser.add_argument(
        "target",
        type=str,
        metavar="DST",
        help="target: a .keras file, or .weights, beside which a .cfg and a .names file of the same name are written",
    )
    add_weights_options(parser)
    parser.add_argument(
        "--classes",
        type=str | None,
        help="new classes, a subset or superset of the model's: names separated by commas, or a .names or .txt file "
        "with one per line",
    )
    parser.add_argument(
        "--new", type=NewClasses, default="fresh", help="initial head filters of classes unknown to SRC"
    )
    parser.add_argument("--size", type=str | None, help=SIZE_HELP)
    parser.add_argument("--seed", type=int, default=0, help="random seed of the filters of new classes")
    parser.add_argument("--force", action="store_true", help="overwrite existing files")


def run(arguments: Namespace) -> None:
    check(0 <= arguments.seed < 2**32, "seed", "in 0..2**32 - 1", arguments.seed)
    targets = target_files(arguments.target)
    check_targets(targets, arguments)
    size = None if arguments.size is None else parse_size(arguments.size)
    classes = None if arguments.classes is None else parse_classes(arguments.classes)
    detector, table = load_detector(arguments, size=size), None
    if classes is not None:
        from yolo.weights.transfer import with_classes

        detector, table = with_classes(detector, classes, new=arguments.new, seed=arguments.seed)
        for line in table.lines():
            logger.info("%s", line)
        if not table.kept and not table.renamed:
            logger.warning("none of the classes is known: the heads have to be trained before they find anything")
    write(detector, targets)
    report = {
        "files": [str(path) for path in targets],
        "classes": list(detector.classes),
        "parameters": detector.count_params(),
    }
    if table is not None:
        report["transfer"] = {"kept": table.kept, "renamed": table.renamed, "new": table.new, "dropped": table.dropped}
    print(to_json(report) if arguments.json else to_text(report))


def to_text(report: dict[str, Any]) -> str:
    return f"{', '.join(report['files'])}: {len(report['classes'])} classes, {report['parameters']:,} parameters"


def target_files(target: str) -> list[Path]:
    """Files to write for a DST.

    Raises:
        ConfigError: its suffix names no known format.
    """
    path = Path(target)
    if path.suffix == ".keras":
        return [path]
    if path.suffix == ".weights":
        return [path, path.with_suffix(".cfg"), path.with_suffix(".names")]
    raise ConfigError(f"{target}: give a name that ends in .keras or .weights")


def check_targets(targets: list[Path], arguments: Namespace) -> None:
    """Refuse to overwrite files without --force, and the source in any case.

    Raises:
        ConfigError: a file would be overwritten.
    """
    source = Path(arguments.weights) / BEST if is_run(arguments.weights) else arguments.weights
    sources = [Path(each).resolve() for each in (source, arguments.cfg, arguments.names) if each]
    for path in targets:
        if path.resolve() in sources:
            raise ConfigError(f"{path}: is read from and would be written to; give another DST")
        if is_folder(path) or (exists(path) and not arguments.force):
            raise ConfigError(f"{path}: exists; give another DST, or --force to write over it")
        if not is_folder(path.parent):
            raise ConfigError(f"{path}: there is no folder {path.parent}")


def parse_classes(text: str) -> list[str]:
    """Class names of a --classes option: from a file, or separated by commas.

    Raises:
        ConfigError: there are none, or one is repeated.
    """
    if Path(text).suffix in (".names", ".txt") or "/" in text or os.sep in text:
        return read_names(text)
    names = [name.strip() for name in text.split(",") if name.strip()]
    check(len(names) > 0, "classes", "names with commas between", text)
    check(len(set(names)) == len(names), "classes", "names that differ", text)
    return names


def write(detector: Detector, targets: list[Path]) -> None:
    """Write a detector in the format of its target files."""
    if len(targets) == 1:
        detector.save(targets[0])
        return
    from yolo.weights.cfg_writer import to_cfg
    from yolo.weights.darknet_files import save_darknet_weights

    if detector.score_rules:
        logger.warning("Darknet's files hold no thresholds of classes and no calibration: its scores will be raw")
    weights, cfg, names = targets
    text = to_cfg(detector)
    save_darknet_weights(detector, weights)
    write_text(cfg, text)
    write_names(names, detector.classes)
