"""Learning-rate schedules: warm-up, then cosine, steps or constant; the default rate by optimizer and batch size."""

from __future__ import annotations

import logging
import math
from typing import Any

import keras
from keras import ops

from yolo.config import Schedule, TrainConfig
from yolo.ops.boxes import Tensor

logger = logging.getLogger(__name__)

DEFAULT_RATES = {"adamw": 0.002, "sgd": 0.01}
"""Default peak rates at `NOMINAL_BATCH` images per update."""
NOMINAL_BATCH = 16
RATE_EXPONENTS = {"adamw": 0.5, "sgd": 1.0}
"""Exponents by which the rate scales with the batch size: linear for sgd (Goyal et al. 2017, section 2.1), square root
for adamw (Malladi et al. 2022, section 4)."""
LARGEST_WARMUP = 0.2
"""Largest fraction of a run that is spent on the warm-up."""
STEP = 0.1
"""Factor of the rate at each step of the step schedule."""


@keras.saving.register_keras_serializable(package="yolo")
class WarmedUp(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to a peak, followed by a decay.

    Args:
        peak: highest rate.
        warmup: number of updates of the warm-up.
        updates: number of updates of the whole run.
        final: rate at the end of the cosine decay, as a fraction of the peak (Loshchilov and Hutter 2017, equation 5).
        kind: decay: half a cosine, steps by a factor of 0.1 each, or none.
        step_at: positions of the steps, as fractions of the run.
    """

    def __init__(
        self,
        peak: float,
        *,
        warmup: int,
        updates: int,
        final: float = 0.0,
        kind: Schedule = "cosine",
        step_at: tuple[float, ...] | list[float] = (),
    ):
        self.peak, self.warmup, self.updates, self.final = peak, warmup, updates, final
        self.kind, self.step_at = kind, tuple(step_at)

    def __call__(self, step: Tensor) -> Tensor:
        """Rate of an update; updates count from 0."""
        step = ops.cast(step, "float32")
        rise = (step + 1.0) / max(1, self.warmup)
        return self.peak * ops.where(step < self.warmup, rise, self.fall(step))

    def fall(self, step: Tensor) -> Tensor:
        """Rate after the warm-up, as a fraction of the peak."""
        if self.kind == "cosine":
            progress = ops.clip((step - self.warmup) / max(1, self.updates - self.warmup), 0.0, 1.0)
            return self.final + (1.0 - self.final) * (1.0 + ops.cos(math.pi * progress)) / 2.0
        share = ops.ones_like(step)
        if self.kind == "step":
            for place in self.step_at:
                share = share * ops.where(step >= place * self.updates, STEP, 1.0)
        return share

    def get_config(self) -> dict[str, Any]:
        own = ("peak", "warmup", "updates", "final", "kind", "step_at")
        return {name: getattr(self, name) for name in own}


def make_schedule(config: TrainConfig, *, batch: int, steps_per_epoch: int, share: float = 1.0) -> WarmedUp:
    """Make the schedule of a run.

    Args:
        config: options of the run.
        batch: images per step.
        steps_per_epoch: steps per epoch.
        share: factor of the rate; below 1 after non-finite losses.
    """
    updates_per_epoch = steps_per_epoch / config.accumulate
    updates = math.ceil(config.epochs * updates_per_epoch)
    return WarmedUp(
        peak_rate(config, batch) * share,
        warmup=int(min(config.warmup_epochs * updates_per_epoch, LARGEST_WARMUP * updates)),
        updates=updates,
        final=config.final_rate,
        kind=config.schedule,
        step_at=config.step_at,
    )


def peak_rate(config: TrainConfig, batch: int) -> float:
    """Peak rate: the one given, or the optimizer's default scaled to the number of images per update."""
    if config.learning_rate is not None:
        return config.learning_rate
    share = (batch * config.accumulate / NOMINAL_BATCH) ** RATE_EXPONENTS[config.optimizer]
    return DEFAULT_RATES[config.optimizer] * share


def log_rate(config: TrainConfig, batch: int) -> None:
    """Log the learning rate if it was scaled, and how."""
    rate, pictures = peak_rate(config, batch), batch * config.accumulate
    if config.learning_rate is None and pictures != NOMINAL_BATCH:
        usual = DEFAULT_RATES[config.optimizer]
        logger.info(
            "learning rate %.3g: %g at %d pictures an update, scaled to %d (%s)",
            rate,
            usual,
            NOMINAL_BATCH,
            pictures,
            "in proportion" if RATE_EXPONENTS[config.optimizer] == 1 else "by the square root",
        )
