"""Non-finite losses: weights are protected, the batch is saved, the run returns to a checkpoint, aborts after three."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict

import keras
import numpy as np
import pytest
from cfg_texts import STAGED

import yolo
from yolo.config import AugmentConfig, LossConfig
from yolo.datasets.digits import make_digits
from yolo.datasets.pipeline.batches import training_batches
from yolo.datasets.pipeline.multi_scale import canvas_of_batch
from yolo.errors import ConfigError
from yolo.model.detector import Detector
from yolo.training.engine.replay import detector_of, gradients_not_finite, losses_of_pictures, replay
from yolo.training.optimizer.class_weights import with_class_weights
from yolo.training.run.checkpoint import Checkpoints, read
from yolo.training.trainer import train


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = make_digits(tmp_path_factory.mktemp("digits"), train=8, val=4, size=64, seed=3)
    return yolo.load_dataset(folder, "train"), yolo.load_dataset(folder, "val")


def head_bias(detector):
    return detector.heads[0].convolution.bias


def head_kernel(detector):
    return detector.heads[0].convolution.kernel


def first_scale(detector):
    return detector.convolutions[0].batch_norm.gamma


class Poison(keras.callbacks.Callback):
    """Puts a value that is not a number, or another, into a variable before some steps, counted over the whole run."""

    def __init__(self, *steps, variable=head_bias, value=np.nan):
        super().__init__()
        self.steps, self.count, self.before = set(steps), 0, None
        self.variable, self.value = variable, value

    def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002 - Keras' signature
        self.count += 1
        if self.count in self.steps:
            self.before = self.model.get_weights()
            variable = self.variable(self.model)
            variable.assign(np.full(variable.shape, self.value))


OPTIONS = {"epochs": 3, "batch": 4, "seed": 1, "save_every": 1, "learning_rate": 0.001}
"""Two steps an epoch."""


def test_the_run_goes_back_lowers_its_rate_and_ends_well(digits, tmp_path, caplog):
    dataset, validation = digits
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes)
    with caplog.at_level(logging.WARNING):
        result = train(detector, dataset, validation=validation, out=tmp_path, callbacks=[Poison(4)], **OPTIONS)
    assert "the loss is not finite (epoch 2, step 2): back to step 3 at 0.5 times the learning rate" in caplog.text
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


def test_three_times_are_enough(digits, tmp_path, caplog):
    dataset, validation = digits
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes)
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(ConfigError, match=r"\(epoch 1, step 1\), the third time; start again with a .* below 0\.00013"),
    ):
        train(detector, dataset, validation=validation, out=tmp_path, callbacks=[Poison(2, 3, 4)], **OPTIONS)
    assert "back to step 1 at 0.5 times the learning rate" in caplog.text
    # The same step again: the checkpoint before is tried, and the one that led there is gone.
    assert "back to step 0 at 0.25 times the learning rate" in caplog.text
    assert Checkpoints(tmp_path).latest().step == 0


@pytest.fixture
def one_fault(monkeypatch):
    """A run ends with its first fault: how one goes on is what the tests above look at."""
    monkeypatch.setattr("yolo.training.engine.non_finite.LARGEST_FAULTS", 1)


@pytest.fixture(scope="module")
def poisoned(digits, tmp_path_factory):
    """A run's folder with the fault of its second step, its detector, and the weights that this step met."""
    dataset, validation = digits
    folder, poison = tmp_path_factory.mktemp("poisoned"), Poison(2)
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("yolo.training.engine.non_finite.LARGEST_FAULTS", 1)
        with pytest.raises(ConfigError, match="no longer finite"):
            train(detector, dataset, validation=validation, out=folder, callbacks=[poison], **OPTIONS)
    return folder, detector, poison.before


def test_what_is_kept_is_the_batch_and_the_weights_it_met(poisoned):
    folder, detector, before = poisoned
    kept = read(folder / "faults" / "step-000000001.npz")
    assert kept.step == 1
    assert kept.arrays["batch/images"].shape == (4, 64, 64, 3)
    assert len(kept.meta["pictures"]) == 4
    assert all(name.endswith(".jpg") for names in kept.meta["pictures"] for name in names)
    head = detector.heads[0].convolution
    for variable, value in zip(detector.weights, before, strict=True):
        found = kept.arrays[f"weights/{variable.path}"]
        if variable.path == head.bias.path:
            assert np.isnan(found).all()
        elif "moving" not in variable.path:  # statistics may have been counted before the step was stopped
            np.testing.assert_array_equal(found, value)


def test_replay_shows_the_step(poisoned, capsys):
    from yolo.cli.main import main

    folder, detector, _ = poisoned
    path = folder / "faults" / "step-000000001.npz"
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
    assert main(["train", "--replay", str(next((folder / "checkpoints").iterdir()))]) == 2
    assert "contains no batch; give a file from a run's faults folder" in capsys.readouterr().err


def fault_of(digits, folder, poison, **options):
    """The only fault of a small run that ends with it (`one_fault`), and its replay."""
    dataset, validation = digits
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
    options = {**OPTIONS, "epochs": 1, **options}
    with pytest.raises(ConfigError, match="no longer finite"):
        train(detector, dataset, validation=validation, out=folder, callbacks=[poison], **options)
    (path,) = (folder / "faults").glob("*.npz")
    return read(path), replay(path)


@pytest.mark.usefixtures("one_fault")
def test_replay_on_the_canvas_of_the_batch(digits, tmp_path):
    assert [canvas_of_batch((64, 64), 0.5, 3, number) for number in (0, 1)] == [(32, 32), (96, 96)]
    kept, found = fault_of(digits, tmp_path, Poison(2), multi_scale=0.5, seed=3)
    assert kept.arrays["batch/images"].shape == (4, 96, 96, 3)
    assert found["outcome"] == "the loss is not finite"
    assert found["not_finite"] == ["conv_3/convolution/bias", "output of conv_3"]


@pytest.mark.usefixtures("one_fault")
def test_replay_with_the_class_weights_of_the_run(digits, tmp_path):
    """Those that were found for its pictures, not the word."""
    balanced = LossConfig(class_weights="balanced")
    kept, found = fault_of(digits, tmp_path, Poison(2), loss=balanced)
    assert kept.meta["loss"] == asdict(with_class_weights(balanced, digits[0]))
    assert found["outcome"] == "the loss is not finite"


@pytest.mark.usefixtures("one_fault")
def test_replay_of_a_gradient_that_is_not_finite(digits, tmp_path):
    """The head's weights are so large that the squares of the gradients are no numbers, though the loss is one."""
    _, found = fault_of(digits, tmp_path, Poison(2, variable=head_kernel, value=1e30))
    assert found["outcome"] == "the gradient is not finite"
    assert len(found["not_finite"]) == 1
    assert found["not_finite"][0].startswith("norm of the gradient (largest: conv_")
    assert all(np.isfinite(picture["objectness"]) for picture in found["pictures"])


def test_gradients_that_are_not_finite_are_named(digits, monkeypatch):
    dataset, _ = digits
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
    detector.compile()
    batches = training_batches(dataset, (64, 64), batch=2, seed=0, augment=AugmentConfig(), workers=1)
    batch = next(iter(batches.as_numpy_iterator()))
    assert gradients_not_finite(detector, *batch) == []
    gradients = {"a": np.ones(3), "b": np.array([1, np.nan, 2]), "c": np.full((2, 2), -np.inf)}
    monkeypatch.setattr("yolo.training.engine.replay.gradients_of", lambda *_: gradients)
    assert gradients_not_finite(detector, *batch) == ["gradient of b", "gradient of c"]
    gradients = {"a": np.float32([1, 2]), "b": np.float32([-3e20])}
    assert gradients_not_finite(detector, *batch) == ["norm of the gradient (largest: b)"]


@pytest.mark.usefixtures("one_fault")
def test_replay_in_the_precision_of_the_run(digits, tmp_path):
    """A hundred thousand is no float16, but a float32."""
    keras.config.set_dtype_policy("mixed_float16")
    kept, found = fault_of(digits, tmp_path, Poison(2, variable=first_scale, value=1e5))
    assert kept.meta["precision"] == "mixed_float16"
    keras.config.set_dtype_policy("float32")
    again = replay(next((tmp_path / "faults").glob("*.npz")))
    assert again["outcome"] == found["outcome"] == "the loss is not finite"
    assert "output of conv_0" in again["not_finite"]
    assert keras.config.dtype_policy().name == "float32"


TARGETS = ("boxes", "labels", "valid", "ignore")


@pytest.mark.usefixtures("one_fault")
def test_replay_with_what_was_frozen(digits, tmp_path):
    """Its batch norms take the statistics they have, and those of the batch are others: so are the losses."""
    kept, found = fault_of(digits, tmp_path, Poison(2, variable=head_kernel, value=1e30), freeze="2")
    assert kept.meta["frozen"] == [0, 1]
    assert [layer.trainable for layer in detector_of(kept).convolutions] == [False, False, True, True]
    images, *targets = (kept.arrays[f"batch/{name}"] for name in ("images", *TARGETS))
    named = dict(zip(TARGETS, targets, strict=True)), kept.meta["pictures"]
    thawed = kept._replace(meta={**kept.meta, "frozen": []})
    frozen, free = (losses_of_pictures(detector_of(each), images, *named) for each in (kept, thawed))
    assert frozen == found["pictures"] != free


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
