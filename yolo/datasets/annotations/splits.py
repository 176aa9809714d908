"""Names of splits, and which of them mean the same."""

from __future__ import annotations

import re
from collections.abc import Sequence

SPLITS = ("train", "val", "valid", "validation", "test")
VALIDATION = ("val", "valid", "validation")
"""Names of the validation split, which are interchangeable."""
IN_NAMES = {name: name for name in SPLITS}
IN_NAMES |= {"training": "train", "testing": "test", "evaluation": "val", "eval": "val"}
"""Words in the names of files and folders that say which split they hold."""


def find_split(name: str, splits: Sequence[str]) -> str | None:
    """The dataset's own name of a split: val, valid (Roboflow) and validation are interchangeable; None: not found."""
    synonyms = (name, *VALIDATION) if name in VALIDATION else (name,)
    return next((each for each in synonyms if each in splits), None)


def without_year(split: str) -> str:
    """Name of a split such as train2017 without the digits at its end."""
    return split.rstrip("0123456789")


def split_in(name: str) -> str | None:
    """Split that a word in a file's or folder's name says: train for ``train_labels``; None: no word, or several."""
    words = {IN_NAMES[word] for word in re.split("[^a-z]+", name.lower()) if word in IN_NAMES}
    return words.pop() if len(words) == 1 else None
