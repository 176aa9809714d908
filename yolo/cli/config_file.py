"""Option ``--config FILE``: checks the bounds for YAML files before jsonargparse reads the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonargparse import ActionConfigFile  # type: ignore[attr-defined]

from yolo.errors import ConfigError
from yolo.files.atomic import exists
from yolo.files.yaml_file import read_yaml


class BoundedConfigFile(ActionConfigFile):
    """Action that refuses pipes, devices, and files that are too large or expand too much by aliases.

    jsonargparse then reads the file again, as it parses numbers such as 1e-4 differently.
    """

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        """Read a file or, as jsonargparse also allows, options as YAML text."""
        if exists(values):
            refuse_other_than_options(values, read_yaml(values))
        super().__call__(parser, cfg, values, option_string)


def refuse_other_than_options(path: Any, content: object) -> None:
    """Raise a ConfigError unless a YAML file holds names with values; an empty file says nothing."""
    if not isinstance(content, Mapping | None):
        raise ConfigError(f"{path}: not a YAML file of options: expected lines such as `epochs: 50`")
