"""The ImageNet weights that Keras publishes for its backbones, put into a detector's."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

import keras
from keras import layers

from yolo.errors import ConfigError, WeightsError
from yolo.model.detector import Detector
from yolo.model.networks.keras_backbones import PREFIX, backbone_of, construct


def load_imagenet(detector: Detector, *, offline: bool = False) -> None:
    """Put ImageNet weights into a detector's backbone, downloaded by Keras the first time.

    Args:
        detector: its model is ``keras:NAME``; neck and heads stay as they are.
        offline: download nothing: an error.

    Raises:
        ConfigError: the detector's backbone is none of Keras'.
        WeightsError: the weights cannot be downloaded.
    """
    backbone, name = backbone_of(detector.network), detector.variant.removeprefix(PREFIX)
    if backbone is None:
        raise ConfigError(f"model {detector.variant}: ImageNet weights are for the backbones of Keras ({PREFIX}NAME)")
    if offline:
        raise WeightsError(f"{name}: its ImageNet weights are downloaded by Keras; allow that, or give a file of them")
    trained = _download(name, detector.canvas)
    # The same graph as Keras built, so that the layers come in the same order.
    own = keras.Model(backbone.input, backbone.outputs[0])
    for layer, source in zip(_weighted(own), _weighted(trained), strict=True):
        layer.set_weights(source.get_weights())
    detector.origin = {**detector.origin, "backbone": "imagenet"}


def _weighted(model: keras.Model) -> list[layers.Layer]:
    """The layers with weights, less the normalization of the picture, which is set already."""
    return [layer for layer in model.layers if layer.weights and not isinstance(layer, layers.Normalization)]


def _download(name: str, canvas: tuple[int, int]) -> keras.Model:
    """The network with its ImageNet weights.

    Raises:
        WeightsError: they cannot be had.
    """
    try:
        with redirect_stdout(sys.stderr):  # Keras' progress bar; ours is what a command prints
            return construct(name, canvas, weights="imagenet")
    except Exception as error:  # Keras raises a plain Exception where a download fails
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise WeightsError(f"{name}: Keras cannot download its ImageNet weights ({reason})") from error
