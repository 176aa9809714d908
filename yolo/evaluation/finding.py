"""Detection in the batches of an evaluation: suppression of one overlaps with the network's work on the next."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from functools import partial
from typing import Any

from numpy.typing import NDArray

from yolo.config import NmsConfig
from yolo.detect.ordered import ordered_map
from yolo.images.letterbox import Letterbox
from yolo.model.detector import Detector
from yolo.runtimes.interface import AnyDetector
from yolo.structs import Detections

Batch = tuple[NDArray[Any], list[int], list[Letterbox]]
"""Images (B, H, W, 3) on the canvas, their indices in the dataset, and how each lies on the canvas."""


def found_in(
    detector: AnyDetector, batches: Iterable[Batch], nms: NmsConfig
) -> Generator[tuple[list[int], list[Detections]]]:
    """Yield the indices of each batch's images, and the detections in them, in order.

    A runtime is called from several threads. Keras is called from the caller's thread alone, as precision and strategy
    are settings of a thread; what follows its network, on a processor all of suppression, is done in another.
    """
    if isinstance(detector, Detector):
        calls, (start, finish) = 1, detector.parts_of_find(nms)
        outputs: Iterable[Any] = ((start(images), rows, letterboxes) for images, rows, letterboxes in batches)
    else:
        calls, outputs = detector.parallel + 1, batches
        finish = partial(detector.find, nms=nms)

    def complete(batch: tuple[Any, list[int], list[Letterbox]]) -> tuple[list[int], list[Detections]]:
        output, rows, letterboxes = batch
        return rows, detector.unpad(finish(output), letterboxes, nms)

    return ordered_map(complete, outputs, threads=calls, ahead=calls, name="suppress")
