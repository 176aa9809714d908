"""Names of splits, which of them mean the same, and which split a file's name speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

SPLITS = ("train", "val", "valid", "validation", "test")
"""Usual names of splits; others, such as trainval of VOC, repeat the same images."""
VALIDATION = ("val", "valid", "validation", "dev")
"""Names of the validation split, which are interchangeable."""
SYNONYMS = (("train", "training"), VALIDATION, ("test", "testing"))
"""Names that mean the same split, in lower case."""
WORDS = {name: name for name in SPLITS}
WORDS |= {"training": "train", "testing": "test", "evaluation": "val", "eval": "val"}
"""Words in the names of files that say which split they hold."""


def find_split(name: str, splits: Sequence[str]) -> str | None:
    """The dataset's own name of a split: itself, one that means the same, in any case; None: none, or several."""
    if name in splits:
        return name
    own = {each.lower(): each for each in reversed(splits)}
    same = next((own[each] for each in synonyms(name.lower()) if each in own), None)
    dated = [each for each in splits if usual_split(each) in synonyms(name.lower())]  # val2017 for val
    return same or (dated[0] if len(dated) == 1 else None)


def synonyms(name: str) -> tuple[str, ...]:
    """A split's name and those that mean the same, itself first."""
    group = next((group for group in SYNONYMS if name in group), ())
    return tuple(dict.fromkeys((name, *group)))


def usual_split(name: str) -> str | None:
    """The first of `SYNONYMS` that a name such as ``Training`` or ``val2017`` means; None: it names no split."""
    plain = without_year(name.lower()).rstrip("_-")
    return next((group[0] for group in SYNONYMS if plain in group), None)


def without_year(split: str) -> str:
    """Name of a split such as train2017 without the digits at its end."""
    return split.rstrip("0123456789")


def split_in_name(stem: str) -> str | None:
    """The one split that a name speaks of, as in ``via_train`` or ``instances_val2017``; None: none, or several."""
    words = {WORDS[word] for word in re.split(r"[^a-z]+", stem.lower()) if word in WORDS}
    return words.pop() if len(words) == 1 else None


def split_files(files: Iterable[Path], base: Path, *, per_picture: bool = False) -> dict[str, list[Path]]:
    """Annotation files by the split in their name, or in that of a folder between them and ``base``.

    Those that name no split come under ``""``.

    Args:
        files: annotation files.
        base: folder of the dataset.
        per_picture: whether there is a file an image, whose own name is not meant as that of a split.
    """
    parts: dict[str, list[Path]] = {}
    for file in files:
        folders = file.relative_to(base).parts[-2::-1] if file.is_relative_to(base) else ()
        named = map(split_in_name, folders if per_picture else (file.stem, *folders))
        parts.setdefault(next(filter(None, named), ""), []).append(file)
    return {split: parts[split] for split in (*SPLITS, "") if split in parts}
