"""Detectors that several tests export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import yolo
from yolo.config import NmsConfig

Make = Callable[..., yolo.Detector]


def scatter(detector: yolo.Detector, seed: int = 0) -> yolo.Detector:
    """Draw batch norms, and scale the heads so that scores lie around the threshold and none near 1, where all tie."""
    random = np.random.default_rng(seed)
    for layer in detector.convolutions:
        if layer.batch_norm is not None:
            norm = layer.batch_norm
            for variable in (norm.gamma, norm.moving_variance):
                variable.assign(random.uniform(0.5, 1.5, variable.shape))
            for variable in (norm.beta, norm.moving_mean):
                variable.assign(random.normal(0, 0.1, variable.shape))
    noise = random.uniform(0, 255, (1, *detector.canvas, 3)).astype(np.float32)
    for head, raw in zip(detector.heads, detector(noise), strict=True):
        kernel, bias = head.get_weights()
        head.set_weights([kernel / max(np.std(raw), 1e-6), random.normal(-0.5, 0.5, bias.shape)])
    return detector


@pytest.fixture(scope="session")
def tiny() -> yolo.Detector:
    """yolov3-tiny of three classes, one with a space, at 96 px."""
    return scatter(yolo.Detector("yolov3-tiny", classes=["a", "traffic light", "c"], size=96, nms=NmsConfig(conf=0.2)))


@pytest.fixture(scope="session")
def small() -> yolo.Detector:
    """Network of two convolutions, whose images are stretched, and whose files are quickly made."""
    from cfg_texts import STAGED

    return scatter(yolo.Detector("net.cfg", cfg=STAGED, classes=["a", "b"], nms=NmsConfig(conf=0.2)))


@pytest.fixture(scope="session")
def photo(shared: Path) -> Path:
    """A photograph."""
    return shared / "data" / "photos" / "dog.jpg"
