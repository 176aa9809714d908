"""Start-up of Keras and its backend: without log noise, with the allocator tuned, GPUs reserved for the backend."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from yolo.system.allocator import tune_allocator

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
"""Environment variable with the lowest level of TensorFlow's messages to show; by default `SILENT` here."""
SILENT = "3"
QUIET = ("2", SILENT)
"""Levels that also hide the start-up lines of the backend."""


def start_keras() -> None:
    """Import Keras and its backend as a command does: quietly, and with the allocator tuned for training."""
    tune_allocator()  # before other threads start
    import_keras()


def import_keras() -> None:
    """Import Keras and its backend without the start-up lines that their C++ parts always print.

    ``TF_CPP_MIN_LOG_LEVEL=0`` shows them, and all other messages of TensorFlow.
    """
    level = os.environ.setdefault(LEVEL, SILENT)
    with silenced_stderr() if level in QUIET else nullcontext():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401 - the input pipeline needs it on every backend

        leave_gpus_to_backend()


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Discard what is written to the process's stderr, by C++ code too."""
    try:
        kept = os.dup(2)
    except OSError:  # the process has no stderr
        yield
        return
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def leave_gpus_to_backend() -> None:
    """Hide the GPUs from TensorFlow if Keras computes with another backend.

    TensorFlow, which runs the input pipeline, would otherwise reserve all of their free memory with its first
    operation. Afterwards it is too late.
    """
    import keras
    import tensorflow as tf

    if keras.config.backend() != "tensorflow":
        with suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
