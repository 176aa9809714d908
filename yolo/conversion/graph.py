"""TensorFlow functions of a detector's inference network, from which all other formats are converted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras

from yolo.conversion.conversion import MAPS, Conversion
from yolo.conversion.decoding import Tensors, decoded, predictions_of, suppressed
from yolo.errors import ConfigError
from yolo.model.backend.precision import computing_in
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
    return _function(detector, MAPS, canvas=canvas, batch=batch)


def network_function(detector: Detector, conversion: Conversion) -> Any:
    """Make a function from images to the outputs by `Description.outputs`, decoded and suppressed as chosen.

    Raises:
        ConfigError: Keras computes with another backend than TensorFlow.
    """
    canvas = detector.canvas if conversion.is_fixed(detector) else (None, None)
    with computing_in("bfloat16" if conversion.precision == "bfloat16" else "float32"):
        return _function(detector, conversion, canvas=canvas, batch=conversion.batch)


def head_function(detector: Detector, conversion: Conversion) -> Any:
    """Make a function from raw maps, as `maps_function` gives them, to the decoded or suppressed outputs."""
    import tensorflow as tf

    return tf.function(
        lambda *maps: _outputs(detector, conversion, maps),
        input_signature=maps_specs(detector, conversion),
        autograph=False,
    )


def maps_specs(detector: Detector, conversion: Conversion) -> list[Any]:
    """Shapes and names of the raw maps as inputs of a function."""
    import tensorflow as tf

    fixed, batch, names = conversion.is_fixed(detector), conversion.batch, _map_names(detector, conversion)
    shape = detector.architecture
    specs = []
    for name, stride, anchors in zip(names, shape.strides, shape.anchors, strict=True):
        grid = [side // stride for side in detector.canvas] if fixed else [None, None]
        channels = len(anchors) * (5 + len(detector.classes))
        specs.append(tf.TensorSpec((batch, *grid, channels), tf.float32, name=name))
    return specs


def check_backend() -> None:
    """Check that Keras computes with TensorFlow.

    Raises:
        ConfigError: it computes with another backend.
    """
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"a network is converted by TensorFlow; Keras computes with {keras.backend.backend()} here "
            "(unset KERAS_BACKEND)"
        )


def frozen(function: Any) -> Any:
    """Make the concrete function of a function with its variables as constants."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(traced(function), lower_control_flow=False)


def traced(function: Any) -> Any:
    """Make the concrete function of a function, with the functions that it calls inlined.

    Keras wraps a grouped convolution into a function for XLA, which no converter understands.
    """
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        return function.get_concrete_function()
    finally:
        tf.config.run_functions_eagerly(before)


def _function(detector: Detector, conversion: Conversion, *, canvas: AnyCanvas, batch: int | None) -> Any:
    check_backend()
    import tensorflow as tf

    network = inference_network(detector, canvas)
    size = network.inputs[0].shape[1:3]

    # Nothing here branches on tensors; AutoGraph would read the source of every function that Keras calls.
    @tf.function(input_signature=[tf.TensorSpec((batch, *size, 3), tf.float32, name=INPUT)], autograph=False)
    def run(images: Any) -> Any:
        maps = network(images, training=False)
        maps = maps if isinstance(maps, list) else [maps]
        return _outputs(detector, conversion, [tf.cast(each, tf.float32) for each in maps])

    run.network = network  # the function refers to its variables weakly
    return run


def _outputs(detector: Detector, conversion: Conversion, maps: Sequence[Any]) -> Tensors:
    """Outputs by name, from raw maps."""
    if conversion.contents == "maps":
        return dict(zip(_map_names(detector, conversion), maps, strict=True))
    found = decoded(detector, maps)
    if conversion.contents == "predictions":
        return predictions_of(found)
    return suppressed(found, detector.score_rules.raw(conversion.nms or detector.nms), maps[0])._asdict()


def _map_names(detector: Detector, conversion: Conversion) -> list[str]:
    return conversion.describe(detector).map_names
