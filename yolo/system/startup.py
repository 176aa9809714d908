"""Start-up of Keras and its backend: without log noise, with the allocator tuned, GPUs reserved for the backend."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path

from yolo.system.allocator import tune_allocator

QUIET = ("2", "3")
"""Values of ``TF_CPP_MIN_LOG_LEVEL`` at which start-up lines are hidden as well; `main.py` sets the last by default."""


def start_keras() -> None:
    """Import Keras and its backend, hiding the lines that their C++ code prints at start-up at any log level.

    ``TF_CPP_MIN_LOG_LEVEL=0`` shows them.
    """
    tune_allocator()  # before any thread starts
    with ExitStack() as stack:
        if os.environ.get("TF_CPP_MIN_LOG_LEVEL") in QUIET:
            kept = os.dup(2)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, 2)
            with Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), 2)
        import keras  # noqa: F401
        import tensorflow  # noqa: F401 - the input pipeline needs it on every backend

        leave_gpus_to_backend()


def leave_gpus_to_backend() -> None:
    """Hide the GPUs from TensorFlow if Keras computes with another backend.

    TensorFlow, which runs the input pipeline, would otherwise reserve all of their free memory with its first
    operation. After that operation nothing can be changed any more.
    """
    import keras
    import tensorflow as tf

    if keras.config.backend() != "tensorflow":
        with suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
