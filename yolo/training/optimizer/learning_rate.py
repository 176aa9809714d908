"""The learning rate over a run."""

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
"""At `NOMINAL_BATCH` pictures an update."""
NOMINAL_BATCH = 16
RATE_EXPONENTS = {"adamw": 0.5, "sgd": 1.0}
"""How the rate follows the batch: sgd's in proportion (Goyal et al. 2017, section 2.1), adamw's as its square root
(Malladi et al. 2022, section 4)."""
LARGEST_WARMUP = 0.2
"""Share of a run that may be spent on warming up."""
STEP = 0.1
"""What the step schedule multiplies the rate with."""


@keras.saving.register_keras_serializable(package="yolo")
class WarmedUp(keras.optimizers.schedules.LearningRateSchedule):
    """A straight rise to the peak, then a fall.

    Args:
        peak: highest rate.
        warmup: updates of the rise.
        updates: of the whole run.
        final: rate at the end of a cosine, as a share of the peak (Loshchilov and Hutter 2017, equation 5).
        kind: of the fall: half a cosine, steps to a tenth each, or none.
        step_at: where the steps are, as shares of the run.
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
        """The rate of an update, counted from 0."""
        step = ops.cast(step, "float32")
        rise = (step + 1.0) / max(1, self.warmup)
        return self.peak * ops.where(step < self.warmup, rise, self.fall(step))

    def fall(self, step: Tensor) -> Tensor:
        """The share of the peak after the warm-up."""
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
    """The schedule of a run.

    Args:
        config: the run's options.
        batch: pictures a step.
        steps_per_epoch: of the run.
        share: of the rate that is left, after faults.
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
    """The rate that was asked for, or the optimizer's own, scaled to the pictures of an update."""
    if config.learning_rate is not None:
        return config.learning_rate
    share = (batch * config.accumulate / NOMINAL_BATCH) ** RATE_EXPONENTS[config.optimizer]
    return DEFAULT_RATES[config.optimizer] * share


def log_rate(config: TrainConfig, batch: int) -> None:
    """Say which rate a run has, and why."""
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
