"""Recovery from a non-finite loss: keep the batch, return to the last checkpoint, lower the learning rate."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
from numpy.typing import NDArray

from yolo.datasets.pipeline.tf_errors import reported_failures
from yolo.errors import ConfigError
from yolo.files.atomic import remove_abandoned, write_whole
from yolo.model.backend.step_guards import NOT_FINITE, NOT_FINITE_GRADIENT
from yolo.model.detector import Detector
from yolo.training.callbacks.preview import draw_batches
from yolo.training.optimizer.learning_rate import peak_rate
from yolo.training.run import checkpoint
from yolo.training.run.run import Run
from yolo.training.run.stages import frozen_layers

logger = logging.getLogger(__name__)

LARGEST_FAULTS = 3
"""Non-finite losses after which the run is aborted."""
RATE_AFTER_FAULT = 0.5
"""Factor of the learning rate after a non-finite loss."""
FOLDER = "faults"


def is_not_finite(error: Exception) -> bool:
    """Whether an error of TensorFlow's means that a step was stopped for a non-finite loss or gradient."""
    return NOT_FINITE in str(error) or NOT_FINITE_GRADIENT in str(error)


def recover(run: Run) -> None:
    """Save the batch with the non-finite loss, and return to the last checkpoint with a lower learning rate.

    Raises:
        ConfigError: it happened too often, or there is no checkpoint to return to.
    """
    run.detector.sync()
    state = run.state
    state.faults += 1
    state.rate_share *= RATE_AFTER_FAULT
    where = f"epoch {state.step // run.steps + 1}, step {state.step % run.steps + 1}"
    rate = peak_rate(run.config, run.batch) * state.rate_share
    advice = f"start again with a --learning_rate below {rate:.2g}"
    if run.folder is None or run.checkpoints is None:
        raise ConfigError(f"the loss is no longer finite ({where}); {advice}")
    fault = write_fault(run, run.folder.path) if run.devices.hosts.first else run.folder.path
    if state.faults >= LARGEST_FAULTS:
        raise ConfigError(f"the loss is no longer finite ({where}), the third time; {advice}, and look at {fault}")
    if state.fault_step == state.step:  # the same step again: drop that checkpoint, go back further
        if run.devices.hosts.first:
            run.checkpoints.discard(state.restart_step)
        run.devices.hosts.barrier()  # no host may call latest() before rank 0 has deleted it
    checkpoint = run.checkpoints.latest()
    if checkpoint is None:
        raise ConfigError(f"the loss is no longer finite ({where}), and there is no checkpoint; {advice}")
    run.take_up(checkpoint)
    run.state = replace(
        run.state,
        faults=state.faults,
        rate_share=state.rate_share,
        fault_step=state.step,
        restart_step=checkpoint.step,
    )
    logger.warning(
        "the loss is not finite (%s): back to step %d at %g times the learning rate; the batch is in %s",
        where,
        run.state.step,
        state.rate_share,
        fault,
    )


def write_fault(run: Run, parent: Path) -> Path:
    """Save the batch of the current step, a drawing of it, and the weights it met, in the run's folder.

    The batch is made again: it is a function of the seed and its position in the stream.

    Returns:
        Path of the file, for ``yolov3 train --replay``.
    """
    start = run.state.step * run.batch
    with reported_failures():
        images, targets = next(iter(run.batches(start).as_numpy_iterator()))
    folder = parent / FOLDER
    folder.mkdir(exist_ok=True)
    remove_abandoned(folder)
    path = folder / f"step-{run.state.step:09}.npz"
    weights = {f"weights/{name}": value for name, value in values_of(run.detector).items()}
    batch = {"batch/images": images, **{f"batch/{name}": value for name, value in targets.items()}}
    about = {
        **run.describe(),
        "loss": asdict(run.detector.loss_config),
        "frozen": frozen_layers(run.detector),
        "pictures": run.files_of(start),
    }
    write_whole(path, lambda temporary: checkpoint.write(temporary, {**batch, **weights}, about))
    draw_batches([(images, targets)], run.detector.classes, path.with_suffix(".jpg"), count=run.batch)
    return path


def values_of(detector: Detector) -> dict[str, NDArray[Any]]:
    """Values of a detector's variables by path; mirrored variables are read first."""
    return {each.path: keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(each)) for each in detector.variables}
