"""Files that ship with the package: `anchors/` and `data/`, and the options in `presets/` and `spaces/`."""

from __future__ import annotations

from pathlib import Path

from yolo.errors import ConfigError
from yolo.files.atomic import is_file

PACKAGE = Path(__file__).parents[1]


def shipped_folder(name: str) -> Path:
    """Find the folder ``anchors`` or ``data``: inside an installed package, at the top of a checkout."""
    installed = PACKAGE / "shipped" / name
    return installed if installed.is_dir() else PACKAGE.parent / name


def shipped_file(folder: str, name: str) -> Path | None:
    """Find a file in the folder ``anchors`` or ``data``; None if it does not exist."""
    path = shipped_folder(folder) / name
    return path if is_file(path) else None


def presets() -> list[str]:
    """List the names of the presets: packaged sets of training options."""
    return sorted(path.stem for path in (PACKAGE / "presets").glob("*.yaml"))


def preset_path(name: str) -> Path:
    """Find the YAML file of a preset.

    Raises:
        ConfigError: there is no preset of this name.
    """
    if name not in presets():
        raise ConfigError(f"preset must be one of {', '.join(presets())}, got {name}")
    return PACKAGE / "presets" / f"{name}.yaml"


def default_space_path() -> Path:
    """Return the YAML file of the default search space of `yolov3 tune`."""
    return PACKAGE / "spaces" / "default.yaml"
