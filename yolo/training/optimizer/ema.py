"""Exponential moving average (EMA) of the weights (Polyak and Juditsky 1992), which is validated and saved."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from yolo.model.detector import Detector


def pairs(detector: Detector) -> list[tuple[Any, Any]]:
    """Pair each trained variable with its EMA, which the optimizer keeps; empty if the run uses no EMA."""
    optimizer: Any = detector.optimizer
    if not optimizer.use_ema:
        return []
    return list(zip(optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True))


@contextmanager
def averaged(detector: Detector) -> Iterator[None]:
    """Replace the detector's weights by their EMA inside the block; they are restored exactly afterwards."""
    both = pairs(detector)
    own = [keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(variable)).copy() for variable, _ in both]
    for variable, average in both:
        # A copy: JAX donates the buffers of variables to the next step, and a shared one would be deleted.
        variable.assign(keras.ops.copy(keras.ops.convert_to_tensor(average)))
    try:
        yield
    finally:
        for (variable, _), value in zip(both, own, strict=True):
            variable.assign(value)


def begin_averages(detector: Detector, known: Collection[str]) -> None:
    """Initialise those averages with the weights that a checkpoint lacks because the layers were frozen.

    Args:
        detector: detector with the checkpoint's weights.
        known: names of the checkpoint's optimizer variables.
    """
    for variable, average in pairs(detector):
        if average.path not in known:
            average.assign(ops.copy(variable))  # else JAX would keep both in one buffer


def adopt(detector: Detector) -> None:
    """Overwrite the weights by their EMA, at the end of a run."""
    for variable, average in pairs(detector):
        variable.assign(keras.ops.copy(keras.ops.convert_to_tensor(average)))
