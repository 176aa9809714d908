"""Darknet's lists of class names, one per line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from yolo.errors import ConfigError
from yolo.files.atomic import exists, write_text
from yolo.files.bounded import MIB, read_text
from yolo.files.quoted import quoted
from yolo.files.shipped import shipped_file

LARGEST_FILE = MIB
"""Bytes of a list of names, at most."""
USUAL = {20: "voc.names", 80: "coco.names"}
"""Shipped lists by length: those of the published detectors."""


def read_names(path: str | Path, count: int | None = None) -> list[str]:
    """Read the names of a file in their order; blank lines are skipped.

    Args:
        path: file to read.
        count: required number of names; None: any.

    Raises:
        ConfigError: the file is missing, cannot be read, holds a name twice, or another number of names.
    """
    if not exists(path):
        raise ConfigError(f"{path}: no such file")
    text = read_text(path, limit=LARGEST_FILE, what="a list of names")
    if "\0" in text:
        raise ConfigError(f"{path}: not a list of names, one a line")
    places: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        name = line.strip()
        if name in places:
            raise ConfigError(f"{path}:{number}: {quoted(name)} stands in line {places[name]} already")
        if name:
            places[name] = number
    if not places:
        raise ConfigError(f"{path}: no names; expected one a line")
    if count not in (None, len(places)):
        raise ConfigError(f"{path}: {len(places)} names; the network has {count} classes")
    return list(places)


def usual_names(count: int) -> list[str] | None:
    """VOC's 20 or COCO's 80 names in Darknet's order; None for other numbers."""
    path = shipped_file("data", USUAL[count]) if count in USUAL else None
    return read_names(path) if path else None


def write_names(path: str | Path, names: Sequence[str]) -> None:
    """Write one name per line.

    Raises:
        ConfigError: the file cannot be written, or a name would be read differently: it has a line break or blanks
            around it.
    """
    for name in names:
        if name != name.strip() or not name or len(name.split("\n")) > 1:
            raise ConfigError(f"{path}: class {quoted(name)} cannot be a line of its own; rename it")
    write_text(path, "".join(f"{name}\n" for name in names))
