"""Files of options (``--config FILE``, ``--augment FILE``), read with the bounds of every YAML file of the user's.

jsonargparse reads them once more, as it has its own way with numbers such as 1e-4.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from jsonargparse import ActionConfigFile, ArgumentParser  # type: ignore[attr-defined]
from jsonargparse._actions import _ActionConfigLoad

from yolo.files.atomic import exists
from yolo.files.yaml_file import read_yaml


class BoundedConfigFile(ActionConfigFile):
    """Refuses pipes, devices, and files that are too large or whose aliases stand for too much."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        """Read a file; or, as jsonargparse also allows, the options themselves as text."""
        if exists(values):
            found = read_yaml(values)
            for name, value in found.items() if isinstance(found, dict) else ():
                if isinstance(value, str):
                    check_group_file(parser, f"--{name}", str(Path(values).parent / value))
        super().__call__(parser, cfg, values, option_string)


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
