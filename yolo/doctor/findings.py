"""Findings: everything of one kind that was found, with the places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from yolo.doctor.kinds import KINDS, SEVERITIES, Kind
from yolo.structs import Dataset

Parts = Mapping[str | None, Dataset]
"""Splits of a dataset by name; one of name None if it is not divided."""

EXAMPLES = 5
"""Largest number of places of a finding that the text names."""


class Spot(NamedTuple):
    """Place of one fault."""

    file: str
    """Image or annotation file; a class name for faults of a class."""
    place: str = ""
    """Place in the file, such as ``object 3``."""
    split: str | None = None
    detail: str = ""
    """Whatever else there is to say, such as the other picture of a pair."""

    def __str__(self) -> str:
        where = f"{self.file}: {self.place}" if self.place else self.file
        split = f" ({self.split})" if self.split else ""
        return f"{where}{split}{': ' if self.detail else ''}{self.detail}"


@dataclass(frozen=True)
class Finding:
    """Everything of one kind that was found."""

    name: str
    """Key of `KINDS`."""
    spots: Sequence[Spot]
    count: int
    """Number of faults; there may be fewer places than faults, as readers keep the first thousand."""
    kind: Kind

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.name,
            "severity": self.kind.severity,
            "message": self.kind.title,
            "remedy": self.kind.remedy,
            "count": self.count,
            "examples": [str(each) for each in self.spots[:EXAMPLES]],
            "places": [each._asdict() for each in self.spots],
        }


def finding(name: str, spots: Iterable[Spot], count: int | None = None) -> list[Finding]:
    """Finding of a kind at these places, in a list; an empty list if there are none."""
    found = list(spots)
    return [Finding(name, found, len(found) if count is None else count, KINDS[name])] if found else []


@dataclass(frozen=True)
class Report:
    """Result of a check."""

    pictures: int
    boxes: int
    classes: int
    splits: dict[str, int]
    """Number of images of each split; empty without splits."""
    format: str
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.findings.sort(key=lambda each: SEVERITIES.index(each.kind.severity))

    def count(self, severity: str) -> int:
        """Number of findings of a severity."""
        return sum(each.kind.severity == severity for each in self.findings)

    def to_dict(self) -> dict[str, Any]:
        return {
            "pictures": self.pictures,
            "boxes": self.boxes,
            "classes": self.classes,
            "splits": list(self.splits),
            "format": self.format,
            **{f"{severity}s": self.count(severity) for severity in SEVERITIES},
            "findings": [each.to_dict() for each in self.findings],
        }


def box_spot(dataset: Dataset, row: int, split: str | None, detail: str = "") -> Spot:
    """Place of box ``row`` of a dataset."""
    picture = int(dataset.offsets.searchsorted(row, side="right")) - 1
    number = row - int(dataset.offsets[picture]) + 1
    name = dataset.classes[dataset.labels[row]]
    return Spot(str(dataset.path(picture)), f"box {number} ({name})", split, detail)
