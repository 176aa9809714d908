"""The files that ship with the package: `anchors/` and `data/`."""

from __future__ import annotations

from pathlib import Path

from yolo.files import is_file

PACKAGE = Path(__file__).parent


def shipped_folder(name: str) -> Path:
    """The folder ``anchors`` or ``data``: inside an installed package, at the top of a checkout."""
    installed = PACKAGE / "shipped" / name
    return installed if installed.is_dir() else PACKAGE.parent / name


def shipped_file(folder: str, name: str) -> Path | None:
    """A file of one of these folders, or None."""
    path = shipped_folder(folder) / name
    return path if is_file(path) else None
