"""Contact sheet of what `yolov3 data check --json` found: the images at the places of its report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from yolo.datasets.annotations.json_file import read_json
from yolo.datasets.contact_sheets import View, named_views
from yolo.errors import AnnotationError
from yolo.structs import Dataset


class Found(NamedTuple):
    """Place of one finding."""

    kind: str
    file: str
    place: str
    detail: str


def read_findings(path: Path, count: int) -> list[Found]:
    """Read the first places of a report, as many of each kind as of the others, in the report's order.

    Raises:
        AnnotationError: the file is not a report of `yolov3 data check --json`, or names no place.
    """
    content = read_json(path)
    findings = content.get("findings") if isinstance(content, dict) else None
    if not isinstance(findings, list):
        raise AnnotationError(f'{path}: no report of `yolov3 data check --json`: it has no list "findings"')
    by_kind = [list(places_of(each)) for each in findings if isinstance(each, dict)]
    dealt = [found for found in chain.from_iterable(zip_longest(*by_kind)) if found is not None][:count]
    if not dealt:
        raise AnnotationError(f"{path}: it names no place in a picture: there is nothing to show")
    order = {each.get("kind"): number for number, each in enumerate(findings) if isinstance(each, dict)}
    return sorted(dealt, key=lambda found: order.get(found.kind, len(order)))


def places_of(finding: dict[str, Any]) -> Iterator[Found]:
    """Places of one finding, each once; examples that are texts are names of files, and names of classes no places."""
    places = finding.get("places") or finding.get("examples")
    seen = set()
    for each in places if isinstance(places, list) else ():
        entry = each if isinstance(each, dict) else {"file": each}
        file, place, detail = (str(entry.get(key) or "") for key in ("file", "place", "detail"))
        if Path(file).suffix and (file, place) not in seen:
            seen.add((file, place))
            yield Found(str(finding.get("kind")), file, place, detail)


def finding_views(parts: Sequence[Dataset], found: Sequence[Found]) -> Iterator[tuple[Found, View | None]]:
    """View of each place, its box in colour; None if the file is no image of the dataset."""
    views = named_views(parts, [each.file for each in found])
    for each, (_, view) in zip(found, views, strict=True):
        if view is None:
            yield each, None
            continue
        number = re.match(r"(?:box|object) (\d{1,9})\b", each.place)
        caption = f"{each.kind}: {Path(each.file).name}{f', {each.place}' if each.place else ''}"
        row = int(number[1]) - 1 if number else None
        chosen = None if row is None else (lambda labels, row=row: np.arange(len(labels)) == row)
        yield each, view._replace(caption=caption, chosen=chosen)
