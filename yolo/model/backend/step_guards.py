"""Guards against a non-finite loss in a training step on TensorFlow and JAX, and TensorFlow's multi-scale step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from yolo.ops.boxes import Tensor

NOT_FINITE = "the loss is not finite"
NOT_FINITE_GRADIENT = "the gradient is not finite"


def stop_unless_finite(value: Tensor, message: str) -> Tensor:
    """Return the value; on TensorFlow, the step raises if it is not finite, before anything depends on it.

    Raises:
        tensorflow.errors.InvalidArgumentError: with the message, in the running step, if the value is not finite.
    """
    if keras.backend.backend() != "tensorflow":
        return value
    import tensorflow as tf

    return tf.debugging.check_numerics(value, message)


def kept_if_finite(before: tuple[Any, ...], after: tuple[Any, ...], loss: Tensor) -> tuple[Any, ...]:
    """Select JAX' training state after a step, or the one before it if the loss or a new weight is not finite.

    Args:
        before: trainable, non-trainable, optimizer and metrics variables before the step.
        after: the same after the step; the metrics always come from here, as NaN for a rejected step.
        loss: mean loss of the epoch so far, as logged.
    """
    import jax

    finite = ops.isfinite(loss)
    for weight in after[0]:
        finite = ops.logical_and(finite, ops.isfinite(ops.sum(weight)))
    kept = jax.tree_util.tree_map(lambda new, old: ops.where(finite, new, old), after[:3], before[:3])
    # A compiled JAX step cannot raise: NaN in the logs tells the callbacks that it was rejected.
    metrics = [ops.where(finite, metric, float("nan")) for metric in after[3]]
    return (*kept, metrics)


def step_per_shape(model: keras.Model) -> Callable[[Any], Any]:
    """Make a TensorFlow train function that is retraced for every batch shape.

    Keras' own draws the batch inside its graph, where the canvas size is unknown.
    """
    import tensorflow as tf

    strategy = model.distribute_strategy

    @tf.function(reduce_retracing=False)
    def step(data: Any) -> Any:
        logs = strategy.run(model.train_step, args=(data,))
        return tf.nest.map_structure(lambda value: strategy.reduce("MEAN", value, axis=None), logs)

    return lambda iterator: step(next(iterator))
