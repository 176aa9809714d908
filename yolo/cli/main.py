"""Entry point `yolov3 COMMAND ...`: runs the command's file and turns errors into exit codes."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import NoReturn

import yolo
from yolo.distributed.supervisor import supervised
from yolo.errors import YoloError

COMMANDS = {
    "demo": "train, evaluate and detect on generated data, without a download",
    "data": "check, describe, view, divide and convert datasets",
    "anchors": "fit anchors to a dataset and compare them with the current ones",
    "train": "train a detector on a dataset",
    "tune": "search for better training options with short runs",
    "convert": "convert models between Keras and Darknet files, and to other classes",
    "export": "write a model for other programs: ONNX, OpenVINO, LiteRT, SavedModel",
    "eval": "compute the metrics of a model or of a COCO results file",
    "calibrate": "choose score thresholds and calibrate the scores of a model",
    "report": "make the page about a run or an evaluation anew",
    "compare": "put runs side by side: options, metrics with intervals, curves",
    "detect": "detect objects in images, folders and globs",
    "bench": "measure a model's speed, memory and AP in every runtime at hand",
    "explain": "show why boxes were found in an image, and why others are missing",
    "info": "describe a model file, a .cfg file or a dataset",
}
"""Descriptions of the commands; each is a file `yolo/cli/NAME.py` with `add_arguments(parser)` and `run(arguments)`."""
FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk, or of an exhausted quota."""


def usage() -> str:
    rows = "\n".join(f"  {name:<9} {text}" for name, text in COMMANDS.items())
    return (
        f"usage: yolov3 COMMAND [options]\n\nYOLOv3 object detection, version {yolo.__version__}\n\n"
        f"commands:\n{rows}\n\n`yolov3 COMMAND --help` shows a command's everyday options, --help-all all of them.\n"
        "`yolov3 --completion bash|zsh` prints a script for the shell that completes commands and options."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0; 2 for a fault of the user's input or a full disk; 130 after Ctrl-C.

    Raises:
        SystemExit: the command was ended by SIGTERM; with code 143.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(yolo.__version__)
        return 0
    name, *rest = arguments
    option, _, value = name.partition("=")
    if option == "--completion":
        return print_completion(value or next(iter(rest), ""))
    if name not in COMMANDS:
        from yolo.cli.suggestions import suggest_command

        advice = suggest_command(name, COMMANDS)
        there = f"{advice} There" if advice else "; there"
        print(f"yolov3: no command {name!r}{there} are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return run_command(name, rest)


def print_completion(shell: str) -> int:
    """Print the completion script of a shell; return the exit code."""
    from yolo.cli.completion import script

    parsers = {name: (text, import_module(f"yolo.cli.{name}").add_arguments) for name, text in COMMANDS.items()}
    try:
        print(script(shell, parsers))
    except YoloError as error:
        print(f"yolov3: {one_line(error)}", file=sys.stderr)
        return 2
    return 0


def run_command(name: str, arguments: list[str]) -> int:
    quieten()
    from yolo.cli.common import release_outputs
    from yolo.cli.options import as_option, parse

    command = import_module(f"yolo.cli.{name}")
    try:
        with terminable():
            code = command.run(parse(name, COMMANDS[name], command.add_arguments, arguments)) or 0
            sys.stdout.flush()
        return code
    except YoloError as error:
        print(f"yolov3 {name}: {as_option(one_line(error), arguments)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"yolov3 {name}: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `yolov3 detect ... --json | head`
        drop_stdout()
        return 0
    except OSError as error:
        if error.errno not in FULL:
            raise
        if error.filename is None:
            drop_stdout()
        print(f"yolov3 {name}: {error.filename or 'stdout'}: cannot be written ({error.strerror})", file=sys.stderr)
        return 2
    finally:
        release_outputs()


@contextmanager
def terminable() -> Iterator[None]:
    """Handle SIGTERM as Ctrl-C inside the context, with exit code 143, so that temporary files and locks are removed.

    Not on several hosts, where a process may wait for the others in C++ code and Python handles no signals, and not
    outside the main thread, where Python cannot set handlers.
    """
    if supervised() or threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a handler
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def drop_stdout() -> None:
    """Replace stdout, so that the interpreter's last flush cannot fail on a closed pipe."""
    sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - until the interpreter ends


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def quieten() -> None:
    """Log our messages to stderr, and silence TensorFlow's start-up messages unless the user has asked for them."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # our own errors name the file
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    logging.getLogger("yolo").setLevel(logging.INFO)


if __name__ == "__main__":
    sys.exit(main())
