"""Detection in pictures for programs: files or arrays, one or many, by any detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from yolo.config import NmsConfig, check
from yolo.errors import MediaError
from yolo.images.codec import read_image
from yolo.scores import ScoreRules
from yolo.structs import Detections

Picture = str | Path | NDArray[np.uint8]
Conf = float | Literal["auto"]
"""Lowest score of a detection; auto: the threshold of each class that is stored in the model."""


class PictureDetector(Protocol):
    """Detector that runs a batch of images."""

    nms: NmsConfig
    score_rules: ScoreRules

    def detect_images(self, images: Sequence[NDArray[np.uint8]], nms: NmsConfig | None = None) -> list[Detections]:
        """Detect objects in images (H, W, 3) uint8 RGB; boxes are in pixels of each image."""


def detect(
    detector: PictureDetector,
    source: Picture | Sequence[Picture],
    *,
    conf: Conf | None,
    iou: float | None,
    batch: int,
) -> Any:
    """Detect objects in one image or several; arguments, result and errors as those of `yolo.Detector.detect`."""
    check(batch > 0, "batch", "> 0", batch)
    if isinstance(source, str | Path | np.ndarray):
        return detect(detector, [source], conf=conf, iou=iou, batch=1)[0]
    nms = detector.nms if iou is None else replace(detector.nms, iou=iou)
    nms = with_conf(detector, nms, conf)
    found: list[Detections] = []
    for first in range(0, len(source), batch):
        part = source[first : first + batch]
        images = [_checked(each) if isinstance(each, np.ndarray) else read_image(each) for each in part]
        found += detector.detect_images(images, nms)
    return found


def with_conf(detector: PictureDetector, nms: NmsConfig, conf: Conf | None) -> NmsConfig:
    """Set the lowest score in thresholds of a detector; None: as they are.

    Raises:
        ConfigError: it is out of range, or auto and no thresholds are stored.
    """
    if conf is None:
        return nms
    return detector.score_rules.with_auto(nms) if conf == "auto" else replace(nms, conf=conf, class_conf=())


def _checked(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an array that is an image: others, such as floats in 0..1, would be searched for nothing, silently."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise MediaError(f"expected a picture as an array (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}")
    return image
