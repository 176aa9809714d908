"""Automatic batch size, and advice after running out of memory."""

from __future__ import annotations

import gc
import mmap
from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from cfg_texts import STAGED

import yolo
from yolo.config import LossConfig, TrainConfig
from yolo.datasets.digits import make_digits
from yolo.datasets.pipeline.picture_loader import Loader
from yolo.datasets.pipeline.stream import TrainingStream
from yolo.distributed.devices import ONE, Devices
from yolo.distributed.hosts import Hosts
from yolo.errors import ConfigError
from yolo.model.detector import Detector
from yolo.system import device_memory
from yolo.system.device_memory import is_out_of_memory, peak_of
from yolo.system.used_memory import resident_memory
from yolo.training.engine import batch_size as fitting
from yolo.training.engine.batch_size import Need, choose_size, extrapolate, fitting_batch, measure_need
from yolo.training.optimizer.class_weights import with_class_weights

GB = 10**9


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return yolo.load_dataset(make_digits(tmp_path_factory.mktemp("digits"), train=12, val=2, size=64, seed=3), "train")


@pytest.fixture
def detector(dataset):
    return Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)


@pytest.mark.parametrize(
    ("most", "pictures", "replicas", "expected"),
    [
        (100, 1000, 1, 96),
        (10**6, 10**6, 1, 256),
        (100, 50, 1, 48),  # no larger than the dataset
        (7, 100, 1, 4),
        (1, 100, 1, 1),
        (10**6, 10**6, 64, 64 * 256),
        (100, 1000, 6, 96),
        (47, 1000, 3, 24),
        (9, 100, 3, 3),
        (4, 2, 4, 4),  # a picture each, although there are fewer
    ],
)
def test_sizes_to_choose_from(most, pictures, replicas, expected):
    assert choose_size(most, pictures, replicas) == expected


@pytest.mark.parametrize(("most", "replicas"), [(0, 1), (3, 4)])
def test_nothing_fits(most, replicas):
    with pytest.raises(ConfigError, match="not even one picture per device fits"):
        choose_size(most, 100, replicas)


def test_a_line_through_two_batches():
    """0.1 GB a picture and 1 GB whatever the batch, over 3 GB that were there; the first step took more."""
    peaks = {1: 9 * GB, 4: round(4.4 * GB), 8: round(4.8 * GB)}
    need = extrapolate(peaks, 3 * GB, 10 * GB)
    np.testing.assert_allclose(need, (GB, 0.1 * GB, 10 * GB), rtol=1e-6)
    assert need.most == 70  # (0.8 * 10 - 1) / 0.1
    two = extrapolate({1: round(4.1 * GB), 4: round(4.4 * GB)}, 3 * GB, 10 * GB)
    np.testing.assert_allclose(two, (GB, 0.1 * GB, 10 * GB), rtol=1e-6)
    with pytest.raises(ConfigError, match="not even one picture"):
        extrapolate({1: GB}, 0, GB)
    assert Need(9 * GB, GB, 10 * GB).most == 0


def test_the_peak_of_known_memory():
    """300 MB that are written to and given back: pages fresh from the system, where an array may get used ones."""
    with mmap.mmap(-1, 300 * 10**6) as pages:
        before = resident_memory()
        found = peak_of(partial(write_each_page, pages))
    assert found - before > 280e6  # Linux counts pages per processor and adds them up now and then
    if not the_peak_can_begin_anew():
        pytest.skip("this system only tells the peak since the process began")
    assert found - before < 340e6
    assert peak_of(gc.collect) < found - 200e6


def the_peak_can_begin_anew():
    try:
        device_memory.CLEAR_REFS.write_text("5")
    except OSError:
        return False
    return True


def write_each_page(pages):
    pages[:: mmap.PAGESIZE] = bytes(len(range(0, len(pages), mmap.PAGESIZE)))


def test_a_batch_is_chosen_by_measuring_steps(detector, dataset, monkeypatch, caplog):
    """Memory is ample: 8 is the largest batch for 12 pictures. The detector stays as it is."""
    before = detector.get_weights()
    with caplog.at_level("INFO"):
        assert fitting_batch(detector, dataset, TrainConfig(), ONE) == 8
    assert "batch 8: a step takes " in caplog.text
    for found, value in zip(detector.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, value)
    assert getattr(detector, "optimizer", None) is None
    monkeypatch.setattr(fitting, "memory_now", lambda: (resident_memory(), 0))
    monkeypatch.setattr(fitting, "take_steps", lambda *_: None)
    with pytest.raises(ConfigError, match="not even one picture"):
        fitting_batch(detector, dataset, TrainConfig(), ONE)


def test_steps_are_measured_on_the_largest_canvas_of_the_run(detector, dataset, monkeypatch):
    """64 px by up to 0.5: 32, 64 and 96 px; by up to 0.45: 64 px alone, where 1.45 squared would be twice as much."""
    seen = []
    monkeypatch.setattr(fitting, "take_steps", lambda twin, *_: seen.append(twin.canvas))
    measure_need(detector, dataset, TrainConfig(multi_scale=0.5))
    assert set(seen) == {(96, 96)}
    seen.clear()
    measure_need(detector, dataset, TrainConfig(multi_scale=0.45))
    assert set(seen) == {(64, 64)}


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (("none", 10**6, True), 10),
        (("disk", 10**6, True), 10),
        (("ram", 10**6, True), 5),  # half is the cache's, and it comes to that
        (("ram", 10_000, True), 10 - 10_000 * 64 * 64 * 3 / GB),  # it takes no more than all pictures do
        (("ram", 10**6, False), 10),  # the pictures are in another memory than the steps
    ],
)
def test_what_a_cache_may_take_is_not_free_for_steps(detector, monkeypatch, case, expected):
    cache, pictures, on_host = case
    monkeypatch.setattr(fitting, "take_steps", lambda *_: None)
    monkeypatch.setattr(fitting, "peak_of", lambda _: GB)
    monkeypatch.setattr(fitting, "memory_now", lambda: (GB, 10 * GB))
    monkeypatch.setattr(fitting, "memory_is_the_hosts", lambda: on_host)
    need = measure_need(detector, LikeDataset(pictures), TrainConfig(cache=cache))
    assert need.free == pytest.approx(expected * GB)


def test_what_the_run_survives_is_measured_too(detector, tmp_path, monkeypatch, caplog):
    """Class weights by their word, and a picture that cannot be read among the first."""
    folder = make_digits(tmp_path / "digits", train=12, val=2, size=64, seed=3)
    broken = yolo.load_dataset(folder, "train")
    broken.path(order_of(broken, TrainConfig())[0]).write_bytes(b"broken")
    losses = []
    monkeypatch.setattr(fitting, "take_steps", keep_loss(losses, fitting.take_steps))
    config = TrainConfig(loss=LossConfig(class_weights="balanced"))
    assert fitting_batch(detector, broken, config, ONE) == 8
    assert "another picture replaces it" in caplog.text
    assert losses[0] == with_class_weights(config.loss, broken)


def order_of(dataset, config):
    """The pictures of the first epoch."""
    stream = TrainingStream(Loader(dataset, "letterbox"), config.augment, seed=config.seed)
    return [stream.sources(position)[0] for position in range(len(dataset))]


def keep_loss(losses, take):
    def taking(detector, *arguments):
        losses.append(detector.loss_config)
        take(detector, *arguments)

    return taking


def test_devices_and_hosts(detector, monkeypatch):
    """60 pictures fit on this host's devices together, or on each of them; 17 on the other host's."""
    monkeypatch.setattr(fitting, "measure_need", lambda *_: Need(0, 0.08 * GB, 6 * GB))
    large = LikeDataset(1000)
    both = Devices(("gpu:0", "gpu:1"))
    assert fitting_batch(detector, large, TrainConfig(), both) == 56
    monkeypatch.setattr(fitting, "memory_is_the_hosts", lambda: False)
    assert fitting_batch(detector, large, TrainConfig(), both) == 120
    hosts = Hosts(0, 2)
    hosts.gather = lambda array: [array, np.array([17])]
    assert fitting_batch(detector, large, TrainConfig(), Devices(("gpu:0", "gpu:1"), hosts)) == 32


class LikeDataset:
    """As many pictures as are said."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count


def tensorflow_error():
    """Allocating in vain would take 10 seconds."""
    message = "{{function_node __wrapped__Fill}} OOM when allocating tensor with shape[100000000,10000000]"
    return tf.errors.ResourceExhaustedError(None, None, message)


def test_errors_that_say_so():
    assert is_out_of_memory(tensorflow_error())
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes"))
    assert not is_out_of_memory(RuntimeError("INVALID_ARGUMENT: shapes"))


def fail(*_, **__):
    raise tensorflow_error()


@pytest.mark.parametrize(("measured", "smaller"), [(5.0, 4), (100.0, 8)])
def test_a_run_that_does_not_fit_says_what_would(detector, dataset, monkeypatch, measured, smaller):
    """What was measured may be wrong: the batch that failed is not advised again."""
    monkeypatch.setattr(Detector, "fit", fail)
    monkeypatch.setattr(fitting, "measure_need", lambda *_: Need(0.0, 0.8, measured))
    message = rf"out of memory with 12 pictures of 64 x 64 per step; --batch {smaller} would fit"
    with pytest.raises(ConfigError, match=message):
        yolo.train(detector, dataset, out=None, epochs=1, batch=12)


def test_without_a_measurement_half_is_advised(detector, dataset, monkeypatch):
    monkeypatch.setattr(Detector, "fit", fail)
    monkeypatch.setattr(fitting, "measure_need", fail)
    with pytest.raises(ConfigError, match="out of memory with 9 pictures of 64 x 64 per step; --batch 4 would fit"):
        yolo.train(detector, dataset, out=None, epochs=1, batch=9)
    with pytest.raises(ConfigError, match="out of memory with 1 pictures of 64 x 64 per step; use a smaller --size"):
        yolo.train(detector, dataset, out=None, epochs=1, batch=1)


def test_a_run_keeps_the_batch_it_found(detector, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "measure_need", lambda *_: Need(0, GB, 20 * GB))
    yolo.train(detector, dataset, validation=dataset, epochs=1, batch="auto", out=tmp_path)
    assert detector.origin["config"]["batch"] == 8
