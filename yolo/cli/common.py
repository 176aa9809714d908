"""What the commands share: parsing, the dataset arguments, output folders, results."""

from __future__ import annotations

import re
from argparse import ArgumentError
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jsonargparse import ArgumentParser, Namespace, set_parsing_settings

from yolo.cli.presets import refuse_elsewhere, with_presets
from yolo.config import LetterboxMode, canvas_size
from yolo.errors import ConfigError, YoloError
from yolo.files.atomic import is_file
from yolo.system.startup import start_keras

if TYPE_CHECKING:
    from yolo.model.detector import Detector

Config = TypeVar("Config")

set_parsing_settings(docstring_parse_attribute_docstrings=True)


def parse(
    name: str, description: str, add_arguments: Callable[[ArgumentParser], None], arguments: list[str]
) -> Namespace:
    """The arguments of one command; of one that goes on with a run also, as ``given``, those without defaults.

    Raises:
        ConfigError: an argument is unknown, has a wrong value, or stands where it has no effect.
    """
    parser = ArgumentParser(prog=f"yolov3 {name}", description=description, exit_on_error=False)
    add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object of results alone on stdout")
    try:
        known = parser.get_defaults()
        words = [underscored(each) for each in (with_presets(arguments) if "preset" in known else arguments)]
        found = parser.parse_args(words)
        if "resume" in known:
            found.given = parser.parse_args(words, defaults=False)
    except YoloError:
        raise
    except (ArgumentError, TypeError, ValueError) as error:
        raise ConfigError(f"{error} (see `yolov3 {name} --help`)") from error
    refuse_elsewhere(found)
    return found


def underscored(argument: str) -> str:
    """``--warmup-epochs`` means ``--warmup_epochs``: options are named after Python fields."""
    if not argument.startswith("--"):
        return argument
    option, equals, value = argument.partition("=")
    return "--" + option[2:].replace("-", "_") + equals + value


def add_config(parser: ArgumentParser, config: type) -> None:
    """An option for every field of a configuration dataclass, with its docstring as help."""
    parser.add_class_arguments(config)


def make_config(config: type[Config], arguments: Namespace) -> Config:
    """The dataclass from its options."""
    values = {}
    for item in fields(config):  # type: ignore[arg-type]
        if item.name in arguments:
            value = arguments[item.name]
            # A nested configuration arrives as a namespace; its class is the field's default factory.
            nested: Any = item.default_factory
            values[item.name] = nested(**value.as_dict()) if isinstance(value, Namespace) else value
    return config(**values)


def add_data_arguments(parser: ArgumentParser, *, split: str, required: bool = True) -> None:
    """DATA and how to read it; ``split`` says which part is taken when none is named."""
    if required:
        parser.add_argument("data", type=str, help=DATA_HELP)
    else:
        parser.add_argument("data", type=str | None, nargs="?", default=None, help=DATA_HELP)
    parser.add_argument("--split", type=str | None, default=None, help=f"part of the dataset (default: {split})")
    parser.add_argument("--images", type=str | None, default=None, help="folder of a COCO file's pictures")


def add_weights_options(parser: ArgumentParser) -> None:
    """How WEIGHTS are to be read, where they do not say it themselves."""
    parser.add_argument("--cfg", type=str | None, default=None, help="Darknet network file of .weights")
    parser.add_argument("--names", type=str | None, default=None, help="file of the class names of .weights")
    parser.add_argument(
        "--letterbox",
        type=LetterboxMode | None,
        default=None,
        help="how pictures are put on the canvas (default: the model's own; stretch for a .cfg that says nothing)",
    )
    parser.add_argument("--offline", action="store_true", help="download nothing")


def load_detector(arguments: Namespace, *, size: tuple[int, int] | None = None) -> Detector:
    """The detector that WEIGHTS and the options of `add_weights_options` name.

    Raises:
        YoloError: there is none, or an option does not fit it.
    """
    path = find_weights(arguments)
    start_keras()
    from yolo.weights.load import load

    return load(
        path,
        cfg=arguments.cfg,
        names=arguments.names,
        size=size,
        letterbox=arguments.letterbox,
        offline=arguments.offline,
    )


def find_weights(arguments: Namespace) -> str | Path:
    """The file that WEIGHTS stand for; refused here if it cannot be loaded, before Keras is imported.

    Raises:
        YoloError: it, or a file that `add_weights_options` names, is missing or of the wrong kind.
    """
    from yolo.weights.locate import check_loadable, is_darknet, resolve

    check_loadable(arguments.weights)
    path = resolve(arguments.weights, offline=arguments.offline)
    for option in ("cfg", "names"):
        value = arguments[option]
        if value is not None and not is_darknet(path):
            raise ConfigError(f"{option} {value}: {path} is not a Darknet .weights file and needs none")
        if value is not None and not is_file(value):
            raise ConfigError(f"{value}: no such file")
    return path


DATA_HELP = "a dataset .yaml, a VOC folder, a COCO .json or a folder of TFRecord files"
WEIGHTS_HELP = "a .keras file, a run's folder, Darknet .weights (with --cfg), or a published name such as yolov3-coco"


def choose_split(arguments: Namespace, *preferred: str) -> str | None:
    """The split that is asked for, else the first of ``preferred`` that the dataset has, else None: all."""
    if arguments.split is not None:
        return arguments.split
    from yolo.datasets.load import available_splits, find_split

    splits = available_splits(arguments.data)
    return next((found for name in preferred if (found := find_split(name, splits))), None)


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) of ``416`` or ``320x416``.

    Raises:
        ConfigError: it is neither, or not a multiple of 32.
    """
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text.strip())
    if match is None:
        raise ConfigError(f"size: expected a side such as 416, or HEIGHTxWIDTH such as 320x416, got {text!r}")
    return canvas_size((int(match[1]), int(match[2] or match[1])))


def prepare_output(folder: str | Path, *, force: bool) -> Path:
    """Make an output folder; to be called after everything that may refuse the command.

    Raises:
        ConfigError: it holds something and ``force`` is not given, or it cannot be made.
    """
    path = check_output(folder, force=force)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be made ({error.strerror}); give another --out") from error
    return path


def check_output(folder: str | Path, *, force: bool) -> Path:
    """The path of an output folder that is new, empty, or may be written over; nothing is made.

    Raises:
        ConfigError: it holds something and ``force`` is not given, or it cannot be looked into.
    """
    path = Path(folder)
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())) and not force:
            raise ConfigError(f"{path}: exists; give another --out, or --force to write into it")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be made ({error.strerror}); give another --out") from error
    return path
