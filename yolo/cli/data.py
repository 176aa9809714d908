"""`yolov3 data ACTION DATA`: actions on a dataset other than training, each a file of its own."""

from __future__ import annotations

from importlib import import_module

from jsonargparse import Namespace

from yolo.cli.help import CommandParser

ACTIONS = {
    "check": "say everything that looks wrong with a dataset",
    "convert": "write a dataset in another format",
    "digits": "make a dataset of handwritten digits, which needs no download",
    "stats": "count and plot what a dataset holds",
    "split": "divide a dataset into train, val and test, or into folds",
    "view": "draw images with their boxes on contact sheets",
}
"""Descriptions of the actions; each is a file `yolo/cli/data_NAME.py` with `add_arguments(parser)` and
`run(arguments)`, which returns the exit code or None."""


def add_arguments(parser: CommandParser) -> None:
    rows = {name: (text, import_module(f"yolo.cli.data_{name}").add_arguments) for name, text in ACTIONS.items()}
    parser.add_commands("action", rows)


def run(arguments: Namespace) -> int | None:
    own = arguments[arguments.action]
    own.json = own.json or arguments.json
    code: int | None = import_module(f"yolo.cli.data_{arguments.action}").run(own)
    return code
