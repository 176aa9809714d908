"""TensorBoard events: values at their steps, and images with boxes in the right places."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from cfg_texts import STAGED
from PIL import Image

import yolo
from yolo.datasets.digits import make_digits
from yolo.datasets.pipeline.picture_loader import PADDING
from yolo.datasets.pipeline.quarantine import Quarantine
from yolo.images.draw import class_colour
from yolo.images.letterbox import Letterbox
from yolo.model.detector import Detector
from yolo.ops.suppression import Kept
from yolo.training.callbacks.tensorboard import TensorBoard, class_metrics

STEPS = 6


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return make_digits(tmp_path_factory.mktemp("digits"), train=8, val=4, size=96, seed=3)


def make_run(folder, digits=None, *, step=0, batches=None):
    """As much of a run as is looked at."""
    hosts = SimpleNamespace(rank=0, world=1, first=True)
    validation = digits and yolo.load_dataset(digits, "val")
    return SimpleNamespace(
        folder=SimpleNamespace(path=folder),
        state=SimpleNamespace(step=step),
        steps=STEPS,
        batch=2,
        config=SimpleNamespace(workers=1),
        devices=SimpleNamespace(hosts=hosts),
        batches=batches,
        validation=validation,
        left_out=validation and Quarantine(validation, replaced=False),
        latest={},
    )


def events(folder):
    """(step, tag, plugin, value) of all that was written."""
    rows = []
    for path in sorted((folder / "tensorboard").iterdir()):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for each in event.summary.value:
                plugin = each.metadata.plugin_data.plugin_name
                rows.append((event.step, each.tag, plugin, tf.make_ndarray(each.tensor)))
    return rows


def scalars(folder):
    return {(tag, step): float(value) for step, tag, plugin, value in events(folder) if plugin == "scalars"}


def feed(board, losses, *, first=0):
    """The steps of an epoch, with Keras' running means."""
    board.on_train_begin()
    board.on_epoch_begin(0)
    for place in range(first, len(losses)):
        mean = float(np.mean(losses[: place + 1]))
        board.on_train_batch_end(place - first, {"loss": mean, "box_loss": 2 * mean})


def test_losses_are_the_means_since_the_last_time(tmp_path):
    board = TensorBoard(make_run(tmp_path, step=STEPS), every_steps=2)
    feed(board, [4.0, 2.0, 10.0, 20.0, 1.0])
    board.events.flush()
    found = scalars(tmp_path)
    assert found == {
        ("step/loss", STEPS + 2): pytest.approx(3.0),
        ("step/loss", STEPS + 4): pytest.approx(15.0),
        ("step/box_loss", STEPS + 2): pytest.approx(6.0),
        ("step/box_loss", STEPS + 4): pytest.approx(30.0),
    }


def test_a_run_that_is_taken_up_goes_on_at_its_step(tmp_path):
    """Keras' means are then those of the whole epoch, so that the first value is of all its steps."""
    board = TensorBoard(make_run(tmp_path, step=STEPS + 3), every_steps=4)
    feed(board, [4.0, 2.0, 10.0, 20.0], first=3)
    board.events.flush()
    assert scalars(tmp_path)["step/loss", STEPS + 4] == pytest.approx(9.0)


def test_the_epochs_numbers_are_written_and_drawing_may_be_rarer(tmp_path):
    board = TensorBoard(make_run(tmp_path, step=STEPS), every_epochs=4)
    feed(board, [1.0] * STEPS)
    board.on_epoch_end(1, {"AP": 0.25, "learning_rate": 0.001, "data_wait": 0.5})
    assert scalars(tmp_path) == {
        ("epoch/AP", 2 * STEPS): pytest.approx(0.25),
        ("epoch/learning_rate", 2 * STEPS): pytest.approx(0.001),
        ("epoch/data_wait", 2 * STEPS): pytest.approx(0.5),
    }


def test_every_class_has_curves(tmp_path):
    board = TensorBoard(make_run(tmp_path, step=STEPS), every_epochs=9)
    feed(board, [1.0] * STEPS)
    rows = {"cat": (0.5, 0.75, 3), "a/b": (0.25, 1.0, 9), "none": (float("nan"), float("nan"), 0)}
    board.run.latest = {
        "classes": {name: {"AP": ap, "AP50": ap50, "instances": count} for name, (ap, ap50, count) in rows.items()}
    }
    board.on_epoch_end(0, {})
    found = {key: value for key, value in scalars(tmp_path).items() if key[0].startswith("classes")}
    assert found == {
        ("classes AP/cat", 2 * STEPS): 0.5,
        ("classes AP50/cat", 2 * STEPS): 0.75,
        ("classes AP/a/b", 2 * STEPS): 0.25,
        ("classes AP50/a/b", 2 * STEPS): 1.0,
    }


def test_of_many_classes_those_with_the_most_objects_have_curves():
    rows = {str(number): {"AP": 0.5, "AP50": 0.5, "instances": number} for number in range(200)}
    shown = class_metrics({"classes": rows})["AP"]
    assert list(shown) == [str(number) for number in range(199, 149, -1)]


def picture(value):
    return np.asarray(Image.open(io.BytesIO(value)).convert("RGB"), int)


def near(pixel, colour):
    return np.abs(np.asarray(pixel, int) - colour).max() < 70


def test_pictures_of_the_first_batches(tmp_path):
    images = np.full((2, 64, 64, 3), 255, np.uint8)
    targets = {
        "boxes": np.tile(np.float32([8, 32, 40, 56]), (2, 1, 1)),
        "labels": np.zeros((2, 1), np.int32),
        "valid": np.ones((2, 1), bool),
        "ignore": np.zeros((2, 1), bool),
    }
    stream = tf.data.Dataset.from_tensors((images, targets)).repeat()
    board = TensorBoard(make_run(tmp_path, batches=lambda start, _: stream.skip(start)))
    board.set_model(SimpleNamespace(classes=("cat",)))
    board.on_train_begin()
    board.run.state.step = 3
    board.on_train_begin()  # nothing is drawn when a run is taken up
    board.events.flush()
    rows = events(tmp_path)
    assert [row[:3] for row in rows] == [(0, "training", "images")]
    value = rows[0][3]
    assert value[:2].tolist() == [b"64", b"64"]
    assert len(value) == 2 + 16
    assert near(picture(value[2])[55, 24], class_colour(0))


def test_detections_stand_beside_the_truth(tmp_path, digits):
    run = make_run(tmp_path, digits)
    detector = Detector("net.cfg", cfg=STAGED, classes=run.validation.classes, seed=0)
    detector.compile(optimizer=keras.optimizers.SGD())
    images = []

    def find(batch, _):
        images.append(batch)
        boxes = np.zeros((2, 3, 4), np.float32)
        boxes[:, 0], boxes[:, 1] = [10, 20, 50, 60], [0, 0, 63, 63]
        scores = np.tile(np.float32([0.9, 0.1, 0.0]), (2, 1))  # the second is below the detector's threshold
        return Kept(boxes, scores, np.full((2, 3), 7, np.int32), scores > 0)

    detector.find = find
    board = TensorBoard(run)
    board.set_model(detector)
    board.on_epoch_end(0, {})
    row = next(row for row in events(tmp_path) if row[1] == "validation")
    assert len(row[3]) == 2 + 2
    sheet = picture(row[3][2])
    assert sheet.shape == (64 + 8, 2 * 68 + 4, 3)
    left, right = sheet[4:68, 4:68], sheet[4:68, 72:136]
    assert near(right[59, 30], class_colour(7))  # the lower edge of what is found
    assert not near(left[59, 30], class_colour(7))
    # The truth's boxes are on the left alone; elsewhere both are the same picture.
    same = np.abs(left - right).max(axis=-1) < 40
    sample = run.validation[0]
    box = np.round(sample.boxes[0] * 64 / 96).astype(int)
    middle = (box[0] + box[2]) // 2
    assert not same[max(box[3] - 1, 0), middle] or not same[box[1], middle]
    assert same.mean() > 0.5
    assert images[0].shape == (2, 64, 64, 3)


def test_pictures_that_cannot_be_read_are_not_shown(tmp_path):
    """One that the validation has found, and one that could be read until then."""
    folder = make_digits(tmp_path / "digits", train=2, val=4, size=96, seed=3)
    run = make_run(tmp_path, folder)
    run.batch = 4
    whole = [run.validation.image(index) for index in range(4)]
    for index in (1, 2):
        run.validation.path(index).write_bytes(b"broken")
    run.left_out.add(1, "broken")
    board = TensorBoard(run)
    board.set_model(Detector("net.cfg", cfg=STAGED, classes=run.validation.classes, seed=0))
    board.model.compile(optimizer=keras.optimizers.SGD())
    letterbox = Letterbox((96, 96), (64, 64), board.model.letterbox)
    images, about = board.validation_batch()
    # 0, 2 and 3 can be read as far as is known: spread over four rows these are 0, 0, 2 and 3.
    assert about["index"].tolist() == [0, 1, PADDING, 3]
    for row, index in ((0, 0), (1, 0), (3, 3)):
        np.testing.assert_array_equal(images[row], letterbox.apply(whole[index]))
    board.on_epoch_end(0, {})
    (row,) = [row for row in events(tmp_path) if row[1] == "validation"]
    assert len(row[3]) == 2 + 3


def test_other_hosts_detect_and_write_nothing(tmp_path):
    run = make_run(tmp_path)
    run.devices.hosts.first = False
    board = TensorBoard(run, every_epochs=5)
    board.on_epoch_end(0, {"AP": 0.5})
    assert list(tmp_path.iterdir()) == []


CODE = """
import json, sys
from pathlib import Path
sys.path[:0] = ["tests/training/callbacks", "tests/helpers"]
from test_tensorboard import Detector, STAGED, TensorBoard, events, keras, make_run
folder, digits = map(Path, sys.argv[1:])
run = make_run(folder, digits, step=6)
detector = Detector("net.cfg", cfg=STAGED, classes=run.validation.classes, seed=0)
detector.compile(optimizer=keras.optimizers.SGD())
board = TensorBoard(run)
board.set_model(detector)
board.on_train_begin()
board.on_epoch_end(1, {"AP": 0.5})
print(json.dumps([keras.backend.backend(), [row[:3] for row in events(folder)]]))
"""


@pytest.mark.slow
def test_on_the_jax_backend(tmp_path, digits):
    pytest.importorskip("jax")
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-c", CODE, str(tmp_path), str(digits)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    backend, rows = json.loads(done.stdout.splitlines()[-1])
    assert backend == "jax"
    assert rows == [[6, "epoch/AP", "scalars"], [6, "validation", "images"]]
