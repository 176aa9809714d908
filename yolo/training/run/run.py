"""One training run as data: its parts, its position, and what it writes. `yolo/training/engine/loop.py` drives it."""

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

from yolo.config import HARMLESS, TrainConfig, train_config
from yolo.datasets.pipeline.batches import training_batches
from yolo.datasets.pipeline.picture_loader import Loader
from yolo.datasets.pipeline.quarantine import Entry, Quarantine
from yolo.datasets.pipeline.stream import TrainingStream
from yolo.distributed.devices import ONE, Devices
from yolo.distributed.hosts import ALONE, Hosts
from yolo.errors import ConfigError
from yolo.evaluation.results import DetectionColumns
from yolo.model.detector import Detector
from yolo.structs import Dataset
from yolo.training.run.checkpoint import Checkpoint, Checkpoints
from yolo.training.run.consistency import check_unchanged, describe_dataset, describe_file
from yolo.training.run.folder import RunFolder
from yolo.training.run.state import RunState, capture

if TYPE_CHECKING:
    import tensorflow as tf

logger = logging.getLogger(__name__)


@dataclass
class Run:
    """One training run and all it works with."""

    detector: Detector
    dataset: Dataset
    validation: Dataset
    config: TrainConfig
    batch: int
    """Images per step, over all devices and hosts."""
    loader: Loader
    """Loader of the training images."""
    left_out: Quarantine
    """List of the validation images that could not be read."""
    steps: int
    """Steps per epoch."""
    folder: RunFolder | None
    command: dict[str, Any] = field(default_factory=dict)
    """Options that the command line needs to resume the run."""
    frozen: Sequence[int] = ()
    """Indices of the layers that the caller had frozen (`frozen_layers`)."""
    state: RunState = field(default_factory=RunState)
    devices: Devices = ONE
    """Devices and hosts of the run."""
    live: bool = False
    tensorboard: bool = False
    keep_checkpoints: bool = False
    """Whether to keep the checkpoints when the run is finished."""
    callbacks: Sequence[keras.callbacks.Callback] = ()
    latest: dict[str, Any] = field(default_factory=dict)
    """Metrics of the last epoch that was validated by this process."""
    pending: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Checkpoint arrays not yet restored: optimizer variables exist only once the detector is compiled."""

    @property
    def quarantines(self) -> list[Quarantine]:
        """Lists of unreadable images: of training and of validation."""
        return [each for each in (self.loader.quarantine, self.left_out) if each is not None]

    # Position

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.config.epochs * self.steps

    @property
    def place(self) -> tuple[int, int]:
        """(current epoch from 0, steps done in it); (epoch, steps) while the validation is not yet done."""
        epoch = len(self.state.history)
        return epoch, self.state.step - epoch * self.steps

    @property
    def finished(self) -> bool:
        return self.state.stopped or len(self.state.history) >= self.config.epochs

    @property
    def checkpoints(self) -> Checkpoints | None:
        return None if self.folder is None else Checkpoints(self.folder.path)

    def describe(self) -> dict[str, Any]:
        """Return a checkpoint's plain data: everything but the variables' values."""
        return {
            "state": self.state.to_plain(),
            "detector": self.detector.get_config(),
            "command": self.command,
            "frozen": self.frozen,
            **self.conditions(),
        }

    def conditions(self) -> dict[str, Any]:
        """Return everything that must not change within a run: options, precision, data."""
        return {
            "config": asdict(self.config),
            "file of augment.albumentations": self.transforms,
            "precision": self.detector.convolutions[0].dtype_policy.name,
            "dataset": describe_dataset(self.dataset),
            "validation": describe_dataset(self.validation),
        }

    @cached_property
    def transforms(self) -> str | None:
        """Fingerprint of the albumentations file when the run was begun or resumed."""
        return describe_file("augment.albumentations", self.config.augment.albumentations)

    # Output

    def save(self) -> Path | None:
        """Write a checkpoint, if the run has a folder; on rank 0 only."""
        if not self.devices.hosts.first:
            return None
        for quarantine in self.quarantines:
            quarantine.write()
        if self.checkpoints is None:
            return None
        return self.checkpoints.save(self.state.step, capture(self.detector), self.describe())

    def finish(self) -> None:
        """Delete the finished run's checkpoints, unless they are to be kept; a record without arrays remains."""
        if self.checkpoints is None or self.keep_checkpoints or not self.devices.hosts.first:
            return
        try:
            self.checkpoints.save(self.state.step, {}, self.describe(), keep=1)
        except ConfigError as error:  # the disk may be full, but the run has succeeded
            logger.warning("%s; the checkpoints are kept", error)

    def write_models(self, *, better: bool) -> None:
        """Write the output files of an epoch: models, metrics, tables."""
        if self.folder is None or not self.devices.hosts.first:
            return
        self.detector.save(self.folder.last)
        if better:
            self.detector.save(self.folder.best)
            self.folder.write_metrics(self.state.metrics)
        self.folder.write_history(self.state.history)

    def write_results(self, dataset: Dataset, found: DetectionColumns) -> None:
        """Write the detections of the best epoch, of which the report is made."""
        if self.folder is not None and self.devices.hosts.first and self.config.report:
            self.folder.write_results(dataset, found)

    # Resuming

    def take_up(self, checkpoint: Checkpoint) -> None:
        """Restore the state of a checkpoint.

        Raises:
            ConfigError: it belongs to a run with other images or options, or the hosts have different ones.
        """
        self.devices.hosts.agree("checkpoint", f"step {checkpoint.step}")
        known = {name: checkpoint.meta[name] for name in self.conditions()}
        known["config"] = asdict(train_config(known["config"]))  # adds the defaults of newer options
        check_unchanged(known, self.conditions(), harmless=[f"config.{name}" for name in HARMLESS])
        self.state = RunState.from_plain(checkpoint.meta["state"])
        self.detector.origin = checkpoint.meta["detector"]["origin"]
        self.pending = checkpoint.arrays

    def restore_running_losses(self) -> None:
        """Restore the running losses of an epoch that is resumed midway."""
        if self.pending and self.place[1]:
            for variable in self.detector.metrics_variables:
                variable.assign(self.pending[f"metrics/{variable.path}"])
        self.pending = {}

    def share_quarantines(self) -> None:
        """Merge the lists of unreadable images of all hosts."""
        for quarantine in self.quarantines:
            own = json.dumps([(index, *entry) for index, entry in quarantine.entries().items()])
            for found in self.devices.hosts.all_gather_text(own):
                quarantine.take_over({index: Entry(*entry) for index, *entry in json.loads(found)})

    # Training data

    def batches(self, start: int, hosts: Hosts = ALONE) -> tf.data.Dataset:
        """Training batches from a position of the stream on; with several hosts, the rows of this one."""
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
        """Position of the stream at which mosaic and mixup end."""
        epoch = self.config.epochs - math.ceil(self.config.augment.plain_end * self.config.epochs)
        return epoch * self.steps * self.batch

    def files_of(self, start: int) -> list[list[str]]:
        """Source files of each image of the batch that begins at a position."""
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
        """Learning rate of the current step."""
        optimizer: Any = self.detector.optimizer
        return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
