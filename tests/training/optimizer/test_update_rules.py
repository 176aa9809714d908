"""The update rules: against plain numpy on every backend and on two replicas, and against Keras' own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from update_values import CASES, COMMON, OVERFLOW, SHAPES, SHARE, SLOW, STEPS, numbers, run

from yolo.config import TrainConfig
from yolo.training.optimizer.optimizer import make_optimizer
from yolo.training.optimizer.update_rules import SGD, AdamW

SCRIPT = Path(__file__).parents[2] / "helpers" / "update_values.py"


class Oracle:
    """Both rules in plain numpy, float64."""

    def __init__(self, kind, options):
        self.kind, self.options = kind, {**COMMON, **options}
        self.weights = {name: value.astype(float) for name, value in numbers()[0].items()}
        self.averages = {name: value.copy() for name, value in self.weights.items()}
        self.first = {name: np.zeros(shape) for name, shape in SHAPES.items()}
        self.second = {name: np.zeros(shape) for name, shape in SHAPES.items()}
        self.waiting = []
        self.updates = 0

    def step(self, gradients):
        self.waiting.append(gradients)
        steps = self.options.get("gradient_accumulation_steps", 1)
        if len(self.waiting) < steps:
            return
        means = {name: sum(each[name].astype(float) for each in self.waiting) / steps for name in SHAPES}
        self.waiting = []
        norm = np.sqrt(sum((value**2).sum() for value in means.values()))
        self.updates += 1
        for name in SHAPES:
            self.update(name, means[name] * min(1.0, self.options["global_clipnorm"] / norm))
        momentum = min(self.options.get("ema_momentum", 0), (1 + self.updates) / (10 + self.updates))
        for name in SHAPES:
            self.averages[name] = momentum * self.averages[name] + (1 - momentum) * self.weights[name]

    def update(self, name, gradient):
        rate = self.options["learning_rate"] * (SHARE if name == SLOW else 1.0)
        if name.endswith("kernel"):
            self.weights[name] *= 1 - rate * self.options["weight_decay"]
        if self.kind is AdamW:
            self.first[name] = 0.9 * self.first[name] + 0.1 * gradient
            self.second[name] = 0.999 * self.second[name] + 0.001 * gradient**2
            corrected = rate * np.sqrt(1 - 0.999**self.updates) / (1 - 0.9**self.updates)
            self.weights[name] -= corrected * self.first[name] / (np.sqrt(self.second[name]) + 1e-7)
            return
        decay = self.options["momentum"]
        self.first[name] = decay * self.first[name] - rate * gradient
        ahead = decay * self.first[name] - rate * gradient if self.options.get("nesterov") else self.first[name]
        self.weights[name] += ahead


@pytest.fixture(scope="module")
def expected():
    values = {}
    for case, (kind, options) in CASES.items():
        oracle = Oracle(kind, options)
        for number, gradients in enumerate(numbers()[1]):
            if case == "scaled":
                values[f"{case} {number} scale"] = 2.0**14 if number > OVERFLOW else 2.0**15
            if (case, number) != ("scaled", OVERFLOW):
                oracle.step(gradients)
            for name in SHAPES:
                values[f"{case} {number} {name}"] = oracle.weights[name].copy()
                if options.get("use_ema"):
                    values[f"{case} {number} {name} average"] = oracle.averages[name].copy()
    return values


def test_every_step_is_that_of_the_formulas(expected):
    found = {key: value for case in CASES for key, value in run(case).items()}
    compare(found, expected)


def compare(found, expected):
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(("backend", "replicas"), [("tensorflow", 2), ("jax", 1)])
def test_two_replicas_and_other_backends_follow_the_same_formulas(backend, replicas, expected, tmp_path):
    path = tmp_path / "values.npz"
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, SCRIPT, path, str(replicas)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(path) as found:
        compare(dict(found), expected)


def fixed(value):
    return keras.Variable(np.array(value, np.float32))


@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (AdamW, keras.optimizers.AdamW, {}),
        (SGD, keras.optimizers.SGD, {"momentum": 0.937, "nesterov": True}),
        (SGD, keras.optimizers.SGD, {"momentum": 0.5}),
        (SGD, keras.optimizers.SGD, {}),
    ],
)
def test_the_fused_rule_is_keras_own(ours, theirs, options):
    found = []
    for kind in (ours, theirs):
        kernel, bias = fixed(np.linspace(-1, 1, 12).reshape(3, 4)), fixed([0.5, -0.5])
        rule = kind(learning_rate=0.01, weight_decay=0.1, global_clipnorm=1.0, **options)
        rule.exclude_from_weight_decay(var_list=[bias])
        rule.build([kernel, bias])
        rng = np.random.default_rng(0)
        for scale in (0.01, 0.1, 1.0, 3.0):
            gradients = [scale * rng.normal(size=(3, 4)), scale * rng.normal(size=2)]
            rule.apply([tf.constant(each, tf.float32) for each in gradients])
        found.append(np.concatenate([kernel.numpy().ravel(), bias.numpy()]))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [AdamW, SGD])
@pytest.mark.parametrize("clip", [None, 10.0])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_changes_nothing(kind, clip, bad):
    first, second = fixed([1.0, 2.0]), fixed([3.0])
    schedule = keras.optimizers.schedules.PolynomialDecay(0.1, 10)
    rule = kind(learning_rate=schedule, weight_decay=0.1, global_clipnorm=clip, use_ema=True)
    rule.build([first, second])
    step = tf.function(lambda gradient: rule.apply([gradient, tf.ones(1)]))
    before = [each.numpy() for each in (first, second, *rule.variables)]
    with pytest.raises(tf.errors.InvalidArgumentError, match="the gradient is not finite"):
        step(tf.constant([1.0, bad]))
    for variable, value in zip((first, second, *rule.variables), before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    step(tf.ones(2))
    assert first.numpy()[0] < 1


def scaling(**options):
    """A weight and a rule that scales the loss."""
    weight = fixed([1.0, 2.0])
    rule = SGD(learning_rate=0.1, **options)
    rule.scales_loss = True
    rule.build([weight])
    return weight, rule


def test_the_loss_scale_doubles_after_many_steps_without_an_overflow(monkeypatch):
    monkeypatch.setattr("yolo.training.optimizer.update_rules.GROWTH_STEPS", 3)
    weight, rule = scaling()
    assert rule.scale_loss(2.0) == 2.0**16
    scales = []
    for _ in range(7):
        rule.apply([2.0**15 * tf.ones(2)])
        scales.append(float(rule.loss_scale))
    assert scales == [2.0**15] * 2 + [2.0**16] * 3 + [2.0**17] * 2
    np.testing.assert_allclose(weight[0], 1 - 0.1 * (3 + 3 / 2 + 1 / 4), rtol=1e-6)


def test_without_a_scale_to_lower_it_is_the_gradients_fault():
    weight, rule = scaling()
    bad = tf.constant([1.0, np.nan])
    for _ in range(15):
        rule.apply([bad])
    assert float(rule.loss_scale) == 1.0
    assert int(rule.iterations) == 0
    with pytest.raises(tf.errors.InvalidArgumentError, match="the gradient is not finite"):
        rule.apply([bad])
    np.testing.assert_array_equal(weight, [1.0, 2.0])


def test_averages_never_overwrite_the_weights():
    weight = fixed([1.0])
    rule = SGD(learning_rate=0.5, use_ema=True, ema_momentum=0.9)
    rule.build([weight])
    average = rule._model_variables_moving_average[0]
    assert average.numpy()[0] == 1.0  # begins where the weights do, not at 0
    rule.apply([tf.ones(1)])
    rule.finalize_variable_values([weight])
    assert weight.numpy()[0] == 0.5
    # After the first update the momentum is 2 / 11.
    assert average.numpy()[0] == pytest.approx(2 / 11 * 1.0 + 9 / 11 * 0.5)


def test_the_averages_momentum_rises_to_its_limit():
    weight = fixed([0.0])
    rule = SGD(learning_rate=0.0, use_ema=True, ema_momentum=0.5)
    rule.build([weight])
    weights = []
    for _ in range(9):
        weights.append(float(rule.average_weight()))
        rule.apply([tf.zeros(1)])
    momenta = [2 / 11, 3 / 12, 4 / 13, 5 / 14, 6 / 15, 7 / 16, 8 / 17, 9 / 18, 0.5]
    np.testing.assert_allclose(weights, 1 - np.array(momenta), rtol=1e-6)


def test_a_schedule_counts_updates():
    """Of three accumulated steps each; Keras' own counts the steps."""
    weight = fixed([0.0])
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0, 1], [1.0, 10.0, 100.0])
    rule = SGD(learning_rate=schedule, gradient_accumulation_steps=3)
    rule.build([weight])
    found = []
    for _ in range(STEPS):
        rule.apply([tf.ones(1)])
        found.append(float(weight.numpy()[0]))
    assert found == [0.0, 0.0, -1.0, -1.0, -1.0, -11.0]


def test_rules_are_saved_and_loaded():
    for rule in (AdamW(weight_decay=0.1), SGD(momentum=0.5)):
        again = keras.optimizers.deserialize(keras.optimizers.serialize(rule))
        assert type(again) is type(rule)
        assert again.get_config() == rule.get_config()


def test_the_global_norm():
    import tensorflow as tf

    from yolo.training.optimizer.fused_kernels import global_norm

    rng = np.random.default_rng(0)
    gradients = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 3, 32, 512), (1024,), (3, 3, 16, 128))]
    expected = np.sqrt(sum(np.square(each, dtype=np.float64).sum() for each in gradients))
    assert float(global_norm([tf.constant(each) for each in gradients])) == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_equal_steps_at_full_size_are_equal_to_the_last_bit():
    """Sums over everything, as TensorFlow does them, depend on which thread is done first."""
    from yolo.model.detector import Detector

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 416, 416, 3)).astype(np.uint8)
    targets = {
        "boxes": np.tile(np.array([[40, 50, 200, 300], [220, 100, 400, 180]], np.float32), (4, 1, 1)),
        "labels": np.zeros((4, 2), np.int32),
        "valid": np.ones((4, 2), bool),
        "ignore": np.zeros((4, 2), bool),
    }
    detector = Detector("yolov3-tiny", classes=["a"], size=416, seed=0)
    detector.compile(make_optimizer(TrainConfig(), detector, steps_per_epoch=10))
    detector.optimizer.build(detector.trainable_variables)
    variables = [*detector.variables, *detector.optimizer.variables]
    begin, ends = [each.numpy() for each in variables], []
    for _ in range(4):
        for variable, value in zip(variables, begin, strict=True):
            variable.assign(value)
        for _ in range(3):
            detector.train_on_batch(images, targets)
        ends.append(detector.get_weights())
    assert not np.array_equal(ends[0][0], begin[0])
    for one in ends[1:]:
        for mine, first in zip(one, ends[0], strict=True):
            np.testing.assert_array_equal(mine, first)
