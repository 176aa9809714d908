"""Detector of an exported file as evaluation takes it, its suppression done by Keras as in the detector itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.config import NmsConfig
from yolo.conversion.description import Description
from yolo.exporting.running import Outputs, Run
from yolo.images.letterbox import Letterbox
from yolo.ops.decode import Predictions, decode
from yolo.ops.nms import suppress
from yolo.ops.suppression import Kept
from yolo.ops.unpad import unpad
from yolo.structs import Detections


class FileDetector:
    """Exported file with its description, on the canvas that it was made for.

    Args:
        description: description of the file.
        run: function from images to the file's outputs.
    """

    def __init__(self, description: Description, run: Run):
        self.description, self.run = description, run
        self.classes, self.nms, self.origin = description.classes, description.nms, description.origin
        self.canvas, self.letterbox = description.canvas, description.letterbox

    def outputs(self, images: Any) -> Outputs:
        """Outputs for images (B, H, W, 3), run in batches that the file takes."""
        images = np.asarray(images, np.float32)
        batch = self.description.batch or len(images)
        parts = []
        for first in range(0, len(images), batch):
            part = images[first : first + batch]
            padded = np.concatenate([part, np.zeros((batch - len(part), *part.shape[1:]), np.float32)])
            parts.append([each[: len(part)] for each in self.run(padded)])
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def find(self, images: Any, nms: NmsConfig | None = None) -> Kept:
        """Find objects in images (B, H, W, 3) on the canvas; a `Kept` of numpy arrays."""
        outputs: list[NDArray[Any]] = self.outputs(images)
        if self.description.contents == "detections":
            return Kept(*outputs)
        if self.description.contents == "predictions":
            boxes, scores = outputs
            found = Predictions(boxes, np.ones(boxes.shape[:2], np.float32), scores)
        else:
            counts = map(len, self.description.anchors)
            shaped = [raw.reshape(*raw.shape[:3], count, -1) for raw, count in zip(outputs, counts, strict=True)]
            found = decode(shaped, self.description.slots_on(self.canvas))
        return Kept(*map(np.asarray, suppress(found, nms or self.nms)))

    def unpad(self, kept: Kept, letterboxes: Sequence[Letterbox]) -> list[Detections]:
        """Map a batch's detections to the pixels of each image."""
        return unpad(kept, letterboxes, self.classes)
