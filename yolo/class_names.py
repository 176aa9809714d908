"""Class names compared by meaning: spellings and well-known synonyms of one class are equal."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

SYNONYMS = {
    "aeroplane": "airplane",
    "motorbike": "motorcycle",
    "sofa": "couch",
    "tvmonitor": "tv",
    "television": "tv",
    "bike": "bicycle",
    "doughnut": "donut",
    "hairdryer": "hairdrier",
    "cellularphone": "cellphone",
    "mobilephone": "cellphone",
}
"""COCO's names of the classes of VOC and other public datasets, as `meaning` spells them."""


def meaning(name: str) -> str:
    """Normalize a class name, so that spellings (case, blanks, ``_``, ``-``) and synonyms of one class are equal."""
    plain = re.sub(r"[\s_-]+", "", name.casefold())
    return SYNONYMS.get(plain, plain)


def match_names(names: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Find the known name of each name: the same, else the one of equal meaning; names without one are left out.

    A known name is given at most once by its meaning, and never if it is itself among the names.
    """
    same = {name: name for name in names if name in known}
    free = {meaning(name): name for name in reversed(known) if name not in same}
    found = dict(same)
    for name in names:
        if name not in same and meaning(name) in free:
            found[name] = free.pop(meaning(name))
    return found


def alike(names: Sequence[str]) -> list[list[str]]:
    """Groups of different names with one meaning, such as ``cat`` and ``Cat``."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in dict.fromkeys(names):
        groups[meaning(name)].append(name)
    return [group for group in groups.values() if len(group) > 1]
