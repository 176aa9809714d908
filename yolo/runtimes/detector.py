"""Detector whose network runs in any runtime; what the network leaves to do is done here, in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.config import LetterboxMode, NmsConfig
from yolo.conversion.description import Description
from yolo.errors import ConfigError
from yolo.images.letterbox import Letterbox
from yolo.model.pictures import Conf, Picture, detect
from yolo.ops.host_nms import decode_and_suppress, suppress_candidates
from yolo.ops.suppression import Kept
from yolo.ops.unpad import unpad
from yolo.runtimes.interface import Network
from yolo.structs import Detections


class RuntimeDetector:
    """Detector in a runtime: the same detections as `yolo.Detector` gives, found by another program.

    Args:
        description: description of the network.
        network: the network in its runtime.
        source: name of the file, for errors.
    """

    def __init__(self, description: Description, network: Network, source: str = "the model"):
        self.description = description
        self.network = network
        self.source = source
        self.classes = description.classes
        self.nms = description.nms
        self.origin = description.origin
        self.score_rules = description.score_rules
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

    def find(self, images: Any, nms: NmsConfig | None = None) -> Kept:
        """Find objects in images (B, H, W, 3), RGB in 0..255, on a canvas; padded to (B, D), in canvas pixels.

        Their scores are raw, and all are there that may reach the thresholds once `unpad` has calibrated them.

        Raises:
            ConfigError: the images are not on a canvas that the network takes; or suppression is inside the file, and
                ``nms`` asks for more than a higher ``conf``.
        """
        self.check_thresholds(nms or self.nms)
        thresholds = self.score_rules.raw(nms or self.nms)
        images = np.asarray(images)
        self.check_images(images)
        outputs = self.outputs(images)
        height, width = images.shape[1:3]
        match self.description.contents:
            case "maps":
                return decode_and_suppress(outputs, self._slots_on((int(height), int(width))), thresholds)
            case "predictions":
                boxes, scores = outputs
                return suppress_predictions(boxes, scores, thresholds, (int(height), int(width)))
        return at_least(Kept(*outputs), thresholds.conf)

    def check_images(self, images: NDArray[Any]) -> None:
        """Check the shape of images: a wrong one gives wrong boxes in some runtimes, and ends the process in others.

        Raises:
            ConfigError: it is not (B, H, W, 3), or H and W are not those of a canvas that the network takes.
        """
        shape, (height, width) = images.shape, self.canvas
        sides = f"{height}, {width}" if self.fixed_canvas else f"H, W in multiples of {self.stride}"
        right = len(shape) == 4 and min(shape) > 0 and shape[3] == 3
        if self.fixed_canvas:
            right = right and shape[1:3] == (height, width)
        if not right or any(side % self.stride for side in shape[1:3]):
            raise ConfigError(f"{self.source}: expected images (B, {sides}, 3), got {shape}")

    def check_thresholds(self, nms: NmsConfig) -> None:
        """Check that a file with suppression inside can follow thresholds: of its own, ``conf`` may only be raised.

        Raises:
            ConfigError: it cannot.
        """
        own, raw, raw_own = self.description.nms, self.score_rules.raw(nms), self.description.raw_nms
        others_equal = replace(raw, conf=raw_own.conf) == raw_own
        if self.description.contents != "detections" or (raw.conf >= raw_own.conf and others_equal):
            return
        raise ConfigError(
            f"{self.source}: suppression is inside the file, with conf {own.conf:g} and iou {own.iou:g}; only a higher "
            "--conf has an effect (export without suppression for others)"
        )

    def unpad(self, kept: Kept, letterboxes: Sequence[Letterbox], nms: NmsConfig | None = None) -> list[Detections]:
        """Map a batch's detections to the pixels of each image, clip them and calibrate their scores.

        Args:
            kept: what `find` found.
            letterboxes: mapping of each image to its canvas; one `Detections` for each.
            nms: thresholds given to `find`; None: detections that do not reach them calibrated are kept too.
        """
        return unpad(kept, letterboxes, self.classes, rules=self.score_rules, nms=nms)

    def detect_images(self, images: Sequence[NDArray[np.uint8]], nms: NmsConfig | None = None) -> list[Detections]:
        """Detect objects in images (H, W, 3) uint8 RGB of any sizes, run as one batch; boxes are in image pixels."""
        if not images:
            return []
        boxes = [Letterbox(image.shape[:2], self.canvas, self.letterbox) for image in images]
        batch = np.stack([box.apply_unrounded(image) for box, image in zip(boxes, images, strict=True)])
        return self.unpad(self.find(batch, nms), boxes, nms or self.nms)

    def detect(
        self,
        source: Picture | Sequence[Picture],
        *,
        conf: Conf | None = None,
        iou: float | None = None,
        batch: int = 8,
    ) -> Any:
        """Detect objects in one image or several, as `yolo.Detector.detect` does.

        Args:
            source: a path or an (H, W, 3) uint8 RGB array, or a list of these.
            conf: lowest score of a detection; ``auto``: the stored threshold of each class; None: the detector's own.
            iou: IoU above which the better of two boxes suppresses the other; None: the detector's own.
            batch: images per batch.

        Returns:
            A `Detections` for one image, a list of them for a list.

        Raises:
            MediaError: a file is not a readable image, or an array not (H, W, 3) uint8.
            ConfigError: suppression is inside the file and cannot follow the thresholds, or ``conf`` is auto and no
                thresholds are stored.
        """
        return detect(self, source, conf=conf, iou=iou, batch=batch)

    def outputs(self, images: Any) -> list[NDArray[Any]]:
        """Compute the outputs (`Description.outputs`) for images (B, H, W, 3), RGB in 0..255, on a canvas.

        They are run in parts of the batch that the network takes, the last one padded.
        """
        images = np.ascontiguousarray(images, np.float32)
        size = self.description.batch
        if size is None:
            return self.network(images)
        parts = []
        for first in range(0, len(images), size):
            part = images[first : first + size]
            padding = np.zeros((size - len(part), *part.shape[1:]), np.float32)
            parts.append(self.network(np.concatenate([part, padding]) if len(padding) else part))
        return [np.concatenate(output)[: len(images)] for output in zip(*parts, strict=True)]


def suppress_predictions(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], nms: NmsConfig, canvas: tuple[int, int]
) -> Kept:
    """Suppress decoded predictions.

    Args:
        boxes: (B, P, 4) xyxy in canvas pixels.
        scores: (B, P, C) in 0..1.
        nms: thresholds.
        canvas: (height, width) in pixels.
    """
    count = min(nms.max_detections, nms.max_candidates, scores[0].size)
    kept = Kept(
        np.zeros((len(boxes), count, 4), np.float32),
        np.zeros((len(boxes), count), np.float32),
        np.zeros((len(boxes), count), np.int32),
        np.zeros((len(boxes), count), bool),
    )
    for index, (own, values) in enumerate(zip(boxes, scores.reshape(len(scores), -1), strict=True)):
        pairs = np.flatnonzero(values >= nms.conf)
        best = pairs[np.argsort(-values[pairs], kind="stable")][: nms.max_candidates]
        slot, label = np.divmod(best, scores.shape[2])
        found = suppress_candidates((own[slot], values[best], label.astype(np.int32)), nms, canvas=canvas)
        for whole, part in zip(kept, found, strict=False):
            whole[index, : len(part)] = part[:count]
        kept.valid[index, : len(found[1])] = True
    return kept


def at_least(kept: Kept, conf: float) -> Kept:
    """Drop the detections below a score; those that stay keep their order, and the rest becomes padding."""
    valid = kept.valid.astype(bool) & (kept.scores >= conf)
    return Kept(
        np.where(valid[..., None], kept.boxes, 0).astype(np.float32),
        np.where(valid, kept.scores, 0).astype(np.float32),
        np.where(valid, kept.labels, 0).astype(np.int32),
        valid,
    )
