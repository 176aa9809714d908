"""Metrics object: COCO and VOC metrics of one set of detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from yolo.config import check
from yolo.errors import ConfigError
from yolo.evaluation.coco import Evaluator, coco_metrics
from yolo.evaluation.intervals import Interval, Intervals, bootstrap_intervals
from yolo.evaluation.matching import match
from yolo.evaluation.metrics_text import Table, tables_of
from yolo.evaluation.results import DetectionColumns
from yolo.evaluation.tables import html_table, text_table
from yolo.evaluation.voc import voc_metrics
from yolo.structs import Dataset

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class ClassMetrics:
    """Metrics of one class; NaN where it has no true boxes."""

    ap: float
    """COCO's average precision: mean over the IoU thresholds 0.50, 0.55 .. 0.95."""
    ap50: float
    """Average precision at IoU 0.50."""
    instances: int
    """Number of true boxes that count."""
    ap_interval: Interval | None = None
    """Confidence interval of ``ap``; None: not computed."""
    ap50_interval: Interval | None = None
    """Confidence interval of ``ap50``; None: not computed."""


class Metrics(dict[str, Any]):
    """Metrics of detections: plain data as in metrics.json, with attributes and a table.

    Keys: ``coco``, ``voc07``, ``voc12``, ``classes``, ``images``; where computed also ``intervals``, ``chosen``,
    ``slices`` and ``counts``. ``Metrics(json.load(file))`` is what a metrics.json holds.
    """

    @property
    def coco(self) -> dict[str, float]:
        """COCO's summary: AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100; NaN where undefined."""
        return {name: number(value) for name, value in self["coco"].items()}

    @property
    def ap(self) -> float:
        """COCO's average precision, mean over classes and IoU thresholds."""
        return self.coco["AP"]

    @property
    def ap50(self) -> float:
        """Mean average precision at IoU 0.50."""
        return self.coco["AP50"]

    @property
    def voc07(self) -> float:
        """Mean average precision as in VOC 2007."""
        return number(self["voc07"]["mAP"])

    @property
    def voc12(self) -> float:
        """Mean average precision as in VOC since 2010."""
        return number(self["voc12"]["mAP"])

    @property
    def images(self) -> int:
        """Number of images measured on."""
        return int(self["images"])

    @property
    def classes(self) -> dict[str, ClassMetrics]:
        """Metrics of each class, by name."""
        found = self.get("intervals", {}).get("classes", {})
        return {
            name: ClassMetrics(
                ap=number(row["AP"]),
                ap50=number(row["AP50"]),
                instances=int(row["instances"]),
                ap_interval=interval(found[name]["AP"]) if name in found else None,
                ap50_interval=interval(found[name]["AP50"]) if name in found else None,
            )
            for name, row in self["classes"].items()
        }

    @property
    def intervals(self) -> Intervals | None:
        """Confidence intervals; None: not computed."""
        found = self.get("intervals")
        if found is None:
            return None
        rows = found["classes"].values()
        return Intervals(
            level=float(found["level"]),
            resamples=int(found["resamples"]),
            ap=interval(found["AP"]),
            ap50=interval(found["AP50"]),
            class_ap=tuple(interval(row["AP"]) for row in rows),
            class_ap50=tuple(interval(row["AP50"]) for row in rows),
        )

    def tables(self) -> list[Table]:
        """Make tables of all that is known: the summary, the classes, and what was computed on request."""
        return tables_of(self)

    def to_pandas(self) -> DataFrame:
        """Make a table with a row for each class: AP, AP50, instances, and the ends of the intervals where known.

        Raises:
            ConfigError: pandas is not installed.
        """
        try:
            from pandas import DataFrame
        except ImportError as error:
            raise ConfigError(f"to_pandas needs pandas ({error}); pip install pandas") from error
        rows: dict[str, dict[str, float]] = {}
        for name, each in self.classes.items():
            rows[name] = {"AP": each.ap, "AP50": each.ap50, "instances": each.instances}
            for column, ends in (("AP", each.ap_interval), ("AP50", each.ap50_interval)):
                if ends is not None:
                    rows[name] |= {f"{column} low": ends.low, f"{column} high": ends.high}
        return DataFrame.from_dict(rows, orient="index").rename_axis("class")

    def __str__(self) -> str:
        """Format as tables of text; a dash stands for an undefined value."""
        return "\n\n".join(f"{table.title}\n{text_table(table.header, table.rows)}" for table in self.tables())

    def __repr__(self) -> str:
        return f"<Metrics: AP {self.ap:.4f}, AP50 {self.ap50:.4f} on {self.images} images>"

    def _repr_html_(self) -> str:
        """Format as HTML tables, for notebooks."""
        parts = (f"<p>{table.title}</p>{html_table(table.header, table.rows)}" for table in self.tables())
        return f"<div>{''.join(parts)}</div>"


def number(value: float | None) -> float:
    """Float of a value in JSON, where NaN is null."""
    return float("nan") if value is None else float(value)


def interval(ends: Sequence[float | None]) -> Interval:
    """Make an interval of its ends in JSON."""
    low, high = ends
    return Interval(number(low), number(high))


def compute_metrics(
    dataset: Dataset,
    detections: DetectionColumns,
    *,
    voc_iou: float = 0.5,
    evaluator: Evaluator = "hotcoco",
    resamples: int = 0,
    seed: int = 0,
) -> Metrics:
    """Measure detections against a dataset.

    Args:
        dataset: the ground truth; ignored boxes are COCO's crowds and VOC's difficult objects.
        detections: the detections in its images.
        voc_iou: lowest IoU at which VOC's metric counts a box as found.
        evaluator: the library that computes COCO's metrics.
        resamples: number of resamples of the images for confidence intervals; 0: no intervals.
        seed: seed of the resamples.

    Returns:
        ``{"coco": {"AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100"}, "voc07": {"mAP"},
        "voc12": {"mAP"}, "classes": {name: {"AP", "AP50", "instances"}}, "images"}``; NaN for undefined values,
        such as those of a class without true boxes. ``instances`` does not count ignored boxes. With resamples also
        ``"intervals": {"level", "resamples", "AP": [low, high], "AP50", "classes": {name: {"AP", "AP50"}}}``.

    Raises:
        ConfigError: a number is out of range.
    """
    check(0 < voc_iou <= 1, "voc_iou", "in (0, 1]", voc_iou)
    coco = coco_metrics(dataset, detections, evaluator=evaluator)
    voc = voc_metrics(dataset, detections, iou=voc_iou)
    instances = np.bincount(dataset.labels[~dataset.ignore], minlength=len(dataset.classes)).tolist()
    rows = zip(dataset.classes, coco.ap.tolist(), coco.ap50.tolist(), instances, strict=True)
    metrics = Metrics(
        coco=coco.summary,
        voc07={"mAP": voc.map07},
        voc12={"mAP": voc.map12},
        classes={name: {"AP": ap, "AP50": ap50, "instances": count} for name, ap, ap50, count in rows},
        images=len(dataset),
    )
    if resamples and len(dataset):
        found = bootstrap_intervals(match(dataset, detections), resamples=resamples, seed=seed)
        metrics["intervals"] = found.to_dict(dataset.classes)
    return metrics
