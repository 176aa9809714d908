"""Which devices a run takes, and that several follow one."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from cfg_texts import STAGED
from processes import HELPERS, assert_same_run, start, succeed

from yolo.datasets.digits import make_digits
from yolo.distributed import devices
from yolo.distributed.devices import Devices, choose_devices, parse_devices
from yolo.distributed.hosts import Hosts
from yolo.errors import ConfigError
from yolo.model.backend import replicas
from yolo.model.detector import Detector
from yolo.training.engine.device_placement import on_devices
from yolo.training.run.checkpoint import Checkpoints

TWO_GPUS = {"gpu": ["gpu:0", "gpu:1"], "tpu": [], "cpu": ["cpu:0"]}
TWO_CPUS = {"gpu": [], "tpu": [], "cpu": ["cpu:0", "cpu:1"]}


@pytest.mark.parametrize(
    ("wanted", "there", "expected"),
    [
        (None, TWO_GPUS, ["gpu:0", "gpu:1"]),  # all GPUs
        (None, TWO_CPUS, ["cpu:0"]),
        ("gpus", TWO_GPUS, ["gpu:0", "gpu:1"]),
        ("cpus", TWO_CPUS, ["cpu:0", "cpu:1"]),
        ("gpu", TWO_GPUS, ["gpu:0"]),
        ("gpu:1", TWO_GPUS, ["gpu:1"]),
        ("GPU:1, gpu:0", TWO_GPUS, ["gpu:1", "gpu:0"]),
        ("cpu", TWO_GPUS, ["cpu:0"]),
        ("1", TWO_GPUS, ["gpu:0"]),
        ("2", TWO_CPUS, ["cpu:0", "cpu:1"]),
    ],
)
def test_what_a_text_means(wanted, there, expected):
    assert parse_devices(wanted, there) == expected


@pytest.mark.parametrize(
    "wanted", ["gpu:2", "tpus", "3", "0", "gpu:0,gpu:0", "gpu:0,cpu:0", "cuda:0", "gpu:0,", "gpu:-1"]
)
def test_devices_that_are_not_there(wanted):
    with pytest.raises(ConfigError, match=r"there are gpu:0, gpu:1, cpu:0$") as caught:
        parse_devices(wanted, TWO_GPUS)
    assert f"--devices {wanted}:" in str(caught.value)


def test_the_batch_has_to_be_shared_out_evenly():
    both = Devices(("gpu:0", "gpu:1"), Hosts(0, 3))
    assert both.replicas == 6
    both.check_batch(12)
    with pytest.raises(ConfigError, match=r"a multiple of the 6 devices \(try 18\), got 16"):
        both.check_batch(16)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((None, 8, 1), 4),  # of six GPUs; the default batch
        ((None, 12, 1), 6),
        ((None, 7, 1), 1),
        ((None, 24, 2), 6),
        ((None, 16, 2), 4),
        ((None, 9, 2), 6),  # no number of them does: refused as ever
        ((None, None, 1), 6),
        (("gpus", 8, 1), 6),  # named: as many as are named, or none
    ],
)
def test_as_many_devices_as_share_a_batch_evenly(options, expected, monkeypatch, caplog):
    wanted, batch, world = options
    there = {"gpu": [f"gpu:{index}" for index in range(6)], "tpu": [], "cpu": ["cpu:0"]}
    monkeypatch.setattr(devices, "available", there.__getitem__)
    hosts = Hosts(0, world)
    monkeypatch.setattr(hosts, "all_gather_text", lambda text: [text] * world)
    monkeypatch.setattr(devices, "present_hosts", lambda: hosts)
    chosen = choose_devices(wanted, batch)
    assert chosen.names == (() if world == expected == 1 else tuple(there["gpu"][:expected]))
    assert chosen.everywhere == (tuple(there["gpu"][:expected]),) * world
    assert ("devices" in caplog.text) == (expected < 6)
    if options == (None, 8, 1):
        assert caplog.messages == [
            "training on 4 of the 6 devices, as a batch of 8 cannot be shared out evenly among all: "
            "give a --batch that is a multiple of 6"
        ]


def test_the_only_device_is_the_backends_own_choice():
    assert choose_devices().names == ()
    assert choose_devices("cpu:0").names == ()


def test_the_law_in_numbers(monkeypatch):
    """Sums of two replicas' shares against the same of the whole, with the replicas played one after the other."""
    rng = np.random.default_rng(0)
    whole = rng.normal(3, 2, (4, 5, 6, 7)).astype(np.float32)
    shares = np.split(whole, 2)
    squares = sum(((share - whole.mean((0, 1, 2))) ** 2).sum((0, 1, 2)) for share in shares)
    totals = iter([whole.sum((0, 1, 2)), squares])
    monkeypatch.setattr(replicas, "replicas", lambda: 2)
    monkeypatch.setattr(replicas, "sum_over_replicas", lambda values: [next(totals) for _ in values])
    mean, variance = replicas.moments_over_replicas(shares[0])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(mean), whole.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(variance), whole.var((0, 1, 2)), rtol=1e-5)
    assert replicas.share_of_mean(6.0) == 3.0


def test_padded_batches():
    images = np.full((5, 2, 2, 3), 7, np.uint8)
    filled = replicas.pad_batch(images, 4)
    assert filled.shape == (8, 2, 2, 3)
    assert filled.reshape(8, -1).max(1).tolist() == [7] * 5 + [0] * 3
    np.testing.assert_array_equal(replicas.pad_batch(images[:4], 4), images[:4])


def test_a_twin_is_trained_in_place_of_the_detector(monkeypatch):
    """It has the weights and what is frozen; what it learns, until Ctrl-C too, the detector gets."""
    detector = Detector("net.cfg", cfg=STAGED, classes=("a", "b"), seed=3)
    detector.convolutions[0].trainable = False
    before = detector.get_weights()
    monkeypatch.setattr(devices.Devices, "scope", lambda self: devices.nullcontext())  # noqa: ARG005
    elsewhere = Devices(("cpu:0", "cpu:1"))

    def learn(twin, error=None):
        assert twin is not detector
        assert [layer.trainable for layer in twin.convolutions] == [False, True, True, True]
        twin.set_weights([value + 1 for value in twin.get_weights()])
        twin.origin = {"learned": True}
        if error is not None:
            raise error

    with pytest.raises(RuntimeError), on_devices(detector, elsewhere) as twin:
        learn(twin, RuntimeError())
    np.testing.assert_array_equal(detector.get_weights()[0], before[0])
    with pytest.raises(KeyboardInterrupt), on_devices(detector, elsewhere) as twin:
        learn(twin, KeyboardInterrupt())
    with on_devices(detector, elsewhere) as twin:
        learn(twin)
    for found, value in zip(detector.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, value + 1 + 1)
    assert detector.origin == {"learned": True}
    with on_devices(detector, Devices(())) as same:
        assert same is detector


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return make_digits(tmp_path_factory.mktemp("digits"), train=8, val=5, size=64, seed=3)


RUNS = [
    *("cpu:0/sgd", "cpu:0,cpu:1/sgd"),
    *("cpu:0/adamw/2/0.5", "cpu:0,cpu:1/adamw/2/0.5"),  # accumulated gradients and changing canvases: code of ours
    "cpu:0,cpu:1/sgd/2/0/mixed_float16",
]


@pytest.fixture(scope="module")
def runs(digits, tmp_path_factory):
    """The folder of `RUNS`, by their place in the list; on TensorFlow (those on JAX are in test_hosts.py)."""
    folder = tmp_path_factory.mktemp("runs")
    succeed(start(HELPERS / "device_runs.py", digits, folder, *RUNS, backend="tensorflow"), seconds=600)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("one", [0, 2])
def test_two_devices_follow_one(runs, one):
    """Clipped gradients, batch norm, momentum, decay, averages and the mean losses; five pictures to validate on."""
    assert_same_run(runs / str(one + 1), runs / str(one), tolerance=1e-5)


@pytest.mark.slow
def test_two_devices_in_float16(runs):
    """The loss is scaled for both of them together, and the scale is in the checkpoint."""
    last = Checkpoints(runs / "4").latest()
    assert last.step == 4
    assert last.meta["precision"] == "mixed_float16"
    assert 1 < last.arrays["optimizer/sgd/loss_scale"] <= 2**15
    assert all(np.isfinite(row["loss"]) for row in last.meta["state"]["history"])
