"""After each epoch: how good the detector is, and the files that say so."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import keras
import numpy as np

from yolo.evaluation.evaluator import evaluate
from yolo.training.averages import averaged

if TYPE_CHECKING:
    from yolo.training.run import Run

logger = logging.getLogger(__name__)


class Validation(keras.callbacks.Callback):
    """After each epoch: mAP on the validation pictures, best and last model, the run's tables; early stopping."""

    def __init__(self, run: Run):
        super().__init__()
        self.run = run

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = {} if logs is None else logs
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()  # fit holds the weights elsewhere until somebody asks
        run, state = self.run, self.run.state
        self.model.origin["epoch"] = epoch + 1
        self.model.origin["darknet"]["seen"] += run.steps * run.batch
        logs["learning_rate"] = run.rate()
        with averaged(self.model):
            began = time.perf_counter()
            metrics = evaluate(
                self.model, run.validation, batch=run.batch, workers=run.config.workers, hosts=run.devices.hosts
            )
            logs["AP"], logs["AP50"] = metrics["coco"]["AP"], metrics["coco"]["AP50"]
            logs["evaluation_seconds"] = time.perf_counter() - began
            # Of equal epochs the later one: it has learned longer.
            better = bool(np.nan_to_num(logs["AP"], nan=-1.0) >= state.best)
            if better:
                state.best = float(np.nan_to_num(logs["AP"], nan=-1.0))
                state.metrics, state.best_epoch = metrics, epoch + 1
            state.history.append({"epoch": epoch + 1, **{key: float(value) for key, value in logs.items()}})
            run.write_models(better=better)
        logger.info(
            "epoch %d/%d  AP50 %.4f  AP %.4f%s",
            epoch + 1,
            run.config.epochs,
            logs["AP50"],
            logs["AP"],
            "  best so far" * better,
        )
        self.stop_if_no_better(epoch + 1)

    def stop_if_no_better(self, epoch: int) -> None:
        """Early stopping: ``patience`` epochs without a better AP are enough."""
        patience, since = self.run.config.patience, epoch - self.run.state.best_epoch
        if patience and since >= patience:
            logger.info("no better AP for %d epochs: the run ends early", since)
            self.model.stop_training = True
