"""Starting Keras and its backend: quietly, with the allocator tuned, and GPUs left to the backend alone."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path

from yolo.system.allocator import tune_allocator

QUIET = ("2", "3")
"""Levels of TensorFlow's messages at which its start-up is not shown either; `main.py` sets the last by default."""


def start_keras() -> None:
    """Import Keras and its backend, less the start-up lines their C++ parts print whatever one sets.

    ``TF_CPP_MIN_LOG_LEVEL=0`` shows them.
    """
    tune_allocator()  # before there are threads
    with ExitStack() as stack:
        if os.environ.get("TF_CPP_MIN_LOG_LEVEL") in QUIET:
            kept = os.dup(2)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, 2)
            with Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), 2)
        import keras  # noqa: F401
        import tensorflow  # noqa: F401 - the pipeline's, on every backend

        leave_gpus_to_backend()


def leave_gpus_to_backend() -> None:
    """Keep TensorFlow, which makes the batches, away from the GPUs if Keras computes with another package.

    It would take all of their memory that is free as soon as it does anything. To be called before; once it has done
    something, nothing can be changed.
    """
    import keras
    import tensorflow as tf

    if keras.config.backend() != "tensorflow":
        with suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
