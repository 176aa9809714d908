"""An optimizer's step out of TensorFlow's fused kernels, for one replica and for many.

Keras writes an update rule as a row of operations on tensors, each of which goes through all weights: of yolov3's
62 million, on a CPU, that is a noticeable part of a step. The kernels here go through them once, on all cores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from yolo.model.replicas import sum_over_replicas
from yolo.model.steps import NOT_FINITE_GRADIENT, stop_unless_finite
from yolo.ops.boxes import Tensor

if TYPE_CHECKING:
    from yolo.training.update_rules import Updates


def apply_gradients(optimizer: Updates, gradients: Sequence[Tensor], variables: Sequence[Any]) -> None:
    """Sum over the replicas, add to what was accumulated, clip, and update if an update is due.

    Keras' own clips each replica's part by itself, and cannot accumulate on several. If the loss is scaled, a gradient
    that has overflowed is left out.

    Raises:
        tensorflow.errors.InvalidArgumentError: the gradient is not finite, when the step runs; nothing was updated.
    """
    import tensorflow as tf

    accumulated = _accumulators(optimizer, variables)
    totals = sum_over_replicas(gradients)
    if optimizer.scales_loss:
        totals = [total / optimizer.loss_scale for total in totals]
    steps = optimizer.gradient_accumulation_steps or 1
    if accumulated:
        totals = [total + before for total, before in zip(totals, accumulated, strict=True)]
    norm = global_norm(totals)
    finite = tf.math.is_finite(norm)
    if optimizer.scales_loss:  # as long as there is a scale to lower, that is what has overflowed
        norm = tf.where(tf.logical_and(optimizer.loss_scale > 1.0, tf.logical_not(finite)), 0.0, norm)
    norm = stop_unless_finite(norm, NOT_FINITE_GRADIENT) / steps
    with tf.control_dependencies([norm]):  # what has no gradient in it, such as decay, has the rate
        totals, rate = [tf.identity(total) for total in totals], tf.identity(optimizer.learning_rate)
    factor = clip_factor(norm, optimizer.global_clipnorm) / steps
    tf.__internal__.distribute.interim.maybe_merge_call(
        _update_everywhere,
        tf.distribute.get_strategy(),
        optimizer,
        totals,
        variables=[variable.value for variable in variables],
        accumulators=[each.value for each in accumulated],
        factor=factor,
        rate=rate,
        finite=finite,
    )


def _accumulators(optimizer: Updates, variables: Sequence[Any]) -> list[Any]:
    if not optimizer.gradient_accumulation_steps:
        return []
    return [optimizer._accumulated_gradients[optimizer._get_variable_index(each)] for each in variables]


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


def _update_everywhere(strategy: Any, optimizer: Updates, totals: Any, *, finite: Tensor, **update: Any) -> None:
    """Update the copies of all replicas; outside any replica, where conditions may stand around updates.

    If the loss is scaled, an overflow changes nothing but the scale. ``update`` is as of `_update_if_due`.
    """
    import tensorflow as tf

    def step() -> None:
        _update_if_due(strategy, optimizer, totals, **update)

    if not optimizer.scales_loss:
        return step()

    def leave_out() -> None:  # Keras counts every step: what is left out is to count for nothing
        count = optimizer._iterations.value
        strategy.extended.update(count, lambda own: own.assign_sub(tf.ones_like(own)), group=False)

    everywhere = strategy.experimental_local_results(finite)[0]
    tf.cond(everywhere, step, leave_out)
    own = (optimizer.loss_scale, optimizer.finite_steps)
    for variable, value in zip(own, optimizer.next_scale(everywhere), strict=True):
        strategy.extended.update(variable.value, lambda own, new: own.assign(new), args=(value,), group=False)
    return None


def _update_if_due(
    strategy: Any,
    optimizer: Updates,
    totals: Sequence[Any],
    *,
    variables: Sequence[Any],
    accumulators: Sequence[Any],
    factor: Tensor,
    rate: Tensor,
) -> None:
    """Update the variables by ``factor`` times the gradients; or, if it is not yet time, keep these."""
    import tensorflow as tf

    def each(change: Callable[..., None], targets: Sequence[Any], *shared: Any) -> None:
        for target, total in zip(targets, totals, strict=True):
            strategy.extended.update(target, change, args=(total, *shared), group=False)

    def update() -> None:
        each(optimizer.change, variables, factor, rate)
        for accumulator in accumulators:
            strategy.extended.update(accumulator, lambda own: own.assign(tf.zeros_like(own)), group=False)

    if not accumulators:
        return update()
    due = tf.equal((optimizer._iterations.value + 1) % optimizer.gradient_accumulation_steps, 0)
    tf.cond(due, update, lambda: each(lambda own, total: own.assign(total), accumulators))
    return None


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
