"""`train` and `resume`: from a detector and a dataset to a trained detector."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras

from yolo.config import TrainConfig, train_config
from yolo.datasets.pipeline.cache import make_cache
from yolo.datasets.pipeline.picture_loader import Loader
from yolo.datasets.pipeline.quarantine import Quarantine
from yolo.datasets.presence import check_images
from yolo.distributed.devices import choose_devices
from yolo.distributed.hosts import present_hosts
from yolo.errors import AnnotationError, ConfigError
from yolo.evaluation.evaluator import check_classes
from yolo.files.atomic import is_file
from yolo.files.locks import REMEDY, locked_folder
from yolo.model.detector import Detector
from yolo.scores import NO_RULES
from yolo.structs import Dataset
from yolo.system.notices import notices
from yolo.training.engine.batch_size import fitting_batch
from yolo.training.engine.loop import carry_out
from yolo.training.engine.preflight import check_canvases
from yolo.training.engine.reporting import describe_run
from yolo.training.optimizer.learning_rate import log_rate
from yolo.training.result import TrainResult, result_of
from yolo.training.run.checkpoint import Checkpoint, Checkpoints
from yolo.training.run.consistency import more_epochs
from yolo.training.run.folder import RunFolder, next_folder
from yolo.training.run.held_out import describe_held_out, hold_out, list_held_out
from yolo.training.run.run import Run
from yolo.training.run.stages import freeze_layers, frozen_layers
from yolo.training.setup import check_anchors, describe_origin, warn_of_overlap
from yolo.weights.load import load

logger = logging.getLogger(__name__)

AUTO = "auto"
"""Value of ``out`` that chooses the next free folder of runs/train-1, runs/train-2, ..."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of `train` and `resume` that do not affect the learned weights; explained there as arguments."""

    out: str | Path | None = None
    callbacks: Sequence[keras.callbacks.Callback] = ()
    live: bool = True
    command: Mapping[str, Any] | None = None
    devices: str | None = None
    tensorboard: bool = False
    keep_checkpoints: bool = False


@notices()
def train(
    detector: Detector,
    dataset: Dataset,
    *,
    validation: Dataset | None = None,
    out: str | Path | None = AUTO,
    config: TrainConfig | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    live: bool = True,
    command: Mapping[str, Any] | None = None,
    devices: str | None = None,
    tensorboard: bool = False,
    keep_checkpoints: bool = False,
    **options: Any,
) -> TrainResult:
    """Train a detector; afterwards it holds the last epoch's weights (the best one's are in the run's folder).

    Messages are printed as by the command line, unless the program has configured logging.

    Args:
        detector: detector to train, in place.
        dataset: training images; its classes are the detector's.
        validation: images to compute mAP on after each epoch; None: a fixed tenth of the dataset.
        out: folder for best.keras, last.keras, history.csv, metrics.json, curves.png and checkpoints, which
            `resume` reads; ``auto``: the first of runs/train-1, runs/train-2, ... that does not exist;
            None: nothing is written.
        config: options of the run.
        callbacks: further Keras callbacks.
        live: show the progress: a line that is redrawn on a terminal or in a notebook, elsewhere a plain line
            every half minute.
        command: options that the command line needs to resume the run; stored in the checkpoints.
        devices: where to train, such as ``gpu:0,gpu:1``, ``gpus`` or a number of devices; None: all GPUs, if there
            are any, or as many of them as divide a batch evenly; the learned weights are the same.
        tensorboard: write TensorBoard's event files to ``out``/tensorboard.
        keep_checkpoints: keep the checkpoints when the run is finished; nothing needs them then.
        **options: fields of `TrainConfig`, which override those of ``config``.

    Returns:
        The history, the best epoch and its metrics, and the paths of the run's files; it prints as one line.

    Raises:
        ConfigError: an option is invalid, another process writes into ``out``, or the loss stays non-finite.
        AnnotationError: the classes differ, or the dataset has no boxes.
        MediaError: an image cannot be read.
    """
    config = with_whole_path(override(config or TrainConfig(), options))
    if config.batch == "auto":
        check_images(dataset)
        config = replace(config, batch=fitting_batch(detector, dataset, config, choose_devices(devices)))
    given = RunOptions(
        out=present_hosts().broadcast_text(str(next_folder())) if out == AUTO else out,
        callbacks=callbacks,
        live=live,
        command=command,
        devices=devices,
        tensorboard=tensorboard,
        keep_checkpoints=keep_checkpoints,
    )
    run = make_run(detector, dataset, validation, config, given)
    if validation is not None:
        warn_of_overlap(dataset, validation)
    check_anchors(detector, run.dataset)
    log_rate(config, run.batch)
    detector.origin = describe_origin(run)
    detector.score_rules = NO_RULES  # measured on other weights; the validation measures new ones
    if validation is None:
        detector.origin["held_out"] = describe_held_out(dataset)
    with locked_run(given.out):
        replace_earlier_run(run, held_out=run.validation if validation is None else None)
        describe_run(run)
        carry_out(run)
    return result_of(run)


def replace_earlier_run(run: Run, *, held_out: Dataset | None) -> None:
    """Delete the checkpoints and lists of an earlier run in the folder of a new one, and list its held-out images.

    Args:
        run: the new run; of several hosts only rank 0 touches the folder.
        held_out: the images held out for validation; None: the run was given others.
    """
    if run.checkpoints is None or not run.devices.hosts.first:
        return
    run.checkpoints.clear()
    for quarantine in run.quarantines:
        quarantine.forget()
    list_held_out(run.checkpoints.path.parent, held_out)


@notices()
def resume(
    folder: str | Path,
    dataset: Dataset,
    *,
    validation: Dataset | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    live: bool = True,
    checkpoint: Checkpoint | None = None,
    command: Mapping[str, Any] | None = None,
    devices: str | None = None,
    tensorboard: bool = False,
    keep_checkpoints: bool = False,
    **options: Any,
) -> tuple[Detector, TrainResult]:
    """Resume a stopped run exactly where it was; of a finished run, return the result.

    Args:
        folder: ``out`` of the run.
        dataset: the training images it began with.
        validation: as in `train`.
        callbacks: further Keras callbacks; their own state is not restored.
        live: as in `train`.
        checkpoint: the last one of the run, if it has been read already.
        command: as in `train`; None: that of the checkpoint.
        devices: as in `train`; they may differ from those before.
        tensorboard: as in `train`.
        keep_checkpoints: as in `train`.
        **options: fields of `TrainConfig` that do not affect the learned weights, such as ``workers``.

    Returns:
        The trained detector, and the result as `train` gives it, with the epochs before the stop.

    Raises:
        ConfigError: there is no checkpoint, the run is still active, or the images or options have changed.
    """
    with locked_run(folder, remedy="wait for it or end it"):
        checkpoint = checkpoint or last_checkpoint(folder)
        config = with_whole_path(override(train_config(checkpoint.meta["config"]), options))
        detector = Detector.from_config(checkpoint.meta["detector"])
        freeze_layers(detector, checkpoint.meta["frozen"])
        given = RunOptions(
            out=folder,
            callbacks=callbacks,
            live=live,
            command=checkpoint.meta["command"] if command is None else command,
            devices=devices,
            tensorboard=tensorboard,
            keep_checkpoints=keep_checkpoints,
        )
        run = make_run(detector, dataset, validation, config, given)
        run.take_up(checkpoint)
        continue_run(run, folder, has_values=bool(checkpoint.arrays))
    return detector, result_of(run)


def continue_run(run: Run, folder: str | Path, *, has_values: bool) -> None:
    """Train a run from its restored checkpoint to its end; of a finished one, restore the final weights.

    Args:
        run: the run, at the step of its checkpoint.
        folder: folder of the run.
        has_values: whether the checkpoint holds arrays; that of a finished run may not.
    """
    for quarantine in run.quarantines:
        quarantine.read()
    state = run.state
    if run.finished:
        logger.info("%s: this run is finished, after %d epochs; %s", folder, len(state.history), more_epochs(folder))
        if not has_values:
            restore_last(run.detector, folder)
            return
    else:
        logger.info("going on from step %d of %d, in epoch %d", state.step, run.total, state.step // run.steps + 1)
    carry_out(run)


def locked_run(folder: str | Path | None, *, remedy: str = REMEDY) -> AbstractContextManager[None]:
    """Lock a run's folder inside the block, on rank 0 only; do nothing without a folder.

    Raises:
        ConfigError: another process or thread holds the lock.
    """
    if folder is None or not Path(folder).is_dir() or not present_hosts().first:
        return nullcontext()
    return locked_folder(folder, remedy=remedy)


def restore_last(detector: Detector, folder: str | Path) -> None:
    """Restore the final weights of a finished run, whose checkpoints were deleted, from last.keras.

    Raises:
        ConfigError: the file no longer exists.
    """
    path = RunFolder(folder).last
    if not is_file(path):
        raise ConfigError(f"{path}: gone, and the checkpoints of this finished run were dropped; begin the run again")
    last = load(path)
    detector.set_weights(last.get_weights())
    detector.score_rules = last.score_rules


def make_run(
    detector: Detector,
    dataset: Dataset,
    validation: Dataset | None,
    config: TrainConfig,
    options: RunOptions = RunOptions(),
) -> Run:
    """Make a new run; arguments and errors as in `train`."""
    check_classes(detector, dataset)
    if not len(dataset.boxes):
        raise AnnotationError(
            f"{dataset.name}: there is no box to learn from: all {len(dataset)} pictures are without one; check that "
            "their annotations are where they belong"
        )
    for each in (dataset, validation) if validation else (dataset,):
        check_images(each)
    if validation is None:
        whole = len(dataset)
        dataset, validation = hold_out(dataset)
        logger.info(
            "no validation split: a fixed tenth is held out, %d of %d images (name others with --val)",
            len(validation),
            whole,
        )
    check_canvases(detector, config)
    if validation.ignore.all():  # true without any box too
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
        keep_checkpoints=options.keep_checkpoints,
        callbacks=options.callbacks,
    )


def make_loader(detector: Detector, dataset: Dataset, config: TrainConfig, out: str | Path | None) -> Loader:
    """Make the loader of the training images, with a cache and a list of unreadable ones."""
    return Loader(
        dataset,
        detector.letterbox,
        cache=make_cache(config.cache, pictures=len(dataset)),
        quarantine=make_quarantine(dataset, out, "quarantine.csv"),
    )


def make_quarantine(dataset: Dataset, out: str | Path | None, name: str, *, replaced: bool = True) -> Quarantine:
    """Make a list of unreadable images, in the run's folder if there is one."""
    return Quarantine(dataset, path=None if out is None else Path(out) / name, replaced=replaced)


def last_checkpoint(folder: str | Path) -> Checkpoint:
    """Read the newest undamaged checkpoint of a run.

    Raises:
        ConfigError: there is none.
    """
    found = Checkpoints(folder).latest()
    if found is None:
        raise ConfigError(f"{folder}: holds no checkpoint to go on from; begin the run again")
    return found


def override(config: TrainConfig, options: dict[str, Any]) -> TrainConfig:
    """Return the configuration with some fields changed.

    Raises:
        ConfigError: there is no such field, or its value is not allowed.
    """
    known = TrainConfig.__dataclass_fields__
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ConfigError(f"train has no option {unknown[0]!r}; there are {', '.join(known)}")
    return replace(config, **options)


def with_whole_path(config: TrainConfig) -> TrainConfig:
    """Return the configuration with an absolute path of the albumentations file."""
    augment = config.augment
    if not augment.albumentations:
        return config
    return replace(config, augment=replace(augment, albumentations=str(Path(augment.albumentations).resolve())))
