"""``--config FILE``: looked at with the bounds of every YAML file of the user's before jsonargparse reads it."""

from __future__ import annotations

from typing import Any

from jsonargparse import ActionConfigFile  # type: ignore[attr-defined]

from yolo.files.atomic import exists
from yolo.files.yaml_file import read_yaml


class BoundedConfigFile(ActionConfigFile):
    """Refuses pipes, devices, and files that are too large or whose aliases stand for too much.

    jsonargparse reads the file once more, as it has its own way with numbers such as 1e-4.
    """

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        """Read a file; or, as jsonargparse also allows, the options themselves as text."""
        if exists(values):
            read_yaml(values)
        super().__call__(parser, cfg, values, option_string)
