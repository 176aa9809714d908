"""Replay of a step whose loss was not finite, to find what made it so: ``yolov3 train --replay``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from yolo.config import LossConfig
from yolo.errors import ConfigError
from yolo.model.backend.precision import computing_in
from yolo.model.backend.step_guards import NOT_FINITE, NOT_FINITE_GRADIENT
from yolo.model.detector import Detector
from yolo.ops.boxes import Tensor
from yolo.ops.loss import LossTerms
from yolo.training.engine.non_finite import FOLDER, is_not_finite, values_of
from yolo.training.optimizer.update_rules import SGD
from yolo.training.run import checkpoint
from yolo.training.run.checkpoint import Checkpoint
from yolo.training.run.stages import freeze_layers


def replay(path: str | Path) -> dict[str, Any]:
    """Repeat the step in a fault file, in the precision of its run; no file is changed.

    Returns:
        Dict of ``step``; ``outcome``: the step's error, or its loss; ``pictures``: source files and loss terms of each
        image; ``not_finite``: names of weights, layer outputs and, for a finite loss, gradients that are not finite.

    Raises:
        WeightsError: the file is damaged or missing.
        ConfigError: the file is a checkpoint without a batch.
    """
    fault = checkpoint.read(path)
    batch = {name.removeprefix("batch/"): value for name, value in fault.arrays.items() if name.startswith("batch/")}
    if "images" not in batch:
        raise ConfigError(f"{path}: contains no batch; give a file from a run's {FOLDER} folder")
    images = batch.pop("images")
    with computing_in(fault.meta["precision"]):
        detector = detector_of(fault)
        suspects = [*weights_not_finite(detector), *outputs_not_finite(detector, images)]
        pictures = losses_of_pictures(detector, images, batch, fault.meta["pictures"])
        finite = all(math.isfinite(picture[term]) for picture in pictures for term in LossTerms._fields)
        if finite:  # otherwise all gradients are non-finite
            suspects += gradients_not_finite(detector, images, batch)
        said = outcome(detector, images, batch)  # last, as it changes the weights
    if said == NOT_FINITE and finite:  # JAX does not report which of the two it was
        said = NOT_FINITE_GRADIENT
    return {"step": fault.step, "pictures": pictures, "not_finite": suspects, "outcome": said}


def detector_of(fault: Checkpoint) -> Detector:
    """Detector of a fault file as it was before the step: weights, loss and frozen layers."""
    detector = Detector.from_config(fault.meta["detector"])
    for variable in detector.variables:
        variable.assign(fault.arrays[f"weights/{variable.path}"])
    freeze_layers(detector, fault.meta["frozen"])
    clip_norm = fault.meta["config"]["clip_norm"] or None
    # Our SGD, unlike Keras', rejects a non-finite gradient; the optimizer's moments do not matter here.
    detector.compile(optimizer=SGD(global_clipnorm=clip_norm), loss=LossConfig(**fault.meta["loss"]))
    return detector


def losses_of_pictures(
    detector: Detector, images: NDArray[np.uint8], targets: dict[str, NDArray[Any]], files: list[list[str]]
) -> list[dict[str, Any]]:
    """Source files and loss terms of each image of a batch."""
    terms = detector.loss_terms(detector(images, training=True), targets)
    columns = {name: keras.ops.convert_to_numpy(term).tolist() for name, term in terms._asdict().items()}
    return [
        {"files": names, **{term: column[row] for term, column in columns.items()}} for row, names in enumerate(files)
    ]


def weights_not_finite(detector: Detector) -> list[str]:
    """Names of the variables with non-finite values."""
    return [path for path, value in values_of(detector).items() if not np.isfinite(value.astype(np.float32)).all()]


def outputs_not_finite(detector: Detector, images: NDArray[np.uint8]) -> list[str]:
    """Names of the layers, in Darknet's order, with non-finite outputs for a batch of any canvas."""
    layers, canvas = detector.convolutions, (images.shape[1], images.shape[2])
    network = detector.network if canvas == detector.canvas else detector.network_on(canvas)
    # `layer.output` would belong to the graph for the detector's own canvas.
    nodes = [node for level in network._nodes_by_depth.values() for node in level]
    by_layer = {id(node.operation): node.outputs[0] for node in nodes}
    inner = keras.Model(network.inputs, [by_layer[id(layer)] for layer in layers])
    outputs = inner(keras.ops.cast(images, "float32"), training=True)
    finite = [bool(keras.ops.all(keras.ops.isfinite(output))) for output in outputs]
    return [f"output of {layer.name}" for layer, good in zip(layers, finite, strict=True) if not good]


def gradients_not_finite(detector: Detector, images: NDArray[np.uint8], targets: dict[str, NDArray[Any]]) -> list[str]:
    """Names of the variables with non-finite gradients for a batch; or the global norm, if only that is not finite.

    Empty on backends other than TensorFlow and JAX.
    """
    variables = detector.trainable_variables

    def loss() -> Tensor:
        terms = detector.loss_terms(detector(images, training=True), targets)
        return sum(keras.ops.mean(term) for term in terms)

    gradients = gradients_of(loss, variables)
    largest = {name: np.abs(each).max() for name, each in gradients.items()}
    found = [f"gradient of {name}" for name, value in largest.items() if not np.isfinite(value)]
    with np.errstate(over="ignore"):  # float32, as in the step
        norm = sum(np.square(each, dtype=np.float32).sum() for each in gradients.values())
    if found or np.isfinite(norm):
        return found
    return [f"norm of the gradient (largest: {max(largest, key=lambda name: largest[name])})"]


def gradients_of(loss: Callable[[], Tensor], variables: Sequence[keras.Variable]) -> dict[str, NDArray[Any]]:
    """Gradient of a loss by variable path; empty on backends other than TensorFlow and JAX."""
    values = [variable.value for variable in variables]
    found: Sequence[Tensor] = []
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                total = loss()
            found = tape.gradient(total, values, unconnected_gradients="zero")
        case "jax":
            import jax

            def of(values: list[Tensor]) -> Tensor:
                with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                    return loss()

            found = jax.grad(of)(values)
    arrays = [keras.ops.convert_to_numpy(each) for each in found]
    return {variable.path: each for variable, each in zip(variables, arrays, strict=False)}


def outcome(detector: Detector, images: NDArray[np.uint8], targets: dict[str, NDArray[Any]]) -> str:
    """Error message, or else the loss, of a training step on a batch."""
    try:
        loss = detector.train_on_batch(images, targets, return_dict=True)["loss"]
    except Exception as error:
        if not is_not_finite(error):
            raise
        return NOT_FINITE_GRADIENT if NOT_FINITE_GRADIENT in str(error) else NOT_FINITE
    return f"loss {float(loss):.6g}" if np.isfinite(loss) else NOT_FINITE
