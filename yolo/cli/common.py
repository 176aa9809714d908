"""Arguments that several commands share, and what they stand for: weights, canvas size, output folder."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import ArgumentParser, Namespace

from yolo.config import Aim, LetterboxMode, NmsConfig, NmsKind, Runtime, RuntimePrecision, canvas_size
from yolo.errors import ConfigError
from yolo.files.atomic import is_file
from yolo.files.locks import REMEDY, check_free, is_unused, locked_folder
from yolo.system.startup import start_keras

if TYPE_CHECKING:
    from yolo.model.detector import Detector
    from yolo.runtimes.interface import AnyDetector

_held = ExitStack()
"""Locks on the output folders of the running command."""


def add_weights_options(parser: ArgumentParser) -> None:
    """Add the options for WEIGHTS without a description of their network, such as Darknet's."""
    group = parser.add_argument_group("model")
    group.add_argument("--cfg", type=str | None, metavar="FILE", help="Darknet network file (.cfg) of .weights")
    group.add_argument(
        "--names", type=str | None, metavar="FILE", help="class names of .weights, or of data that only number them"
    )
    group.add_argument(
        "--letterbox",
        type=LetterboxMode | None,
        help="resizing of images to the input size: with padding, or stretched (default: the model's own, "
        "stretch for a .cfg without it)",
    )
    group.add_argument("--offline", action="store_true", help="download nothing")


def add_runtime_options(
    parser: ArgumentParser,
    *,
    runtime: Runtime | None = "auto",
    runtime_help: str = "program that runs the network; auto: the fastest installed",
    precision: RuntimePrecision | None = "auto",
    precision_help: str = "numeric precision of the network; auto: the fastest that the processor multiplies",
) -> None:
    """Add the options of `load_any_detector` for what runs the network.

    Args:
        parser: parser of a command that has the options of `add_weights_options` as well.
        runtime: default of ``--runtime``; None: the command chooses it.
        runtime_help: description of ``--runtime``.
        precision: default of ``--precision``; None: the command chooses it.
        precision_help: description of ``--precision``.
    """
    group = parser.add_argument_group("runtime")
    group.add_argument("--runtime", type=Runtime | None, default=runtime, help=runtime_help)
    group.add_argument("--precision", type=RuntimePrecision | None, default=precision, help=precision_help)


def add_nms_options(parser: ArgumentParser, *, auto: bool = False) -> None:
    """Add the thresholds and the kind of suppression, by default the model's own.

    Args:
        parser: parser of a command.
        auto: whether ``--conf auto`` stands for the thresholds of the classes stored in the model.
    """
    kinds: Any = float | Literal["auto"] | None if auto else float | None
    words = "; auto: the thresholds of the classes stored in the model" if auto else ""
    parser.add_argument(
        "--conf", type=kinds, metavar="CONF", help=f"lowest score of a detection{words} (default: the model's own)"
    )
    parser.add_argument("--iou", type=float | None, help="IoU threshold of NMS (default: the model's own)")
    parser.add_argument("--nms", type=NmsKind | None, help="kind of NMS (default: the model's own)")
    parser.add_argument("--class_agnostic", action="store_true", help="suppress across classes too")


def nms_changes(arguments: Namespace) -> dict[str, Any]:
    """Thresholds and kind given as the options of `add_nms_options`, which replace the model's own.

    Raises:
        ConfigError: a value is out of range.
    """
    conf = None if arguments.conf == "auto" else arguments.conf  # for `with_conf`, once the model is loaded
    options = {"conf": conf, "iou": arguments.iou, "kind": arguments.nms}
    changes = {name: value for name, value in options.items() if value is not None}
    if arguments.class_agnostic:
        changes["class_agnostic"] = True
    NmsConfig(**changes)
    return changes


def load_any_detector(
    arguments: Namespace, *, size: tuple[int, int] | None = None, aim: Aim = "throughput"
) -> AnyDetector:
    """Load the detector that WEIGHTS name into the runtime that the options of `add_runtime_options` name.

    Args:
        arguments: options of the command.
        size: canvas in place of the model's own.
        aim: ``latency`` for one image at a time, ``throughput`` for many.

    Raises:
        YoloError: the file cannot be loaded, the runtime is not installed, or an option does not fit them.
    """
    path = find_weights(arguments, exported=True)
    from yolo.runtimes.load import load_detector as load_into_runtime
    from yolo.weights.locate import is_darknet

    return load_into_runtime(
        path,
        runtime=arguments.runtime,
        precision=arguments.precision,
        aim=aim,
        cfg=arguments.cfg,
        names=arguments.names if is_darknet(path) else None,
        size=size,
        letterbox=arguments.letterbox,
        offline=arguments.offline,
    )


def load_detector(arguments: Namespace, *, size: tuple[int, int] | None = None) -> Detector:
    """Load the detector that WEIGHTS and the options of `add_weights_options` name.

    Raises:
        YoloError: the file cannot be loaded, or an option does not fit it.
    """
    path = find_weights(arguments)
    start_keras()
    from yolo.weights.load import load
    from yolo.weights.locate import is_darknet

    return load(
        path,
        cfg=arguments.cfg,
        names=arguments.names if is_darknet(path) else None,
        size=size,
        letterbox=arguments.letterbox,
        offline=arguments.offline,
    )


def find_weights(arguments: Namespace, *, exported: bool = False) -> str | Path:
    """Find the file that WEIGHTS name, and check it before Keras is imported.

    Args:
        arguments: options of the command.
        exported: whether the file of a runtime will do.

    Raises:
        YoloError: this file, or one that `add_weights_options` names, is missing or of the wrong kind.
    """
    from yolo.weights.locate import check_loadable, is_darknet, resolve

    check_loadable(arguments.weights, exported=exported)
    path = resolve(arguments.weights, offline=arguments.offline)
    for option in ("cfg", "names"):
        value = arguments[option]
        if value is not None and not is_darknet(path) and (option == "cfg" or "data" not in arguments):
            raise ConfigError(f"{option} {value}: {path} is not a Darknet .weights file and needs none")
        if value is not None and not is_file(value):
            raise ConfigError(f"{value}: no such file")
    return path


SIZE_HELP = "input size: one side, or HEIGHTxWIDTH; multiples of 32 (default: the model's own)"
WEIGHTS_HELP = (
    "model: a .keras file, the folder of a run, Darknet .weights (with --cfg, or the .cfg beside them), or a published "
    "name such as yolov3-coco"
)
DETECTOR_HELP = f"{WEIGHTS_HELP}; or an exported .onnx, .xml (OpenVINO), .tflite or SavedModel"


def parse_size(text: str | int) -> tuple[int, int]:
    """(height, width) of ``416`` or ``320x416``; a YAML file gives the former as a number.

    Raises:
        ConfigError: the text is neither, or a number is not a multiple of 32.
    """
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", str(text).strip())
    if match is None:
        raise ConfigError(f"size: expected a side such as 416, or HEIGHTxWIDTH such as 320x416, got {text!r}")
    return canvas_size((int(match[1]), int(match[2] or match[1])))


def prepare_output(folder: str | Path, *, force: bool) -> Path:
    """Make an output folder, and lock it until the command ends; call this after all other checks.

    Raises:
        ConfigError: the folder is not empty and ``force`` is not given, it cannot be made, or another process writes
            there.
    """
    path = check_output(folder, force=force)
    try:
        path.mkdir(parents=True, exist_ok=True)
        hold_output(path)
        if not force:
            refuse_full(path)  # another process may have locked it in between
    except OSError as error:
        raise ConfigError(f"{path}: cannot be made ({error.strerror}); give another --out") from error
    return path


def check_output(folder: str | Path, *, force: bool) -> Path:
    """Check that an output folder is new, empty, or may be overwritten; return its path without making it.

    Raises:
        ConfigError: the folder is not empty and ``force`` is not given, another process writes there, or it cannot be
            read.
    """
    path = Path(folder)
    try:
        if not force:
            refuse_full(path)
        check_free(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be made ({error.strerror}); give another --out") from error
    return path


def refuse_full(path: Path) -> None:
    """Raise a ConfigError if the path exists and is not an empty folder, or another process writes there."""
    if path.exists() and not (path.is_dir() and is_unused(path)):
        check_free(path)
        raise ConfigError(f"{path}: exists; give another --out, or --force to write into it")


def hold_output(folder: str | Path, *, remedy: str = REMEDY) -> None:
    """Lock an output folder against other processes until the command ends.

    Raises:
        ConfigError: another process writes there.
    """
    _held.enter_context(locked_folder(folder, remedy=remedy))


def release_outputs() -> None:
    """Release the locks on the output folders at the end of a command."""
    _held.close()
