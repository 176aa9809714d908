"""Corrections of a dataset that need no judgement, as new datasets with a list of the changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from yolo.doctor.boxes import same_places
from yolo.doctor.classes import box_numbers, spelled_alike
from yolo.doctor.findings import Parts, box_spot
from yolo.doctor.reading import left_out_findings, repair_findings
from yolo.doctor.scan import Scan
from yolo.doctor.twins import exact_twins
from yolo.structs import Dataset

COLUMNS = ("file", "kind", "change")
"""Header of the list of changes."""


class Change(NamedTuple):
    """One change of a corrected copy."""

    file: str
    """Image or annotation file of the original, with its place; a class name for classes."""
    kind: str
    """Key of `KINDS`."""
    change: str
    """Description of what was done."""


def corrected(parts: Parts, scans: Mapping[str | None, Scan]) -> tuple[dict[str | None, Dataset], list[Change]]:
    """Correct a dataset without touching it.

    Boxes are those that the readers have repaired; boxes drawn twice are there once; unreadable images and exact twins
    are left out, in two splits that of train; class names that differ by case or blanks are joined.

    Args:
        parts: splits of the dataset.
        scans: what a scan of their images found.

    Returns:
        The corrected splits, and all changes.
    """
    changes = reading_changes(parts)
    left_out: dict[str | None, set[int]] = {split: set() for split in parts}
    for split in parts:
        for index, reason in scans[split].faults.items():
            left_out[split].add(index)
            path = str(parts[split].path(index))
            changes.append(Change(path, "unreadable", f"picture left out ({reason.removeprefix(f'{path}: ')})"))
    for other, kept in exact_twins(parts, scans):
        if other.index in left_out[other.split]:
            continue
        left_out[other.split].add(other.index)
        kind = "duplicate" if other.split == kept.split else "same_in_splits"
        same = parts[kept.split].path(kept.index)
        changes.append(Change(str(parts[other.split].path(other.index)), kind, f"picture left out: {same} is the same"))
    names, joined = join_names(parts)
    changes += joined
    result = {}
    for split, part in parts.items():
        chosen = part.subset([index for index in range(len(part)) if index not in left_out[split]])
        result[split], dropped = without_doubled(renamed(chosen, names), split)
        changes += dropped
    return result, changes


def reading_changes(parts: Parts) -> list[Change]:
    """Changes that the readers have made."""
    repaired = [(each, each.kind.title.rpartition(", ")[2]) for each in repair_findings(parts)]
    left = [(each, "left out") for each in left_out_findings(parts)]
    changes = []
    for found, done in [*repaired, *left]:
        changes += [Change(str(spot), found.name, done) for spot in found.spots]
        if found.count > len(found.spots):
            changes.append(Change("", found.name, f"{done}: {found.count - len(found.spots)} more"))
    return changes


def join_names(parts: Parts) -> tuple[dict[str, str], list[Change]]:
    """New names of classes whose names differ by case or blanks alone: that of the most boxes."""
    total: Counter[str] = Counter()
    for part in parts.values():
        total.update(box_numbers(part))
    new: dict[str, str] = {}
    for group in spelled_alike([name for part in parts.values() for name in part.classes]):
        most = max(group, key=lambda name: total[name])
        new |= {name: most for name in group if name != most}
    return new, [Change(old, "class_spelling", f"class joined with {name}") for old, name in new.items()]


def renamed(part: Dataset, names: Mapping[str, str]) -> Dataset:
    """Give classes new names; those of one name become one, with the id of the first. Nothing is repaired any more."""
    wanted = [names.get(name, name) for name in part.classes]
    classes = tuple(dict.fromkeys(wanted))
    table = np.array([classes.index(name) for name in wanted], np.int32)
    return replace(
        part,
        classes=classes,
        category_ids=tuple(part.category_ids[wanted.index(name)] for name in classes),
        labels=table[part.labels],
        repairs={},
        repair_places={},
        left_out={},
    )


def without_doubled(part: Dataset, split: str | None) -> tuple[Dataset, list[Change]]:
    """Leave out boxes that are drawn twice, with the changes."""
    doubled = same_places(part)[0].later
    keep = np.ones(len(part.boxes), bool)
    keep[doubled] = False
    counts = np.bincount(part.box_pictures[keep], minlength=len(part))
    changes = [Change(str(box_spot(part, row, split)), "box_doubled", "box left out") for row in doubled.tolist()]
    return (
        replace(
            part,
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            boxes=part.boxes[keep],
            labels=part.labels[keep],
            ignore=part.ignore[keep],
            areas=part.areas[keep],
        ),
        changes,
    )
