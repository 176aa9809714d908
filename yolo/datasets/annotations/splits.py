"""Names of splits, and which of them mean the same."""

from __future__ import annotations

from collections.abc import Sequence

SPLITS = ("train", "val", "valid", "validation", "test")
VALIDATION = ("val", "valid", "validation")
"""Names of the validation split, which are interchangeable."""


def find_split(name: str, splits: Sequence[str]) -> str | None:
    """The dataset's own name of a split: val, valid (Roboflow) and validation are interchangeable; None: not found."""
    synonyms = (name, *VALIDATION) if name in VALIDATION else (name,)
    return next((each for each in synonyms if each in splits), None)


def without_year(split: str) -> str:
    """Name of a split such as train2017 without the digits at its end."""
    return split.rstrip("0123456789")
