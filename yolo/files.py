"""Writing files whole or not at all, and strict JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from yolo.errors import ConfigError, YoloError


def write_whole(path: str | Path, write: Callable[[Path], Any], *, error: type[YoloError] = ConfigError) -> None:
    """Call ``write`` on a temporary file beside ``path`` and put it in its place.

    A reader never sees half a file, and a full disk leaves the old one as it was.

    Raises:
        YoloError: of the kind given: the file cannot be written.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        write(temporary)
        temporary.replace(target)
    except OSError as fault:
        raise error(f"{target}: cannot be written ({fault.strerror or fault})") from fault
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8.

    Raises:
        ConfigError: it cannot be written.
    """
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Strict JSON: what is not a number becomes null."""
    return json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
