"""Files of options on the command line: `--preset NAME`, `--config FILE` and those of the loss and the augmentation."""

from __future__ import annotations

from jsonargparse import Namespace

from yolo.errors import ConfigError
from yolo.files.shipped import preset_path, presets

HELP = f"packaged options: {', '.join(presets())}; overridden by --config and by typed options"

RANKS = {"--preset": 0, "--config": 1, "--loss": 2, "--augment": 2}
"""Options that name a file, and their order of precedence: later ones override earlier ones."""


def files_first(arguments: list[str]) -> list[str]:
    """Move the files of options to the front, so that typed options override them wherever they stand.

    ``--preset NAME`` becomes the ``--config`` of its file. Files of one rank keep their order: the last one wins.

    Raises:
        ConfigError: an option names no file, or there is no such preset.
    """
    files: list[tuple[int, str, str]] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        option, equals, name = argument.partition("=")
        if argument == "--":
            return [*in_order(files), *rest, argument, *waiting]
        if option not in RANKS:
            rest.append(argument)
            continue
        name = name if equals else next(waiting, "")
        files.append((RANKS[option], *file_option(option, name)))
    return [*in_order(files), *rest]


def file_option(option: str, name: str) -> tuple[str, str]:
    """Resolve a file of options to the option and path for the parser.

    Raises:
        ConfigError: the name is missing, or there is no such preset.
    """
    if name == "" or name.startswith("--"):
        choice = f"one of {', '.join(presets())}" if option == "--preset" else "a YAML file"
        raise ConfigError(f"{option}: name {choice}")
    return ("--config", str(preset_path(name))) if option == "--preset" else (option, name)


def in_order(files: list[tuple[int, str, str]]) -> list[str]:
    """Arguments for the files, lowest precedence first."""
    return [word for _, *words in sorted(files, key=lambda file: file[0]) for word in words]


def refuse_elsewhere(arguments: Namespace) -> None:
    """Refuse ``preset:`` inside a --config file: presets are applied before files are read.

    Raises:
        ConfigError: the parsed arguments still name a preset.
    """
    if arguments.get("preset") is not None:
        name = arguments["preset"]
        raise ConfigError(f"preset: {name} has no effect in a --config file; give --preset {name} beside it")
