"""Evaluation of a detector on a dataset."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.config import LetterboxMode, NmsConfig
from yolo.datasets.annotations.sizes import was_resized
from yolo.datasets.pipeline.batches import evaluation_batches
from yolo.datasets.pipeline.picture_loader import PADDING, Loader
from yolo.datasets.pipeline.quarantine import Quarantine
from yolo.datasets.pipeline.tf_errors import reported_failures
from yolo.datasets.presence import check_images
from yolo.distributed.hosts import ALONE, Hosts
from yolo.errors import AnnotationError, MediaError
from yolo.evaluation.class_mapping import map_classes
from yolo.evaluation.finding import found_in
from yolo.evaluation.intervals import RESAMPLES
from yolo.evaluation.metrics import Metrics, compute_metrics
from yolo.evaluation.results import DetectionColumns
from yolo.evaluation.splits import warn_if_trained_on
from yolo.images.letterbox import Letterbox
from yolo.runtimes.interface import AnyDetector
from yolo.structs import Dataset, Detections, Size

logger = logging.getLogger(__name__)

EVALUATION_NMS = NmsConfig(conf=0.001, iou=0.6)
"""Thresholds for metrics: a low one for scores, as average precision needs the whole precision-recall curve."""


def evaluation_nms(own: NmsConfig) -> NmsConfig:
    """Thresholds for metrics, with the kind of NMS that is a detector's own."""
    return replace(EVALUATION_NMS, kind=own.kind, beta=own.beta, sigma=own.sigma)


def evaluate(
    detector: AnyDetector,
    dataset: Dataset,
    *,
    batch: int = 8,
    nms: NmsConfig | None = None,
    workers: int = 0,
    voc_iou: float = 0.5,
    resamples: int = RESAMPLES,
    seed: int = 0,
    hosts: Hosts = ALONE,
    quarantine: Quarantine | None = None,
    after_batch: Callable[[int], None] | None = None,
) -> Metrics:
    """Measure a detector on a dataset; the result is the metrics object of `compute_metrics`.

    A warning says so if the detector was trained on these images. The last digits depend on the precision the detector
    was loaded in: `yolov3 eval` takes that of its training.

    Args:
        detector: the detector to measure.
        dataset: the ground truth; classes are matched by name, see `map_classes`, and those both know are measured.
        batch: images per batch.
        nms: thresholds of the detections; None: those of `evaluation_nms`.
        workers: threads that read images; 0: one per core.
        voc_iou: lowest IoU at which VOC's metric counts a box as found.
        resamples: number of resamples of the images for confidence intervals; 0: no intervals.
        seed: seed of the resamples.
        hosts: hosts that share the images out among them; each gets the metrics of all images.
        quarantine: list of the unreadable images, which are skipped; None: the first one is an error.
        after_batch: called with the number of batches done; an exception it raises ends the evaluation.

    Raises:
        AnnotationError: no class is known to both, or the dataset has no images.
        MediaError: an image cannot be read and there is no quarantine, or it lists too many.
    """
    dataset, found = find_readable(
        detector,
        dataset,
        batch=batch,
        nms=nms,
        workers=workers,
        hosts=hosts,
        quarantine=quarantine,
        after_batch=after_batch,
    )
    return compute_metrics(dataset, found, voc_iou=voc_iou, resamples=resamples, seed=seed)


def find_readable(
    detector: AnyDetector,
    dataset: Dataset,
    *,
    batch: int = 8,
    nms: NmsConfig | None = None,
    workers: int = 0,
    hosts: Hosts = ALONE,
    quarantine: Quarantine | None = None,
    after_batch: Callable[[int], None] | None = None,
) -> tuple[Dataset, DetectionColumns]:
    """Detect objects in the images of a dataset that can be read, and return both; arguments and errors as `evaluate`.

    The dataset has the detector's classes.
    """
    dataset = map_classes(dataset, detector.classes)
    if after_batch is None:  # else training follows, which has compared the images of both splits at its beginning
        warn_if_trained_on(detector.origin, dataset)
    found = find_all(
        detector,
        dataset,
        batch=batch,
        nms=nms,
        workers=workers,
        hosts=hosts,
        quarantine=quarantine,
        after_batch=after_batch,
    )
    read = readable(dataset, quarantine, hosts)
    if len(read) < len(dataset):
        dataset, found = dataset.subset(read), found.of(read)
    return dataset, found


def readable(dataset: Dataset, quarantine: Quarantine | None, hosts: Hosts) -> NDArray[np.int64]:
    """Indices of the images that are in no host's quarantine, rising.

    Raises:
        MediaError: no image is left.
    """
    every = np.arange(len(dataset))
    if quarantine is None:
        return every
    missing = np.array(sorted(quarantine.entries()), np.int64)
    read = np.setdiff1d(every, np.concatenate(hosts.gather(missing)))
    if not len(read):
        raise MediaError(f"{dataset.name}: none of its pictures can be read")
    return read


def find_all(
    detector: AnyDetector,
    dataset: Dataset,
    *,
    batch: int = 8,
    nms: NmsConfig | None = None,
    workers: int = 0,
    hosts: Hosts = ALONE,
    quarantine: Quarantine | None = None,
    after_batch: Callable[[int], None] | None = None,
) -> DetectionColumns:
    """Detect objects in every image of a dataset; arguments and errors as in `evaluate`."""
    check_classes(detector, dataset)
    if not len(dataset):
        raise AnnotationError(f"{dataset.name}: no pictures to evaluate on")
    check_images(dataset)
    share = -(-min(batch, len(dataset)) // hosts.world)
    batches = evaluation_batches(
        dataset,
        detector.canvas,
        batch=share * hosts.world,
        workers=workers,
        shard=hosts.rank,
        shards=hosts.world,
        loader=Loader(dataset, detector.letterbox, quarantine=quarantine),
    )
    pictures: list[int] = []
    found: list[Detections] = []
    given = (
        (images, *letterboxes_of(dataset, about, detector.canvas, detector.letterbox))
        for images, about in batches.as_numpy_iterator()
    )
    with reported_failures(), closing(found_in(detector, given, nms or evaluation_nms(detector.nms))) as results:
        for done, (rows, detections) in enumerate(results, start=1):
            pictures += rows
            found += detections
            logger.debug("evaluated %d of %d pictures", len(found) * hosts.world, len(dataset))
            if after_batch is not None:
                after_batch(done)
    return gathered(DetectionColumns.from_detections(found), np.array(pictures, np.int64), hosts)


def letterboxes_of(
    dataset: Dataset, about: Mapping[str, NDArray[Any]], canvas: Size, mode: LetterboxMode
) -> tuple[list[int], list[Letterbox]]:
    """Indices in the dataset of the images of a batch, and how each lies on its canvas."""
    real = about["index"] != PADDING  # rows that pad the last batch are at its end
    rows = about["index"][real].tolist()
    sizes = about["sizes"][real].tolist()
    return rows, [
        Letterbox(frame_of_boxes(dataset, row, (h, w)), canvas, mode) for row, (h, w) in zip(rows, sizes, strict=True)
    ]


def frame_of_boxes(dataset: Dataset, index: int, size: Size) -> Size:
    """Size that the boxes of image ``index`` refer to: the annotated one if the image was resized since."""
    height, width = dataset.sizes[index].tolist()
    return (height, width) if was_resized((height, width), size) else size


def gathered(found: DetectionColumns, pictures: NDArray[np.int64], hosts: Hosts) -> DetectionColumns:
    """Gather the detections of all hosts, in the dataset's order.

    Args:
        found: this host's detections, numbered along its own images.
        pictures: (N,) index of these images in the dataset.
        hosts: the hosts that share the work.
    """
    columns = (pictures[found.pictures], found.labels, found.scores, found.boxes)
    pictures, labels, scores, boxes = (np.concatenate(hosts.gather(column)) for column in columns)
    order = np.argsort(pictures, kind="stable")
    return DetectionColumns(pictures[order], labels[order], scores[order], boxes[order])


def check_classes(detector: AnyDetector, dataset: Dataset) -> None:
    """Raise an AnnotationError unless a dataset's classes are the detector's."""
    if dataset.classes != detector.classes:
        raise AnnotationError(
            f"{dataset.name}: its classes ({', '.join(dataset.classes)}) are not "
            f"the detector's ({', '.join(detector.classes)})"
        )
