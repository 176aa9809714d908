"""Pictures of a report: the worst and the best, with all boxes that the slider of the score threshold can show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.analysis.analysis import Analysis
from yolo.analysis.picture_counts import best_pictures, worst_pictures
from yolo.report.svg import number
from yolo.report.thumbnails import thumbnail

WORST, BEST = 12, 8
"""Most pictures of each kind."""
STEPS = 100
"""Steps of the slider: thresholds are whole hundredths."""
UNITS = 10_000
"""Scores are whole numbers of these, rounded down, so that comparing them with a threshold is exact."""
LOWEST = 0.05
"""Lowest threshold of the slider, unless a lower one is best."""
MOST_BOXES = 150
"""Most detections of a picture that the page holds."""
RIGHT, WRONG, NEITHER = 1, 0, 2
"""Kinds of a detection in the page's data."""


def score_units(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Scores (D,) as whole numbers, rounded down; a hundredth that is a hair below counts as whole."""
    return np.floor(scores * UNITS + 1e-6).astype(np.int64)


def slider_data(analysis: Analysis) -> dict[str, Any]:
    """Data of the slider: counts of the whole dataset at every threshold, and the pictures with their boxes.

    Returns:
        ``{"classes", "least", "start", "true", "right", "wrong", "pictures"}``: thresholds in hundredths; ``right``
        and ``wrong`` are lists over all of them. Of a picture: its group, names, size, ``true`` boxes as
        [x, y, w, h, class, ignored] and ``found`` ones as [x, y, w, h, class, score, kind, true box].
    """
    start = min(max(round(analysis.threshold * STEPS), 1), STEPS - 1)
    least = min(start, round(LOWEST * STEPS))
    units, matches = score_units(analysis.matches.scores), analysis.matches
    steps = np.arange(STEPS + 1) * (UNITS // STEPS)
    groups = {
        "worst": worst_pictures(analysis.pictures, WORST),
        "best": best_pictures(analysis.pictures, BEST),
    }
    shown: set[int] = set()
    pictures = []
    for group, indices in groups.items():
        for index in indices.tolist():
            entry = None if index in shown else picture_entry(analysis, index, least=least * UNITS // STEPS)
            if entry is not None:
                shown.add(index)
                pictures.append({"group": group, **entry})
    return {
        "classes": list(analysis.dataset.classes),
        "least": least,
        "start": start,
        "true": int(matches.true_counts.sum()),
        "right": at_least(units[matches.right[0]], steps),
        "wrong": at_least(units[matches.wrong[0]], steps),
        "pictures": pictures,
    }


def at_least(values: NDArray[np.int64], steps: NDArray[np.int64]) -> list[int]:
    """Number of values that reach each step."""
    return (len(values) - np.searchsorted(np.sort(values), steps, side="left")).tolist()


def picture_entry(analysis: Analysis, index: int, *, least: int) -> dict[str, Any] | None:
    """Data of one picture; None if it cannot be read."""
    dataset, matches = analysis.dataset, analysis.matches
    small = thumbnail(dataset, index)
    if small is None:
        return None
    rows = np.flatnonzero((matches.pictures == index) & (score_units(matches.scores) >= least))
    rows = rows[np.argsort(-matches.scores[rows], kind="stable")][:MOST_BOXES]
    first, last = int(dataset.offsets[index]), int(dataset.offsets[index + 1])
    boxes = analysis.detections.boxes[matches.rows[rows]]
    kinds = np.where(matches.ignored[0, rows], NEITHER, np.where(matches.right[0, rows], RIGHT, WRONG))
    true = np.where(kinds == RIGHT, matches.matched[0, rows] - first, -1)
    found = zip(
        sides(boxes),
        matches.labels[rows].tolist(),
        score_units(matches.scores[rows]).tolist(),
        kinds.tolist(),
        true.tolist(),
        strict=True,
    )
    truths = zip(
        sides(dataset.boxes[first:last]),
        dataset.labels[first:last].tolist(),
        matches.true_ignored[first:last].astype(int).tolist(),
        strict=True,
    )
    return {
        "name": short_name(dataset.files[index]),
        "path": str(dataset.files[index]),
        "uri": small.uri,
        "width": small.width,
        "height": small.height,
        "span": [round(side, 1) for side in small.span],
        "true": [[*box, label, ignored] for box, label, ignored in truths],
        "found": [[*box, *rest] for box, *rest in found],
    }


def sides(boxes: NDArray[np.float32]) -> list[list[float]]:
    """Left, top, width and height of boxes (N, 4), to a tenth of a pixel."""
    values = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).astype(np.float64).round(1)
    return [[side if side != int(side) else int(side) for side in row] for row in values.tolist()]


def short_name(path: str, most: int = 40) -> str:
    """Name of a file without its folders, its middle left out if it is long."""
    name = str(path).replace("\\", "/").rpartition("/")[2]
    return name if len(name) <= most else f"{name[: most - 15]}…{name[-14:]}"


def case_picture(analysis: Analysis, case: Any, *, side: int) -> dict[str, Any] | None:
    """Picture of an error: its surroundings with the true box and the detection; None if it cannot be read."""
    dataset, found = analysis.dataset, analysis.detections
    marks: list[tuple[str, NDArray[np.float64], str]] = []
    if case.true is not None:
        marks.append(("true", dataset.boxes[case.true].astype(np.float64), dataset.classes[dataset.labels[case.true]]))
    if case.row is not None:
        name = f"{dataset.classes[found.labels[case.row]]} {found.scores[case.row]:.2f}"
        marks.append(("wrong", found.boxes[case.row].astype(np.float64), name))
    if not marks:
        return None
    boxes = np.stack([box for _, box, _ in marks])
    around = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
    small = thumbnail(dataset, case.picture, side=side, around=around)
    if small is None:
        return None
    scale = small.width / max(small.span[0], 1e-9)
    shift = np.array([small.left, small.top])
    drawn = [
        {
            "kind": kind,
            "x": number(float((box[0] - shift[0]) * scale)),
            "y": number(float((box[1] - shift[1]) * scale)),
            "width": number(float((box[2] - box[0]) * scale)),
            "height": number(float((box[3] - box[1]) * scale)),
        }
        for kind, box, _ in marks
    ]
    texts = {kind: text for kind, _, text in marks}
    return {
        "uri": small.uri,
        "width": small.width,
        "height": small.height,
        "boxes": drawn,
        "true": texts.get("true"),
        "found": texts.get("wrong"),
        "name": short_name(dataset.files[case.picture]),
    }


def first_that_can_be_read(analysis: Analysis, cases: Sequence[Any], *, most: int, side: int) -> list[dict[str, Any]]:
    """Pictures of the first cases."""
    found = (case_picture(analysis, case, side=side) for case in cases[: 2 * most])
    return [each for each in found if each is not None][:most]


def finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
