"""Construction of the optimizer of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from yolo.config import TrainConfig
from yolo.training.optimizer.learning_rate import NOMINAL_BATCH, make_schedule
from yolo.training.optimizer.update_rules import SGD, AdamW


def make_optimizer(
    config: TrainConfig,
    model: keras.Model,
    *,
    steps_per_epoch: int,
    batch: int = NOMINAL_BATCH,
    older: Sequence[Any] = (),
    previous: keras.Optimizer | None = None,
    rate_share: float = 1.0,
) -> keras.Optimizer:
    """Make the optimizer of a run or of one of its stages; biases and batch norm have no weight decay.

    Args:
        config: options of the run.
        model: model to be trained.
        steps_per_epoch: steps per epoch.
        batch: images per step, with which the default rate scales.
        older: variables with the learning-rate factor ``config.unfrozen_rate``; untrainable ones are ignored.
        previous: optimizer of the previous stage, whose step count and moments are carried over.
        rate_share: factor of the learning rate; below 1 after non-finite losses.
    """
    options = {
        "learning_rate": make_schedule(config, batch=batch, steps_per_epoch=steps_per_epoch, share=rate_share),
        "weight_decay": config.weight_decay,
        "global_clipnorm": config.clip_norm or None,
        "gradient_accumulation_steps": config.accumulate if config.accumulate > 1 else None,
        "use_ema": config.ema > 0,
        "ema_momentum": config.ema,
        "name": config.optimizer,
    }
    momentum = float(config.momentum)  # Keras refuses an int
    optimizer = AdamW(**options) if config.optimizer == "adamw" else SGD(momentum=momentum, nesterov=True, **options)
    optimizer.scales_loss = model.dtype_policy.name == "mixed_float16"
    chosen = {id(each) for each in older}
    slow = [each for each in model.trainable_variables if id(each) in chosen]
    undecayed = [each for each in model.trainable_variables if not each.path.endswith("kernel")]
    optimizer.exclude_from_weight_decay(var_list=undecayed)
    optimizer.build(model.trainable_variables)
    optimizer.slow_down(slow, config.unfrozen_rate)
    if previous is not None:
        carry_over(previous, optimizer)
    return optimizer


def carry_over(previous: keras.Optimizer, optimizer: keras.Optimizer) -> None:
    """Copy the step count, and the moments of variables trained by both, from the previous stage's optimizer."""
    known = {each.path: each for each in previous.variables}
    for variable in optimizer.variables:
        old = known.get(variable.path)
        if old is not None and old.shape == variable.shape:
            variable.assign(old)
