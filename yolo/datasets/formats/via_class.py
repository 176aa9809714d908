"""Class of a region of VIA: which attribute holds it, and how its value is written."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from yolo.datasets.annotations.record_files import Reading, class_name
from yolo.datasets.annotations.records import Record
from yolo.datasets.annotations.repair import ONLY_CLASS
from yolo.datasets.annotations.shapes import Corners

logger = logging.getLogger(__name__)

NAMES = ("class", "label", "name", "category", "type", "object", "object_type", "classname", "class_name")
"""Usual names of the attribute that holds the class, in lower case, likeliest first."""
CLASS_NAME = "object"
"""Class of all regions where no attribute names any."""


def class_attribute(used: Counter[str], declared: Sequence[str] = ()) -> str | None:
    """Name of the attribute that holds the class.

    It is one with a usual name, else the only one; of several others the one that most regions have, a declared one
    first, which is said. None: no region has any.
    """
    usual = [name for wanted in NAMES for name in used if name.strip().lower() == wanted]
    if usual or not used:
        return next(iter(usual), None)
    most = max(used.values())
    chosen = next(name for name in [*declared, *used] if used[name] == most)
    if len(used) > 1:
        logger.warning("classes taken from the attribute %r, not from %s", chosen, sorted(set(used) - {chosen}))
    return chosen


def class_of(value: Any) -> str:
    """Class in an attribute's value: a text, or the options that are set (``{"cat": true}``); empty if there is none.

    With several options set, they are one name together, as in ``cat,striped``.
    """
    if isinstance(value, dict):
        return ",".join(str(name).strip() for name, chosen in value.items() if chosen is True or chosen == "true")
    return class_name(value)


def add_region(
    reading: Reading, record: Record, name: str | None, corners: Corners, place: str, *, outlined: bool
) -> None:
    """Add a region to a record; ``name`` None: no region of the file has a class, and all are of one."""
    if name is None:
        reading.count(ONLY_CLASS, record, place)
    reading.add(record, CLASS_NAME if name is None else name, corners, place, outlined=outlined)
