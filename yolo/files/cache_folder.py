"""The folder in which downloads and decoded images are kept from run to run."""

from __future__ import annotations

import os
from pathlib import Path

from yolo.errors import WeightsError


def cache_folder() -> Path:
    """``$YOLO_CACHE``, else ``$XDG_CACHE_HOME/yolov3-keras``, else ``~/.cache/yolov3-keras``.

    Raises:
        WeightsError: none is set and there is no home.
    """
    try:
        own = os.environ.get("YOLO_CACHE")
        if own:
            return Path(own).expanduser()
        shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
        # Relative ones are to be ignored, says the XDG specification.
        return (shared if shared.is_absolute() else Path.home() / ".cache") / "yolov3-keras"
    except RuntimeError as error:
        raise WeightsError(f"no cache folder: {error} Set YOLO_CACHE to a folder") from error
