"""What a run knows of itself besides the weights, and how both go into a checkpoint and come back."""

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
    """The loss, the gradient or a weight after the step that ``RunState.step`` names is not finite."""


@dataclass
class RunState:
    """The place of a run and what came of it so far: plain data."""

    step: int = 0
    """Steps done: the next batch begins at picture ``step * batch`` of the stream."""
    history: list[dict[str, float]] = field(default_factory=list)
    """A row an epoch: losses, AP, AP50, rate, times."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """The metrics object of the best epoch."""
    best_epoch: int = 0
    """Counted from 1; 0: none yet."""
    best: float = -math.inf
    """AP of the best epoch."""
    better_epoch: int = 0
    """The last epoch that was better than all before it, not only as good; counted from 1, 0: none yet."""
    faults: int = 0
    """How often the loss or the gradient was not finite."""
    fault_step: int = -1
    """The step at which that was last."""
    restart_step: int = -1
    """The step of the checkpoint that the run then went back to."""
    rate_share: float = 1.0
    """What is left of the learning rate after faults."""
    stopped: bool = False
    """The run has ended before its last epoch, because it got no better or a callback said so."""

    def to_plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**asdict(self), "best": None if math.isinf(self.best) else self.best}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> RunState:
        """The state that `to_plain` gave."""
        return cls(**{**values, "best": -math.inf if values["best"] is None else values["best"]})


def variables_of(detector: Detector) -> dict[str, Any]:
    """Every variable that training changes, by a name that says what it is: weights, optimizer, running losses."""
    optimizer: Any = detector.optimizer
    groups = {
        "weights": [*detector.trainable_variables, *detector.non_trainable_variables],
        "optimizer": optimizer.variables,
        "metrics": detector.metrics_variables,
    }
    return {f"{group}/{each.path}": each for group, variables in groups.items() for each in variables}


def capture(detector: Detector) -> dict[str, NDArray[Any]]:
    """The values of all variables.

    Raises:
        NotFiniteError: a weight is not finite; such a state is not worth keeping.
    """
    detector.sync()
    variables = {name: keras.ops.convert_to_tensor(each) for name, each in variables_of(detector).items()}
    arrays = {name: keras.ops.convert_to_numpy(value) for name, value in variables.items()}
    for name, array in arrays.items():
        if name.startswith("weights/") and not np.isfinite(array).all():
            raise NotFiniteError(name)
    return arrays


def put_back(detector: Detector, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Give all variables the values they had; those of an optimizer that is new in this stage stay.

    Raises:
        WeightsError: a weight is missing or has another shape: the checkpoint is another network's.
    """
    for name, variable in variables_of(detector).items():
        value = arrays.get(name)
        if value is not None and value.shape == tuple(variable.shape):
            variable.assign(value)
        elif name.startswith("weights/"):
            raise WeightsError(f"the checkpoint has no {name} of shape {tuple(variable.shape)}: another network's")
