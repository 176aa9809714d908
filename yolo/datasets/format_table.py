"""Table of all annotation formats: every module of `yolo.datasets.formats` with a ``FORMAT``, and TFRecord."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import yolo.datasets.formats
from yolo.datasets.annotations.source import Format
from yolo.datasets.tfrecord.recognise import FORMAT as TFRECORD


@cache
def formats() -> tuple[Format, ...]:
    """All formats in the order in which they are tried."""
    names = sorted(module.name for module in iter_modules(yolo.datasets.formats.__path__))
    modules = [import_module(f"yolo.datasets.formats.{name}") for name in names]
    found = [module.FORMAT for module in modules if hasattr(module, "FORMAT")]
    return tuple(sorted([*found, TFRECORD], key=lambda each: each.rank))
