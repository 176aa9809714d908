"""TensorBoard callback: curves of losses and of metrics by class, first training batches, detections in validation.

Events are written with TensorFlow itself; the package tensorboard is only needed to view them.
"""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from yolo.datasets.pipeline.batches import evaluation_batches
from yolo.datasets.pipeline.picture_loader import PADDING, Loader
from yolo.datasets.pipeline.quarantine import Quarantine
from yolo.datasets.pipeline.tf_errors import reported_failures
from yolo.evaluation.evaluator import evaluation_nms
from yolo.images.draw import draw_boxes, tile_images
from yolo.training.callbacks.preview import drawn
from yolo.training.optimizer.ema import averaged
from yolo.training.run.run import Run

logger = logging.getLogger(__name__)

FOLDER = "tensorboard"
LOSSES = ("loss", "box_loss", "objectness_loss", "class_loss")
PICTURES = 16
"""Number of augmented training images shown."""
FOUND = 8
"""Number of validation images whose detections are shown."""
CLASSES = 50
"""Largest number of classes that have curves of their own: those with the most objects."""
SCALAR, BLOBS = 1, 3
"""TensorBoard's DataClass of curves and images (tensorflow/core/framework/summary.proto)."""


class TensorBoard(keras.callbacks.Callback):
    """Writes a run's curves and images to the folder ``tensorboard`` inside the run's folder.

    With several hosts every rank has one, as they detect together; only rank 0 writes.

    Args:
        run: run to show; it has a folder.
        every_steps: number of steps between two points of the loss curves; each is the mean since the last one.
        every_epochs: number of epochs between two drawings of detections.
    """

    def __init__(self, run: Run, *, every_steps: int = 10, every_epochs: int = 1):
        super().__init__()
        self.run, self.every_steps, self.every_epochs = run, every_steps, every_epochs
        self.events = Events(run)
        self.step = 0
        """Step of the run, the x axis of all curves."""
        self.place, self.sums = 0, dict.fromkeys(LOSSES, 0.0)
        """Steps of the epoch at the last point, and the sum of each loss up to it."""

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras' signature
        self.events.open()
        self.step = self.run.state.step
        if self.step == 0:
            self.show_training()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.place, self.sums = 0, dict.fromkeys(LOSSES, 0.0)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        self.step += 1
        place = (self.step - 1) % self.run.steps + 1
        if logs and place % self.every_steps == 0:
            self.write_losses(place, logs)

    def write_losses(self, place: int, logs: dict[str, float]) -> None:
        """Write the mean losses since the last point, computed from Keras' means since the epoch began."""
        sums = {name: place * float(logs[name]) for name in LOSSES if name in logs}
        means = {name: (total - self.sums[name]) / (place - self.place) for name, total in sums.items()}
        self.place, self.sums = place, {**self.sums, **sums}
        self.write("step", means)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.write("epoch", {name: float(value) for name, value in (logs or {}).items()})
        for metric, values in class_metrics(self.run.latest).items():
            self.write(f"classes {metric}", values)
        if (epoch + 1) % self.every_epochs == 0:
            self.show_found()
        self.events.flush()

    def write(self, group: str, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.events.scalar(f"{group}/{name}", value, self.step)

    def show_training(self) -> None:
        """Write the first training images, as augmented."""
        with reported_failures():
            count = math.ceil(PICTURES / self.run.batch)
            batches = self.run.batches(0, self.run.devices.hosts).take(count).as_numpy_iterator()
            self.events.images("training", list(islice(drawn(batches, self.model.classes), PICTURES)), self.step)

    def show_found(self) -> None:
        """Write some validation images: ground truth on the left, detections of the EMA weights on the right."""
        self.model.sync()
        with averaged(self.model), reported_failures():
            images, about = self.validation_batch()
            kept = self.model.find(images, evaluation_nms(self.model.nms))  # as in validation: nothing is recompiled
        sheets = []
        for row in np.flatnonzero(about["index"] != PADDING)[:FOUND]:
            real, sure = about["valid"][row], kept.valid[row] & (kept.scores[row] >= self.model.nms.conf)
            truth = about["boxes"][row][real], about["labels"][row][real], self.model.classes
            found = kept.boxes[row][sure], kept.labels[row][sure], self.model.classes
            pair = (
                draw_boxes(images[row], *truth, ignore=about["ignore"][row][real]),
                draw_boxes(images[row], *found, scores=kept.scores[row][sure]),
            )
            sheets.append(tile_images(pair, 2))
        self.events.images("validation", sheets, self.step)

    def validation_batch(self) -> tuple[Any, Any]:
        """Batch of readable validation images, spread over the dataset, of the size used for evaluation.

        Rows whose image has become unreadable are blank and have the index of padding.
        """
        run, hosts = self.run, self.run.devices.hosts
        count = -(-min(run.batch, len(run.validation)) // hosts.world) * hosts.world
        chosen = run.validation.subset(self._spread_indices(count))
        lost = Quarantine(chosen, limit=1.0, replaced=False)  # only the validation enforces the limit
        batches = evaluation_batches(
            chosen,
            self.model.canvas,
            batch=count,
            workers=run.config.workers,
            shard=hosts.rank,
            shards=hosts.world,
            loader=Loader(chosen, self.model.letterbox, quarantine=lost),
        )
        images, about = next(iter(batches.as_numpy_iterator()))
        shown = np.isin(about["index"], list(lost.entries()), invert=True)
        return images, {**about, "index": np.where(shown, about["index"], PADDING)}

    def _spread_indices(self, count: int) -> NDArray[np.int64]:
        """Indices (count,) of readable validation images; those that are shown, the first, span the dataset."""
        # The hosts have just exchanged their lists of unreadable validation images.
        readable = np.setdiff1d(np.arange(len(self.run.validation)), list(self.run.left_out.entries()))
        spread = readable[np.linspace(0, len(readable) - 1, min(FOUND, count)).astype(int)]
        return np.resize(spread, count)


class Events:
    """Event files in a run's folder; existing ones are kept, so that a resumed run continues its curves."""

    def __init__(self, run: Run):
        self._folder: Path | None = None
        if run.folder is not None and run.devices.hosts.first:
            self._folder = run.folder.path / FOLDER

    @cached_property
    def _writer(self) -> Any:
        import tensorflow as tf

        if self._folder is None:
            return tf.summary.create_noop_writer()
        logger.info("curves and pictures: tensorboard --logdir %s", self._folder)
        return tf.summary.create_file_writer(str(self._folder))

    def open(self) -> None:
        """Create the file and log the folder, once; a run that cannot start leaves no file."""
        _ = self._writer

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Write a point of a curve."""
        self._write(tag, np.float32(value), step, plugin="scalars", kind=SCALAR)

    def images(self, tag: str, pictures: Sequence[Image.Image], step: int) -> None:
        """Write images side by side; nothing if there are none."""
        if pictures:
            size = max(picture.width for picture in pictures), max(picture.height for picture in pictures)
            value = [*(str(side).encode() for side in size), *(encoded(picture) for picture in pictures)]
            self._write(tag, np.array(value, object), step, plugin="images", kind=BLOBS)

    def flush(self) -> None:
        self._writer.flush()

    def _write(self, tag: str, value: Any, step: int, *, plugin: str, kind: int) -> None:
        # tf.summary.scalar and tf.summary.image need the package tensorboard.
        import tensorflow as tf

        metadata = tf.compat.v1.SummaryMetadata()
        metadata.plugin_data.plugin_name = plugin
        metadata.data_class = kind
        with self._writer.as_default(), tf.device("cpu"):
            tf.summary.write(tag, tf.convert_to_tensor(value), step=step, metadata=metadata)


def class_metrics(metrics: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """AP and AP50 of the classes that have objects, at most `CLASSES` of them."""
    rows = {name: row for name, row in metrics.get("classes", {}).items() if row["instances"]}
    shown = sorted(rows, key=lambda name: -rows[name]["instances"])[:CLASSES]
    return {metric: {name: float(rows[name][metric]) for name in shown} for metric in ("AP", "AP50")}


def encoded(picture: Image.Image) -> bytes:
    """Encode the image as JPEG."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=92, subsampling=0)  # chroma subsampling would blur thin lines
    return stream.getvalue()
