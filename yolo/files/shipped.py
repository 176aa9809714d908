"""The files that ship with the package: `anchors/` and `data/`, and the options in `presets/` and `spaces/`."""

from __future__ import annotations

from pathlib import Path

from yolo.errors import ConfigError
from yolo.files.atomic import is_file

PACKAGE = Path(__file__).parents[1]


def shipped_folder(name: str) -> Path:
    """The folder ``anchors`` or ``data``: inside an installed package, at the top of a checkout."""
    installed = PACKAGE / "shipped" / name
    return installed if installed.is_dir() else PACKAGE.parent / name


def shipped_file(folder: str, name: str) -> Path | None:
    """A file of one of these folders, or None."""
    path = shipped_folder(folder) / name
    return path if is_file(path) else None


def presets() -> list[str]:
    """The names of the packaged sets of training options."""
    return sorted(path.stem for path in (PACKAGE / "presets").glob("*.yaml"))


def preset_path(name: str) -> Path:
    """The YAML file of a preset.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in presets():
        raise ConfigError(f"preset must be one of {', '.join(presets())}, got {name}")
    return PACKAGE / "presets" / f"{name}.yaml"


def default_space_path() -> Path:
    """The YAML file of what `yolov3 tune` searches when nothing else is said."""
    return PACKAGE / "spaces" / "default.yaml"
