"""The update rule and its learning rate over a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from yolo.config import TrainConfig
from yolo.ops.boxes import Tensor

DEFAULT_RATES = {"adamw": 0.001, "sgd": 0.01}
LARGEST_WARMUP = 0.2
"""Share of a run that may be spent on warming up."""


@keras.saving.register_keras_serializable(package="yolo")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """A straight rise to the peak, then half a cosine down (Loshchilov and Hutter 2017, equation 5).

    Args:
        peak: highest rate.
        warmup: steps of the rise.
        steps: of the whole run.
        final: rate at the end, as a share of the peak.
    """

    def __init__(self, peak: float, *, warmup: int, steps: int, final: float):
        self.peak, self.warmup, self.steps, self.final = peak, warmup, steps, final

    def __call__(self, step: Tensor) -> Tensor:
        """The rate of a step, counted from 0."""
        step = ops.cast(step, "float32")
        rise = (step + 1.0) / max(1, self.warmup)
        progress = ops.clip((step - self.warmup) / max(1, self.steps - self.warmup), 0.0, 1.0)
        fall = self.final + (1.0 - self.final) * (1.0 + ops.cos(math.pi * progress)) / 2.0
        return self.peak * ops.where(step < self.warmup, rise, fall)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "warmup": self.warmup, "steps": self.steps, "final": self.final}


class _RatePerVariable:
    """Some variables of an optimizer learn at a share of its rate."""

    share = 1.0
    slow: frozenset[int] = frozenset()
    """Indices of these variables."""
    decay = 0.0
    """Weight decay of those that are kernels: Keras' own goes at the full rate, so that they are left out of it."""

    def slow_down(self, variables: Sequence[Any], share: float, decay: float) -> None:
        """Let these of the variables it was built for learn, and decay, at a share of the rate."""
        self.share, self.decay = share, decay
        self.slow = frozenset(self._get_variable_index(each) for each in variables)  # type: ignore[attr-defined]

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        index = self._get_variable_index(variable)  # type: ignore[attr-defined]
        if index in self.slow:
            learning_rate = learning_rate * self.share
            if self._trainable_variables[index].path.endswith("kernel"):  # type: ignore[attr-defined]
                rate = ops.cast(learning_rate * self.decay, variable.dtype)
                self.assign_sub(variable, variable * rate)  # type: ignore[attr-defined]
        super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]


@keras.saving.register_keras_serializable(package="yolo")
class AdamW(_RatePerVariable, keras.optimizers.AdamW):
    """Keras' AdamW, with a rate of their own for some variables."""


@keras.saving.register_keras_serializable(package="yolo")
class SGD(_RatePerVariable, keras.optimizers.SGD):
    """Keras' SGD, with a rate of their own for some variables."""


def make_optimizer(
    config: TrainConfig,
    model: keras.Model,
    *,
    steps_per_epoch: int,
    older: Sequence[Any] = (),
    previous: keras.Optimizer | None = None,
) -> keras.Optimizer:
    """The optimizer of a run, or of a stage of it; biases and batch norms are not decayed.

    Args:
        config: the run's options.
        model: what is trained.
        steps_per_epoch: of the run.
        older: variables that learn at ``config.unfrozen_rate``; those that are not trainable do not count.
        previous: the optimizer of the stage before, whose steps and moments go on.
    """
    steps = config.epochs * steps_per_epoch
    schedule = WarmupCosine(
        config.learning_rate or DEFAULT_RATES[config.optimizer],
        warmup=int(min(config.warmup_epochs * steps_per_epoch, LARGEST_WARMUP * steps)),
        steps=steps,
        final=config.final_rate,
    )
    options = {
        "learning_rate": schedule,
        "weight_decay": config.weight_decay,
        "global_clipnorm": config.clip_norm or None,
        "name": config.optimizer,
    }
    momentum = float(config.momentum)  # Keras takes no whole number
    optimizer = AdamW(**options) if config.optimizer == "adamw" else SGD(momentum=momentum, nesterov=True, **options)
    chosen = {id(each) for each in older}
    slow = [each for each in model.trainable_variables if id(each) in chosen]
    undecayed = [each for each in model.trainable_variables if not each.path.endswith("kernel")]
    optimizer.exclude_from_weight_decay(var_list=[*undecayed, *slow])
    optimizer.build(model.trainable_variables)
    optimizer.slow_down(slow, config.unfrozen_rate, config.weight_decay)
    if previous is not None:
        carry_over(previous, optimizer)
    return optimizer


def carry_over(previous: keras.Optimizer, optimizer: keras.Optimizer) -> None:
    """Give an optimizer the count of steps, and the moments of the variables that both train, of another."""
    known = {each.path: each for each in previous.variables}
    for variable in optimizer.variables:
        old = known.get(variable.path)
        if old is not None and old.shape == variable.shape:
            variable.assign(old)
