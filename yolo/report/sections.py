"""Sections of a report: from its content to the figures, tables and sentences that the page shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.analysis.analysis import Analysis
from yolo.analysis.curves import Curve
from yolo.analysis.thinning import thinned
from yolo.analysis.thresholds import Threshold, for_precision, for_recall
from yolo.evaluation.metrics import number
from yolo.report.charts import (
    COLOURS,
    Figure,
    Line,
    epochs_chart,
    interval_bar,
    reliability_chart,
    share_bar,
    unit_chart,
)
from yolo.report.content import Content
from yolo.report.pictures import first_that_can_be_read

DASH = "\N{EN DASH}"
MOST_CLASSES = 20
"""Classes of the confusion matrix that have rows of their own."""
MOST_LINES = 60
"""Classes whose curves are drawn."""
SHADES = 9
"""Shades of a cell of the confusion matrix in the style sheet: h1 to h9."""
WANTED = (0.8, 0.9, 0.95)
"""Precisions and recalls whose thresholds are listed."""
CASES = 4
"""Pictures of each kind of error."""
CASE_SIDE = 220
ERROR_NAMES = {
    "class": ("Wrong class", "the box is right, its class is another"),
    "localisation": ("Badly placed", "right class, but the box overlaps too little (IoU 0.1 to 0.5)"),
    "both": ("Class and place", "wrong class and too little overlap"),
    "duplicate": ("Duplicate", "a better detection has the object already"),
    "background": ("Background", "there is no object at all"),
    "missed": ("Missed", "no detection, right or nearly right, of the object"),
}
"""Title and explanation of each kind of error (Bolya et al. 2020, section 2.2)."""
LOSSES = {"loss": "total", "box_loss": "box", "objectness_loss": "objectness", "class_loss": "class"}


def dash(value: Any, form: str = "{:.3f}") -> str:
    """Format a number; a dash stands for an undefined one."""
    return DASH if value is None or not math.isfinite(value) else form.format(value)


def interval_text(interval: Sequence[float] | None) -> str:
    """Range with a dash between its ends; empty without one."""
    if interval is None or not all(value is not None and math.isfinite(value) for value in interval):
        return ""
    return f"{interval[0]:.3f}{DASH}{interval[1]:.3f}"


def intervals_of(content: Content) -> Mapping[str, Any]:
    """Intervals of the metrics object; empty without any."""
    found = content.metrics.get("intervals")
    return found if isinstance(found, dict) else {}


def point_of(curve: Curve, threshold: float) -> dict[str, float]:
    """Precision, recall, F1 and counts at a score threshold."""
    number = int(np.count_nonzero(curve.thresholds >= threshold)) if math.isfinite(threshold) else 0
    right, wrong = (int(curve.right[number - 1]), int(curve.wrong[number - 1])) if number else (0, 0)
    true = curve.true_count
    return {
        "threshold": threshold,
        "right": right,
        "wrong": wrong,
        "missed": true - right,
        "precision": right / (right + wrong) if right + wrong else math.nan,
        "recall": right / true if true else math.nan,
        "f1": 2 * right / (right + wrong + true) if right + wrong + true else math.nan,
    }


def summary(content: Content) -> dict[str, Any]:
    """Verdict in one sentence, and the figures beside it."""
    coco, intervals = content.metrics["coco"], intervals_of(content)
    tiles = [
        {"name": name, "value": dash(coco.get(key)), "range": interval_text(intervals.get(key)), "hint": hint}
        for key, name, hint in (
            ("AP50", "AP50", "mean average precision at IoU 0.5"),
            ("AP", "AP", "mean over IoU 0.5 to 0.95"),
        )
    ]
    pictures = content.metrics.get("images", 0)
    boxes = sum(row.get("instances", 0) for row in content.metrics.get("classes", {}).values())
    tiles.append({"name": "Pictures", "value": f"{pictures:,}", "range": f"{boxes:,} objects", "hint": ""})
    analysis = content.analysis
    if analysis is not None:
        point = point_of(analysis.joint, analysis.threshold)
        text = f"precision {dash(point['precision'], '{:.2f}')} · recall {dash(point['recall'], '{:.2f}')}"
        hint = "score threshold with the best F1"
        tiles.append({"name": "Run at", "value": f"{analysis.threshold:.2f}", "range": text, "hint": hint})
    return {"tiles": tiles, "verdict": verdict(content), "level": intervals.get("level")}


def verdict(content: Content) -> str:
    """Say in a sentence or two how good the detector is, and at which threshold it is to be run."""
    coco, analysis = content.metrics["coco"], content.analysis
    if coco.get("AP50") is None or not math.isfinite(coco["AP50"]):
        return "The pictures hold no object to find, so that no metric is defined."
    if analysis is None:
        return f"AP50 is {coco['AP50']:.3f}."
    point = point_of(analysis.joint, analysis.threshold)
    if not point["right"]:
        return "Nothing that it finds is right: train longer, or check the classes and the boxes of the data."
    found = f"finds {point['recall']:.0%} of the objects, and {point['precision']:.0%} of its detections are right"
    weak = weakest(content)
    return f"At a score threshold of {analysis.threshold:.2f} it {found}.{weak}"


def weakest(content: Content) -> str:
    """Sentence that names the weakest classes, where there are enough to compare."""
    rows = content.metrics.get("classes", {})
    known = {name: row["AP50"] for name, row in rows.items() if row.get("AP50") is not None}
    known = {name: value for name, value in known.items() if math.isfinite(value) and rows[name]["instances"] >= 5}
    if len(known) < 4:
        return ""
    names = sorted(known, key=lambda name: known[name])[:3]
    return f" Weakest of the classes: {', '.join(f'{name} ({known[name]:.2f})' for name in names)}."


def metric_rows(content: Content) -> list[dict[str, str]]:
    """All metrics of the whole, with their intervals where there are any."""
    coco, intervals = content.metrics["coco"], intervals_of(content)
    names = {
        "AP": "AP, IoU 0.50 to 0.95",
        "AP50": "AP50",
        "AP75": "AP75",
        "APs": "AP, small objects",
        "APm": "AP, medium objects",
        "APl": "AP, large objects",
        "AR1": "Recall, 1 detection a picture",
        "AR10": "Recall, 10 detections",
        "AR100": "Recall, 100 detections",
    }
    rows = [
        {"name": text, "value": dash(coco.get(key)), "range": interval_text(intervals.get(key))}
        for key, text in names.items()
        if key in coco
    ]
    for key, text in (("voc07", "VOC 2007 mAP"), ("voc12", "VOC 2012 mAP")):
        if key in content.metrics:
            rows.append({"name": text, "value": dash(content.metrics[key]["mAP"]), "range": ""})
    return rows


def class_rows(content: Content) -> list[dict[str, Any]]:
    """Row of each class with objects, the commonest first, with its best threshold where detections are known."""
    intervals, analysis = intervals_of(content).get("classes", {}), content.analysis
    best = {} if analysis is None else analysis.thresholds
    rows = []
    for name, row in sorted(content.metrics.get("classes", {}).items(), key=lambda item: -item[1]["instances"]):
        if not row["instances"]:
            continue
        ap50 = number(row["AP50"])
        low, high = (number(each) for each in intervals.get(name, {}).get("AP50") or (None, None))
        rows.append(
            {
                "name": name,
                "instances": f"{row['instances']:,}",
                "ap50": dash(ap50),
                "bar": interval_bar(ap50, low, high),
                "range": interval_text((low, high)),
                "ap": dash(row["AP"]),
                **best_cells(best.get(name)),
            }
        )
    return rows


def best_cells(best: Threshold | None) -> dict[str, str]:
    """Cells of a class's best threshold; a star marks one that is that of all classes together."""
    if best is None:
        return dict.fromkeys(("threshold", "precision", "recall", "f1"), dash(None))
    total = best.precision + best.recall
    f1 = 2 * best.precision * best.recall / total if total else 0.0 if total == 0 else math.nan
    return {
        "threshold": f"{best.value:.2f}{'' if best.own else '*'}",
        "precision": dash(best.precision, "{:.2f}"),
        "recall": dash(best.recall, "{:.2f}"),
        "f1": dash(f1, "{:.2f}"),
    }


def curve_figures(analysis: Analysis) -> list[Figure]:
    """Precision over recall; F1, precision and recall over the threshold."""
    joint, at = thinned(analysis.joint), analysis.threshold
    if not joint.true_count or not len(joint.thresholds):
        return []
    point = point_of(analysis.joint, at)
    pairs = [(thinned(curve), cls) for curve, cls in drawn_classes(analysis.curves)]
    note = "Thin lines: single classes. " if any(cls == "thin" for _, cls in pairs) else ""
    over_recall = [Line(curve.name, curve.recall, curve.precision, cls) for curve, cls in pairs]
    over_threshold = [Line(curve.name, curve.thresholds, curve.f1, cls) for curve, cls in pairs]
    return [
        unit_chart(
            "Precision and recall",
            [*over_recall, Line("all classes", joint.recall, joint.precision, "c0 bold")],
            x_label="recall",
            y_label="precision",
            note=f"{note}Each point is a score threshold; at {at:.2f} precision is "
            f"{dash(point['precision'], '{:.2f}')} and recall {dash(point['recall'], '{:.2f}')}.",
        ),
        unit_chart(
            "F1 over the threshold",
            [*over_threshold, Line("all classes", joint.thresholds, joint.f1, "c0 bold")],
            x_label="score threshold",
            y_label="F1",
            note=f"{note}Dashed: {at:.2f}, where F1 of all classes together is highest.",
            at=at,
        ),
        unit_chart(
            "Precision and recall over the threshold",
            [
                Line("recall", joint.thresholds, joint.recall, "c1"),
                Line("precision", joint.thresholds, joint.precision, "c0"),
            ],
            x_label="score threshold",
            y_label="share",
            note="All classes together, IoU 0.5. A higher threshold trades recall for precision.",
            at=at,
        ),
    ]


def drawn_classes(curves: Sequence[Curve]) -> list[tuple[Curve, str]]:
    """Curves of the commonest classes with their class of the style sheet: colours for a few, thin lines for many."""
    some = [curve for curve in curves if curve.true_count and len(curve.thresholds)]
    some = sorted(some, key=lambda curve: -curve.true_count)[:MOST_LINES]
    if len(some) == 1:  # its line would be that of all classes
        return []
    few = len(some) < COLOURS
    return [(curve, f"c{index + 1}" if few else "thin") for index, curve in enumerate(some)]


def confusion_table(analysis: Analysis) -> dict[str, Any] | None:
    """Confusion matrix of at most `MOST_CLASSES` classes, the others as one; None if it is empty."""
    confusion = analysis.confusion
    if not confusion.counts.sum():
        return None
    names, counts = gathered(list(confusion.classes), confusion.counts)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    rows = []
    for row, name in enumerate([*names, "background"]):
        cells = [
            {
                "count": int(counts[row, column]) or "",
                "shade": math.ceil(shares[row, column] * SHADES) if counts[row, column] else 0,
                "share": f"{shares[row, column]:.0%}",
                "right": row == column,
            }
            for column in range(len(names) + 1)
        ]
        rows.append({"name": name, "cells": cells, "total": int(totals[row, 0])})
    return {
        "columns": [*names, "missed"],
        "rows": rows,
        "worst": confusion.most_confused(3),
        "rule": confusion.rule,
    }


def gathered(names: list[str], counts: NDArray[np.int64]) -> tuple[list[str], NDArray[np.int64]]:
    """Keep the commonest classes of a matrix (C + 1, C + 1), and add the others up in one row and column."""
    number = len(names)
    used = [label for label in range(number) if counts[label].sum() or counts[:, label].sum()]
    order = sorted(used, key=lambda label: -int(counts[label].sum()))
    kept = sorted(order[:MOST_CLASSES])
    others = sorted(set(used) - set(kept))
    groups = [[label] for label in kept] + ([others] if others else []) + [[number]]
    rows = np.stack([counts[group].sum(axis=0) for group in groups])
    whole = np.stack([rows[:, group].sum(axis=1) for group in groups], axis=1)
    return [names[label] for label in kept] + ([f"{len(others)} others"] if others else []), whole


def error_rows(analysis: Analysis) -> list[dict[str, Any]]:
    """Row of each kind of error, with the AP50 that its repair would give and its worst pictures."""
    if not any(row.count for row in analysis.errors.rows):
        return []
    most = max([abs(row.delta_ap50) for row in analysis.errors.rows] + [1e-9])
    rows = []
    for row in analysis.errors.rows:
        title, text = ERROR_NAMES.get(row.kind, (row.kind, ""))
        rows.append(
            {
                "kind": row.kind,
                "title": title,
                "text": text,
                "count": f"{row.count:,}",
                "delta": f"+{row.delta_ap50:.3f}",
                "bar": share_bar(row.delta_ap50 / most),
                "pictures": first_that_can_be_read(analysis, row.worst, most=CASES, side=CASE_SIDE),
            }
        )
    return rows


def slice_groups(analysis: Analysis) -> list[dict[str, Any]]:
    """Tables by size and by crowding."""
    titles = {"size": "By size of the objects", "crowding": "By crowding"}
    groups: dict[str, list[dict[str, Any]]] = {}
    for each in analysis.slices:
        groups.setdefault(each.kind, []).append(
            {
                "name": each.name,
                "images": f"{each.images:,}",
                "instances": f"{each.instances:,}",
                "ap50": dash(each.ap50),
                "bar": interval_bar(each.ap50, math.nan, math.nan),
                "ap": dash(each.ap),
                "recall": dash(each.recall, "{:.2f}"),
                "false": dash(each.false_positives_per_image, "{:.2f}"),
            }
        )
    return [{"title": titles.get(kind, kind), "rows": rows} for kind, rows in groups.items()]


def calibration_figures(analysis: Analysis) -> list[Figure]:
    """Reliability diagram of all classes together; none without detections."""
    found, in_use = analysis.reliability, analysis.reliability_in_use
    if not found.counts.sum():
        return []
    note = (
        f"On the diagonal a score of 0.7 is right seven times in ten. Scores from {analysis.threshold:.2f} up: "
        f"ECE {dash(in_use.ece)}, LaECE {dash(in_use.laece)}; of all detections, most of which score near 0: "
        f"ECE {dash(found.ece)}, LaECE {dash(found.laece)}. 0 is best. Bars: number of detections."
    )
    title = "Reliability of the scores"
    return [reliability_chart(found.edges, found.counts, found.confidence, found.accuracy, title=title, note=note)]


def threshold_rows(analysis: Analysis) -> list[dict[str, str]]:
    """Score thresholds for a wanted precision or recall of all classes together."""
    joint = analysis.joint
    if not joint.true_count or not len(joint.thresholds):
        return []
    wanted = [
        ("Best F1", analysis.threshold),
        *((f"Precision of {share:g} or more", for_precision(joint, share)) for share in WANTED),
        *((f"Recall of {share:g} or more", for_recall(joint, share)) for share in WANTED),
    ]
    rows = []
    for name, threshold in wanted:
        if math.isnan(threshold):  # out of reach
            continue
        point = point_of(joint, threshold)
        rate = point["wrong"] / max(analysis.matches.pictures_count, 1)
        rows.append(
            {
                "name": name,
                "threshold": f"{threshold:.3f}",
                **{key: dash(point[key], "{:.2f}") for key in ("precision", "recall", "f1")},
                "false": f"{rate:.2f}",
            }
        )
    return rows


def learning_figures(history: Mapping[str, Sequence[float]]) -> list[Figure]:
    """Curves of a run: losses, validation, learning rate."""

    def line(column: str, name: str, cls: str) -> Line:
        values: NDArray[np.float64] = np.asarray(history.get(column, ()), np.float64)
        known = np.flatnonzero(np.isfinite(values))
        return Line(name, (known + 1.0).tolist(), values[known].tolist(), cls)

    losses = [line(column, name, f"c{index}") for index, (column, name) in enumerate(LOSSES.items())]
    scores = [line("AP50", "AP50", "c0"), line("AP", "AP", "c1")]
    found = [
        epochs_chart("Validation", scores, y_label="average precision", unit=True),
        epochs_chart("Training loss", losses, y_label="loss per picture"),
        epochs_chart("Learning rate", [line("learning_rate", "learning rate", "c0")], y_label="rate"),
    ]
    return [figure for figure in found if figure is not None]
