"""Files of options (``--config FILE``, ``--augment FILE``), read with the bounds of every YAML file of a user.

jsonargparse reads them once more, as it parses numbers such as 1e-4 differently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from jsonargparse import ActionConfigFile, ArgumentParser  # type: ignore[attr-defined]
from jsonargparse._actions import _ActionConfigLoad

from yolo.errors import ConfigError
from yolo.files.atomic import exists
from yolo.files.yaml_file import read_yaml


class BoundedConfigFile(ActionConfigFile):
    """Action that refuses pipes, devices, and files that are too large or expand too much by aliases."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        """Read a file or, as jsonargparse also allows, options as YAML text."""
        if exists(values):
            for name, value in options_of(values, read_yaml(values)).items():
                if isinstance(value, str):
                    check_group_file(parser, f"--{name}", str(Path(values).parent / value))
        super().__call__(parser, cfg, values, option_string)


def options_of(path: Any, content: object) -> Mapping[Any, Any]:
    """Content of a YAML file of options; that of an empty file is empty.

    Raises:
        ConfigError: it holds something other than names with values.
    """
    if not isinstance(content, Mapping | None):
        raise ConfigError(f"{path}: not a YAML file of options: expected lines such as `epochs: 50`")
    return content or {}


def check_group_files(parser: ArgumentParser, words: Sequence[str]) -> None:
    """Refuse files of a group's options as `BoundedConfigFile` does.

    Raises:
        ConfigError: one of the words names a pipe, a device, or a file that is no YAML or too large.
    """
    for word, following in pairwise([*words, ""]):
        option, equals, value = word.partition("=")
        check_group_file(parser, option, value if equals else following)


def check_group_file(parser: ArgumentParser, option: str, value: str) -> None:
    """Refuse such a file of one option; where the option is no group or the value no file, nothing is done."""
    if isinstance(parser._option_string_actions.get(option), _ActionConfigLoad) and exists(value):
        read_yaml(value)
