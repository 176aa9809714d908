"""Detectors that several tests export."""

from __future__ import annotations

from pathlib import Path

import pytest
from runtime_models import narrow_detector, scatter

import yolo
from yolo.config import NmsConfig


@pytest.fixture(scope="session")
def tiny() -> yolo.Detector:
    """Half a yolov3-tiny of three classes, one with a space, at 96 px."""
    return scatter(narrow_detector(["a", "traffic light", "c"], share=2, nms=NmsConfig(conf=0.2)))


@pytest.fixture(scope="session")
def small() -> yolo.Detector:
    """Network of two convolutions, whose images are stretched, and whose files are quickly made."""
    from cfg_texts import STAGED

    return scatter(yolo.Detector("net.cfg", cfg=STAGED, classes=["a", "b"], nms=NmsConfig(conf=0.2)))


@pytest.fixture(scope="session")
def photo(shared: Path) -> Path:
    """A photograph."""
    return shared / "data" / "photos" / "dog.jpg"
