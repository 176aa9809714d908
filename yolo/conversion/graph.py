"""TensorFlow function of a detector's inference network, from which all other formats are converted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from yolo.conversion.description import describe
from yolo.errors import ConfigError
from yolo.model.inference import AnyCanvas, inference_network

if TYPE_CHECKING:
    from yolo.model.detector import Detector

INPUT = "images"
"""Name of the input: (B, H, W, 3) float32, RGB in 0..255, on the canvas."""


def maps_function(detector: Detector, *, canvas: AnyCanvas = (None, None), batch: int | None = None) -> Any:
    """Make a function from images to the dict of raw maps (B, h, w, A x (5 + C)) by `Description.outputs`.

    Raises:
        ConfigError: Keras computes with another backend than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"a network is converted by TensorFlow; Keras computes with {keras.backend.backend()} here "
            "(unset KERAS_BACKEND)"
        )
    import tensorflow as tf

    network = inference_network(detector, canvas)
    size, names = network.inputs[0].shape[1:3], describe(detector).outputs

    @tf.function(input_signature=[tf.TensorSpec((batch, *size, 3), tf.float32, name=INPUT)])
    def run(images: Any) -> Any:
        maps = network(images, training=False)
        maps = maps if isinstance(maps, list) else [maps]
        return dict(zip(names, (tf.cast(each, tf.float32) for each in maps), strict=True))

    run.network = network  # the function refers to its variables weakly
    return run


def frozen(function: Any) -> Any:
    """Make the concrete function of a function with its variables as constants."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(function.get_concrete_function())
