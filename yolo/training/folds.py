"""Out-of-fold detections: each image judged by a detector that was not trained on it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.config import NmsConfig, TrainConfig, check
from yolo.evaluation.evaluator import find_all
from yolo.evaluation.results import DetectionColumns
from yolo.model.detector import Detector
from yolo.structs import Dataset
from yolo.training.trainer import train

logger = logging.getLogger(__name__)


def find_out_of_fold(
    make: Callable[[Dataset], Detector],
    dataset: Dataset,
    *,
    folds: int,
    config: TrainConfig,
    seed: int = 0,
    batch: int = 8,
    nms: NmsConfig | None = None,
    **options: Any,
) -> DetectionColumns:
    """Detect the objects of each fold of a dataset with a detector trained on the other folds.

    Each training takes part of its fold's data for validation, as `train` does, and its last epoch's weights count: the
    best epoch by labels that may be wrong would lean towards them.

    Args:
        make: function from training images to a new detector, which is then trained.
        dataset: the images; those of one file (the same bytes in two places) are best removed before.
        folds: number of folds.
        config: options of each training.
        seed: seed of the folds.
        batch: images per batch in detection.
        nms: thresholds of the detections, as in `find_all`.
        **options: further arguments of `train`.

    Raises:
        ConfigError: there are fewer images than folds, or fewer than two folds.
        YoloError: as `train` and `find_all` raise.
    """
    parts = []
    for number, (inside, outside) in enumerate(fold_rows(len(dataset), folds, seed=seed), start=1):
        logger.info("fold %d of %d: training on %d pictures", number, folds, len(inside))
        part = dataset.subset(inside)
        detector = make(part)
        train(detector, part, out=None, config=config, **options)
        found = find_all(detector, dataset.subset(outside), batch=batch, nms=nms)
        parts.append((outside[found.pictures], found.labels, found.scores, found.boxes))
    pictures, labels, scores, boxes = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(pictures, kind="stable")
    return DetectionColumns(pictures[order], labels[order], scores[order], boxes[order])


def fold_rows(count: int, folds: int, *, seed: int = 0) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Indices of the images to train on and to detect in, rising, of each fold; sizes differ by one at most.

    Raises:
        ConfigError: there are fewer images than folds, or fewer than two folds.
    """
    check(folds >= 2, "folds", ">= 2", folds)
    check(folds <= count, "folds", f"at most the number of pictures, {count}", folds)
    fold = np.empty(count, np.int64)
    fold[np.random.default_rng(seed).permutation(count)] = np.arange(count) % folds
    for number in range(folds):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)
