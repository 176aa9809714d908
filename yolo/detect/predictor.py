"""Detection in many image files: read ahead in threads, run in batches, yielded in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from yolo.config import NmsConfig
from yolo.errors import MediaError
from yolo.images.codec import read_image
from yolo.structs import Detections

Image = NDArray[np.uint8]


class BatchDetector(Protocol):
    """Protocol of a detector that runs a batch, such as `yolo.Detector`."""

    def detect_images(self, images: Sequence[Image], nms: NmsConfig | None = None) -> list[Detections]:
        """Detect objects in images (H, W, 3) uint8 RGB; boxes are in pixels of each image."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Image with its detections."""

    path: Path
    image: Image
    """(H, W, 3) uint8 RGB."""
    detections: Detections


@dataclass(frozen=True)
class Unreadable:
    """File that cannot be read as an image."""

    path: Path
    error: MediaError


def predict(
    detector: BatchDetector,
    paths: Sequence[Path],
    *,
    nms: NmsConfig | None = None,
    batch: int = 8,
    threads: int | None = None,
) -> Iterator[Prediction | Unreadable]:
    """Run a detector on image files.

    Args:
        detector: detector to run.
        paths: image files.
        nms: thresholds; None: the detector's own.
        batch: images per batch, unreadable files not counted.
        threads: threads that read files; None: one per core, at most 8.

    Yields:
        One result per path, in the order of the paths.
    """
    held: list[tuple[Path, Image | MediaError]] = []
    readable = 0
    for item in read_ahead(paths, count=2 * batch, threads=threads or min(8, os.cpu_count() or 1)):
        held.append(item)
        readable += not isinstance(item[1], MediaError)
        if readable == batch:
            yield from run_batch(detector, held, nms)
            held, readable = [], 0
    yield from run_batch(detector, held, nms)


def run_batch(
    detector: BatchDetector, items: Sequence[tuple[Path, Image | MediaError]], nms: NmsConfig | None
) -> Iterator[Prediction | Unreadable]:
    """Yield the results of one batch in order, from one call of the detector."""
    images = [content for _, content in items if not isinstance(content, MediaError)]
    found = iter(detector.detect_images(images, nms) if images else [])
    for path, content in items:
        if isinstance(content, MediaError):
            yield Unreadable(path, content)
        else:
            yield Prediction(path, content, next(found))


def read_ahead(paths: Sequence[Path], *, count: int, threads: int) -> Iterator[tuple[Path, Image | MediaError]]:
    """Yield each path with its image, or the error from reading it, in order; read ``count`` files ahead."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="read")
    waiting: deque[tuple[Path, Future[Image | MediaError]]] = deque()
    try:
        for path in paths:
            waiting.append((path, pool.submit(read_or_error, path)))
            if len(waiting) > count:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()
    finally:  # the caller may stop early
        pool.shutdown(cancel_futures=True)


def read_or_error(path: Path) -> Image | MediaError:
    try:
        return read_image(path)
    except MediaError as error:
        return error
