"""Metrics of a detector on a dataset."""

from __future__ import annotations

import logging
from typing import Any

from yolo.config import NmsConfig
from yolo.datasets.bridge import reported_failures
from yolo.datasets.pipeline import PADDING, evaluation_batches
from yolo.errors import AnnotationError
from yolo.evaluation.metrics import compute_metrics
from yolo.evaluation.results import DetectionColumns
from yolo.letterbox import Letterbox
from yolo.model.detector import Detector
from yolo.structs import Dataset, Detections

logger = logging.getLogger(__name__)

EVALUATION_NMS = NmsConfig(conf=0.001, iou=0.6)
"""Nearly everything counts: average precision looks at the whole curve."""


def evaluate(
    detector: Detector,
    dataset: Dataset,
    *,
    batch: int = 8,
    nms: NmsConfig = EVALUATION_NMS,
    workers: int = 0,
    voc_iou: float = 0.5,
) -> dict[str, Any]:
    """The metrics object of a detector on a dataset: see `compute_metrics`.

    Args:
        detector: what is measured.
        dataset: the truth; its classes are the detector's.
        batch: pictures that are run at once.
        nms: thresholds.
        workers: threads that read pictures; 0: one a core.
        voc_iou: from which IoU on VOC counts a box as found.

    Raises:
        AnnotationError: the classes differ, or there is no picture.
        MediaError: a picture cannot be read.
    """
    found = find_all(detector, dataset, batch=batch, nms=nms, workers=workers)
    return compute_metrics(dataset, found, voc_iou=voc_iou)


def find_all(
    detector: Detector,
    dataset: Dataset,
    *,
    batch: int = 8,
    nms: NmsConfig = EVALUATION_NMS,
    workers: int = 0,
) -> DetectionColumns:
    """What a detector finds in every picture of a dataset; arguments and errors as of `evaluate`."""
    check_classes(detector, dataset)
    if not len(dataset):
        raise AnnotationError(f"{dataset.name}: no pictures to evaluate on")
    batches = evaluation_batches(
        dataset, detector.canvas, batch=min(batch, len(dataset)), mode=detector.letterbox, workers=workers
    )
    found: list[Detections] = []
    with reported_failures():
        for images, about in batches.as_numpy_iterator():
            sizes = about["sizes"][about["index"] != PADDING].tolist()
            letterboxes = [Letterbox((h, w), detector.canvas, detector.letterbox) for h, w in sizes]
            found += detector.unpad(detector.find(images, nms), letterboxes)
            logger.debug("evaluated %d of %d pictures", len(found), len(dataset))
    return DetectionColumns.from_detections(found)


def check_classes(detector: Detector, dataset: Dataset) -> None:
    """Raise an AnnotationError unless a dataset's classes are the detector's."""
    if dataset.classes != detector.classes:
        raise AnnotationError(
            f"{dataset.name}: its classes ({', '.join(dataset.classes)}) are not "
            f"the detector's ({', '.join(detector.classes)})"
        )
