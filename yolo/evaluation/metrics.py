"""Metrics object: COCO and VOC metrics of one set of detections."""

from __future__ import annotations

from typing import Any

import numpy as np

from yolo.config import check
from yolo.evaluation.coco import Evaluator, coco_metrics
from yolo.evaluation.results import DetectionColumns
from yolo.evaluation.voc import voc_metrics
from yolo.structs import Dataset


def compute_metrics(
    dataset: Dataset, detections: DetectionColumns, *, voc_iou: float = 0.5, evaluator: Evaluator = "hotcoco"
) -> dict[str, Any]:
    """Measure detections against a dataset.

    Args:
        dataset: the ground truth; ignored boxes are COCO's crowds and VOC's difficult objects.
        detections: the detections in its images.
        voc_iou: lowest IoU at which VOC's metric counts a box as found.
        evaluator: the library that computes COCO's metrics.

    Returns:
        ``{"coco": {"AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100"}, "voc07": {"mAP"},
        "voc12": {"mAP"}, "classes": {name: {"AP", "AP50", "instances"}}, "images"}``; NaN for undefined values,
        such as those of a class without true boxes. ``instances`` does not count ignored boxes.

    Raises:
        ConfigError: the IoU is outside (0, 1].
    """
    check(0 < voc_iou <= 1, "voc_iou", "in (0, 1]", voc_iou)
    coco = coco_metrics(dataset, detections, evaluator=evaluator)
    voc = voc_metrics(dataset, detections, iou=voc_iou)
    instances = np.bincount(dataset.labels[~dataset.ignore], minlength=len(dataset.classes)).tolist()
    rows = zip(dataset.classes, coco.ap.tolist(), coco.ap50.tolist(), instances, strict=True)
    return {
        "coco": coco.summary,
        "voc07": {"mAP": voc.map07},
        "voc12": {"mAP": voc.map12},
        "classes": {name: {"AP": ap, "AP50": ap50, "instances": count} for name, ap, ap50, count in rows},
        "images": len(dataset),
    }
