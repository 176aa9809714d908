"""What an optimizer's step is made of on TensorFlow: its fused kernels, and the norm of all gradients.

Keras writes an update rule as a row of operations on tensors, each of which goes through all weights: of yolov3's
62 million, on a CPU, that is a noticeable part of a step. The kernels here go through them once, on all cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from yolo.ops.boxes import Tensor


def global_norm(gradients: Sequence[Tensor]) -> Tensor:
    """Euclidean norm of all numbers together.

    Summed in an order that does not depend on the threads, as ``l2_loss`` and a sum over everything are not: two
    equal runs would part in the last bit. Each row is one thread's, and the rows are added up one by one.
    """
    import tensorflow as tf

    rows = [tf.reduce_sum(tf.square(tf.reshape(each, (-1, each.shape[-1] or 1))), axis=1) for each in gradients]
    total = tf.cumsum(tf.cast(tf.concat(rows, axis=0), "float64"))[-1]
    return tf.cast(tf.sqrt(total), "float32")


def clip_factor(norm: Tensor, limit: float | None) -> Tensor:
    """What brings a norm down to the limit, if it is above; None: no limit."""
    import tensorflow as tf

    return tf.ones_like(norm) if not limit else limit / tf.maximum(norm, limit)


def adam(
    variable: Any,
    gradient: Tensor,
    momentum: Any,
    velocity: Any,
    *,
    rate: Tensor,
    betas: tuple[float, float],
    epsilon: float,
    update: Tensor,
) -> None:
    """Adam (Kingma and Ba 2015, algorithm 1, with the epsilon of section 2's end); ``update`` counts from 1."""
    import tensorflow as tf

    first, second = (tf.constant(beta, variable.dtype) for beta in betas)
    exponent = tf.cast(update, variable.dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=momentum.handle,
        v=velocity.handle,
        beta1_power=tf.pow(first, exponent),
        beta2_power=tf.pow(second, exponent),
        lr=tf.cast(rate, variable.dtype),
        beta1=first,
        beta2=second,
        epsilon=tf.constant(epsilon, variable.dtype),
        grad=gradient,
    )


def momentum_descent(
    variable: Any, gradient: Tensor, momentum: Any, *, rate: Tensor, decay: float, nesterov: bool
) -> None:
    """Gradient descent whose steps decay into the following ones (Sutskever et al. 2013)."""
    import tensorflow as tf

    tf.raw_ops.ResourceApplyKerasMomentum(
        var=variable.handle,
        accum=momentum.handle,
        lr=tf.cast(rate, variable.dtype),
        grad=gradient,
        momentum=tf.constant(decay, variable.dtype),
        use_nesterov=nesterov,
    )


def descend(variable: Any, delta: Tensor, rate: Tensor) -> None:
    """Subtract ``rate`` times ``delta``, in one pass."""
    import tensorflow as tf

    tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=tf.cast(rate, variable.dtype), delta=delta)
