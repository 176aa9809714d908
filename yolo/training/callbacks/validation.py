"""Validation callback: COCO AP after each epoch, best and last model, history, early stopping."""

from __future__ import annotations

import logging
import time
from typing import Any

import keras
import numpy as np

from yolo.analysis.thresholds import best_f1_thresholds
from yolo.evaluation.evaluator import find_readable
from yolo.evaluation.matching import match
from yolo.evaluation.metrics import compute_metrics
from yolo.evaluation.results import DetectionColumns
from yolo.scores import ScoreRules
from yolo.structs import Dataset
from yolo.training.callbacks.checkpointing import Keeper
from yolo.training.callbacks.progress import Progress
from yolo.training.optimizer.ema import averaged
from yolo.training.run.run import Run

logger = logging.getLogger(__name__)


class BrokenOffError(Exception):
    """Raised to abort a validation because the run is to stop."""


class Validation(keras.callbacks.Callback):
    """Evaluates after each epoch; writes the best and last model and the run's tables; stops early.

    Args:
        run: run to validate.
        keeper: tells when the run is to stop; the validation is then aborted, and repeated on resume.
        progress: shows how far the validation is.
    """

    def __init__(self, run: Run, keeper: Keeper, progress: Progress):
        super().__init__()
        self.run, self.keeper, self.progress = run, keeper, progress
        self.found: tuple[Dataset, DetectionColumns] | None = None
        """Images and detections of the last validation."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = {} if logs is None else logs
        self.model.sync()
        logs["learning_rate"] = self.run.rate()
        try:
            with averaged(self.model):
                began = time.perf_counter()
                metrics = self.measure()
                logs["AP"], logs["AP50"] = metrics["coco"]["AP"], metrics["coco"]["AP50"]
                logs["evaluation_seconds"] = time.perf_counter() - began
                self.note(epoch + 1, logs, metrics)
        except BrokenOffError:
            self.keeper.leave()
        self.stop_if_no_better(epoch + 1)

    def measure(self) -> dict[str, Any]:
        """Compute the metrics on the validation images, and give the model the thresholds of the best F1 on them.

        Raises:
            BrokenOffError: the run has been asked to stop.
        """
        run = self.run
        dataset, found = find_readable(
            self.model,
            run.validation,
            batch=run.batch,
            workers=run.config.workers,
            hosts=run.devices.hosts,
            quarantine=run.left_out,
            after_batch=self.heed,
        )
        self.found = dataset, found
        self.model.score_rules = rules_of(dataset, found)
        return compute_metrics(dataset, found)  # without intervals, which would cost time in every epoch

    def heed(self, batches: int) -> None:
        """Show the progress of the validation, and abort it if the run has been asked to stop."""
        self.progress.show_validation(batches * self.run.batch, len(self.run.validation))
        if self.keeper.time_to_leave(batches):
            raise BrokenOffError

    def note(self, epoch: int, logs: dict[str, float], metrics: dict[str, Any]) -> None:
        """Add a row to the history, and write the epoch's files; the epoch is counted from 1."""
        run, state, metric = self.run, self.run.state, self.run.config.best_metric
        run.share_quarantines()
        self.model.origin["epoch"] = epoch
        self.model.origin["darknet"]["seen"] += run.steps * run.batch
        figures = {name: float(logs[name]) if np.isfinite(logs[name]) else None for name in ("AP", "AP50")}
        self.model.origin.setdefault("validation", {}).update({"best_by": metric, **figures})
        # Of equally good epochs the later one is kept: it was trained longer.
        found = float(np.nan_to_num(logs[metric], nan=0.0))
        better = found >= state.best
        if found > max(0.0, state.best):
            state.better_epoch = epoch
        if better:
            state.best, state.metrics, state.best_epoch = found, metrics, epoch
        run.latest = metrics
        state.history.append({"epoch": epoch, **{key: float(value) for key, value in logs.items()}})
        run.write_models(better=better)
        if better and self.found is not None:
            run.write_results(*self.found)
        self.progress.display.clear()
        logger.info(
            "epoch %d/%d  AP50 %.4f  AP %.4f%s",
            epoch,
            run.config.epochs,
            logs["AP50"],
            logs["AP"],
            "  best so far" if better else "",
        )

    def stop_if_no_better(self, epoch: int) -> None:
        """Stop early after ``patience`` epochs without a better AP, or AP50 (``best``)."""
        patience, since = self.run.config.patience, epoch - self.run.state.better_epoch
        if patience and since >= patience:
            logger.info("no better %s for %d epochs: stopping early", self.run.config.best_metric, since)
            self.model.stop_training = True


def rules_of(dataset: Dataset, found: DetectionColumns) -> ScoreRules:
    """Thresholds of the best F1 of each class; none if no detection is right."""
    thresholds = best_f1_thresholds(match(dataset, found, ious=(0.5,)))
    about = {"data": dataset.name, "split": dataset.split, "pictures": len(dataset), "thresholds": "best F1"}
    return ScoreRules(tuple(thresholds.values()), about=about if thresholds else {})
