"""Class activation maps of classifiers that end in global average pooling (Zhou et al. 2016).

Such a network averages its last feature maps over the picture and weights the averages, so that the same weights
applied place by place say how much each place adds to a class: an exact sum, without gradients.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.errors import ConfigError, WeightsError
from yolo.images.letterbox import stretch

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]
AWAY = "no class activation map: the classifier must end in global average pooling and at most one linear layer"


class ClassMap(NamedTuple):
    """One class of a picture, and what speaks for it."""

    label: int
    score: float
    """Output of the network for the class."""
    logits: Floats
    """(h, w) contribution of each cell: its mean, and the layer's bias, are the class's value before the softmax."""
    heat: Floats
    """(H, W) in 0..1 over the picture: the positive contributions."""


class Ending(NamedTuple):
    """End of a classifier: feature maps, pooled and weighted."""

    features: Any
    """Symbolic tensor (B, h, w, channels) that is pooled."""
    kernel: Floats | None
    """(channels, classes) weights behind the pool; None: the channels are the classes."""
    bias: Floats | None
    """(classes,) or None."""


def class_activation_maps(model: keras.Model, picture: NDArray[np.uint8], *, top: int = 3) -> list[ClassMap]:
    """Maps of a classifier's best classes for a picture (H, W, 3) uint8 RGB, best first.

    The picture is stretched to the network's input and given as 0..255: scaling to another range must be a layer of the
    model, as it is in those of keras.applications that contain their preprocessing.

    Raises:
        ConfigError: the model is not such a classifier.
    """
    import cv2
    import keras

    end = find_ending(model)
    height, width = (own or side for own, side in zip(model.inputs[0].shape[1:3], picture.shape[:2], strict=True))
    images = stretch(picture.astype(np.float32), (height, width))[None]
    values = keras.Model(model.inputs[0], [end.features, model.outputs[0]])(images, training=False)
    features, scores = (np.asarray(keras.ops.convert_to_numpy(each), np.float32)[0] for each in values)
    scores = scores.ravel()
    maps = features if end.kernel is None else features @ end.kernel
    found = []
    for label in np.argsort(-scores, kind="stable")[:top].tolist():
        positive = np.maximum(maps[..., label], 0)
        scaled = positive / max(float(positive.max()), 1e-12)
        heat = cv2.resize(scaled, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        found.append(ClassMap(label, float(scores[label]), maps[..., label], np.asarray(heat, np.float32)))
    return found


def find_ending(model: keras.Model) -> Ending:
    """Find the pool of a classifier and the linear layer behind it.

    Raises:
        ConfigError: it ends in another way.
    """
    from keras import layers

    if len(getattr(model, "outputs", None) or ()) != 1 or len(model.inputs) != 1:
        raise ConfigError(f"{AWAY}; this model has several inputs or outputs, or no graph")
    kernel = bias = None
    tensor = model.outputs[0]
    while True:
        operation = tensor._keras_history.operation
        match operation:
            case layers.GlobalAveragePooling2D():
                return Ending(operation.input, kernel, bias)
            case layers.Dense() if kernel is None:
                kernel, bias = _weights(operation)
            case layers.Conv2D() if kernel is None and operation.kernel_size == (1, 1):
                kernel, bias = _weights(operation)
            case _ if not _passes(operation):
                raise ConfigError(f"{AWAY}; {operation.name} ({type(operation).__name__}) comes before that")
        if _bends(operation) and kernel is not None:
            raise ConfigError(f"{AWAY}; {operation.name} has an activation between them")
        tensor = operation.input


def _passes(operation: Any) -> bool:
    """Whether an operation only reshapes, drops, or scales the classes' values at the very end."""
    from keras import layers

    kinds = (layers.Flatten, layers.Reshape, layers.Dropout, layers.Activation, layers.Softmax)
    return isinstance(operation, kinds) or type(operation).__name__ in ("Softmax", "Reshape", "Squeeze")


def _bends(operation: Any) -> bool:
    """Whether an operation between pool and linear layer is no identity; the linear layer's own activation is."""
    from keras import layers

    return isinstance(operation, layers.Activation | layers.Softmax)


def _weights(layer: Any) -> tuple[Floats, Floats | None]:
    import keras

    kernel = np.asarray(keras.ops.convert_to_numpy(layer.kernel), np.float32)
    bias = None if layer.bias is None else np.asarray(keras.ops.convert_to_numpy(layer.bias), np.float32)
    return kernel.reshape(kernel.shape[-2:]), bias


def load_classifier(path: str | Path) -> keras.Model:
    """Load a classifier of Keras' own layers from a ``.keras`` file.

    Raises:
        WeightsError: the file is damaged, or holds code or layers that are not Keras' own.
    """
    import keras

    from yolo.files.bounded import open_or_fault
    from yolo.weights.keras_archive import checked_weights, checked_zip, read_description

    strange = sorted(_modules(read_description(path)) - {"builtins", "keras"})
    if strange:
        raise WeightsError(f"{path}: has layers of {', '.join(strange)}; only Keras' own are loaded")
    with open_or_fault(path, WeightsError) as file:
        try:
            with checked_zip(file) as archive, checked_weights(file, archive):
                pass
            return keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises errors of any type for a damaged file
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise WeightsError(f"{path}: cannot be loaded ({reason:.200})") from error


def _modules(config: Any) -> set[str]:
    """First parts of all modules that a configuration names."""
    if isinstance(config, dict):
        module = config.get("module")
        own = {module.partition(".")[0]} if isinstance(module, str) else set()
        return own.union(*(_modules(each) for each in config.values()))
    if isinstance(config, list):
        return set[str]().union(*(_modules(each) for each in config))
    return set()
