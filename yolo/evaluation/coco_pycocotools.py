"""COCOeval by pycocotools, which gets the columns directly: nothing is written or printed."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.coco_columns import image_ranks, to_xywh
from yolo.evaluation.results import DetectionColumns
from yolo.structs import Boxes, Dataset


def run_pycocotools(
    dataset: Dataset, detections: DetectionColumns, classes: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Run COCOeval over the boxes of ``classes`` (rising labels).

    Returns:
        Its twelve numbers ``stats``, and ``precision`` (T, R, C, A, M) by IoU threshold, recall, class, range of areas
        (the first: all) and most detections an image (the last: 100). -1 stands for undefined values.
    """
    from pycocotools.cocoeval import COCOeval

    ranks = image_ranks(dataset)
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
    return np.asarray(evaluation.stats), evaluation.eval["precision"]


def _annotations(pictures: NDArray[np.int64], labels: NDArray[np.int32], boxes: Boxes) -> list[dict[str, Any]]:
    sides = to_xywh(boxes)
    rows = zip(pictures.tolist(), labels.tolist(), sides.tolist(), sides[:, 2:].prod(axis=1).tolist(), strict=True)
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
