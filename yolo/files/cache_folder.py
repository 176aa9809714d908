"""Folder that caches downloads and decoded images between runs."""

from __future__ import annotations

import os
from pathlib import Path

from yolo.errors import WeightsError


def cache_folder() -> Path:
    """Return ``$YOLO_CACHE``, else ``$XDG_CACHE_HOME/yolov3-keras``, else ``~/.cache/yolov3-keras``.

    Raises:
        WeightsError: neither variable is set and there is no home folder.
    """
    try:
        own = os.environ.get("YOLO_CACHE")
        if own:
            return Path(own).expanduser()
        shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
        # The XDG specification says to ignore relative paths.
        return (shared if shared.is_absolute() else Path.home() / ".cache") / "yolov3-keras"
    except RuntimeError as error:
        raise WeightsError(f"no cache folder: {error} Set YOLO_CACHE to a folder") from error
