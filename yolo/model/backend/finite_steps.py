"""What a training step does beyond Keras' own, where the backends differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from yolo.ops.boxes import Tensor

NOT_FINITE = "the loss is not finite"
NOT_FINITE_GRADIENT = "the gradient is not finite"


def stop_unless_finite(value: Tensor, message: str) -> Tensor:
    """The value; where TensorFlow computes, nothing that depends on it happens unless it is finite.

    Raises:
        tensorflow.errors.InvalidArgumentError: with the message, when the step runs and the value is not finite.
    """
    if keras.backend.backend() != "tensorflow":
        return value
    import tensorflow as tf

    return tf.debugging.check_numerics(value, message)


def kept_if_finite(before: tuple[Any, ...], after: tuple[Any, ...], loss: Tensor) -> tuple[Any, ...]:
    """JAX' training state after a step, or that before it if the loss or a new weight is not finite.

    Args:
        before: trainable, other, optimizer's and metrics' variables.
        after: the same after the step; the metrics are taken from here in any case.
        loss: the mean so far, as logged.
    """
    import jax

    finite = ops.isfinite(loss)
    for weight in after[0]:
        finite = ops.logical_and(finite, ops.isfinite(ops.sum(weight)))
    kept = jax.tree_util.tree_map(lambda new, old: ops.where(finite, new, old), after[:3], before[:3])
    # The log is how the run hears of it.
    told = [ops.where(finite, metric, float("nan")) for metric in after[3]]
    return (*kept, told)


def step_per_shape(model: keras.Model) -> Callable[[Any], Any]:
    """A train function of TensorFlow that is compiled anew for every shape of batch.

    Keras' own takes the batch inside its graph, where the canvas' size is not known.
    """
    import tensorflow as tf

    strategy = model.distribute_strategy

    @tf.function(reduce_retracing=False)
    def step(data: Any) -> Any:
        logs = strategy.run(model.train_step, args=(data,))
        return tf.nest.map_structure(lambda value: strategy.reduce("MEAN", value, axis=None), logs)

    return lambda iterator: step(next(iterator))
