"""ImageNet weights that Keras publishes for its backbones, loaded into a detector."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

import keras
from keras import layers

from yolo.errors import ConfigError, WeightsError
from yolo.model.detector import Detector
from yolo.model.networks.keras_backbones import PREFIX, backbone_of, construct


def load_imagenet(detector: Detector, *, offline: bool = False) -> None:
    """Load ImageNet weights into a detector's backbone; Keras downloads them on first use.

    Args:
        detector: a ``keras:NAME`` model; its neck and heads are not changed.
        offline: raise instead of downloading.

    Raises:
        ConfigError: the detector's backbone is not one of Keras'.
        WeightsError: the weights cannot be downloaded.
    """
    backbone, name = backbone_of(detector.network), detector.variant.removeprefix(PREFIX)
    if backbone is None:
        raise ConfigError(f"model {detector.variant}: ImageNet weights are for the backbones of Keras ({PREFIX}NAME)")
    if offline:
        raise WeightsError(f"{name}: its ImageNet weights are downloaded by Keras; allow that, or give a weights file")
    trained = _download(name, detector.canvas)
    # The graph that Keras built, so that both list their layers in the same order.
    own = keras.Model(backbone.input, backbone.outputs[0])
    for layer, source in zip(_weighted(own), _weighted(trained), strict=True):
        layer.set_weights(source.get_weights())
    detector.origin = {**detector.origin, "backbone": "imagenet"}


def _weighted(model: keras.Model) -> list[layers.Layer]:
    """Layers with weights, without the image normalization, which is set already."""
    return [layer for layer in model.layers if layer.weights and not isinstance(layer, layers.Normalization)]


def _download(name: str, canvas: tuple[int, int]) -> keras.Model:
    """Build the network with its ImageNet weights.

    Raises:
        WeightsError: the weights cannot be downloaded.
    """
    try:
        with redirect_stdout(sys.stderr):  # Keras' progress bar; stdout is for results
            return construct(name, canvas, weights="imagenet")
    except Exception as error:  # Keras raises a plain Exception where a download fails
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise WeightsError(f"{name}: Keras cannot download its ImageNet weights ({reason})") from error
