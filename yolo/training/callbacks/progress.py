"""Progress of a run: losses, images per second, memory, waiting for data, and the time left."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from yolo.datasets.pipeline.tf_errors import guarded
from yolo.system.used_memory import accelerator_memory, resident_memory
from yolo.training.callbacks.display import Display, terminal_columns

if TYPE_CHECKING:
    import tensorflow as tf

logger = logging.getLogger(__name__)

TERMS = {"box_loss": "box", "objectness_loss": "objectness", "class_loss": "class"}
SHORTENED = ("loss", "data", "left", "memory", "epoch", "step", "rate", "memory", "loss")
"""Order in which parts are shortened when the line does not fit the terminal: each time a part takes its next shorter
form. Rate, time left, wait for data and memory are visible at 80 columns."""
REMEMBERED = 5
"""Number of past epochs whose median predicts the coming ones; a median ignores one slow epoch."""
GB = 1e9


class DataClock:
    """Measures how long the steps of an epoch wait for their batches.

    A step asks for its batch when it begins; the clock is stamped when the batch arrives.
    """

    def __init__(self) -> None:
        self.asked = 0.0
        self.waited = 0.0

    def timed(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Yield the same batches, stamping the clock as each is handed out."""
        import tensorflow as tf

        def stamp(*batch: Any) -> Any:
            arrival = tf.numpy_function(guarded(self._arrive), [], tf.int64)
            with tf.control_dependencies([arrival]):
                return tf.nest.map_structure(tf.identity, batch)

        options = tf.data.Options()
        # Prefetching after the stamp would make every batch look ready.
        options.experimental_optimization.inject_prefetch = False
        return batches.map(stamp).with_options(options)

    def _arrive(self) -> np.int64:
        self.waited += max(0.0, time.perf_counter() - self.asked)
        return np.int64(0)


class Progress(keras.callbacks.Callback):
    """Keras callback that adds speed, data wait, memory and seconds to the epoch's logs, and shows the progress.

    Args:
        clock: measures the wait for batches.
        epochs: number of epochs of the run.
        steps: steps per epoch.
        batch: images per step.
        live: show the progress within an epoch too, as a `Display` does.
        first_step: steps of the first epoch already done, if the run is resumed within it.
        history: rows of the epochs done so far, from which the time left is estimated; it may grow meanwhile.
    """

    def __init__(
        self,
        clock: DataClock,
        *,
        epochs: int,
        steps: int,
        batch: int,
        live: bool,
        first_step: int = 0,
        history: Sequence[Mapping[str, float]] = (),
    ):
        super().__init__()
        self.clock, self.epochs, self.steps, self.batch = clock, epochs, steps, batch
        self.display = Display(live)
        self.first_step, self.history = first_step, history
        self.epoch, self.began, self.compiling = 0, 0.0, False
        self.started = 0.0
        """Time at which the epoch's first step, which may include compilation, was done."""

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras' signature
        self.compiling = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.epoch, self.clock.waited = epoch, 0.0
        self.began = self.started = time.perf_counter()
        self.display.begin(self.began)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.clock.asked = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        now = time.perf_counter()
        if batch == 0:
            self.started = now
        if self.compiling:  # TensorFlow compiles between requesting the first batch and taking it
            self.clock.waited, self.compiling = 0.0, False
        if self.display.due(now):
            line = self.live_line if self.display.redrawn else self.line
            self.display.show(line(batch + 1, logs or {}))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        done = self.steps - self.first_step
        if logs is not None:
            seconds = time.perf_counter() - self.began
            self.display.clear()
            logger.info("%s", self.line(done, logs))
            logs["images_per_second"] = done * self.batch / seconds
            logs["data_wait"] = self.clock.waited / seconds
            logs["train_seconds"] = seconds
            logs |= {name: used / GB for name, used in memory_in_use().items()}
        self.first_step = 0

    def show_validation(self, done: int, total: int) -> None:
        """Show how many of the validation images are done."""
        if self.display.due(time.perf_counter()):
            self.display.show(f"epoch {self.epoch + 1}/{self.epochs}  validation: image {min(done, total)}/{total}")

    def live_line(self, done: int, logs: Mapping[str, float]) -> str:
        """Progress line cut to the terminal's width, as a wrapped line could not be overwritten."""
        width, forms = terminal_columns() - 1, self.parts(done, logs)
        for name in SHORTENED:
            if len(joined(forms)) <= width:
                break
            forms[name] = forms[name][1:] or forms[name]
        return joined(forms)[:width]

    def line(self, done: int, logs: Mapping[str, float]) -> str:
        """Progress line of the epoch, ``done`` steps after it was begun or resumed."""
        return joined(self.parts(done, logs))

    def parts(self, done: int, logs: Mapping[str, float]) -> dict[str, list[str]]:
        """Parts of the line in order, each with its forms from longest to shortest."""
        seconds = max(time.perf_counter() - self.began, 1e-9)
        epoch, step = f"{self.epoch + 1}/{self.epochs}", f"{self.first_step + done}/{self.steps}"
        loss = f"loss {logs.get('loss', math.nan):.2f}"
        terms = ", ".join(f"{name} {logs[key]:.2f}" for key, name in TERMS.items() if key in logs)
        rate, waited = f"{done * self.batch / seconds:.1f}", f"{self.clock.waited / seconds:.0%}"
        return {
            "epoch": [f"epoch {epoch}", epoch],
            "step": [f"step {step}", step],
            "loss": [f"{loss} ({terms})" if terms else loss, loss, ""],
            "rate": [f"{rate} images/s", f"{rate}/s"],
            "left": self.time_left(done),
            "data": [f"waiting for data {waited}", f"data {waited}"],
            "memory": describe_memory(memory_in_use()),
        }

    def time_left(self, done: int) -> list[str]:
        """Time left of epoch and run, and of the run alone; empty while unknown."""
        per_step = self.seconds_per_step(done)
        if per_step is None:
            return [""]
        left = (self.steps - self.first_step - done) * per_step
        evaluation = recent(self.history, "evaluation_seconds") or 0.0
        rate = recent(self.history, "images_per_second")
        per_epoch = evaluation + self.steps * (self.batch / rate if rate else per_step)
        run = duration(left + evaluation + (self.epochs - self.epoch - 1) * per_epoch)
        return [f"left: epoch {duration(left)}, run {run}" if left else f"left: run {run}", f"left {run}"]

    def seconds_per_step(self, done: int) -> float | None:
        """Seconds per step of this epoch without its first step; before the second step, of the last epochs."""
        if done > 1:
            return (time.perf_counter() - self.started) / (done - 1)
        rate = recent(self.history, "images_per_second")
        return self.batch / rate if rate else None


def joined(forms: Mapping[str, Sequence[str]]) -> str:
    """Join the first forms of all non-empty parts."""
    return "  ".join(each[0] for each in forms.values() if each[0])


def describe_memory(used: Mapping[str, float]) -> list[str]:
    """Format the result of `memory_in_use`, from the longest form to the shortest, which has the GPU only."""
    process, gpu = (f"{used[name] / GB:.1f} GB" if name in used else "" for name in ("memory_gb", "gpu_memory_gb"))
    if not gpu:
        return [process]
    host = f"{process}, " if process else ""
    return [f"{host}{gpu} on the GPU", f"{host}GPU {gpu}", f"GPU {gpu}"]


def memory_in_use() -> dict[str, float]:
    """Bytes in use by column of the history, as far as known."""
    used = {"memory_gb": resident_memory(), "gpu_memory_gb": accelerator_memory()}
    return {name: each for name, each in used.items() if math.isfinite(each)}


def recent(history: Sequence[Mapping[str, float]], column: str) -> float | None:
    """Median of a column over the last epochs that have it."""
    values = [row[column] for row in history if column in row][-REMEMBERED:]
    return median(values) if values else None


def duration(seconds: float) -> str:
    """Format seconds as ``0:05``, ``12:34`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
