"""One training run: its parts, its place, and the loop that brings it to its end whatever happens."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
from numpy.typing import NDArray

from yolo.config import HARMLESS, TrainConfig
from yolo.datasets.bridge import reported_failures
from yolo.datasets.loader import Loader
from yolo.datasets.pipeline import training_batches
from yolo.datasets.quarantine import Entry, Quarantine
from yolo.datasets.stream import TrainingStream
from yolo.model.detector import Detector
from yolo.structs import Dataset
from yolo.training.averages import adopt, begin_averages
from yolo.training.balance import with_class_weights
from yolo.training.checkpoint import Checkpoint, Checkpoints
from yolo.training.conditions import check_unchanged, describe_dataset, describe_file
from yolo.training.devices import ONE, Devices
from yolo.training.faults import is_not_finite, recover
from yolo.training.fitting import check_memory
from yolo.training.hooks import OneFit
from yolo.training.hosts import ALONE, Hosts
from yolo.training.interruption import interruptible
from yolo.training.keeper import Keeper
from yolo.training.optimizer import make_optimizer
from yolo.training.preview import draw_batches
from yolo.training.progress import DataClock, Progress
from yolo.training.run_folder import RunFolder
from yolo.training.stages import Stage, describe_stage, restored, set_frozen, stages
from yolo.training.state import NotFiniteError, RunState, capture, put_back
from yolo.training.tensorboard import TensorBoard
from yolo.training.validation import Validation

if TYPE_CHECKING:
    import tensorflow as tf

logger = logging.getLogger(__name__)

PREVIEWED = 4
"""Batches at most that are drawn before a run begins."""


@dataclass
class Run:
    """One run and all it works with."""

    detector: Detector
    dataset: Dataset
    validation: Dataset
    config: TrainConfig
    batch: int
    """Pictures a step."""
    loader: Loader
    """Reads the pictures to learn from."""
    left_out: Quarantine
    """Lists the pictures that could not be validated on."""
    steps: int
    """Of an epoch."""
    folder: RunFolder | None
    command: dict[str, Any] = field(default_factory=dict)
    """What the command line needs to begin it again."""
    frozen: Sequence[int] = ()
    """The layers that the caller had frozen (`frozen_layers`)."""
    state: RunState = field(default_factory=RunState)
    devices: Devices = ONE
    """Where it computes."""
    live: bool = False
    tensorboard: bool = False
    callbacks: Sequence[keras.callbacks.Callback] = ()
    pending: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Values of variables that are put back as soon as there are such variables."""

    @property
    def quarantines(self) -> list[Quarantine]:
        """The lists of pictures that could not be read."""
        return [each for each in (self.loader.quarantine, self.left_out) if each is not None]

    # Its place

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.config.epochs * self.steps

    @property
    def place(self) -> tuple[int, int]:
        """The present epoch, counted from 0, and how many of its steps are done: all, while its validation is not."""
        epoch = len(self.state.history)
        return epoch, self.state.step - epoch * self.steps

    @property
    def finished(self) -> bool:
        return self.state.stopped or len(self.state.history) >= self.config.epochs

    @property
    def checkpoints(self) -> Checkpoints | None:
        return None if self.folder is None else Checkpoints(self.folder.path)

    def describe(self) -> dict[str, Any]:
        """What a checkpoint says besides the variables' values."""
        return {
            "state": self.state.to_plain(),
            "detector": self.detector.get_config(),
            "command": self.command,
            "frozen": self.frozen,
            **self.conditions(),
        }

    def conditions(self) -> dict[str, Any]:
        """What must not change within a run."""
        return {
            "config": asdict(self.config),
            "file of augment.albumentations": self.transforms,
            "precision": self.detector.convolutions[0].dtype_policy.name,
            "dataset": describe_dataset(self.dataset),
            "validation": describe_dataset(self.validation),
        }

    @cached_property
    def transforms(self) -> str | None:
        """What the albumentations file said when the run was begun or taken up."""
        return describe_file("augment.albumentations", self.config.augment.albumentations)

    # What it writes

    def save(self) -> Path | None:
        """Write a checkpoint, if the run has a folder; of several hosts one does."""
        if not self.devices.hosts.first:
            return None
        for quarantine in self.quarantines:
            quarantine.write()
        if self.checkpoints is None:
            return None
        return self.checkpoints.save(self.state.step, capture(self.detector), self.describe())

    def write_models(self, *, better: bool) -> None:
        """The files of an epoch that are for people: models, metrics, tables."""
        if self.folder is None or not self.devices.hosts.first:
            return
        self.detector.save(self.folder.last)
        if better:
            self.detector.save(self.folder.best)
            self.folder.write_metrics(self.state.metrics)
        self.folder.write_history(self.state.history)

    # Going on

    def take_up(self, checkpoint: Checkpoint) -> None:
        """Go back to, or on from, a checkpoint.

        Raises:
            ConfigError: it belongs to a run on other pictures or with other options, or other hosts have another one.
        """
        self.devices.hosts.agree("checkpoint", f"step {checkpoint.step}")
        known = {name: checkpoint.meta[name] for name in self.conditions()}
        check_unchanged(known, self.conditions(), harmless=[f"config.{name}" for name in HARMLESS])
        self.state = RunState.from_plain(checkpoint.meta["state"])
        self.detector.origin = checkpoint.meta["detector"]["origin"]
        self.pending = checkpoint.arrays

    def restore_running_losses(self) -> None:
        """Let an epoch that is taken up in its middle go on with the mean losses it had."""
        if self.pending and self.place[1]:
            for variable in self.detector.metrics_variables:
                variable.assign(self.pending[f"metrics/{variable.path}"])
        self.pending = {}

    def carry_out(self) -> None:
        """Train to the end, going back to the last checkpoint when the loss is not finite.

        Raises:
            ConfigError: it was not finite too often.
        """
        with restored(self.detector), interruptible() as interruption:
            keeper = Keeper(self, interruption)
            if self.finished:  # then all that is left is to take the weights over
                self.prepare(self.stage_of(len(self.state.history) - 1))
            while not self.finished:
                try:
                    self.train_on(keeper)
                except NotFiniteError:
                    recover(self)
            adopt(self.detector)
        if self.folder is not None and self.devices.hosts.first:
            self.folder.draw_curves(self.state.history)
        self.report_quarantines()

    def share_quarantines(self) -> None:
        """Let each host know which pictures the others could not read."""
        for quarantine in self.quarantines:
            own = json.dumps([(index, *entry) for index, entry in quarantine.entries().items()])
            for found in self.devices.hosts.texts(own):
                quarantine.take_over({index: Entry(*entry) for index, *entry in json.loads(found)})

    def report_quarantines(self) -> None:
        """Say how many pictures could not be read."""
        self.share_quarantines()
        for quarantine in self.quarantines:
            if self.devices.hosts.first and len(quarantine):
                quarantine.write()
                logger.warning("%s", quarantine.summary())

    def train_on(self, keeper: Keeper) -> None:
        """Train from the present step to the end of its stage; of an epoch begun before, only to that one's end."""
        epoch, place = self.place
        stage = self.stage_of(epoch)
        self.prepare(stage)
        if self.state.step == 0:
            self.draw_first_batches()
            self.save()
        clock, hosts = DataClock(), self.devices.hosts
        live = self.live and hosts.first
        progress = Progress(
            clock,
            epochs=self.config.epochs,
            steps=self.steps,
            batch=self.batch,
            live=live,
            first_step=place,
            history=self.state.history,
        )
        callbacks = [progress, Validation(self, keeper), *self.watchers, keeper]
        try:
            if place == self.steps:
                self.end_epoch(epoch, callbacks)
                return
            with reported_failures():
                self.detector.fit(
                    clock.timed(self.batches(self.state.step * self.batch, hosts)),
                    initial_epoch=epoch,
                    epochs=epoch + 1 if place else stage.end,
                    steps_per_epoch=self.steps - place,
                    shuffle=False,
                    verbose=0,
                    callbacks=callbacks,
                )
        except Exception as error:
            hosts.explain(error)
            check_memory(self, error)
            if is_not_finite(error):
                raise NotFiniteError from error
            raise

    def end_epoch(self, epoch: int, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """What is left of an epoch whose validation was broken off: fit cannot be begun at an epoch's end."""
        told = keras.callbacks.CallbackList(callbacks, model=self.detector)
        told.on_train_begin()
        told.on_epoch_begin(epoch)
        told.on_epoch_end(epoch, {name: float(value) for name, value in self.detector.get_metrics_result().items()})
        told.on_train_end()

    @cached_property
    def watchers(self) -> list[keras.callbacks.Callback]:
        """The user's callbacks, which see the run as one fit, and TensorBoard's."""
        seen = [OneFit(self.callbacks, lambda: self.finished)]
        return [*seen, TensorBoard(self)] if self.tensorboard else seen

    def draw_first_batches(self) -> None:
        """A picture of what is about to be learned."""
        if self.folder is not None and self.devices.hosts.first:
            with reported_failures():
                batches = self.batches(0).take(PREVIEWED).as_numpy_iterator()
                draw_batches(batches, self.detector.classes, self.folder.preview)

    def stage_of(self, epoch: int) -> Stage:
        """The stage an epoch, counted from 0, belongs to."""
        return next(stage for stage in stages(self.config) if stage.first <= epoch < stage.end)

    def prepare(self, stage: Stage) -> None:
        """Freeze or thaw the older layers, and compile with an optimizer that goes on where the last one stopped."""
        older = set_frozen(self.detector, self.config, frozen=stage.frozen)
        optimizer = make_optimizer(
            self.config,
            self.detector,
            batch=self.batch,
            steps_per_epoch=self.steps,
            older=older,
            previous=self.detector.optimizer if self.state.step and not self.pending else None,
            rate_share=self.state.rate_share,
        )
        self.detector.varying_canvas = self.config.multi_scale > 0
        self.detector.compile(optimizer=optimizer, loss=with_class_weights(self.config.loss, self.dataset))
        if self.pending:
            put_back(self.detector, self.pending)
            begin_averages(self.detector, {name.removeprefix("optimizer/") for name in self.pending})
        if self.config.freeze is not None:
            logger.info("%s", describe_stage(self.detector, self.config, stage))

    def batches(self, start: int, hosts: Hosts = ALONE) -> tf.data.Dataset:
        """The training stream from a position on; of several hosts, this one's rows of it."""
        return training_batches(
            self.dataset,
            self.detector.canvas,
            batch=self.batch,
            seed=self.config.seed,
            augment=self.config.augment,
            workers=self.config.workers,
            start=start,
            plain_from=self.plain_from,
            multi_scale=self.config.multi_scale,
            rare_classes=self.config.rare_classes,
            shard=hosts.rank,
            shards=hosts.world,
            loader=self.loader,
        )

    @property
    def plain_from(self) -> int:
        """The position of the stream from which on there are no mosaics."""
        epoch = self.config.epochs - math.ceil(self.config.augment.plain_end * self.config.epochs)
        return epoch * self.steps * self.batch

    def files_of(self, start: int) -> list[list[str]]:
        """For each picture of the batch that begins at a position: the files it is made of."""
        stream = TrainingStream(
            self.loader,
            self.config.augment,
            seed=self.config.seed,
            plain_from=self.plain_from,
            rare_classes=self.config.rare_classes,
        )
        positions = range(start, start + self.batch)
        return [[str(self.dataset.path(index)) for index in stream.sources(position)] for position in positions]

    def rate(self) -> float:
        """The learning rate of the present step."""
        optimizer: Any = self.detector.optimizer
        return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
