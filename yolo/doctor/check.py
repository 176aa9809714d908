"""Check of a dataset, all of its splits together: `check` looks at everything, `cheap_findings` at the annotations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from yolo.doctor.boxes import box_findings
from yolo.doctor.classes import class_findings
from yolo.doctor.findings import Finding, Parts, Report
from yolo.doctor.kinds import SEVERITIES
from yolo.doctor.pictures import empty_findings, picture_findings, unlisted_findings
from yolo.doctor.reading import reading_findings
from yolo.doctor.scan import Scan, scan
from yolo.doctor.twins import twin_findings
from yolo.structs import Size

CANVAS = (416, 416)
"""Canvas on which boxes are called tiny, (height, width)."""


def scan_parts(
    parts: Parts,
    *,
    quick: bool = False,
    workers: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str | None, Scan]:
    """Scan the images of all parts; arguments as in `scan`, progress with the total too."""
    total, before = sum(map(len, parts.values())), 0
    scans: dict[str | None, Scan] = {}

    def told(done: int) -> None:
        progress(before + done, total)

    for split, part in parts.items():
        scans[split] = scan(part, quick=quick, workers=workers, progress=told)
        before += len(part)
    return scans


def check(
    parts: Parts,
    scans: Mapping[str | None, Scan],
    *,
    size: Size = CANVAS,
    format_name: str = "",
    faults: Sequence[Finding] = (),
) -> Report:
    """Check a dataset.

    Args:
        parts: its splits.
        scans: what `scan_parts` has found about their images.
        size: canvas that it is to be trained at, (height, width).
        format_name: name of its format.
        faults: findings from loading it.
    """
    names = {name for part in parts.values() for name in part.classes}
    findings = [
        *faults,
        *reading_findings(parts),
        *picture_findings(parts, scans),
        *twin_findings(parts, scans),
        *box_findings(parts, size),
        *class_findings(parts),
        *empty_findings(parts),
        *unlisted_findings(parts),
    ]
    return Report(
        pictures=sum(map(len, parts.values())),
        boxes=sum(len(part.boxes) for part in parts.values()),
        classes=len(names),
        splits={split: len(part) for split, part in parts.items() if split is not None},
        format=format_name,
        findings=merged(findings),
    )


def merged(findings: list[Finding]) -> list[Finding]:
    """Findings with those of one kind joined, such as images that the reader and the scan could not read."""
    joined: dict[tuple[str, str], Finding] = {}
    for each in findings:
        key = (each.name, each.kind.title)
        first = joined.get(key)
        joined[key] = (
            each if first is None else replace(first, spots=[*first.spots, *each.spots], count=first.count + each.count)
        )
    return list(joined.values())


def cheap_findings(parts: Parts, *, size: Size = CANVAS) -> list[Finding]:
    """Errors and warnings that the annotations alone show, without those that loading and training report anyway."""
    found = [*twin_findings(parts, {}), *box_findings(parts, size), *class_findings(parts), *empty_findings(parts)]
    return [each for each in found if each.kind.severity in SEVERITIES[:2] and each.name != "same_in_splits"]
