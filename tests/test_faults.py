"""Losses that are not finite: the weights are spared, the batch is kept, the run goes back, and ends after three."""

from __future__ import annotations

import json
import logging

import keras
import numpy as np
import pytest
from cfg_texts import STAGED

import yolo
from yolo.datasets.digits import make_digits
from yolo.errors import ConfigError
from yolo.model.detector import Detector
from yolo.training.checkpoint import Checkpoints, read
from yolo.training.faults import replay
from yolo.training.trainer import train


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = make_digits(tmp_path_factory.mktemp("digits"), train=8, val=4, size=64, seed=3)
    return yolo.load_dataset(folder, "train"), yolo.load_dataset(folder, "val")


class Poison(keras.callbacks.Callback):
    """Puts a value that is not a number into a bias before some steps, counted over the whole run."""

    def __init__(self, *steps):
        super().__init__()
        self.steps, self.count, self.before = set(steps), 0, None

    def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002 - Keras' signature
        self.count += 1
        if self.count in self.steps:
            self.before = self.model.get_weights()
            bias = self.model.heads[0].convolution.bias
            bias.assign(np.full(bias.shape, np.nan))


OPTIONS = {"epochs": 3, "batch": 4, "seed": 1, "save_every": 1, "learning_rate": 0.001}
"""Two steps an epoch."""


def test_the_run_goes_back_lowers_its_rate_and_ends_well(digits, tmp_path, caplog):
    dataset, validation = digits
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes)
    with caplog.at_level(logging.WARNING):
        result = train(detector, dataset, validation=validation, out=tmp_path, callbacks=[Poison(4)], **OPTIONS)
    assert "the loss is not finite (epoch 2, step 2): back to step 3 at 0.5 of the rate" in caplog.text
    assert [row["epoch"] for row in result.history] == [1, 2, 3]
    assert all(np.isfinite(weight).all() for weight in detector.get_weights())
    state = Checkpoints(tmp_path).latest().meta["state"]
    assert (state["step"], state["faults"], state["rate_share"]) == (6, 1, 0.5)
    # Half of the final rate.
    assert result.history[2]["learning_rate"] == pytest.approx(0.5 * 0.001 * 0.01, rel=1e-3)
    assert {path.name for path in (tmp_path / "faults").iterdir()} == {"step-000000003.npz", "step-000000003.jpg"}


def test_no_compiler_leaves_the_checks_out():
    """XLA would, on TensorFlow."""
    detector = Detector("net.cfg", cfg=STAGED, classes=["a", "b"])
    detector.compile()
    assert not detector.jit_compile


def test_what_is_kept_is_the_batch_and_the_weights_it_met(digits, tmp_path):
    dataset, validation = digits
    detector, poison = Detector("net.cfg", cfg=STAGED, classes=dataset.classes), Poison(2)
    train(detector, dataset, validation=validation, out=tmp_path, callbacks=[poison], **OPTIONS)
    kept = read(tmp_path / "faults" / "step-000000001.npz")
    assert kept.step == 1
    assert kept.arrays["batch/images"].shape == (4, 64, 64, 3)
    assert len(kept.meta["pictures"]) == 4
    assert all(name.endswith(".jpg") for names in kept.meta["pictures"] for name in names)
    head = detector.heads[0].convolution
    for variable, value in zip(detector.weights, poison.before, strict=True):
        found = kept.arrays[f"weights/{variable.path}"]
        if variable.path == head.bias.path:
            assert np.isnan(found).all()
        elif "moving" not in variable.path:  # statistics may have been counted before the step was stopped
            np.testing.assert_array_equal(found, value)


def test_three_times_are_enough(digits, tmp_path, caplog):
    dataset, validation = digits
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes)
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(ConfigError, match=r"\(epoch 1, step 1\), the third time; start again with a .* below 0\.00013"),
    ):
        train(detector, dataset, validation=validation, out=tmp_path, callbacks=[Poison(2, 3, 4)], **OPTIONS)
    assert "back to step 1 at 0.5 of the rate" in caplog.text
    # The same step again: the checkpoint before is tried, and the one that led there is gone.
    assert "back to step 0 at 0.25 of the rate" in caplog.text
    assert Checkpoints(tmp_path).latest().step == 0


def test_replay_shows_the_step(digits, tmp_path, capsys):
    from yolo.cli.main import main

    dataset, validation = digits
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes)
    train(detector, dataset, validation=validation, out=tmp_path, callbacks=[Poison(2)], **OPTIONS)
    path = tmp_path / "faults" / "step-000000001.npz"
    found = replay(path)
    assert found["outcome"] == "the loss is not finite"
    bias = detector.heads[0].convolution.bias.path
    assert found["not_finite"] == [bias, f"output of {detector.heads[0].name}"]
    assert len(found["pictures"]) == 4
    assert all(np.isnan(picture["objectness"]) for picture in found["pictures"])
    before = path.read_bytes()
    assert main(["train", "--replay", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == found["outcome"]
    assert path.read_bytes() == before
    assert main(["train", "--replay", str(next((tmp_path / "checkpoints").iterdir()))]) == 2
    assert "holds no batch; give a file of a run's faults folder" in capsys.readouterr().err


def test_a_checkpoint_of_weights_that_are_not_finite_is_never_written(digits, tmp_path):
    """Here they go bad behind the last step's back."""
    dataset, validation = digits
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes)

    class Late(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 - Keras' signature
            kernel = self.model.convolutions[0].convolution.kernel
            kernel.assign(np.full(kernel.shape, np.inf))

    with pytest.raises(ConfigError, match=r"no longer finite \(epoch 1, step 2\), the third time"):
        train(detector, dataset, validation=validation, out=tmp_path, callbacks=[Late()], epochs=1, batch=4)
    assert Checkpoints(tmp_path).latest().step == 0
    assert all(np.isfinite(array).all() for array in Checkpoints(tmp_path).latest().arrays.values())
