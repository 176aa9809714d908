"""`train`: from a detector and a dataset to a trained detector."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from yolo.config import TrainConfig
from yolo.darknet.weights import Header
from yolo.datasets.bridge import reported_failures
from yolo.datasets.pipeline import training_batches
from yolo.errors import AnnotationError, ConfigError
from yolo.evaluation.evaluator import check_classes, evaluate
from yolo.model.detector import Detector
from yolo.structs import Dataset
from yolo.training.optimizer import make_optimizer
from yolo.training.progress import DataClock, Progress
from yolo.training.run_folder import RunFolder
from yolo.training.stages import Stage, older_layers, ordered_layers, restored, set_frozen, stages

if TYPE_CHECKING:
    import tensorflow as tf

logger = logging.getLogger(__name__)

HELD_OUT = 0.1
"""Share of the pictures taken for validation where there are no others."""


@dataclass
class TrainResult:
    """What came of a run."""

    history: list[dict[str, float]] = field(default_factory=list)
    """A row an epoch: loss and its terms, AP, AP50, rate, time."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """The metrics object of the best epoch."""
    best_epoch: int = 0
    """Counted from 1."""


def train(
    detector: Detector,
    dataset: Dataset,
    *,
    validation: Dataset | None = None,
    out: str | Path | None = None,
    config: TrainConfig | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    live: bool = False,
    **options: Any,
) -> TrainResult:
    """Train a detector; afterwards it holds the last epoch's weights (the best one's are in ``out``).

    Args:
        detector: what is trained, in place.
        dataset: pictures to learn from; its classes are the detector's.
        validation: pictures to measure mAP on after each epoch; None: a fixed tenth of the dataset.
        out: folder for best.keras, last.keras, history.csv, metrics.json and curves.png; None: none.
        config: the run's options.
        callbacks: further Keras callbacks.
        live: show a progress line on the terminal.
        **options: fields of `TrainConfig`, over those of ``config``.

    Raises:
        ConfigError: an option is wrong, or the loss is no longer finite.
        AnnotationError: the classes differ, or there is nothing to learn from.
        MediaError: a picture cannot be read.
    """
    config = override(config or TrainConfig(), options)
    check_classes(detector, dataset)
    if not len(dataset.boxes):
        raise AnnotationError(f"{dataset.name}: there is no box to learn from")
    if validation is None:
        dataset, validation = hold_out(dataset)
    if validation.ignore.all():  # also if there is none
        logger.warning("%s: the validation pictures have no box to find: mAP is undefined", validation.name)
    steps = math.ceil(len(dataset) / config.batch)
    clock, result = DataClock(), TrainResult()
    detector.origin = describe_origin(detector, dataset, config)
    ours = [
        Progress(clock, epochs=config.epochs, steps=steps, batch=config.batch, live=live),
        Validation(
            validation, config, result, RunFolder(out) if out is not None else None, pictures=steps * config.batch
        ),
    ]
    with restored(detector):
        for stage in stages(config):
            prepare_stage(detector, config, stage, steps)
            batches = stage_batches(detector, dataset, config, start=stage.first * steps * config.batch)
            with reported_failures():
                detector.fit(
                    clock.timed(batches),
                    initial_epoch=stage.first,
                    epochs=stage.end,
                    steps_per_epoch=steps,
                    shuffle=False,
                    verbose=0,
                    callbacks=[*ours, *callbacks],
                )
            if detector.stop_training:
                break
    return result


def prepare_stage(detector: Detector, config: TrainConfig, stage: Stage, steps: int) -> None:
    """Freeze or thaw the older layers, and compile with an optimizer that goes on where the last stage's stopped."""
    older = set_frozen(detector, config, frozen=stage.frozen)
    previous = detector.optimizer if stage.first else None
    optimizer = make_optimizer(config, detector, steps_per_epoch=steps, older=older, previous=previous)
    detector.compile(optimizer=optimizer, loss=config.loss)
    if config.freeze is not None:
        logger.info("%s", describe_stage(detector, config, stage))


def stage_batches(detector: Detector, dataset: Dataset, config: TrainConfig, *, start: int) -> tf.data.Dataset:
    """The training stream from a position on."""
    return training_batches(
        dataset,
        detector.canvas,
        batch=config.batch,
        seed=config.seed,
        augment=config.augment,
        mode=detector.letterbox,
        workers=config.workers,
        start=start,
    )


def describe_stage(detector: Detector, config: TrainConfig, stage: Stage) -> str:
    """What a stage trains."""
    older = older_layers(detector, str(config.freeze))
    which = f"the first {len(older)} of {len(ordered_layers(detector))} layers ({older[0].name} to {older[-1].name})"
    if stage.frozen:
        return f"epochs {stage.first + 1} to {stage.end}: {which} are frozen, statistics too"
    return f"epochs {stage.first + 1} to {stage.end}: all is trained, {which} at {config.unfrozen_rate:g} of the rate"


def override(config: TrainConfig, options: dict[str, Any]) -> TrainConfig:
    """The configuration with some fields changed.

    Raises:
        ConfigError: there is no such field, or its value is wrong.
    """
    known = TrainConfig.__dataclass_fields__
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ConfigError(f"train has no option {unknown[0]!r}; there are {', '.join(known)}")
    return replace(config, **options)


def hold_out(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """A dataset without a fixed tenth of its pictures, and that tenth; always the same of the same number."""
    count = len(dataset)
    if count < 2:
        logger.warning("%s: a single picture: it is validated on what it learns from", dataset.name)
        return dataset, dataset
    order = np.random.default_rng(0).permutation(count)
    taken = max(1, round(count * HELD_OUT))
    logger.info(
        "no validation split: a fixed tenth is held out, %d of %d pictures (name others with --val)",
        taken,
        count,
    )
    return dataset.subset(np.sort(order[taken:])), dataset.subset(np.sort(order[:taken]), split="held out")


def describe_origin(detector: Detector, dataset: Dataset, config: TrainConfig) -> dict[str, Any]:
    """What a model file says of where its weights come from; ``start`` is what it said before."""
    return {
        **({"start": dict(detector.origin)} if detector.origin else {}),
        "darknet": dict(detector.origin.get("darknet", asdict(Header()))),
        "dataset": dataset.name,
        "split": dataset.split,
        "images": len(dataset),
        "fingerprint": dataset.fingerprint,
        "config": asdict(config),
        "versions": {name: package_version(name) for name in ("yolov3-keras", "keras", keras.backend.backend())},
    }


def package_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


class Validation(keras.callbacks.Callback):
    """After each epoch: mAP on the validation pictures, best and last checkpoint, the run's files.

    Args:
        dataset: the pictures.
        config: of the run.
        result: is filled.
        folder: where to write; None: nowhere.
        pictures: seen in an epoch.
    """

    def __init__(
        self, dataset: Dataset, config: TrainConfig, result: TrainResult, folder: RunFolder | None, *, pictures: int
    ):
        super().__init__()
        self.dataset, self.config, self.result, self.folder = dataset, config, result, folder
        self.pictures = pictures
        self.best = -math.inf

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = {} if logs is None else logs
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()  # fit holds the weights elsewhere until somebody asks
        began = time.perf_counter()
        metrics = evaluate(self.model, self.dataset, batch=self.config.batch, workers=self.config.workers)
        logs["AP"], logs["AP50"] = metrics["coco"]["AP"], metrics["coco"]["AP50"]
        logs["evaluation_seconds"] = time.perf_counter() - began
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        self.result.history.append({"epoch": epoch + 1, **{key: float(value) for key, value in logs.items()}})
        # Of equal epochs the later one: it has learned longer.
        better = bool(np.nan_to_num(logs["AP"], nan=-1.0) >= self.best)
        logger.info(
            "epoch %d/%d  AP50 %.4f  AP %.4f%s",
            epoch + 1,
            self.config.epochs,
            logs["AP50"],
            logs["AP"],
            "  best so far" * better,
        )
        if better:
            self.best = np.nan_to_num(logs["AP"], nan=-1.0)
            self.result.metrics, self.result.best_epoch = metrics, epoch + 1
        self.model.origin["epoch"] = epoch + 1
        self.model.origin["darknet"]["seen"] += self.pictures
        if self.folder is not None:
            self.write(self.folder, epoch, better=better)

    def write(self, folder: RunFolder, epoch: int, *, better: bool) -> None:
        """The checkpoints and tables of an epoch."""
        self.model.save(folder.last)
        if better:
            self.model.save(folder.best)
            folder.write_metrics(self.result.metrics)
        folder.write_history(self.result.history, final=epoch + 1 == self.config.epochs)
