"""What a run leaves behind: best.keras, last.keras, history.csv, metrics.json, config.yaml, curves.png, batches.jpg."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from yolo.files.atomic import to_json, write_text, write_whole

COLUMNS = (
    *("epoch", "loss", "box_loss", "objectness_loss", "class_loss", "learning_rate"),
    *("AP", "AP50", "images_per_second", "data_wait", "memory_gb", "gpu_memory_gb", "train_seconds"),
    "evaluation_seconds",
)
PLOT_SECONDS = 30.0
"""The curves are drawn anew when they are this old, and at the end."""


def next_folder() -> Path:
    """The first of runs/train-1, runs/train-2, ... that does not exist."""
    folders = (Path("runs") / f"train-{number}" for number in count(1))
    return next(folder for folder in folders if not folder.exists())


class RunFolder:
    """The files of one run, each written whole or not at all.

    Raises:
        ConfigError: a file cannot be written.
    """

    def __init__(self, folder: str | Path):
        self.path = Path(folder)
        self.path.mkdir(parents=True, exist_ok=True)
        self._plotted = -math.inf

    @property
    def best(self) -> Path:
        return self.path / "best.keras"

    @property
    def last(self) -> Path:
        return self.path / "last.keras"

    @property
    def preview(self) -> Path:
        """The first pictures that are learned from, as augmented."""
        return self.path / "batches.jpg"

    def write_config(self, values: Mapping[str, Any]) -> None:
        write_text(self.path / "config.yaml", yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        write_text(self.path / "metrics.json", to_json(metrics, indent=2) + "\n")

    def write_history(self, history: Sequence[Mapping[str, float]]) -> None:
        """The epochs so far as a table, and now and then as curves."""

        def write(path: Path) -> None:
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
                writer.writeheader()
                writer.writerows({key: f"{value:.6g}" for key, value in row.items()} for row in history)

        write_whole(self.path / "history.csv", write)
        if time.monotonic() - self._plotted > PLOT_SECONDS:
            self.draw_curves(history)

    def draw_curves(self, history: Sequence[Mapping[str, float]]) -> None:
        """The epochs so far as curves."""
        from yolo.images.plots import plot_training

        series = {key: [row.get(key, math.nan) for row in history] for key in COLUMNS}
        plot_training(series, self.path / "curves.png")
        self._plotted = time.monotonic()
