"""Findings from reading a dataset: what the readers repaired, and what they left out."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import PurePath

from yolo.doctor.findings import Finding, Parts, Spot, finding
from yolo.doctor.kinds import kind_of_repair
from yolo.images.suffixes import SUFFIXES


def reading_findings(parts: Parts) -> list[Finding]:
    """Findings of the readers of all parts."""
    return repair_findings(parts) + left_out_findings(parts)


def repair_findings(parts: Parts) -> list[Finding]:
    """Findings about boxes and sizes that the readers repaired."""
    counts: dict[str, int] = defaultdict(int)
    spots: dict[str, list[Spot]] = defaultdict(list)
    for split, part in parts.items():
        for title, count in part.repairs.items():
            counts[title] += count
            spots[title] += [spot_of(text, split) for text in part.repair_places.get(title, [])]
    return [
        Finding(name, spots[title], count, kind)
        for title, count in counts.items()
        for name, kind in [kind_of_repair(title)]
    ]


def spot_of(text: str, split: str | None) -> Spot:
    """Place of a repair: ``a.xml: object 3``, ``a.txt:7`` or a file."""
    if ": " in text:
        file, _, place = text.partition(": ")
        return Spot(file, place, split)
    match = re.fullmatch(r"(.+):(\d+)", text)
    return Spot(text, "", split) if match is None else Spot(match[1], f"line {match[2]}", split)


def left_out_findings(parts: Parts) -> list[Finding]:
    """Findings about images, annotation files and entries that the readers left out, each once."""
    spots: dict[str, dict[str, Spot]] = {"unreadable": {}, "left_out": {}}
    for split, part in parts.items():
        for file, reason in part.left_out.items():
            kind = "unreadable" if PurePath(file).suffix.lower() in SUFFIXES else "left_out"
            spots[kind].setdefault(file, Spot(file, "", split, reason.removeprefix(f"{file}: ")))
    return [each for name, found in spots.items() for each in finding(name, found.values())]
