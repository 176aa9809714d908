"""The optimizer of a run."""

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
    """The optimizer of a run, or of a stage of it; biases and batch norms are not decayed.

    Args:
        config: the run's options.
        model: what is trained.
        steps_per_epoch: of the run.
        batch: pictures a step, which the rate follows.
        older: variables that learn at ``config.unfrozen_rate``; those that are not trainable do not count.
        previous: the optimizer of the stage before, whose steps and moments go on.
        rate_share: what is left of the learning rate, after faults.
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
    momentum = float(config.momentum)  # Keras takes no whole number
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
    """Give an optimizer the count of steps, and the moments of the variables that both train, of another."""
    known = {each.path: each for each in previous.variables}
    for variable in optimizer.variables:
        old = known.get(variable.path)
        if old is not None and old.shape == variable.shape:
            variable.assign(old)
