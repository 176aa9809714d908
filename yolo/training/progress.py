"""What a run says while it goes on: rate, losses, and how long it waits for data."""

from __future__ import annotations

import logging
import math
import sys
import time
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from yolo.datasets.bridge import guarded
from yolo.errors import ConfigError

if TYPE_CHECKING:
    import tensorflow as tf

logger = logging.getLogger(__name__)

TERMS = {"box_loss": "box", "objectness_loss": "objectness", "class_loss": "class"}


class DataClock:
    """How long the steps of an epoch wait for their batches.

    A step asks for its batch when it begins; the clock is stamped when the batch arrives.
    """

    def __init__(self) -> None:
        self.asked = 0.0
        self.waited = 0.0

    def timed(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """The same batches, each stamping the clock as it is handed out."""
        import tensorflow as tf

        def stamp(*batch: Any) -> Any:
            arrival = tf.numpy_function(guarded(self._arrive), [], tf.int64)
            with tf.control_dependencies([arrival]):
                return tf.nest.map_structure(tf.identity, batch)

        options = tf.data.Options()
        # Fetched ahead once more behind the stamp, batches would all seem to have been there.
        options.experimental_optimization.inject_prefetch = False
        return batches.map(stamp).with_options(options)

    def _arrive(self) -> np.int64:
        self.waited += max(0.0, time.perf_counter() - self.asked)
        return np.int64(0)


class Progress(keras.callbacks.Callback):
    """Adds rate, data wait and seconds to the epoch's logs, shows a line, and stops at a loss that is not finite.

    Args:
        clock: of the batches.
        epochs: of the run.
        steps: of an epoch.
        batch: pictures a step.
        live: show the line while the epoch runs (on a terminal).
    """

    def __init__(self, clock: DataClock, *, epochs: int, steps: int, batch: int, live: bool):
        super().__init__()
        self.clock, self.epochs, self.steps, self.batch = clock, epochs, steps, batch
        self.live = live and sys.stderr.isatty()
        self.epoch, self.began = 0, 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras' signature
        self.epoch, self.began, self.clock.waited = epoch, time.perf_counter(), 0.0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.clock.asked = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        if not math.isfinite(logs.get("loss", 0.0)):
            rate = float(self.model.optimizer.learning_rate)
            raise ConfigError(
                f"the loss is no longer finite (epoch {self.epoch + 1}, step {batch + 1}); "
                f"start again with a --learning_rate below {rate:.2g}"
            )
        if self.live:
            print(f"\r{self.line(batch + 1, logs)}  ", end="", file=sys.stderr, flush=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        if logs is None:
            return
        seconds = time.perf_counter() - self.began
        if self.live:
            print("\r", end="", file=sys.stderr)
        logger.info("%s", self.line(self.steps, logs))
        logs["images_per_second"] = self.steps * self.batch / seconds
        logs["data_wait"] = self.clock.waited / seconds
        logs["train_seconds"] = seconds

    def line(self, step: int, logs: dict[str, float]) -> str:
        """The epoch so far."""
        seconds = max(time.perf_counter() - self.began, 1e-9)
        terms = ", ".join(f"{name} {logs[key]:.2f}" for key, name in TERMS.items() if key in logs)
        return (
            f"epoch {self.epoch + 1}/{self.epochs}  step {step}/{self.steps}  loss {logs.get('loss', math.nan):.2f} "
            f"({terms})  {step * self.batch / seconds:.1f} images/s  waiting for data {self.clock.waited / seconds:.0%}"
        )
