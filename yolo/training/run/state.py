"""State of a run beside the weights; saving and restoring the detector's variables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from yolo.errors import WeightsError
from yolo.model.detector import Detector


class NotFiniteError(Exception):
    """Non-finite loss, gradient or weight after step ``RunState.step``."""


@dataclass
class RunState:
    """Position and results of a run so far, as plain data."""

    step: int = 0
    """Steps done; the next batch begins at position ``step * batch`` of the stream."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One row per epoch: losses, AP, AP50, rate, times."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Metrics of the best epoch."""
    best_epoch: int = 0
    """Best epoch, counted from 1; 0: none yet."""
    best: float = -math.inf
    """AP of the best epoch."""
    better_epoch: int = 0
    """Last epoch that was strictly better than all before it, counted from 1; 0: none yet."""
    faults: int = 0
    """Number of non-finite losses or gradients so far."""
    fault_step: int = -1
    """Step of the last non-finite loss or gradient; -1: none yet."""
    restart_step: int = -1
    """Step of the checkpoint that the run then returned to."""
    rate_share: float = 1.0
    """Factor of the learning rate; below 1 after non-finite losses."""
    stopped: bool = False
    """Whether the run ended before its last epoch, by early stopping or a callback."""

    def to_plain(self) -> dict[str, Any]:
        """Convert to plain data for JSON."""
        return {**asdict(self), "best": None if math.isinf(self.best) else self.best}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> RunState:
        """Restore a state from the result of `to_plain`."""
        return cls(**{**values, "best": -math.inf if values["best"] is None else values["best"]})


def variables_of(detector: Detector) -> dict[str, Any]:
    """Every variable that training changes, by group and path: weights, optimizer, running losses."""
    optimizer: Any = detector.optimizer
    groups = {
        "weights": [*detector.trainable_variables, *detector.non_trainable_variables],
        "optimizer": optimizer.variables,
        "metrics": detector.metrics_variables,
    }
    return {f"{group}/{each.path}": each for group, variables in groups.items() for each in variables}


def capture(detector: Detector) -> dict[str, NDArray[Any]]:
    """Copy the values of all variables.

    Raises:
        NotFiniteError: a weight is not finite; such a state must not be saved.
    """
    detector.sync()
    variables = {name: keras.ops.convert_to_tensor(each) for name, each in variables_of(detector).items()}
    arrays = {name: keras.ops.convert_to_numpy(value) for name, value in variables.items()}
    for name, array in arrays.items():
        if name.startswith("weights/") and not np.isfinite(array).all():
            raise NotFiniteError(name)
    return arrays


def put_back(detector: Detector, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Restore the values of all variables; optimizer variables that the checkpoint lacks keep theirs.

    Raises:
        WeightsError: a weight is missing or has another shape: the checkpoint is of another network.
    """
    for name, variable in variables_of(detector).items():
        value = arrays.get(name)
        if value is not None and value.shape == tuple(variable.shape):
            variable.assign(value)
        elif name.startswith("weights/"):
            raise WeightsError(f"the checkpoint has no {name} of shape {tuple(variable.shape)}: another network's")
