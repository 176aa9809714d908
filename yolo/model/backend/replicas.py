"""Data parallelism: N replicas at a global batch of B take the same training step as one device at B.

TensorFlow runs the step once per replica on its part of the batch, and this module sums over replicas where one device
sees the whole batch. JAX computes on the whole, sharded batch; nothing needs to be done there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from yolo.ops.boxes import Tensor


def replicas() -> int:
    """Number of replicas that share the batch of the step being built; 1 on JAX."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return 1 if tf.distribute.in_cross_replica_context() else int(tf.distribute.get_strategy().num_replicas_in_sync)


def is_distributed() -> bool:
    """Whether Keras computes on several devices in the current scope."""
    if keras.backend.backend() != "tensorflow":
        return keras.distribution.distribution() is not None
    import tensorflow as tf

    return bool(tf.distribute.has_strategy())


def share_of_mean(value: Tensor) -> Tensor:
    """Scale a replica's mean so that the values of all replicas add up to the mean over the whole batch."""
    count = replicas()
    return value if count == 1 else value / count


def sum_over_replicas(values: Sequence[Tensor]) -> list[Tensor]:
    """Sum each value, e.g. a gradient, over the replicas."""
    if replicas() == 1:
        return list(values)
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return list(context.all_reduce(tf.distribute.ReduceOp.SUM, list(values)))


def moments_over_replicas(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (C,) of the channels of (B, h, w, C) over the whole batch, in float32.

    Two passes, because the difference of the mean square and the squared mean loses precision.
    """
    inputs = ops.cast(inputs, "float32")
    count = ops.cast(ops.size(inputs) / ops.shape(inputs)[-1] * replicas(), "float32")
    mean = sum_over_replicas([ops.sum(inputs, axis=(0, 1, 2))])[0] / count
    variance = sum_over_replicas([ops.sum(ops.square(inputs - mean), axis=(0, 1, 2))])[0] / count
    return mean, variance


def predictor(model: keras.Model) -> Callable[[NDArray[Any]], dict[str, NDArray[Any]]]:
    """Make a function from a batch of images to the model's outputs, a dict, on the devices in use.

    On several devices each one predicts a part of the images; on several hosts each passes in and gets back its own.
    """
    if keras.backend.backend() == "jax" and keras.distribution.distribution() is not None:
        return over_mesh(model, keras.distribution.distribution())
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if tf.distribute.has_strategy():
            return over_strategy(model, tf.distribute.get_strategy())
    return model.predict_on_batch


def over_strategy(model: keras.Model, strategy: Any) -> Callable[[NDArray[Any]], dict[str, NDArray[Any]]]:
    """Make the `predictor` function on TensorFlow; Keras' own would give all images to every replica."""
    import tensorflow as tf

    count = strategy.num_replicas_in_sync

    @tf.function(reduce_retracing=True)
    def run(images: Any) -> Any:
        return strategy.run(model, args=(images,))

    def predict(images: NDArray[Any]) -> dict[str, NDArray[Any]]:
        shares = np.split(pad_batch(images, count), count)
        values = strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(shares[context.replica_id_in_sync_group])
        )
        outputs = run(values)
        return {
            name: np.concatenate([part.numpy() for part in strategy.experimental_local_results(value)])[: len(images)]
            for name, value in outputs.items()
        }

    return predict


def over_mesh(model: keras.Model, distribution: Any) -> Callable[[NDArray[Any]], dict[str, NDArray[Any]]]:
    """Make the `predictor` function on JAX."""
    import jax

    first_axis = distribution.get_data_layout((1,)).backend_layout
    count = len(first_axis.addressable_devices)

    @partial(jax.jit, out_shardings=first_axis)
    def run(trainable: Any, other: Any, images: Any) -> Any:
        return model.stateless_call(trainable, other, images)[0]

    def predict(images: NDArray[Any]) -> dict[str, NDArray[Any]]:
        pictures = jax.make_array_from_process_local_data(first_axis, pad_batch(images, count))
        variables = [
            [each.value for each in group] for group in (model.trainable_variables, model.non_trainable_variables)
        ]
        return {name: own_rows(value)[: len(images)] for name, value in run(*variables, pictures).items()}

    return predict


def own_rows(array: Any) -> NDArray[Any]:
    """Rows of a JAX array that lie on this host's devices, in their order."""
    shards = sorted(array.addressable_shards, key=lambda shard: shard.index[0].start or 0)
    return np.concatenate([np.asarray(shard.data) for shard in shards])


def pad_batch(images: NDArray[Any], count: int) -> NDArray[Any]:
    """Pad the images with black ones to a multiple of ``count``."""
    return np.concatenate([images, np.zeros((-len(images) % count, *images.shape[1:]), images.dtype)])
