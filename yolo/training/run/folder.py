"""Output files of a run: models, history.csv, metrics.json, results.json, config.yaml, curves.png, batches.jpg."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from yolo.evaluation.results import RESULTS, DetectionColumns, to_results
from yolo.files.atomic import to_json, write_text
from yolo.files.csv_table import write_csv
from yolo.structs import Dataset

COLUMNS = (
    *("epoch", "loss", "box_loss", "objectness_loss", "class_loss", "learning_rate"),
    *("AP", "AP50", "images_per_second", "data_wait", "memory_gb", "gpu_memory_gb", "train_seconds"),
    "evaluation_seconds",
)
BEST = "best.keras"
"""Name of the model file of the best epoch."""
LAST = "last.keras"
"""Name of the model file of the last epoch."""
PLOT_SECONDS = 30.0
"""Time between two drawings of the curves; they are also drawn at the end."""


def next_folder() -> Path:
    """The first of runs/train-1, runs/train-2, ... that does not exist."""
    folders = (Path("runs") / f"train-{number}" for number in count(1))
    return next(folder for folder in folders if not folder.exists())


class RunFolder:
    """Output folder of one run; each file is written whole or not at all.

    Raises:
        ConfigError: a file cannot be written.
    """

    def __init__(self, folder: str | Path):
        self.path = Path(folder)
        self.path.mkdir(parents=True, exist_ok=True)
        self._plotted = time.monotonic()

    @property
    def best(self) -> Path:
        return self.path / BEST

    @property
    def last(self) -> Path:
        return self.path / LAST

    @property
    def preview(self) -> Path:
        """Picture of the first training batches, as augmented."""
        return self.path / "batches.jpg"

    def write_config(self, values: Mapping[str, Any]) -> None:
        write_text(self.path / "config.yaml", yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        write_text(self.path / "metrics.json", to_json(metrics, indent=2) + "\n")

    def write_results(self, dataset: Dataset, found: DetectionColumns) -> None:
        """Write detections in the validation images as a COCO results file."""
        write_text(self.path / RESULTS, json.dumps(to_results(dataset, found), ensure_ascii=False) + "\n")

    def write_history(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write the metrics of all epochs so far as CSV and, at most every `PLOT_SECONDS`, as curves."""
        rows = [[f"{row[name]:.6g}" if name in row else "" for name in COLUMNS] for row in history]
        write_csv(self.path / "history.csv", COLUMNS, rows)
        if time.monotonic() - self._plotted > PLOT_SECONDS:
            self.draw_curves(history)

    def draw_curves(self, history: Sequence[Mapping[str, float]]) -> None:
        """Plot the metrics of all epochs so far."""
        from yolo.images.plots import plot_training

        series = {key: [row.get(key, math.nan) for row in history] for key in COLUMNS}
        plot_training(series, self.path / "curves.png")
        self._plotted = time.monotonic()
