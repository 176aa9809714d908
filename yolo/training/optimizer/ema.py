"""The running average of the weights (Polyak and Juditsky 1992): what is validated and saved in their place."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from yolo.model.detector import Detector


def pairs(detector: Detector) -> list[tuple[Any, Any]]:
    """Each trained variable and its average, which the optimizer keeps; none if the run keeps no averages."""
    optimizer: Any = detector.optimizer
    if not optimizer.use_ema:
        return []
    return list(zip(optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True))


@contextmanager
def averaged(detector: Detector) -> Iterator[None]:
    """While it lasts, the detector has the averages for weights; afterwards its own again, to the last bit."""
    both = pairs(detector)
    own = [keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(variable)).copy() for variable, _ in both]
    for variable, average in both:
        # A copy: JAX reuses the memory of what a step has taken, and both would be gone.
        variable.assign(keras.ops.copy(keras.ops.convert_to_tensor(average)))
    try:
        yield
    finally:
        for (variable, _), value in zip(both, own, strict=True):
            variable.assign(value)


def begin_averages(detector: Detector, known: Collection[str]) -> None:
    """Let the averages that a checkpoint does not have, of layers that were frozen, begin at the weights.

    Args:
        detector: whose weights are the checkpoint's.
        known: names of the checkpoint's optimizer variables.
    """
    for variable, average in pairs(detector):
        if average.path not in known:
            average.assign(ops.copy(variable))  # JAX would have both in one buffer


def adopt(detector: Detector) -> None:
    """Let the averages be the weights, at the end of a run."""
    for variable, average in pairs(detector):
        variable.assign(keras.ops.copy(keras.ops.convert_to_tensor(average)))
