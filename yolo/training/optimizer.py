"""The update rule and its learning rate over a run."""

from __future__ import annotations

import math
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


def make_optimizer(config: TrainConfig, model: keras.Model, *, steps_per_epoch: int) -> keras.Optimizer:
    """The optimizer of a run; biases and batch norms are not decayed."""
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
    }
    optimizer = (
        keras.optimizers.AdamW(**options)
        if config.optimizer == "adamw"
        else keras.optimizers.SGD(momentum=config.momentum, nesterov=True, **options)
    )
    undecayed = [each for each in model.trainable_variables if not each.path.endswith("kernel")]
    optimizer.exclude_from_weight_decay(var_list=undecayed)
    return optimizer
