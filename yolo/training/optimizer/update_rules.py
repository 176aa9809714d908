"""Keras' AdamW and SGD, extended by per-layer learning rates, a growing EMA window, loss scaling and fused kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from yolo.model.backend.replicas import sum_over_replicas
from yolo.model.backend.step_guards import NOT_FINITE_GRADIENT, stop_unless_finite
from yolo.ops.boxes import Tensor
from yolo.training.optimizer.fused_kernels import adam, clip_factor, descend, global_norm, momentum_descent

FIRST_SCALE, GROWTH_STEPS = 2.0**15, 2000
"""Loss scale of float16: its initial value, and the number of steps without overflow after which it doubles."""


class Updates:
    """Mixin for Keras optimizers; list it before the optimizer class.

    - Some variables have a learning-rate factor, which applies to weight decay too.
    - The EMA of the weights (``use_ema``) has a short window at first, is updated by updates only (not by accumulated
      steps), and never overwrites the weights by itself.
    - Schedules count updates, not the steps whose gradients are accumulated for one update.
    - On TensorFlow the update kernels are fused, and a non-finite gradient stops the step (`apply_gradients`).
    - With float16 the loss is scaled, so that small gradients do not underflow (Micikevicius et al. 2018, section
      3.2): a step whose gradient overflows is skipped, and the scale halved. Keras' LossScaleOptimizer sees only one
      replica's part of the gradient and does not work on several.
    """

    # Attributes of the Keras optimizer that it is mixed with.
    _iterations: Any
    _learning_rate: Any
    _trainable_variables: list[Any]
    _model_variables_moving_average: list[Any]
    _accumulated_gradients: list[Any]
    _get_variable_index: Any
    _use_weight_decay: Any
    assign: Any
    built: bool
    iterations: Any
    learning_rate: Any
    weight_decay: float | None
    global_clipnorm: float | None
    gradient_accumulation_steps: int | None
    use_ema: bool
    ema_momentum: float
    add_variable: Any
    variables: list[Any]

    share = 1.0
    slow: frozenset[int] = frozenset()
    """Indices of the variables with the learning-rate factor ``share``."""
    scales_loss = False
    """Whether the loss is scaled; to be set before `build`."""
    loss_scale: Any
    finite_steps: Any
    """Steps since the loss scale last changed."""

    def slow_down(self, variables: Sequence[Any], share: float) -> None:
        """Set a learning-rate factor, ``share``, for some of the variables that the optimizer was built for."""
        self.share = share
        self.slow = frozenset(self._get_variable_index(each) for each in variables)

    def build(self, variables: Sequence[Any]) -> None:
        if self.built:
            return
        super().build(variables)  # type: ignore[misc]
        if self.use_ema:  # Keras starts averages at 0 and fills them at step 0, too early for layers unfrozen later
            for variable, average in zip(variables, self._model_variables_moving_average, strict=True):
                average.assign(ops.copy(variable))  # else JAX would keep both in one buffer
        if self.scales_loss:
            first = keras.initializers.Constant(FIRST_SCALE)
            self.loss_scale = self.add_variable((), dtype="float32", initializer=first, name="loss_scale")
            self.finite_steps = self.add_variable((), dtype="int32", initializer="zeros", name="finite_steps")

    def scale_loss(self, loss: Tensor) -> Tensor:
        """Scale the loss before its gradient is computed; called by Keras."""
        return loss * self.loss_scale if self.scales_loss else loss

    def next_scale(self, finite: Tensor) -> tuple[Tensor, Tensor]:
        """Loss scale, and steps since its last change, after a step with a finite or non-finite gradient."""
        steps = ops.where(finite, self.finite_steps + 1, 0)
        grows = steps >= GROWTH_STEPS
        factor = ops.where(finite, ops.where(grows, 2.0, 1.0), 0.5)
        return self.loss_scale * factor, ops.where(grows, 0, steps)

    def stateless_apply(
        self, optimizer_variables: Sequence[Tensor], grads: Sequence[Tensor], trainable_variables: Sequence[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Update on JAX; after an overflow of the scaled gradient only the loss scale changes."""
        apply = super().stateless_apply  # type: ignore[misc]
        if not self.scales_loss:
            return apply(optimizer_variables, grads, trainable_variables)
        with keras.StatelessScope(state_mapping=list(zip(self.variables, optimizer_variables, strict=True))):
            scale = ops.convert_to_tensor(self.loss_scale)
            unscaled = [gradient / scale for gradient in grads]
            finite = ops.all(ops.stack([ops.isfinite(ops.sum(gradient)) for gradient in unscaled]))
            scaling = self.next_scale(finite)
        weights, state = apply(optimizer_variables, unscaled, trainable_variables)
        taken = ops.logical_or(
            finite, scale <= 1.0
        )  # at scale 1 the overflow is real: take the step so that it is reported
        weights, state = (
            [ops.where(taken, new, old) for new, old in zip(*pair, strict=True)]
            for pair in ((weights, trainable_variables), (state, optimizer_variables))
        )
        own = {id(each): value for each, value in zip((self.loss_scale, self.finite_steps), scaling, strict=True)}
        state = [own.get(id(each), value) for each, value in zip(self.variables, state, strict=True)]
        return weights, state

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        """Apply weight decay and the update rule to one variable; called by Keras, on TensorFlow by `change`."""
        index = self._get_variable_index(variable)
        if index in self.slow:
            learning_rate = learning_rate * self.share
        if self.weight_decay and self._use_weight_decay(variable):
            kept = 1.0 - ops.cast(learning_rate * self.weight_decay, variable.dtype)
            self.assign(variable, variable * kept)
        if keras.backend.backend() == "tensorflow":
            self.fused_step(gradient, variable, learning_rate, index)
        else:
            super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]

    def fused_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor, index: int) -> None:
        """Apply the update rule by a fused kernel, on TensorFlow; ``index`` is the variable's."""
        raise NotImplementedError

    def change(self, variable: Any, total: Tensor, factor: Tensor, rate: Tensor) -> None:
        """Update a replica's copy of a variable by ``factor`` times a gradient, then its EMA, on TensorFlow."""
        self.update_step(total * factor, variable, rate)
        if self.use_ema:
            average = self._model_variables_moving_average[self._get_variable_index(variable)].value
            descend(average, average - variable, self.average_weight())

    def average_weight(self) -> Tensor:
        """Weight of the current variables in the EMA; 0 in a step that only accumulates.

        During the first updates it is larger than ``1 - ema_momentum``, so that the initial, random weights are soon
        forgotten.
        """
        steps = self.gradient_accumulation_steps or 1
        count = self._iterations + 1
        updates = ops.cast(count // steps, "float32")
        weight = 1.0 - ops.minimum(self.ema_momentum, (1.0 + updates) / (10.0 + updates))
        return weight if steps == 1 else ops.where(count % steps == 0, weight, 0.0)

    def _update_model_variables_moving_average(self, trainable_variables: Sequence[Any]) -> None:
        weight = self.average_weight()
        for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
            average.assign(average + (variable - average) * weight)

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """Leave the weights alone: Keras would overwrite them by the EMA at the end of each ``fit``."""

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        """Do nothing: `update_step` decays each variable at its own rate."""

    def _get_current_learning_rate(self) -> Tensor:
        rate = self._learning_rate
        is_schedule = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
        return rate(self.iterations) if is_schedule else super()._get_current_learning_rate()  # type: ignore[misc]

    def _backend_apply_gradients(self, grads: Sequence[Tensor], trainable_variables: Sequence[Any]) -> None:
        if keras.backend.backend() != "tensorflow":
            super()._backend_apply_gradients(grads, trainable_variables)  # type: ignore[misc]
            return
        apply_gradients(self, grads, trainable_variables)


def apply_gradients(optimizer: Updates, gradients: Sequence[Tensor], variables: Sequence[Any]) -> None:
    """Sum gradients over the replicas, accumulate and clip them, and update the variables if an update is due.

    Keras itself clips each replica's part separately and cannot accumulate on several replicas. With loss scaling, a
    step whose gradient has overflowed is skipped.

    Raises:
        tensorflow.errors.InvalidArgumentError: when the step runs, if the gradient is not finite; nothing is updated.
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
    if optimizer.scales_loss:  # above scale 1 an overflow is due to the scale
        norm = tf.where(tf.logical_and(optimizer.loss_scale > 1.0, tf.logical_not(finite)), 0.0, norm)
    norm = stop_unless_finite(norm, NOT_FINITE_GRADIENT) / steps
    with tf.control_dependencies([norm]):  # weight decay uses no gradient: make it wait for the check through the rate
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


def _update_everywhere(strategy: Any, optimizer: Updates, totals: Any, *, finite: Tensor, **update: Any) -> None:
    """Update the variables of all replicas, in cross-replica context, where updates may be conditional.

    With loss scaling, an overflow changes only the scale. ``update``: as the arguments of `_update_if_due`.
    """
    import tensorflow as tf

    def step() -> None:
        _update_if_due(strategy, optimizer, totals, **update)

    if not optimizer.scales_loss:
        return step()

    def skip() -> None:  # Keras counts every step; a skipped one must not count
        count = optimizer._iterations.value
        strategy.extended.update(count, lambda own: own.assign_sub(tf.ones_like(own)), group=False)

    everywhere = strategy.experimental_local_results(finite)[0]
    tf.cond(everywhere, step, skip)
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
    """Update the variables by ``factor`` times the gradients if an update is due, else accumulate the gradients."""
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


@keras.saving.register_keras_serializable(package="yolo")
class AdamW(Updates, keras.optimizers.AdamW):
    """Keras' AdamW (Loshchilov and Hutter 2019, algorithm 2) with the extensions of `Updates`."""

    def fused_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor, index: int) -> None:
        adam(
            variable,
            gradient,
            self._momentums[index].value,
            self._velocities[index].value,
            rate=learning_rate,
            betas=(self.beta_1, self.beta_2),
            epsilon=self.epsilon,
            update=self.iterations + 1,
        )


@keras.saving.register_keras_serializable(package="yolo")
class SGD(Updates, keras.optimizers.SGD):
    """Keras' SGD, with decoupled weight decay and the extensions of `Updates`."""

    def fused_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor, index: int) -> None:
        if self.momentum == 0:
            descend(variable, gradient, learning_rate)
            return
        momentum = self.momentums[index].value
        momentum_descent(variable, gradient, momentum, rate=learning_rate, decay=self.momentum, nesterov=self.nesterov)
