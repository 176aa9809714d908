"""Text of a report: totals, findings with examples and remedy, counts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from yolo.doctor.findings import EXAMPLES, Finding, Report
from yolo.doctor.kinds import SEVERITIES
from yolo.structs import counted


def to_text(report: Report, name: str) -> str:
    """Format a report: a line of totals, the findings, worst first, and a line of counts.

    Args:
        report: the report.
        name: path of the dataset as given, which the names of files are shortened by.
    """
    lines = [line for each in report.findings for line in to_lines(each)]
    inside = re.compile(rf"(?<![^\s:]){re.escape(name.rstrip('/'))}/")  # whole names only: `s` is not in `images/a.jpg`
    return "\n".join([totals(report, name), *(inside.sub("", line) for line in lines), counts(report)])


def totals(report: Report, name: str) -> str:
    pairs = ((report.pictures, "picture"), (report.boxes, "box"), (report.classes, "class"))
    splits = ", ".join(f"{split} {number}" for split, number in report.splits.items())
    parts = [*(counted(number, noun) for number, noun in pairs), f"splits: {splits}" if splits else "no splits"]
    return f"{name}: {', '.join(parts)}{f'; {report.format}' if report.format else ''}"


def to_lines(found: Finding) -> Iterator[str]:
    """Lines of a finding: severity, number and title; examples; remedy."""
    yield ""
    yield f"{found.kind.severity}: {found.kind.title}: {found.count}"
    shown = found.spots[:EXAMPLES]
    yield from (f"  {each}" for each in shown)
    if found.count > len(shown):
        yield f"  and {found.count - len(shown)} more"
    yield f"  -> {found.kind.remedy}"


def counts(report: Report) -> str:
    if not report.findings:
        return "nothing found"
    return "\n" + ", ".join(counted(report.count(severity), severity) for severity in SEVERITIES)
