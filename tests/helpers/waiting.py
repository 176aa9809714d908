"""A Keras callback that holds a run up after its fourth step, until the process is killed or may go on."""

from __future__ import annotations

import time
from pathlib import Path

import keras


class Wait(keras.callbacks.Callback):
    """Writes the file `waiting` and waits for a file `go`."""

    steps = 0

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002 - Keras' signature
        self.steps += 1
        if self.steps == 4:
            Path("waiting").touch()
            while not Path("go").exists():
                time.sleep(0.01)
