"""The built-in networks with few filters, for tests that look at their layers but not at what they compute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import pytest

from yolo.model.networks import yolov3


@contextmanager
def narrow_networks() -> Iterator[None]:
    """Build yolov3 and yolov3-spp, and the neck of Keras backbones, with a sixteenth of their filters."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yolov3, "DARKNET53_STAGES", tuple((n // 16, blocks) for n, blocks in yolov3.DARKNET53_STAGES))
        patch.setattr(yolov3, "NECK", tuple(n // 16 for n in yolov3.NECK))
        yield


def shallow_efficientnet(*, include_top: bool = False, **options: Any) -> keras.Model:
    """In place of keras.applications.EfficientNetB0: one narrow block of each of its seven kinds."""
    from keras.src.applications.efficientnet import EfficientNet

    return EfficientNet(0.25, 0.1, 224, include_top=include_top, name="efficientnetb0", **options)


shallow_efficientnet.__module__ = keras.applications.EfficientNetB0.__module__
"""By which the package finds the preprocessing."""
