"""Checkpoint callback: counts steps, stops on a non-finite loss, saves, and handles stop requests."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import keras

from yolo.training.run.run import Run
from yolo.training.run.signals import Interruption
from yolo.training.run.state import NotFiniteError

logger = logging.getLogger(__name__)


ASK_EVERY = 10
"""Number of steps after which several hosts ask each other for stop requests."""


class Keeper(keras.callbacks.Callback):
    """Checkpoint callback; the last of a run's callbacks, so that a checkpoint contains what the others did.

    Args:
        run: whose state it keeps.
        interruption: says whether a stop was requested.
    """

    def __init__(self, run: Run, interruption: Interruption):
        super().__init__()
        self.run, self.interruption = run, interruption

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras' signature
        self.run.restore_running_losses()  # fit has just reset them

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        run = self.run
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            raise NotFiniteError
        run.state.step += 1
        if run.state.step % run.steps == 0:
            return  # the epoch's end saves, after its validation
        every = run.config.save_every
        if self.time_to_leave(run.state.step):
            self.leave()
        elif every and run.state.step % every == 0:
            self.save()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.run.state.stopped = bool(self.model.stop_training)
        self.save()
        if self.wanted() and not self.run.finished:
            self.leave()

    def time_to_leave(self, count: int) -> bool:
        """Whether a stop was requested on any host.

        ``count`` must be equal on all hosts: several of them synchronise only every `ASK_EVERY` calls.
        """
        return (self.run.devices.hosts.world == 1 or count % ASK_EVERY == 0) and self.wanted()

    def wanted(self) -> bool:
        """Whether a stop was requested on any host; all hosts must ask together."""
        return self.run.devices.hosts.any_true(self.interruption.signal is not None)

    def save(self) -> Path | None:
        """Write a checkpoint.

        Raises:
            NotFiniteError: the last update has made a weight that is not finite; on all hosts alike.
        """
        path, failed = None, False
        try:
            path = self.run.save()
        except NotFiniteError:
            failed = True
        if self.run.devices.hosts.any_true(failed):
            self.run.state.step -= 1  # the step that broke the weights is the one to record
            raise NotFiniteError
        return path

    def leave(self) -> None:
        """Save a checkpoint, say how to resume, and end the program."""
        path = self.save()
        step = self.run.state.step
        if path is not None:
            logger.info("stopped at step %d; go on with: yolov3 train --resume %s", step, path.parent.parent)
        self.interruption.leave()
