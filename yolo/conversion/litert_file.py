"""Conversion to LiteRT (TensorFlow Lite)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yolo.conversion.description import Description, describe
from yolo.conversion.graph import frozen, maps_function

if TYPE_CHECKING:
    from yolo.model.detector import Detector


def to_litert(detector: Detector) -> tuple[bytes, Description]:
    """Convert the network that gives raw maps to a ``.tflite`` file of its canvas and one image a batch."""
    import tensorflow as tf

    # LiteRT needs every size: an upsampled map of any size loses its number of channels.
    function = frozen(maps_function(detector, canvas=detector.canvas, batch=1))
    model = tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
    return model, describe(detector, batch=1, fixed_canvas=True)
