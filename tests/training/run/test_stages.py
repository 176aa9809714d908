"""Transfer learning in stages: what is frozen stands still to the last bit, what is thawed learns more slowly."""

from __future__ import annotations

import logging

import keras
import numpy as np
import pytest
from cfg_texts import STAGED as NET

import yolo
from yolo.config import AugmentConfig, TrainConfig
from yolo.datasets.digits import make_digits
from yolo.errors import ConfigError
from yolo.model.detector import Detector
from yolo.training.optimizer.optimizer import AdamW, make_optimizer
from yolo.training.run.stages import Stage, older_layers, stages
from yolo.training.trainer import train

PLAIN = AugmentConfig(flip=0, hue=0, saturation=0, brightness=0, scale=0, translate=0)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = make_digits(tmp_path_factory.mktemp("digits"), train=8, val=4, size=64, seed=3)
    return yolo.load_dataset(folder, "train"), yolo.load_dataset(folder, "val")


def make(classes, seed=0):
    return Detector("net.cfg", cfg=NET, classes=classes, seed=seed)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [Stage(0, 9, frozen=False)]),
        ({"freeze": "backbone"}, [Stage(0, 9, frozen=True)]),
        ({"freeze": "3", "unfreeze_at": 4}, [Stage(0, 4, frozen=True), Stage(4, 9, frozen=False)]),
        ({"freeze": 3, "unfreeze_at": 9}, [Stage(0, 9, frozen=True)]),
        ({"freeze": "neck", "unfreeze_at": 40}, [Stage(0, 9, frozen=True)]),
    ],
)
def test_the_stages_of_a_run(options, expected):
    assert stages(TrainConfig(epochs=9, **options)) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"freeze": "head"}, "freeze must be backbone, neck or a number of layers, got head"),
        ({"freeze": -1}, "freeze must be"),
        ({"unfreeze_at": 2}, "unfreeze_at must be given with freeze"),
        ({"freeze": "neck", "unfreeze_at": 0}, "unfreeze_at must be > 0"),
        ({"unfrozen_rate": 1.5}, r"unfrozen_rate must be in 0\.\.1"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**options)


@pytest.mark.parametrize(("freeze", "last"), [("backbone", 1), ("neck", 2), ("1", 0), ("3", 2)])
def test_which_layers_are_the_older_ones(freeze, last):
    names = [layer.name for layer in older_layers(make(["a", "b"]), freeze)]
    assert names == [f"conv_{index}" for index in range(last + 1)]


@pytest.mark.parametrize(("model", "backbone", "all_but_heads"), [("yolov3-tiny", 7, 11), ("yolov3", 52, 72)])
def test_the_parts_of_the_built_in_networks(model, backbone, all_but_heads):
    detector = Detector(model, classes=["a"], size=64)
    assert [len(older_layers(detector, part)) for part in ("backbone", "neck")] == [backbone, all_but_heads]


@pytest.mark.parametrize("count", ["0", "4", "99"])
def test_everything_or_nothing_cannot_be_frozen(count):
    with pytest.raises(
        ConfigError, match=rf"freeze must be backbone, neck or a number of layers in 1\.\.3, got {count}"
    ):
        older_layers(make(["a", "b"]), count)


def changed(before, detector):
    """Which layers have other weights than before, bit for bit."""
    return [
        layer.name
        for layer, old in zip(detector.convolutions, before, strict=True)
        if any(a.tobytes() != b.tobytes() for a, b in zip(layer.get_weights(), old, strict=True))
    ]


def test_frozen_really_is_frozen_weights_and_statistics(digits):
    dataset, validation = digits
    detector = make(dataset.classes)
    before = [layer.get_weights() for layer in detector.convolutions]
    train(detector, dataset, validation=validation, out=None, epochs=2, batch=4, freeze="backbone", augment=PLAIN)
    assert changed(before, detector) == ["conv_2", "conv_3"]
    assert all(layer.trainable for layer in detector.convolutions)  # free again afterwards


def test_thawed_layers_learn_in_the_same_run(digits, caplog):
    dataset, validation = digits
    detector = make(dataset.classes)
    before = [layer.get_weights() for layer in detector.convolutions]
    epochs = []

    class Spy(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            epochs.append((epoch, changed(before, detector), int(self.model.optimizer.iterations), logs["AP50"]))

    with caplog.at_level(logging.INFO):
        result = train(
            detector,
            dataset,
            validation=validation,
            out=None,
            epochs=3,
            batch=4,
            freeze="2",
            unfreeze_at=2,
            augment=PLAIN,
            callbacks=[Spy()],
        )
    assert [(epoch, len(layers), steps) for epoch, layers, steps, _ in epochs] == [(0, 2, 2), (1, 2, 4), (2, 4, 6)]
    assert [row["epoch"] for row in result.history] == [1, 2, 3]
    assert "epochs 1 to 2: the first 2 of 4 layers (conv_0 to conv_1) are frozen, statistics too" in caplog.text
    assert "epochs 3 to 3: all is trained, the first 2 of 4 layers (conv_0 to conv_1) at 0.1 of the rate" in caplog.text
    assert detector.origin["darknet"]["seen"] == 3 * 8


def test_two_stages_see_the_pictures_of_one_run(digits, monkeypatch):
    """The second stage goes on where the first stopped."""
    from yolo.training.run import run

    starts = []
    whole = run.training_batches

    def spy(*args, **options):
        starts.append(options["start"])
        return whole(*args, **options)

    monkeypatch.setattr(run, "training_batches", spy)
    dataset, validation = digits
    train(make(dataset.classes), dataset, validation=validation, out=None, epochs=2, batch=3, freeze="1", unfreeze_at=1)
    assert starts == [0, 9]  # three steps of three pictures


def test_a_callback_that_stops_the_run_stops_it_for_good(digits):
    dataset, validation = digits
    detector = make(dataset.classes)

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 - Keras' signature
            self.model.stop_training = epoch == 1

    options = {"epochs": 4, "batch": 4, "freeze": "1", "unfreeze_at": 2, "callbacks": [Stop()]}
    assert len(train(detector, dataset, validation=validation, out=None, **options).history) == 2


def test_what_the_caller_froze_is_frozen_again_afterwards(digits):
    dataset, validation = digits
    detector = make(dataset.classes)
    detector.convolutions[2].trainable = False
    train(detector, dataset, validation=validation, out=None, epochs=1, batch=8, freeze="1")
    assert [layer.trainable for layer in detector.convolutions] == [True, True, False, True]


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_older_layers_decay_at_their_share_of_the_rate(kind):
    model = keras.Sequential([keras.layers.Dense(1, name="old"), keras.layers.Dense(1, name="new")], name="net")
    model.build((None, 1))
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape, np.float32))
    config = TrainConfig(optimizer=kind, momentum=0, weight_decay=0.5, clip_norm=0, warmup_epochs=0, unfrozen_rate=0.25)
    optimizer = make_optimizer(config, model, steps_per_epoch=10, older=model.layers[0].variables)
    optimizer.apply([keras.ops.zeros(variable.shape) for variable in model.trainable_variables])
    rate = 0.01 if kind == "sgd" else 0.002
    expected = [1 - 0.5 * rate / 4, 1, 1 - 0.5 * rate, 1]  # kernels alone
    np.testing.assert_allclose([variable.numpy().item() for variable in model.trainable_variables], expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_older_layers_move_at_their_share_of_the_rate(kind):
    model = keras.Sequential([keras.layers.Dense(1, name="old"), keras.layers.Dense(1, name="new")], name="net")
    model.build((None, 1))
    config = TrainConfig(optimizer=kind, momentum=0, weight_decay=0, clip_norm=0, warmup_epochs=0, unfrozen_rate=0.25)
    optimizer = make_optimizer(config, model, steps_per_epoch=10, older=model.layers[0].variables)
    before = [variable.numpy() for variable in model.trainable_variables]
    gradients = [np.ones(variable.shape, np.float32) for variable in model.trainable_variables]
    optimizer.apply([keras.ops.convert_to_tensor(each) for each in gradients])
    moved = [float((old - new.numpy()).mean()) for old, new in zip(before, model.trainable_variables, strict=True)]
    rate = 0.01 if kind == "sgd" else 0.002
    np.testing.assert_allclose(moved, [rate / 4, rate / 4, rate, rate], rtol=1e-3)


def test_the_next_stages_optimizer_goes_on_where_the_last_one_stopped():
    model = keras.Sequential([keras.layers.Dense(1, name="old"), keras.layers.Dense(1, name="new")], name="net")
    model.build((None, 1))
    model.layers[0].trainable = False
    first = make_optimizer(TrainConfig(), model, steps_per_epoch=10)
    assert isinstance(first, AdamW)
    for _ in range(3):
        first.apply([keras.ops.ones(variable.shape) for variable in model.trainable_variables])
    model.layers[0].trainable = True
    second = make_optimizer(TrainConfig(), model, steps_per_epoch=10, previous=first)
    assert int(second.iterations) == 3
    moments = {
        each.path.rpartition("net_")[2]: each.numpy().item() for each in second.variables if "momentum" in each.path
    }
    assert moments["new_kernel_momentum"] == pytest.approx(1 - 0.9**3, rel=1e-5)
    assert moments["old_kernel_momentum"] == 0
