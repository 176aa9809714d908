"""`train`: from a detector and a dataset to a trained detector."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import keras

from yolo.anchors import canvas_shapes, measure_anchors
from yolo.config import TrainConfig, train_config
from yolo.darknet.weights import Header
from yolo.datasets.overlap import sketch
from yolo.datasets.pipeline.cache import make_cache
from yolo.datasets.pipeline.picture_loader import Loader
from yolo.datasets.pipeline.quarantine import Quarantine
from yolo.distributed.devices import choose_devices
from yolo.errors import AnnotationError, ConfigError
from yolo.evaluation.evaluator import check_classes
from yolo.model.detector import Detector
from yolo.structs import Dataset
from yolo.training.engine.batch_size import fitting_batch
from yolo.training.engine.loop import carry_out
from yolo.training.engine.preflight import check_canvases
from yolo.training.optimizer.learning_rate import log_rate
from yolo.training.run.checkpoint import Checkpoint, Checkpoints
from yolo.training.run.folder import RunFolder
from yolo.training.run.held_out import describe_held_out, hold_out, list_held_out
from yolo.training.run.run import Run
from yolo.training.run.stages import freeze_layers, frozen_layers

logger = logging.getLogger(__name__)

GOOD_RECALL = 0.98
"""Anchors that fit fewer of the boxes are worth a warning."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What `train` and `resume` take besides what is learned and how; their arguments say what each means."""

    out: str | Path | None = None
    callbacks: Sequence[keras.callbacks.Callback] = ()
    live: bool = False
    command: Mapping[str, Any] | None = None
    devices: str | None = None
    tensorboard: bool = False


@dataclass
class TrainResult:
    """What came of a run."""

    history: list[dict[str, float]] = field(default_factory=list)
    """A row an epoch: loss and its terms, AP, AP50, rate, time."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """The metrics object of the best epoch."""
    best_epoch: int = 0
    """Epoch of best.keras, counted from 1."""
    best_metric: str = "AP"
    """The metric that chose it: AP or AP50."""


def train(
    detector: Detector,
    dataset: Dataset,
    *,
    validation: Dataset | None = None,
    out: str | Path | None = None,
    config: TrainConfig | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    live: bool = False,
    command: Mapping[str, Any] | None = None,
    devices: str | None = None,
    tensorboard: bool = False,
    **options: Any,
) -> TrainResult:
    """Train a detector; afterwards it holds the last epoch's weights (the best one's are in ``out``).

    Args:
        detector: what is trained, in place.
        dataset: pictures to learn from; its classes are the detector's.
        validation: pictures to measure mAP on after each epoch; None: a fixed tenth of the dataset.
        out: folder for best.keras, last.keras, history.csv, metrics.json, curves.png and checkpoints, from which
            `resume` goes on; None: none.
        config: the run's options.
        callbacks: further Keras callbacks.
        live: show a progress line on the terminal.
        command: kept in the checkpoints: what the command line needs to begin the run again.
        devices: where to train, such as ``gpu:0,gpu:1``, ``gpus`` or a number of devices; None: on all GPUs, if there
            are any, or as many of them as a batch can be shared out among evenly; what is learned is the same.
        tensorboard: write what TensorBoard shows to ``out``/tensorboard.
        **options: fields of `TrainConfig`, over those of ``config``.

    Raises:
        ConfigError: an option is wrong, or the loss is no longer finite.
        AnnotationError: the classes differ, or there is nothing to learn from.
        MediaError: a picture cannot be read.
    """
    config = with_whole_path(override(config or TrainConfig(), options))
    if config.batch == "auto":
        config = replace(config, batch=fitting_batch(detector, dataset, config, choose_devices(devices)))
    given = RunOptions(
        out=out, callbacks=callbacks, live=live, command=command, devices=devices, tensorboard=tensorboard
    )
    run = make_run(detector, dataset, validation, config, given)
    check_anchors(detector, run.dataset)
    log_rate(config, run.batch)
    detector.origin = describe_origin(run)
    if validation is None:
        detector.origin["held_out"] = describe_held_out(dataset)
    if run.checkpoints is not None and run.devices.hosts.first:
        run.checkpoints.clear()  # those of another run in this folder, and its lists
        for quarantine in run.quarantines:
            quarantine.forget()
        list_held_out(run.checkpoints.path.parent, run.validation if validation is None else None)
    carry_out(run)
    return result_of(run)


def resume(
    folder: str | Path,
    dataset: Dataset,
    *,
    validation: Dataset | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    live: bool = False,
    checkpoint: Checkpoint | None = None,
    command: Mapping[str, Any] | None = None,
    devices: str | None = None,
    tensorboard: bool = False,
    **options: Any,
) -> tuple[Detector, TrainResult]:
    """Go on with a run that was stopped, as if it had not been.

    Args:
        folder: ``out`` of the run.
        dataset: the pictures it began with.
        validation: as in `train`.
        callbacks: further Keras callbacks; what they had counted begins anew.
        live: show a progress line on the terminal.
        checkpoint: the last one of the run, if it is at hand already.
        command: as in `train`; None: what the checkpoint says.
        devices: as in `train`; others than before are fine.
        tensorboard: as in `train`.
        **options: fields of `TrainConfig` that change nothing of what is learned, such as ``workers``.

    Returns:
        The trained detector, and the result as `train` gives it, with the epochs before the stop.

    Raises:
        ConfigError: there is no checkpoint, or the pictures or options are not those the run began with.
    """
    checkpoint = checkpoint or last_checkpoint(folder)
    config = with_whole_path(override(train_config(checkpoint.meta["config"]), options))
    detector = Detector.from_config(checkpoint.meta["detector"])
    freeze_layers(detector, checkpoint.meta["frozen"])
    command = checkpoint.meta["command"] if command is None else command
    given = RunOptions(
        out=folder, callbacks=callbacks, live=live, command=command, devices=devices, tensorboard=tensorboard
    )
    run = make_run(detector, dataset, validation, config, given)
    run.take_up(checkpoint)
    for quarantine in run.quarantines:
        quarantine.read()
    state = run.state
    logger.info("going on from step %d of %d, in epoch %d", state.step, run.total, state.step // run.steps + 1)
    carry_out(run)
    return detector, result_of(run)


def make_run(
    detector: Detector,
    dataset: Dataset,
    validation: Dataset | None,
    config: TrainConfig,
    options: RunOptions = RunOptions(),
) -> Run:
    """The run of these options, at its beginning; arguments and errors as of `train`."""
    check_classes(detector, dataset)
    if not len(dataset.boxes):
        raise AnnotationError(f"{dataset.name}: there is no box to learn from")
    if validation is None:
        whole = len(dataset)
        dataset, validation = hold_out(dataset)
        logger.info(
            "no validation split: a fixed tenth is held out, %d of %d images (name others with --val)",
            len(validation),
            whole,
        )
    check_canvases(detector, config)
    if validation.ignore.all():  # also if there is none
        if config.patience:
            raise ConfigError(f"{validation.name}: no validation picture has a box to find; patience needs mAP")
        logger.warning("%s: the validation pictures have no box to find: mAP is undefined", validation.name)
    batch = int(config.batch)
    chosen = choose_devices(options.devices, batch)
    chosen.check_batch(batch)
    return Run(
        detector=detector,
        dataset=dataset,
        validation=validation,
        config=config,
        batch=batch,
        loader=make_loader(detector, dataset, config, options.out),
        left_out=make_quarantine(validation, options.out, "quarantine-validation.csv", replaced=False),
        steps=math.ceil(len(dataset) / batch),
        folder=None if options.out is None else RunFolder(options.out),
        command=dict(options.command or {}),
        frozen=frozen_layers(detector),
        devices=chosen,
        live=options.live,
        tensorboard=options.tensorboard,
        callbacks=options.callbacks,
    )


def make_loader(detector: Detector, dataset: Dataset, config: TrainConfig, out: str | Path | None) -> Loader:
    """What reads the pictures to learn from: with a cache, and a list of those that cannot be read."""
    return Loader(
        dataset,
        detector.letterbox,
        cache=make_cache(config.cache, pictures=len(dataset)),
        quarantine=make_quarantine(dataset, out, "quarantine.csv"),
    )


def make_quarantine(dataset: Dataset, out: str | Path | None, name: str, *, replaced: bool = True) -> Quarantine:
    """A list of pictures that cannot be read, in the run's folder if it has one."""
    return Quarantine(dataset, path=None if out is None else Path(out) / name, replaced=replaced)


def result_of(run: Run) -> TrainResult:
    """What came of a run."""
    return TrainResult(run.state.history, run.state.metrics, run.state.best_epoch, run.config.best_metric)


def check_anchors(detector: Detector, dataset: Dataset) -> None:
    """Say how well the anchors fit the boxes, and what to do if they do not."""
    shapes = canvas_shapes(dataset, detector.canvas, mode=detector.letterbox)
    if not len(shapes):
        return
    found = measure_anchors(shapes, detector.anchors)
    recall = found.best_possible_recall
    logger.info("anchors: mean IoU %.3f with the boxes, best possible recall %.3f", found.mean_iou, recall)
    if recall < GOOD_RECALL:
        logger.warning(
            "the anchors are far from %.1f %% of the boxes, which will hardly be found: fit anchors to them "
            "(yolov3 train --anchors auto, yolo.fit_anchors), or take a larger --size",
            100 * (1 - recall),
        )


def last_checkpoint(folder: str | Path) -> Checkpoint:
    """The newest whole checkpoint of a run.

    Raises:
        ConfigError: there is none.
    """
    found = Checkpoints(folder).latest()
    if found is None:
        raise ConfigError(f"{folder}: holds no checkpoint to go on from; begin the run again")
    return found


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


def with_whole_path(config: TrainConfig) -> TrainConfig:
    """The configuration, whose albumentations file is found from any folder."""
    augment = config.augment
    if not augment.albumentations:
        return config
    return replace(config, augment=replace(augment, albumentations=str(Path(augment.albumentations).resolve())))


def describe_origin(run: Run) -> dict[str, Any]:
    """What a model file stores of its training: data, options, versions; ``start`` is the origin it began with."""
    detector, dataset = run.detector, run.dataset
    return {
        **({"start": dict(detector.origin)} if detector.origin else {}),
        "darknet": dict(detector.origin.get("darknet", asdict(Header()))),
        "dataset": dataset.name,
        "split": dataset.split,
        "images": len(dataset),
        "fingerprint": dataset.fingerprint,
        "sketch": sketch(dataset),
        "validation": describe_validation(run),
        "config": asdict(run.config),
        "versions": {name: package_version(name) for name in ("yolov3-keras", "keras", keras.backend.backend())},
    }


def describe_validation(run: Run) -> dict[str, Any]:
    """How the figures of a run are measured: batch size and precision change the last digits."""
    return {
        "dataset": run.validation.name,
        "split": run.validation.split,
        "images": len(run.validation),
        "fingerprint": run.validation.fingerprint,
        "batch": run.batch,
        "precision": run.detector.convolutions[0].dtype_policy.name,
    }


def package_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
