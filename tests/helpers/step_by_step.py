"""Training without a compiled step, whose tracing costs more than the few steps of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from yolo.model.detector import Detector


@contextmanager
def training_step_by_step() -> Iterator[None]:
    """Train detectors operation by operation, whatever they are compiled with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Detector, "run_eagerly", property(lambda _: True, lambda *_: None))
        yield
