"""The running average of the weights (Polyak and Juditsky 1992): what is validated and saved in their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from yolo.model.detector import Detector


def pairs(detector: Detector) -> list[tuple[Any, Any]]:
    """Each trained variable and its average, which the optimizer keeps; none if the run keeps no averages."""
    optimizer: Any = detector.optimizer
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of float16's loss scaling
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


def adopt(detector: Detector) -> None:
    """Let the averages be the weights, at the end of a run."""
    for variable, average in pairs(detector):
        variable.assign(keras.ops.copy(keras.ops.convert_to_tensor(average)))
