"""TensorFlow, with batch norm folded and in bfloat16 where the processor multiplies it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from yolo.conversion.description import describe
from yolo.conversion.graph import maps_function
from yolo.runtimes.interface import Images

if TYPE_CHECKING:
    from yolo.model.detector import Detector


class TensorFlowNetwork:
    """Inference network of a detector as one TensorFlow function for all canvases."""

    runtime = "keras"
    parallel = 1

    def __init__(self, detector: Detector, *, precision: str = "float32"):
        import keras

        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(precision)  # the copies of the weights get this type
        try:
            self._function = maps_function(detector)
        finally:
            keras.config.set_dtype_policy(before)
        self.precision = precision
        self._names = describe(detector).outputs

    def __call__(self, images: Images) -> list[NDArray[np.float32]]:
        """Compute the raw maps for images (B, H, W, 3)."""
        import tensorflow as tf

        maps = self._function(tf.constant(images))
        return [maps[name].numpy() for name in self._names]
