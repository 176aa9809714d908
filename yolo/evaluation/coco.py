"""COCO metrics: pycocotools' numbers, by an evaluator to choose."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.coco_hotcoco import run_hotcoco
from yolo.evaluation.coco_pycocotools import run_pycocotools
from yolo.evaluation.results import DetectionColumns
from yolo.structs import Dataset

logger = logging.getLogger(__name__)

SUMMARY = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100")
"""Names of the first nine of COCOeval's twelve numbers."""

Evaluator = Literal["hotcoco", "pycocotools"]
"""Libraries that compute COCO's metrics; their numbers are the same."""


@dataclass(frozen=True, eq=False)
class CocoMetrics:
    """COCO summary, and average precision of each class; NaN where there are no true boxes."""

    summary: dict[str, float]
    """Values by the names of `SUMMARY`."""
    ap: NDArray[np.float64]
    """(C,) average precision of each class, mean over the IoUs 0.50, 0.55 .. 0.95."""
    ap50: NDArray[np.float64]
    """(C,) average precision of each class at IoU 0.50."""


def coco_metrics(dataset: Dataset, detections: DetectionColumns, *, evaluator: Evaluator = "hotcoco") -> CocoMetrics:
    """Compute COCO's box metrics; ignored boxes count as crowds, and areas are the dataset's.

    Args:
        dataset: the ground truth.
        detections: the detections in its images.
        evaluator: the library to compute with; pycocotools takes over where hotcoco cannot be imported.
    """
    undefined = np.full(len(dataset.classes), np.nan)
    # Classes without true boxes enter no mean, and would cost time.
    classes = np.unique(dataset.labels[~dataset.ignore])
    if not len(classes):
        return CocoMetrics(dict.fromkeys(SUMMARY, np.nan), undefined, undefined)
    run = run_hotcoco if evaluator == "hotcoco" and has_hotcoco() else run_pycocotools
    stats, precision = run(dataset, detections, classes)
    precision = precision[:, :, :, 0, -1]  # of all areas, with 100 detections at most
    precision = np.where(precision < 0, np.nan, precision)
    ap, ap50 = undefined.copy(), undefined.copy()
    ap[classes] = precision.mean(axis=(0, 1))
    ap50[classes] = precision[0].mean(axis=0)
    values = np.where(stats < 0, np.nan, stats).tolist()
    return CocoMetrics(dict(zip(SUMMARY, values, strict=False)), ap, ap50)


@cache
def has_hotcoco() -> bool:
    """Whether hotcoco can be imported; if it cannot, one message says what that means."""
    try:
        import hotcoco  # noqa: F401
    except ImportError as error:
        logger.warning("hotcoco cannot be imported (%s): pycocotools computes the same metrics, but slowly", error)
        return False
    return True
