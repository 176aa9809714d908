"""Checks of classes: names that mean the same, classes that a split lacks, and how the boxes are spread over them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from yolo.class_names import alike
from yolo.datasets.annotations.splits import VALIDATION
from yolo.doctor.findings import Finding, Parts, Spot, finding
from yolo.structs import Dataset, counted

RARE = 0.01
"""Fraction of the most frequent class' boxes below which a class is rare."""


def class_findings(parts: Parts) -> list[Finding]:
    """Findings about the classes of all parts."""
    counts = {split: box_numbers(part) for split, part in parts.items()}
    total: Counter[str] = Counter()
    for each in counts.values():
        total.update(each)
    names = list(dict.fromkeys(name for part in parts.values() for name in part.classes))
    # Spellings of one class are told once: none of them is rare or missing somewhere on its own.
    first = {name: group[0] for group in spelled_alike(names) for name in group}
    whole = [name for name in names if first.get(name, name) == name]
    return [
        *name_findings(names, total),
        *split_findings({split: joined(each, first) for split, each in counts.items()}, whole),
        *finding("class_unused", [Spot(name) for name in whole if not joined(total, first)[name]]),
        *finding("class_rare", rare_classes(whole, joined(total, first))),
        *finding("ignored", [spot for split, part in parts.items() for spot in ignored(part, split)]),
    ]


def box_numbers(part: Dataset) -> Counter[str]:
    """Number of boxes of each class that has any, without crowds and difficult objects."""
    numbers = np.bincount(part.labels[~part.ignore], minlength=len(part.classes)).tolist()
    return Counter({name: number for name, number in zip(part.classes, numbers, strict=True) if number})


def joined(numbers: Counter[str], first: Mapping[str, str]) -> Counter[str]:
    """Numbers of boxes with those of all spellings of a class under its first."""
    result: Counter[str] = Counter()
    for name, number in numbers.items():
        result[first.get(name, name)] += number
    return result


def spelled_alike(names: Sequence[str]) -> list[list[str]]:
    """Groups of names that differ by case, blanks, hyphens or underscores alone."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in dict.fromkeys(names):
        groups["".join(name.casefold().replace("_", " ").replace("-", " ").split())].append(name)
    return [group for group in groups.values() if len(group) > 1]


def name_findings(names: Sequence[str], total: Counter[str]) -> list[Finding]:
    """Findings about different names of one class."""

    def described(group: Sequence[str]) -> Spot:
        first, *others = group
        more = (f"{name}: {counted(total[name], 'box')}" for name in others)
        return Spot(first, detail=", ".join([counted(total[first], "box"), *more]))

    spelled = spelled_alike(names)
    others = {name for group in spelled for name in group[1:]}
    synonyms = alike([name for name in names if name not in others])
    return finding("class_spelling", map(described, spelled)) + finding("class_synonym", map(described, synonyms))


def split_findings(counts: dict[str | None, Counter[str]], names: Sequence[str]) -> list[Finding]:
    """Findings about classes that a split lacks."""
    if len(counts) < 2:
        return []
    untrained = []
    unmeasured = []
    if "train" in counts:
        others = {name for split, each in counts.items() if split != "train" for name in each}
        untrained = [Spot(name, split="train") for name in names if name in others and not counts["train"][name]]
    for split, each in counts.items():
        if split in VALIDATION and each:
            trained = counts.get("train", Counter())
            unmeasured += [Spot(name, split=split) for name in names if trained[name] and not each[name]]
    return finding("class_not_trained", untrained) + finding("class_not_measured", unmeasured)


def rare_classes(names: Sequence[str], total: Counter[str]) -> list[Spot]:
    most = max(total.values(), default=0)
    few = [name for name in names if 0 < total[name] < RARE * most]
    return [Spot(name, detail=counted(total[name], "box")) for name in few]


def ignored(part: Dataset, split: str | None) -> list[Spot]:
    """Images with crowds or difficult objects."""
    numbers = np.bincount(part.box_pictures[part.ignore], minlength=len(part))
    return [Spot(str(part.path(index)), "", split, str(numbers[index])) for index in np.flatnonzero(numbers).tolist()]
