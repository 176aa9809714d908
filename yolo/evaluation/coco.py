"""COCO metrics by pycocotools, which gets the columns directly: nothing is written or printed."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.results import DetectionColumns
from yolo.structs import Boxes, Dataset

SUMMARY = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100")
"""Names of the first nine of COCOeval's twelve numbers."""


@dataclass(frozen=True, eq=False)
class CocoMetrics:
    """COCO summary, and average precision of each class; NaN where there are no true boxes."""

    summary: dict[str, float]
    """Values by the names of `SUMMARY`."""
    ap: NDArray[np.float64]
    """(C,) average precision of each class, mean over the IoUs 0.50, 0.55 .. 0.95."""
    ap50: NDArray[np.float64]
    """(C,) average precision of each class at IoU 0.50."""


def coco_metrics(dataset: Dataset, detections: DetectionColumns) -> CocoMetrics:
    """Compute COCO's box metrics; ignored boxes count as crowds, and areas are the dataset's."""
    undefined = np.full(len(dataset.classes), np.nan)
    # Classes without true boxes enter no mean, and would cost time in COCOeval.
    classes = np.unique(dataset.labels[~dataset.ignore])
    if not len(classes):
        return CocoMetrics(dict.fromkeys(SUMMARY, np.nan), undefined, undefined)
    evaluation = _evaluate(dataset, detections, classes)
    ap, ap50 = undefined.copy(), undefined.copy()
    # (T, R, K, A, M): IoU thresholds, recalls, classes, areas (first: all), most detections (last: 100)
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    precision = np.where(precision < 0, np.nan, precision)
    ap[classes] = precision.mean(axis=(0, 1))
    ap50[classes] = precision[0].mean(axis=0)
    stats = [float(value) if value >= 0 else np.nan for value in evaluation.stats]
    return CocoMetrics(dict(zip(SUMMARY, stats, strict=False)), ap, ap50)


def _evaluate(dataset: Dataset, detections: DetectionColumns, classes: NDArray[np.int32]) -> Any:
    from pycocotools.cocoeval import COCOeval

    ranks = _picture_ranks(dataset)
    truth = _annotations(ranks[dataset.box_pictures], dataset.labels, dataset.boxes)
    for annotation, crowd, area in zip(truth, dataset.ignore.tolist(), dataset.areas.tolist(), strict=True):
        annotation.update(iscrowd=int(crowd), area=area)
    found = _annotations(ranks[detections.pictures], detections.labels, detections.boxes)
    for annotation, score in zip(found, detections.scores.tolist(), strict=True):
        annotation["score"] = score
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_index(dataset, truth), _index(dataset, found), "bbox")
        evaluation.params.catIds = classes.tolist()
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def _picture_ranks(dataset: Dataset) -> NDArray[np.int64]:
    """(N,) rank of each image by the source's ids: COCOeval breaks ties between scores by it."""
    order = np.argsort(np.asarray(dataset.image_ids), kind="stable")
    ranks = np.empty(len(dataset), np.int64)
    ranks[order] = np.arange(len(dataset))
    return ranks


def _annotations(pictures: NDArray[np.int64], labels: NDArray[np.int32], boxes: Boxes) -> list[dict[str, Any]]:
    corners = boxes.astype(np.float64)
    sides = corners[:, 2:] - corners[:, :2]
    rows = zip(
        pictures.tolist(),
        labels.tolist(),
        np.concatenate([corners[:, :2], sides], axis=1).tolist(),
        sides.prod(axis=1).tolist(),
        strict=True,
    )
    # From 1: COCOeval treats the id 0 as no annotation.
    return [
        {"id": number, "image_id": picture, "category_id": label, "bbox": box, "area": area, "iscrowd": 0}
        for number, (picture, label, box, area) in enumerate(rows, 1)
    ]


def _index(dataset: Dataset, annotations: list[dict[str, Any]]) -> Any:
    from pycocotools.coco import COCO

    index = COCO()
    index.dataset = {
        "images": [{"id": picture} for picture in range(len(dataset))],
        "categories": [{"id": label, "name": name} for label, name in enumerate(dataset.classes)],
        "annotations": annotations,
    }
    index.createIndex()
    return index
