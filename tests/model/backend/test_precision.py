"""Choice of the training precision, and training in it."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from cfg_texts import STAGED

from yolo.config import AugmentConfig
from yolo.datasets.digits import make_digits
from yolo.datasets.load import load_dataset
from yolo.datasets.pipeline.batches import evaluation_batches, training_batches
from yolo.model.backend import precision
from yolo.model.backend.precision import Choice, best_precision, choose_precision, cpu_flags
from yolo.model.detector import Detector
from yolo.model.networks.layers import LEAK, BatchNorm, Convolution, leaky_from_output
from yolo.system.allocator import tune_allocator
from yolo.system.startup import leave_gpus_to_backend, start_keras


@pytest.fixture
def policy():
    """Sets Keras' dtype policy, until the test is over."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(
    ("capability", "flags", "expected"),
    [
        (None, {"sse", "avx512_bf16"}, "mixed_bfloat16"),
        (None, {"amx_bf16"}, "mixed_bfloat16"),
        (None, {"avx512f"}, "float32"),
        (None, set(), "float32"),
        ((6, 1), {"avx512_bf16"}, "float32"),  # the GPU decides
        ((7, 0), set(), "mixed_float16"),
        ((7, 5), set(), "mixed_float16"),
        ((8, 0), set(), "mixed_bfloat16"),
        ((9, 0), set(), "mixed_bfloat16"),
        ((12, 0), set(), "mixed_bfloat16"),
    ],
)
def test_the_fastest_precision_of_the_hardware(capability, flags, expected, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    monkeypatch.setattr(precision, "gpu_capability", lambda: capability)
    monkeypatch.setattr(precision, "cpu_flags", lambda: flags)
    assert best_precision().policy == expected


@pytest.mark.parametrize(
    ("platform", "capability", "expected"),
    [
        ("gpu", "8.6", "mixed_bfloat16"),
        ("gpu", "7.5", "mixed_float16"),
        ("gpu", "gfx90a", "float32"),  # AMD's
        ("tpu", None, "mixed_bfloat16"),
        ("cpu", None, "float32"),
    ],
)
def test_what_jax_computes_on(platform, capability, expected, monkeypatch):
    jax = pytest.importorskip("jax")
    device = SimpleNamespace(platform=platform, **({} if capability is None else {"compute_capability": capability}))
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert best_precision().policy == expected


def test_a_gpu_without_a_capability_is_no_processor(monkeypatch):
    gpu = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: [gpu])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda _: {"device_name": "MI250X"})
    assert best_precision().reason.startswith("the GPU reports no NVIDIA compute capability")


@pytest.mark.parametrize(("backend", "calls"), [("jax", [([], "GPU")]), ("torch", [([], "GPU")]), ("tensorflow", [])])
def test_tensorflow_leaves_the_gpus_to_the_backend(backend, calls, monkeypatch, tmp_path):
    """Where a command starts, and where Python makes batches."""
    hidden = []
    monkeypatch.setattr(keras.config, "backend", lambda: backend)
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *arguments: hidden.append(arguments))
    start_keras()
    assert hidden == calls
    data = load_dataset(make_digits(tmp_path, train=2, val=1, size=64, seed=3), "train")
    training_batches(data, (64, 64), batch=2, seed=0, augment=AugmentConfig())
    evaluation_batches(data, (64, 64), batch=2)
    assert hidden == 3 * calls


def test_a_tensorflow_that_has_begun_is_left_as_it_is(monkeypatch):
    def refuse(*_):
        raise RuntimeError("Visible devices cannot be modified after being initialized")

    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    monkeypatch.setattr(tf.config, "set_visible_devices", refuse)
    leave_gpus_to_backend()


def test_without_onednn_a_processor_has_no_fast_bfloat16(monkeypatch):
    monkeypatch.setattr(precision, "cpu_flags", lambda: {"avx512_bf16"})
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert best_precision().policy == "float32"


def test_auto_says_what_it_chose_and_why(monkeypatch, caplog):
    monkeypatch.setattr(precision, "best_precision", lambda: Choice("mixed_bfloat16", "the processor has it"))
    with caplog.at_level(logging.INFO):
        assert choose_precision("auto") == "mixed_bfloat16"
    assert caplog.messages == ["precision mixed_bfloat16: the processor has it"]


def test_a_precision_that_the_hardware_lacks_is_used_with_a_warning(monkeypatch, caplog):
    monkeypatch.setattr(precision, "best_precision", lambda: Choice("float32", "the processor is old"))
    assert choose_precision("mixed_bfloat16") == "mixed_bfloat16"
    assert caplog.messages == ["precision mixed_bfloat16 may be slower than float32: the processor is old"]
    caplog.clear()
    assert choose_precision("float32") == "float32"
    assert not caplog.messages


def test_processor_flags_are_those_of_the_first_core(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nvmx flags\t: x\nflags\t\t: fpu avx512_bf16\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert cpu_flags(file) == {"fpu", "avx512_bf16"}
    assert cpu_flags(tmp_path / "none") == set()


def detector_and_batch(size=64):
    detector = Detector("net.cfg", cfg=STAGED, classes=["a", "b"], size=size, seed=3)
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, size / 2, (8, 3, 2))
    targets = {
        "boxes": np.concatenate([corners, corners + rng.uniform(8, size / 2, corners.shape)], -1).astype(np.float32),
        "labels": rng.integers(0, 2, (8, 3)).astype(np.int32),
        "valid": np.ones((8, 3), bool),
        "ignore": np.zeros((8, 3), bool),
    }
    return detector, rng.integers(0, 256, (8, size, size, 3)).astype(np.uint8), targets


def loss_and_gradient(detector, images, targets):
    with tf.GradientTape() as tape:
        maps = detector(images, training=True)
        loss = tf.add_n([tf.reduce_mean(term) for term in detector.loss_terms(maps, targets)])
    gradients = tape.gradient(loss, [each.value for each in detector.trainable_variables])
    assert {each.dtype.name for each in [loss, *maps, *gradients]} == {"float32"}
    return float(loss), np.concatenate([each.numpy().ravel() for each in gradients])


def test_the_gradient_in_bfloat16_points_where_it_does_in_float32(policy):
    loss, gradient = loss_and_gradient(*detector_and_batch())
    policy("mixed_bfloat16")
    detector, images, targets = detector_and_batch()
    assert {each.convolution.compute_dtype for each in detector.convolutions} == {"bfloat16", "float32"}
    assert {each.dtype for each in detector.variables if "seed" not in each.path} == {"float32"}
    coarse_loss, coarse = loss_and_gradient(detector, images, targets)
    assert coarse_loss == pytest.approx(loss, rel=0.01)
    cosine = coarse @ gradient / np.linalg.norm(coarse) / np.linalg.norm(gradient)
    assert cosine > 0.99
    assert np.linalg.norm(coarse) == pytest.approx(np.linalg.norm(gradient), rel=0.05)


def test_heads_are_float32(policy):
    """What they give goes through an exponential: in bfloat16 a box would be off by up to a hundredth of its side."""
    policy("mixed_bfloat16")
    detector, images, _ = detector_and_batch()
    assert {head.convolution.compute_dtype for head in detector.heads} == {"float32"}
    maps = detector(images, training=False)
    assert any(np.any(raw.numpy() != tf.cast(tf.cast(raw, tf.bfloat16), tf.float32).numpy()) for raw in maps)


def test_batch_statistics_are_float32():
    """A mean of 100 and a deviation of 1: a sum in bfloat16 would lose them."""
    inputs = tf.cast(tf.constant(np.random.default_rng(0).normal(100, 1, (4, 16, 16, 2)), tf.float32), tf.bfloat16)
    layer = BatchNorm(momentum=0.0, dtype="mixed_bfloat16")
    layer.build(inputs.shape)
    outputs = layer(inputs, training=True)
    exact = tf.cast(inputs, tf.float32).numpy().astype(np.float64)
    np.testing.assert_allclose(layer.moving_mean.numpy(), exact.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.numpy(), exact.var((0, 1, 2)), rtol=1e-3)
    assert outputs.dtype == tf.bfloat16


def test_leaky_relu_and_its_gradient_from_its_output():
    inputs = tf.constant([-3.0, -0.5, 0.25, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = leaky_from_output(inputs)
    np.testing.assert_allclose(outputs, [-3 * LEAK, -0.5 * LEAK, 0.25, 2.0], rtol=1e-6)
    slopes = tape.gradient(outputs, inputs, output_gradients=tf.constant([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_allclose(slopes, [LEAK, 2 * LEAK, 3.0, 4.0], rtol=1e-6)


def test_training_and_inference_have_the_same_activation():
    layer = Convolution(3, 1, batch_norm=False)
    inputs = tf.constant(np.random.default_rng(0).normal(size=(1, 2, 2, 3)).astype(np.float32))
    np.testing.assert_array_equal(layer(inputs, training=True), layer(inputs, training=False))


def test_the_allocator_can_be_told_where_it_is_glibcs():
    import platform

    assert tune_allocator() == (platform.libc_ver()[0] == "glibc")


def test_another_system_is_left_alone(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    assert not tune_allocator()
