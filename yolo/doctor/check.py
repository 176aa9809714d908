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
    whole: bool = True,
) -> Report:
    """Check a dataset.

    Args:
        parts: its splits.
        scans: what `scan_parts` has found about their images.
        size: canvas that it is to be trained at, (height, width).
        format_name: name of its format.
        faults: findings from loading it.
        whole: whether the parts are all of it, so that no other image belongs in its folders.
    """
    names = {name for part in parts.values() for name in part.classes}
    findings = [
        *faults,
        *(each for each in reading_findings(parts) if each.name != "header_unread"),  # the scan names them itself
        *picture_findings(parts, scans),
        *twin_findings(parts, scans),
        *box_findings(parts, size),
        *class_findings(parts),
        *empty_findings(parts),
        *(unlisted_findings(parts) if whole else []),
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
    """Findings with those of one kind joined, such as images that the reader and the scan could not read.

    Faults of a file that is in two splits are told once.
    """
    joined: dict[tuple[str, str], list[Finding]] = {}
    for each in findings:
        joined.setdefault((each.name, each.kind.title), []).append(each)
    result = []
    for first, *others in joined.values():
        spots = [spot for each in (first, *others) for spot in each.spots]
        by_file = not first.name.startswith("class_")
        once = list({spot._replace(split=None) if by_file else spot: spot for spot in reversed(spots)}.values())[::-1]
        count = sum(each.count for each in (first, *others)) - (len(spots) - len(once))
        result.append(replace(first, spots=once, count=count))
    return result


def cheap_findings(parts: Parts, *, size: Size = CANVAS) -> list[Finding]:
    """Errors and warnings that the annotations alone show, without those that loading and training report anyway."""
    found = [*twin_findings(parts, {}), *box_findings(parts, size), *class_findings(parts), *empty_findings(parts)]
    return [each for each in found if each.kind.severity in SEVERITIES[:2] and each.name != "same_in_splits"]
