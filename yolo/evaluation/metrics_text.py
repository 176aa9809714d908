"""Tables of the metrics object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from yolo.evaluation.tables import Rows, figure, span
from yolo.structs import counted


class Table(NamedTuple):
    """Table of formatted figures."""

    title: str
    header: Sequence[str]
    rows: Rows


def tables_of(metrics: Mapping[str, Any]) -> list[Table]:
    """Make tables of a metrics object, undefined values in it NaN or None."""
    tables = [summary(metrics), classes(metrics)]
    for key, make in (("chosen", chosen), ("slices", slices), ("counts", counts)):
        if key in metrics:
            tables.append(make(metrics[key]))
    return tables


def summary(metrics: Mapping[str, Any]) -> Table:
    """Make the table of COCO's and VOC's means."""
    ends, title = metrics.get("intervals"), counted(metrics["images"], "picture")
    values = {**metrics["coco"], "VOC 2007 mAP": metrics["voc07"]["mAP"], "VOC 2012 mAP": metrics["voc12"]["mAP"]}
    calibration = metrics.get("calibration", {})
    values |= {name: calibration[name] for name in ("D-ECE", "LaECE") if name in calibration}
    rows = [[name, figure(value)] for name, value in values.items()]
    if ends is None:
        return Table(title, ["metric", "value"], rows)
    spans = {name: span(ends[name]) for name in ("AP", "AP50")}
    share = f"{100 * ends['level']:g} %"
    return Table(
        f"{title}; {share} intervals of {ends['resamples']} resamples of them",
        ["metric", "value", share],
        [[*row, spans.get(row[0], "")] for row in rows],
    )


def classes(metrics: Mapping[str, Any]) -> Table:
    """Make the table of the classes."""
    ends = metrics.get("intervals", {}).get("classes")
    header, rows = ["class", "AP", "AP50", "instances"], []
    if ends is not None:
        share = f"{100 * metrics['intervals']['level']:g} %"
        header = ["class", "AP", share, "AP50", share, "instances"]
    for name, row in metrics["classes"].items():
        cells = [name]
        for key in ("AP", "AP50"):
            cells += [figure(row[key]), *([] if ends is None else [span(ends[name][key])])]
        rows.append([*cells, str(row["instances"])])
    return Table("by class", header, rows)


def chosen(found: Mapping[str, Any]) -> Table:
    """Make the table of the metrics by chosen rules."""
    ious, most = found["ious"], found["max_dets"]
    title = f"by chosen rules: at most {most} detections of a class in a picture, AP and AR over {len(ious)} IoUs"
    header = ["area", "AP", "AR", *(f"AP {iou:g}" for iou in ious), "instances"]
    rows = [
        [row["area"], *(figure(value) for value in (row["AP"], row["AR"], *row["by_iou"])), str(row["instances"])]
        for row in found["rows"]
    ]
    return Table(title, header, rows)


def slices(found: Mapping[str, Any]) -> Table:
    """Make the table of the slices by size and crowding."""
    title = f"by size and crowding: recall and false positives a picture at a score of {found['conf']:g}, IoU 0.5"
    rows = [
        [
            f"{row['kind']}: {row['name']}",
            *(figure(row[key]) for key in ("AP", "AP50", "recall")),
            figure(row["false_positives_per_image"], 3),
            str(row["instances"]),
        ]
        for row in found["rows"]
    ]
    return Table(title, ["true boxes", "AP", "AP50", "recall", "false/picture", "instances"], rows)


def counts(found: Mapping[str, Any]) -> Table:
    """Make the table of the counts at a threshold."""
    rows = [
        [
            row["class"],
            figure(row["threshold"], 3),
            *(str(row[key]) for key in ("right", "wrong", "missed")),
            *(figure(row[key], 3) for key in ("precision", "recall", "f1", "false_positives_per_image")),
        ]
        for row in found["rows"]
    ]
    header = ["class", "score", "right", "wrong", "missed", "precision", "recall", "F1", "false/picture"]
    return Table(f"counts at the score of each class, IoU {found['iou']:g}", header, rows)
