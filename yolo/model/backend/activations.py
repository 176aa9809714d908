"""Activations inside a network, and gradients with respect to them, on TensorFlow and JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from yolo.errors import ConfigError
from yolo.ops.boxes import Tensor

Arrays = list[NDArray[np.float32]]


class Traced(NamedTuple):
    """One pass through a network, with everything that its gradients need."""

    outputs: Arrays
    """Values of the tensors that were asked for as outputs."""
    activations: Arrays
    """Values of the tapped tensors."""
    pull: Callable[[Sequence[NDArray[np.float32]]], Arrays]
    """Gradients with respect to the tapped tensors, from weights of the outputs' numbers: of sum(weights x outputs).

    Zeros for a tensor on which those outputs do not depend.
    """


def trace(
    network: keras.Model, outputs: Sequence[Tensor], taps: Sequence[Tensor], images: NDArray[np.float32]
) -> Traced:
    """Run images (B, H, W, 3) through a network in inference mode, and record it for gradients.

    Args:
        network: a functional model with one input.
        outputs: its symbolic tensors to differentiate.
        taps: its symbolic tensors to differentiate with respect to; its input may be one.
        images: values of its input.

    Raises:
        ConfigError: the backend is neither TensorFlow nor JAX.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _trace_tensorflow(network, outputs, taps, images)
    if backend == "jax":
        return _trace_jax(network, outputs, taps, images)
    raise ConfigError(f"gradients inside a network are taken with TensorFlow or JAX, not {backend}; set KERAS_BACKEND")


def _trace_tensorflow(
    network: keras.Model, outputs: Sequence[Tensor], taps: Sequence[Tensor], images: NDArray[np.float32]
) -> Traced:
    import tensorflow as tf

    tapped = keras.Model(network.inputs[0], [*outputs, *taps])
    given = tf.convert_to_tensor(images)
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(given)
        values = _listed(tapped(given, training=False))
    made, activations = values[: len(outputs)], values[len(outputs) :]
    places = [given if tap is network.inputs[0] else value for tap, value in zip(taps, activations, strict=True)]

    def pull(weights: Sequence[NDArray[np.float32]]) -> Arrays:
        cotangents = [tf.convert_to_tensor(each, value.dtype) for each, value in zip(weights, made, strict=True)]
        found = tape.gradient(made, places, cotangents, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [np.asarray(each, np.float32) for each in found]

    return Traced(_arrays(made), _arrays(activations), pull)


def _trace_jax(
    network: keras.Model, outputs: Sequence[Tensor], taps: Sequence[Tensor], images: NDArray[np.float32]
) -> Traced:
    """Add a shift of zero to each tapped tensor: the gradient with respect to the shift is that of the tensor."""
    import jax

    tapped = keras.Model(network.inputs[0], [*outputs, *taps])
    given = ops.convert_to_tensor(images)
    activations = _listed(tapped(given, training=False))[len(outputs) :]
    places = {id(tap._keras_history.operation): index for index, tap in enumerate(taps)}
    of_input = next((index for index, tap in enumerate(taps) if tap is network.inputs[0]), None)

    def shifted(shifts: Sequence[Tensor]) -> list[Tensor]:
        def shifting(operation: Any) -> Callable[..., Any]:
            index = places.get(id(operation))
            run = (lambda *a, **k: operation(*a, training=False, **k)) if _trains(operation) else operation
            return run if index is None else lambda *a, **k: run(*a, **k) + shifts[index]

        start = given if of_input is None else given + shifts[of_input]
        # Keras has no public way to run a graph with operations replaced.
        return _listed(keras.Model(network.inputs[0], list(outputs))._run_through_graph([start], operation_fn=shifting))

    made, pull_back = jax.vjp(shifted, [ops.zeros_like(each) for each in activations])

    def pull(weights: Sequence[NDArray[np.float32]]) -> Arrays:
        pairs = zip(weights, made, strict=True)
        (found,) = pull_back([ops.convert_to_tensor(each, dtype=value.dtype) for each, value in pairs])
        return _arrays(found)

    return Traced(_arrays(made), _arrays(activations), pull)


def _trains(operation: Any) -> bool:
    return bool(getattr(operation, "_call_has_training_arg", False))


def _listed(value: Any) -> list[Tensor]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _arrays(tensors: Sequence[Tensor]) -> Arrays:
    return [np.asarray(ops.convert_to_numpy(each), np.float32) for each in tensors]
