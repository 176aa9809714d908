"""Detector whose network runs in any runtime; decoding and suppression are done here, in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.config import LetterboxMode, NmsConfig
from yolo.conversion.description import Description
from yolo.images.letterbox import Letterbox
from yolo.ops.host_nms import decode_and_suppress
from yolo.ops.slots import Slots
from yolo.ops.suppression import Kept
from yolo.ops.unpad import unpad
from yolo.runtimes.interface import Images, Network
from yolo.structs import Detections


class RuntimeDetector:
    """Detector in a runtime: the same detections as `yolo.Detector` gives, found by another program.

    Args:
        description: description of the network.
        network: the network in its runtime.
    """

    def __init__(self, description: Description, network: Network):
        self.description = description
        self.network = network
        self.classes = description.classes
        self.nms = description.nms
        self.origin = description.origin
        self._slots_on = lru_cache(maxsize=64)(description.slots_on)

    @property
    def canvas(self) -> tuple[int, int]:
        """Size of the canvas that the network was made for, (height, width)."""
        return self.description.canvas

    @property
    def letterbox(self) -> LetterboxMode:
        """Mode of fitting images to the canvas."""
        return self.description.letterbox

    @property
    def fixed_canvas(self) -> bool:
        """Whether the network takes `canvas` alone, and no other multiples of its strides."""
        return self.description.fixed_canvas

    @property
    def stride(self) -> int:
        """Largest stride of the network, of which the sides of a canvas are multiples."""
        return max(self.description.strides)

    @property
    def parallel(self) -> int:
        """Number of calls of `find` at a time that give the highest throughput."""
        return self.network.parallel

    def find(self, images: Images, nms: NmsConfig | None = None) -> Kept:
        """Find objects in images (B, H, W, 3), RGB in 0..255, on a canvas; padded to (B, D), in canvas pixels."""
        outputs = self.network(np.asarray(images, np.float32))
        return decode_and_suppress(outputs, self._slots(images.shape[1:3]), nms or self.nms)

    def unpad(self, kept: Kept, letterboxes: Sequence[Letterbox]) -> list[Detections]:
        """Map a batch's detections to the pixels of each image, and clip them; one `Detections` per letterbox."""
        return unpad(kept, letterboxes, self.classes)

    def detect_images(self, images: Sequence[NDArray[np.uint8]], nms: NmsConfig | None = None) -> list[Detections]:
        """Detect objects in images (H, W, 3) uint8 RGB of any sizes, run as one batch; boxes are in image pixels."""
        if not images:
            return []
        boxes = [Letterbox(image.shape[:2], self.canvas, self.letterbox) for image in images]
        batch = np.stack([box.apply_unrounded(image) for box, image in zip(boxes, images, strict=True)])
        return self.unpad(self.find(batch, nms), boxes)

    def _slots(self, canvas: Any) -> Slots:
        height, width = canvas
        return self._slots_on((int(height), int(width)))
