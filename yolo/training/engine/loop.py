"""Training loop: takes a run from its current step to its end, stage by stage."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import keras

from yolo.datasets.pipeline.tf_errors import reported_failures
from yolo.files.atomic import remove_abandoned
from yolo.training.callbacks.checkpointing import Keeper
from yolo.training.callbacks.preview import draw_batches
from yolo.training.callbacks.progress import DataClock, Progress
from yolo.training.callbacks.tensorboard import TensorBoard
from yolo.training.callbacks.user_callbacks import OneFit
from yolo.training.callbacks.validation import Validation
from yolo.training.engine.batch_size import check_memory
from yolo.training.engine.device_placement import on_devices
from yolo.training.engine.non_finite import is_not_finite, recover
from yolo.training.engine.reporting import write_run_report
from yolo.training.optimizer.class_weights import with_class_weights
from yolo.training.optimizer.ema import adopt, begin_averages
from yolo.training.optimizer.optimizer import make_optimizer
from yolo.training.run.consistency import agree_on
from yolo.training.run.run import Run
from yolo.training.run.signals import interruptible
from yolo.training.run.stages import Stage, describe_stage, restored, set_frozen, stages
from yolo.training.run.state import NotFiniteError, put_back

logger = logging.getLogger(__name__)

PREVIEWED = 4
"""Largest number of batches that are drawn before a run begins."""


def carry_out(run: Run) -> None:
    """Train to the end, on the run's devices; afterwards the run's detector has the weights learned there.

    Raises:
        ConfigError: the hosts do not agree, or the loss was non-finite too often.
    """
    agree(run)
    if run.folder is not None and run.devices.hosts.first:
        remove_abandoned(run.folder.path)  # left by a process killed while writing models
    own = run.detector
    with on_devices(own, run.devices) as twin:
        run.detector = twin
        train_to_the_end(run)
        if run.folder is not None and run.devices.hosts.first:
            run.folder.draw_curves(run.state.history)
        report_quarantines(run)
        write_run_report(run)
    run.detector = own
    run.finish()


def agree(run: Run) -> None:
    """Raise a ConfigError unless all hosts of a run have the same options, network and images.

    Otherwise they would wait for each other in vain, or train on parts of different batches.
    """
    network = {name: value for name, value in run.detector.get_config().items() if name not in ("name", "origin")}
    agree_on(run.devices.hosts, {**run.conditions(), "detector": network, "tensorboard": run.tensorboard})


def train_to_the_end(run: Run) -> None:
    """Fit stage after stage, going back to the last checkpoint when the loss is not finite.

    Raises:
        ConfigError: the loss was non-finite too often.
    """
    with restored(run.detector), interruptible() as interruption:
        keeper, watching = Keeper(run, interruption), watchers(run)
        if run.finished:  # all that remains is to adopt the EMA
            prepare(run, stage_of(run, len(run.state.history) - 1))
        while not run.finished:
            try:
                train_on(run, keeper, watching)
            except NotFiniteError:
                recover(run)
        adopt(run.detector)


def train_on(run: Run, keeper: Keeper, watching: Sequence[keras.callbacks.Callback]) -> None:
    """Call `fit` once: to the end of the stage or, if resumed within an epoch, of that epoch.

    Args:
        run: run to train.
        keeper: its checkpoint callback.
        watching: further callbacks; they and the keeper are the same in all fits of a run.
    """
    epoch, place = run.place
    stage = stage_of(run, epoch)
    prepare(run, stage)
    if run.state.step == 0:
        draw_first_batches(run)
        run.save()
    clock, hosts = DataClock(), run.devices.hosts
    live = run.live and hosts.first
    progress = Progress(
        clock,
        epochs=run.config.epochs,
        steps=run.steps,
        batch=run.batch,
        live=live,
        first_step=place,
        history=run.state.history,
    )
    callbacks = [progress, Validation(run, keeper, progress), *watching, keeper]
    try:
        if place == run.steps:
            end_epoch(run, epoch, callbacks)
            return
        with reported_failures():
            run.detector.fit(
                clock.timed(run.batches(run.state.step * run.batch, hosts)),
                initial_epoch=epoch,
                epochs=epoch + 1 if place else stage.end,
                steps_per_epoch=run.steps - place,
                shuffle=False,
                verbose=0,
                callbacks=callbacks,
            )
    except Exception as error:
        hosts.raise_if_host_lost(error)
        check_memory(run, error)
        if is_not_finite(error):
            raise NotFiniteError from error
        raise


def end_epoch(run: Run, epoch: int, callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Finish an epoch interrupted during validation by calling the callbacks directly; `fit` cannot start there."""
    told = keras.callbacks.CallbackList(callbacks, model=run.detector)
    told.on_train_begin()
    told.on_epoch_begin(epoch)
    told.on_epoch_end(epoch, {name: float(value) for name, value in run.detector.get_metrics_result().items()})
    told.on_train_end()


def watchers(run: Run) -> list[keras.callbacks.Callback]:
    """List the user's callbacks, which see the run as one fit, and TensorBoard's."""
    seen = [OneFit(run.callbacks, lambda: run.finished)]
    return [*seen, TensorBoard(run)] if run.tensorboard else seen


def stage_of(run: Run, epoch: int) -> Stage:
    """Stage that an epoch, counted from 0, belongs to."""
    return next(stage for stage in stages(run.config) if stage.first <= epoch < stage.end)


def prepare(run: Run, stage: Stage) -> None:
    """Freeze or unfreeze the older layers, and compile with an optimizer that continues the previous one."""
    older = set_frozen(run.detector, run.config, frozen=stage.frozen)
    optimizer = make_optimizer(
        run.config,
        run.detector,
        batch=run.batch,
        steps_per_epoch=run.steps,
        older=older,
        previous=run.detector.optimizer if run.state.step and not run.pending else None,
        rate_share=run.state.rate_share,
    )
    run.detector.varying_canvas = run.config.multi_scale > 0
    run.detector.compile(optimizer=optimizer, loss=with_class_weights(run.config.loss, run.dataset))
    if run.pending:
        put_back(run.detector, run.pending)
        begin_averages(run.detector, {name.removeprefix("optimizer/") for name in run.pending})
    if run.config.freeze is not None:
        logger.info("%s", describe_stage(run.detector, run.config, stage))


def draw_first_batches(run: Run) -> None:
    """Draw the first training batches into the run's folder."""
    if run.folder is not None and run.devices.hosts.first:
        with reported_failures():
            batches = run.batches(0).take(PREVIEWED).as_numpy_iterator()
            draw_batches(batches, run.detector.classes, run.folder.preview)


def report_quarantines(run: Run) -> None:
    """Log how many images could not be read."""
    run.share_quarantines()
    for quarantine in run.quarantines:
        if run.devices.hosts.first and len(quarantine):
            quarantine.write()
            logger.warning("%s", quarantine.summary())
