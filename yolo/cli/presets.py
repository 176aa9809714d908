"""`--preset NAME`: packaged options in front of those that are given."""

from __future__ import annotations

from jsonargparse import Namespace

from yolo.errors import ConfigError
from yolo.files.shipped import preset_path, presets

OPTION = "--preset"
HELP = f"packaged options, which all others override: {', '.join(presets())}"


def with_presets(arguments: list[str]) -> list[str]:
    """The arguments with each ``--preset NAME`` as the ``--config`` of its file, before all others.

    There it is overridden by every option that is given, wherever that stands.

    Raises:
        ConfigError: there is no such preset, or none is named.
    """
    files: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        option, equals, name = argument.partition("=")
        if option != OPTION:
            rest.append(argument)
            continue
        if not equals and (name := next(waiting, "")) == "":
            raise ConfigError(f"{OPTION}: name one of {', '.join(presets())}")
        files += ["--config", str(preset_path(name))]
    return files + rest


def refuse_elsewhere(arguments: Namespace) -> None:
    """Raise a ConfigError if a parsed command still has a preset: it came from a file, too late to have an effect."""
    if arguments.get(OPTION[2:]) is not None:
        name = arguments[OPTION[2:]]
        raise ConfigError(f"preset: {name} has no effect in a --config file; give {OPTION} {name} beside it")
