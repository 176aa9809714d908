"""`yolov3 export WEIGHTS --format onnx`: writes a model for other programs, compared with Keras on pictures.

With ``--for`` it writes the folder that a model server loads.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from yolo.cli.common import (
    SIZE_HELP,
    WEIGHTS_HELP,
    add_nms_options,
    add_weights_options,
    load_detector,
    nms_changes,
    parse_size,
)
from yolo.cli.data_options import add_reading_options, choose_split, load_data
from yolo.config import Contents, FilePrecision, Format, Server, check
from yolo.errors import ConfigError
from yolo.files.atomic import is_file, is_folder, to_json
from yolo.weights.locate import is_run

if TYPE_CHECKING:
    from yolo.exporting.export import Exported
    from yolo.scores import ScoreRules
    from yolo.structs import Dataset

logger = logging.getLogger(__name__)

EXPORTS = (".onnx", ".tflite", ".litert", ".xml", ".bin", ".pb")
"""Suffixes of files that are exports themselves."""
SUFFIXES: dict[Format, str] = {
    "saved_model": ".saved_model",
    "onnx": ".onnx",
    "openvino": ".openvino",
    "litert": ".tflite",
}
"""Suffix of the name that an export gets without --out."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("weights", type=str, help=WEIGHTS_HELP)
    parser.add_argument("--format", type=Format | None, help="format of the file")
    parser.add_argument("--for", type=Server | None, help="model server to write a folder for, instead of --format")
    parser.add_argument(
        "--out",
        type=str | None,
        metavar="PATH",
        help="file or folder to write (default: named after WEIGHTS, in the current folder)",
    )
    parser.add_argument(
        "--outputs",
        type=Contents,
        default="predictions",
        help="what the file gives: raw maps, decoded boxes and scores, or detections after suppression",
    )
    parser.add_argument("--size", type=str | None, help=SIZE_HELP)
    parser.add_argument("--batch", type=int | None, help="images a batch (default: any number; litert: 1)")
    parser.add_argument("--dynamic", action="store_true", help="take any size; the default where the format can")
    parser.add_argument("--fixed", action="store_true", help="take the input size alone")
    parser.add_argument(
        "--precision", type=FilePrecision, default="float32", help="numeric precision of the network in the file"
    )
    add_nms_options(parser)
    parser.add_argument(
        "--data", type=str | None, help="dataset on whose images the file is compared, AP included (int8: calibrated)"
    )
    add_weights_options(parser)
    add_reading_options(parser, split="val, else test, else everything", names=False)
    parser.add_argument("--force", action="store_true", help="write over an existing export")


def run(arguments: Namespace) -> None:
    if arguments["for"] is not None:
        serve(arguments)
        return
    if arguments.format is None:
        raise ConfigError("give --format or --for")
    check(not (arguments.dynamic and arguments.fixed), "dynamic", "given without --fixed", "both")
    check(arguments.batch is None or arguments.batch > 0, "batch", "> 0", arguments.batch)
    changes = nms_changes(arguments)
    refuse_exports(arguments.weights)
    size = None if arguments.size is None else parse_size(arguments.size)
    path = Path(arguments.out or default_name(arguments.weights, arguments.format))
    from yolo.system.startup import start_keras

    start_keras()
    from yolo.exporting.export import check_request, export

    check_request(arguments.format, path, arguments.precision, force=arguments.force)
    data = load_pictures(arguments)
    detector = load_detector(arguments)
    exported = export(
        detector,
        path,
        format=arguments.format,
        contents=arguments.outputs,
        precision=arguments.precision,
        size=size,
        batch=arguments.batch,
        dynamic=True if arguments.dynamic else False if arguments.fixed else None,
        nms=replace(detector.nms, **changes),
        data=data,
        force=arguments.force,
    )
    say_if_raw(
        exported.description.score_rules, "yolov3 detect and yolo.load_detector calibrate the scores of the file"
    )
    print(to_json(to_record(exported)) if arguments.json else to_text(exported))


def serve(arguments: Namespace) -> None:
    """Write the folder of a model server; the model has the name of the folder."""
    server = arguments["for"]
    for name in ("format", "data", "batch"):
        check(arguments[name] is None, name, f"left out with --for {server}", arguments[name])
    for name in ("dynamic", "force"):
        check(not arguments[name], name, f"left out with --for {server}", "it")
    check(arguments.outputs != "maps", "outputs", f"left out with --for {server}", arguments.outputs)
    check(arguments.split is None, "split", f"left out with --for {server}", arguments.split)
    check(arguments.precision == "float32", "precision", f"float32 with --for {server}", arguments.precision)
    changes = nms_changes(arguments)
    refuse_exports(arguments.weights)
    path = Path(arguments.out or f"{Path(default_name(arguments.weights, 'saved_model')).stem}-{server}")
    from yolo.system.startup import start_keras

    start_keras()
    from yolo.exporting.serving import check_folder, export_for

    check_folder(path)
    size = None if arguments.size is None else parse_size(arguments.size)
    detector = load_detector(arguments, size=size)
    detector.nms = replace(detector.nms, **changes)
    export_for(detector, path, server)
    say_if_raw(detector.score_rules, "yolov3 detect calibrates scores")
    print(to_json({"path": str(path)}) if arguments.json else f"{path}: for {server}; see README.md inside")


def say_if_raw(rules: ScoreRules, who: str) -> None:
    """Say that other programs see the network's own scores, where the model has a calibration."""
    if rules.calibration is not None:
        logger.warning("%s; other programs and the script beside it get raw scores", who)


def refuse_exports(weights: str) -> None:
    """Refuse weights that are an export themselves.

    Raises:
        ConfigError: they are.
    """
    path = Path(weights)
    folder = is_folder(path) and not is_run(path) and any(is_file(path / n) for n in ("saved_model.pb", "model.xml"))
    if folder or (path.suffix in EXPORTS and is_file(path)):
        raise ConfigError(f"{path}: is an export already; give the .keras or .weights file that it was made from")


def default_name(weights: str, file_format: Format) -> str:
    """Name of an export without --out: that of the weights' file or of the run's folder."""
    path = Path(weights)
    return (path.resolve().name if is_run(path) else path.stem) + SUFFIXES[file_format]


def load_pictures(arguments: Namespace) -> Dataset | None:
    """Dataset of --data, if it is given."""
    if arguments.data is None:
        check(arguments.split is None, "split", "given with --data", arguments.split)
        return None
    return load_data(arguments, choose_split(arguments, "val", "test"))


def to_record(exported: Exported) -> dict[str, Any]:
    """Result as JSON shows it."""
    about = exported.description
    return {
        "path": str(exported.path),
        "script": str(exported.script),
        "bytes": exported.bytes,
        "outputs": about.outputs,
        "canvas": list(about.canvas),
        "dynamic": not about.fixed_canvas,
        "batch": about.batch,
        "parity": exported.parity.to_dict(),
    }


def to_text(exported: Exported) -> str:
    """Result as a table: what was written, and each difference with its bound."""
    parity, about = exported.parity, exported.description
    size = f"{exported.bytes / 1e6:.1f} MB"
    canvas = "x".join(map(str, about.canvas)) if about.fixed_canvas else "any size"
    rows = [
        f"{exported.path}: {size}, {about.precision}, {canvas}; gives {', '.join(about.outputs)}",
        f"{exported.script}: detects with it, without this package",
        f"compared with Keras on {parity.pictures} pictures:",
        *(f"  {name:<28} {value}" for name, value in parity.rows()),
    ]
    return "\n".join(rows)
