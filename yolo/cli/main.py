"""`yolov3 COMMAND ...`: picks the command's file, runs it, and turns faults into exit codes."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import yolo
from yolo.errors import YoloError

COMMANDS = {
    "demo": "the whole job on data that needs no download: make, train, evaluate, detect, draw",
    "data": "convert a dataset to TFRecord files",
    "anchors": "fit anchors to a dataset and compare them with the current ones",
    "train": "train a detector on a dataset",
    "tune": "search for better training options with short runs",
    "convert": "between Keras' and Darknet's files, and to other classes",
    "eval": "metrics of a model, or of a COCO results file",
    "detect": "find objects in pictures, folders and globs",
    "info": "what a model file, a .cfg or a dataset holds",
}
"""Each is `yolo/cli/NAME.py` with `add_arguments(parser)` and `run(arguments)`."""


def usage() -> str:
    rows = "\n".join(f"  {name:<9} {text}" for name, text in COMMANDS.items())
    return (
        f"usage: yolov3 COMMAND [options]\n\nYOLOv3 object detection, version {yolo.__version__}\n\n"
        f"commands:\n{rows}\n\n`yolov3 COMMAND --help` lists a command's options."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns 0, 2 for a fault of the user's input, 1 for one of our own."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(yolo.__version__)
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        print(f"yolov3: no command {name!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return run_command(name, rest)


def run_command(name: str, arguments: list[str]) -> int:
    quieten()
    from yolo.cli.common import parse

    command = import_module(f"yolo.cli.{name}")
    try:
        return command.run(parse(name, COMMANDS[name], command.add_arguments, arguments)) or 0
    except YoloError as error:
        print(f"yolov3 {name}: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"yolov3 {name}: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `yolov3 detect ... --json | head`
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - until the interpreter's last flush
        return 0


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def quieten() -> None:
    """Our own messages to stderr; TensorFlow's start-up chatter only if it is asked for."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # our own errors name the file
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    logging.getLogger("yolo").setLevel(logging.INFO)


if __name__ == "__main__":
    sys.exit(main())
