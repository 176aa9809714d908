"""File helpers: atomic writes, exists/is_file that never raise, strict JSON."""

from __future__ import annotations

import json
import math
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from yolo.errors import ConfigError, YoloError

TEMPORARY = re.compile(r"\.\d+-[0-9a-f]+(\.[^.]*)?")
"""Names of `write_whole`'s temporary files."""


def write_whole(
    path: str | Path, write: Callable[[Path], Any], *, error: type[YoloError] = ConfigError, durable: bool = False
) -> None:
    """Write a file atomically: call ``write`` on a temporary file beside ``path``, then rename it.

    A reader never sees half a file, and a full disk leaves the old one untouched.

    Args:
        path: file to write.
        write: writes the content to the path it is given.
        error: class of the error to raise.
        durable: flush to the disk before renaming, so that a power failure does not leave half a file either.

    Raises:
        YoloError: of the class ``error``: the file cannot be written.
    """
    target = Path(path)
    # Short: it must not exceed the file system's limit where the final name does not.
    temporary = target.with_name(f".{os.getpid()}-{threading.get_ident():x}{target.suffix}")
    try:
        write(temporary)
        if durable:
            _flush(temporary)
        temporary.replace(target)
        if durable:
            _flush(target.parent)
    except (OSError, UnicodeEncodeError) as fault:
        raise error(f"{target}: cannot be written ({getattr(fault, 'strerror', None) or fault})") from fault
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_abandoned(folder: Path, *, older_than: float = 0.0) -> None:
    """Delete the temporary files that `write_whole` left in a folder when its process was killed.

    Args:
        folder: may be missing; without ``older_than`` no other process may be writing in it.
        older_than: age in seconds; younger files are kept, as another process may be writing them.
    """
    latest = time.time() - older_than
    with suppress(OSError):
        for path in folder.iterdir():
            if TEMPORARY.fullmatch(path.name):
                with suppress(OSError):
                    if path.stat().st_mtime <= latest or not older_than:
                        path.unlink()


def _flush(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def exists(path: str | Path) -> bool:
    """Whether a file or folder exists; False for impossible names, at which Path's methods raise."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: str | Path) -> bool:
    """Whether a regular file exists; False for impossible names."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | Path) -> bool:
    """Whether a folder exists; False for impossible names."""
    return os.path.isdir(path)  # noqa: PTH112


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all.

    Raises:
        ConfigError: it cannot be written.
    """
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Format as strict JSON: NaN and infinities become null."""
    return json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
