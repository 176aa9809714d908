"""`yolov3 COMMAND ...`: picks the command's file, runs it, and turns faults into exit codes."""

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
FULL = (errno.ENOSPC, errno.EDQUOT)
"""The errors of a disk without room, or of a user who has used up his share."""


def usage() -> str:
    rows = "\n".join(f"  {name:<9} {text}" for name, text in COMMANDS.items())
    return (
        f"usage: yolov3 COMMAND [options]\n\nYOLOv3 object detection, version {yolo.__version__}\n\n"
        f"commands:\n{rows}\n\n`yolov3 COMMAND --help` lists a command's options."
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
    if name not in COMMANDS:
        print(f"yolov3: no command {name!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return run_command(name, rest)


def run_command(name: str, arguments: list[str]) -> int:
    quieten()
    from yolo.cli.common import parse, release_outputs

    command = import_module(f"yolo.cli.{name}")
    try:
        with terminable():
            code = command.run(parse(name, COMMANDS[name], command.add_arguments, arguments)) or 0
            sys.stdout.flush()
        return code
    except YoloError as error:
        print(f"yolov3 {name}: {one_line(error)}", file=sys.stderr)
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
    """While it lasts, SIGTERM leaves as Ctrl-C does, with exit code 143, so that temporary files and locks go.

    Not so in one of several hosts, which may wait for the others in C++ code, where Python handles no signals, and
    outside the main thread, where it takes none.
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
    """Spare the interpreter its last flush of what cannot be written."""
    sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - until the interpreter ends


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
