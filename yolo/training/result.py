"""Result of a training run, as returned by `train` and `resume`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from yolo.evaluation.metrics import Metrics
from yolo.training.run.folder import BEST, LAST
from yolo.training.run.run import Run

TIMES = ("train_seconds", "evaluation_seconds")
"""Columns of the history that add up to the time of an epoch."""


@dataclass(repr=False)
class TrainResult:
    """Result of a training run."""

    history: list[dict[str, float]] = field(default_factory=list)
    """One row per epoch: loss and its terms, AP, AP50, learning rate, times."""
    metrics: Metrics = field(default_factory=Metrics)
    """Metrics of the best epoch."""
    best_epoch: int = 0
    """Epoch of best.keras, counted from 1."""
    folder: Path | None = None
    """Folder of the run; None if nothing was written."""
    best_metric: str = "AP"
    """Metric that chose the best epoch: AP or AP50."""

    @property
    def best(self) -> Path | None:
        """Model file of the best epoch."""
        return None if self.folder is None else self.folder / BEST

    @property
    def last(self) -> Path | None:
        """Model file of the last epoch."""
        return None if self.folder is None else self.folder / LAST

    @property
    def minutes(self) -> float:
        """Minutes of training and validation, those before a resume included."""
        return sum(row.get(name, 0.0) for row in self.history for name in TIMES) / 60

    def __repr__(self) -> str:
        coco = self.metrics.get("coco", {})
        figures = ", ".join(f"{name} {coco.get(name, math.nan):.4f}" for name in ("AP", "AP50"))
        where = "" if self.best is None else f"; {self.best}"
        return f"best epoch {self.best_epoch} of {len(self.history)}: {figures}; {self.minutes:.1f} minutes{where}"


def result_of(run: Run) -> TrainResult:
    """Collect the result of a run."""
    folder = None if run.folder is None else run.folder.path
    return TrainResult(
        run.state.history, Metrics(run.state.metrics), run.state.best_epoch, folder, run.config.best_metric
    )
