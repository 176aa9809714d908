"""What a run says while it goes on: losses, rate, memory, how long it waits for data, and how long it will take."""

from __future__ import annotations

import logging
import math
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from statistics import median
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from yolo.datasets.pipeline.tf_errors import guarded
from yolo.system.used_memory import accelerator_memory, resident_memory

if TYPE_CHECKING:
    import tensorflow as tf

logger = logging.getLogger(__name__)

TERMS = {"box_loss": "box", "objectness_loss": "objectness", "class_loss": "class"}
SHORTENED = ("loss", "data", "left", "memory", "epoch", "step", "rate", "memory", "loss")
"""What gives way, in this order, where the line is longer than the terminal is wide: each time a part takes its next
shorter form. Rate, time left, wait for data and memory are to be seen at 80 columns."""
REDRAWN = 0.1
"""Seconds between two drawings of the live line."""
REMEMBERED = 5
"""Epochs from whose median the time of the coming ones is estimated: one slow epoch changes nothing."""
GB = 1e9
CLEAR = "\x1b[K"
"""Tells a terminal to wipe the line from here on."""


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
    """Adds rate, data wait, memory and seconds to the epoch's logs, and shows a line.

    Args:
        clock: of the batches.
        epochs: of the run.
        steps: of an epoch.
        batch: pictures a step.
        live: show the line while the epoch runs (on a terminal).
        first_step: how many steps of the epoch that it begins with are done already.
        history: the rows of the epochs done so far, which may grow meanwhile; the time left is estimated from them.
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
        self.live = live and sys.stderr.isatty()
        self.first_step, self.history = first_step, history
        self.epoch, self.began, self.drawn, self.compiling = 0, 0.0, 0.0, False
        self.started = 0.0
        """When the first step of the epoch was done: it alone may take long, as the network is compiled in it."""

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras' signature
        self.compiling = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.epoch, self.clock.waited = epoch, 0.0
        self.began = self.started = self.drawn = time.perf_counter()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.clock.asked = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        now = time.perf_counter()
        if batch == 0:
            self.started = now
        if self.compiling:  # TensorFlow does it between asking for the first batch and taking it
            self.clock.waited, self.compiling = 0.0, False
        if self.live and now - self.drawn >= REDRAWN:
            self.drawn = now
            print(f"\r{self.live_line(batch + 1, logs or {})}{CLEAR}", end="", file=sys.stderr, flush=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        done = self.steps - self.first_step
        if logs is not None:
            seconds = time.perf_counter() - self.began
            if self.live:
                print(f"\r{CLEAR}", end="", file=sys.stderr)
            logger.info("%s", self.line(done, logs))
            logs["images_per_second"] = done * self.batch / seconds
            logs["data_wait"] = self.clock.waited / seconds
            logs["train_seconds"] = seconds
            logs |= {name: used / GB for name, used in memory_in_use().items()}
        self.first_step = 0

    def live_line(self, done: int, logs: Mapping[str, float]) -> str:
        """The line as it fits the terminal: of a longer one, the next would not take the place."""
        width, forms = terminal_columns() - 1, self.parts(done, logs)
        for name in SHORTENED:
            if len(joined(forms)) <= width:
                break
            forms[name] = forms[name][1:] or forms[name]
        return joined(forms)[:width]

    def line(self, done: int, logs: Mapping[str, float]) -> str:
        """The epoch so far, ``done`` steps after it was begun or taken up."""
        return joined(self.parts(done, logs))

    def parts(self, done: int, logs: Mapping[str, float]) -> dict[str, list[str]]:
        """The parts of the line in their order, each in its forms from the longest to the shortest."""
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
        """How long the epoch and the run will still take, and the run alone; empty while nothing is known."""
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
        """Of the present epoch, less its first step; before there is a second one, of the last epochs."""
        if done > 1:
            return (time.perf_counter() - self.started) / (done - 1)
        rate = recent(self.history, "images_per_second")
        return self.batch / rate if rate else None


def joined(forms: Mapping[str, Sequence[str]]) -> str:
    """The first forms of all parts that have something to say."""
    return "  ".join(each[0] for each in forms.values() if each[0])


def terminal_columns() -> int:
    """Of the terminal that the line is drawn on; stdout may be a file."""
    with suppress(OSError, ValueError):  # it is none
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
        if columns:
            return columns
    return shutil.get_terminal_size().columns


def describe_memory(used: Mapping[str, float]) -> list[str]:
    """What `memory_in_use` says, from the longest form to the shortest, which is that of the GPU alone."""
    process, gpu = (f"{used[name] / GB:.1f} GB" if name in used else "" for name in ("memory_gb", "gpu_memory_gb"))
    if not gpu:
        return [process]
    host = f"{process}, " if process else ""
    return [f"{host}{gpu} on the GPU", f"{host}GPU {gpu}", f"GPU {gpu}"]


def memory_in_use() -> dict[str, float]:
    """Bytes in use by column of the history; without those that nobody knows."""
    used = {"memory_gb": resident_memory(), "gpu_memory_gb": accelerator_memory()}
    return {name: each for name, each in used.items() if math.isfinite(each)}


def recent(history: Sequence[Mapping[str, float]], column: str) -> float | None:
    """The median of a column over the last epochs that have it."""
    values = [row[column] for row in history if column in row][-REMEMBERED:]
    return median(values) if values else None


def duration(seconds: float) -> str:
    """``0:05``, ``12:34`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
