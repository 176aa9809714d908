"""Keras files that announce more than they hold, descriptions of all kinds, damage, and numbers that are not finite."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
import zipfile

import h5py
import numpy as np
import pytest
from cfg_texts import YOLO, conv, sections
from narrow_networks import narrow_networks

import yolo
from yolo.errors import WeightsError
from yolo.model import detector as detectors
from yolo.model.detector import Detector
from yolo.weights.keras_archive import LARGEST_CONFIG, LARGEST_GROWTH, WEIGHTS_MEMBER
from yolo.weights.keras_files import load_matching
from yolo.weights.load import least_weights

TEXT = sections(conv(4, 3, batch_normalize=1, pad=1), conv(14), YOLO)


@pytest.fixture(scope="module")
def small():
    return Detector("a.cfg", cfg=TEXT, classes=["a", "b"])


@pytest.fixture
def file(small, tmp_path):
    small.save(tmp_path / "a.keras")
    return tmp_path / "a.keras"


def changed(path, members, *, compression=zipfile.ZIP_STORED):
    """The file with other contents of some members."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    other = path.with_name("b.keras")
    with zipfile.ZipFile(other, "w", compression) as archive:
        for name, content in (contents | members).items():
            archive.writestr(name, content)
    return other


def described(path, **changes):
    """The file with a changed description of its detector."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    config["config"] |= changes
    return changed(path, {"config.json": json.dumps(config)})


def weights_of(path, target):
    """The HDF5 file within another."""
    with zipfile.ZipFile(path) as archive:
        target.write_bytes(archive.read(WEIGHTS_MEMBER))
    return target


def spoil(path, value):
    """Put a number into the first kernel of an HDF5 file."""
    with h5py.File(path, "r+") as weights:
        places = []
        weights.visititems(lambda place, item: places.append(place) if isinstance(item, h5py.Dataset) else None)
        kernel = next(place for place in places if weights[place].ndim == 4)
        weights[kernel][0, 0, 0, 0] = value


@pytest.mark.parametrize("variant", ["cfg", "yolov3-tiny", "keras:MobileNetV3Small"])
def test_the_least_number_of_weights_is_no_more_than_there_are(small, variant):
    if variant == "cfg":
        made = small
    elif variant == "yolov3-tiny":
        made = Detector(variant, classes=["a"], size=64, anchors=[[9, 9]] * 6)
    else:
        with narrow_networks():
            made = Detector(variant, classes=["a"], size=64, anchors=[[9, 9]] * 3)
    least = least_weights(json.loads(json.dumps(made.get_config())))
    assert 0 < least <= made.count_params()
    if variant == "cfg":
        assert least == made.network.count_params()
    if variant == "yolov3-tiny":
        assert least > 0.99 * made.network.count_params()


# What is announced


def test_members_that_unpack_to_far_more_than_the_file_are_not_unpacked(file, monkeypatch):
    bomb = changed(file, {"more": bytes(1 << 26)}, compression=zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("unpacked"))
    for read in (yolo.load, lambda path: load_matching(None, path)):
        with pytest.raises(WeightsError, match=r"b\.keras: .*its members unpack to 65 MiB, far more than a file of"):
            read(bomb)


def test_a_file_that_is_merely_compressed_is_read(file, small):
    packed = changed(file, {}, compression=zipfile.ZIP_DEFLATED)
    for one, other in zip(yolo.load(packed).get_weights(), small.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("way", ["compressed", "not stored"])
def test_arrays_far_larger_than_the_file_are_not_read(file, tmp_path, way):
    content = weights_of(file, tmp_path / "a.h5")
    with h5py.File(content, "r+") as weights:
        options = {"compression": "gzip", "data": np.zeros(1 << 24)} if way == "compressed" else {"shape": (1 << 40,)}
        weights.create_dataset("layers/more", chunks=(1 << 20,), **options)
    assert content.stat().st_size < 2**20
    bomb = changed(file, {WEIGHTS_MEMBER: content.read_bytes()})
    for read in (yolo.load, lambda path: load_matching(None, path)):
        with pytest.raises(WeightsError, match=r"b\.keras: .*its arrays have [\d,]+ MiB, far more than a file of"):
            read(bomb)


def test_a_network_far_larger_than_its_weights_is_never_built(file, monkeypatch):
    monkeypatch.setattr(detectors, "assemble", lambda *_: pytest.fail("built"))
    for changes in (
        {"model": "yolov3", "cfg": None},
        {"model": "keras:MobileNetV3Small", "cfg": None, "classes": [str(each) for each in range(100_000)]},
        {"model": "keras:MobileNetV3Small", "cfg": None, "anchors": [[[1, 1]] * 100_000]},
        {"cfg": sections(conv(10_000), conv(100_000), conv(14), YOLO)},
    ):
        with pytest.raises(WeightsError, match=r"holds [\d,]+ numbers, the network that it describes has [\d,]+\)"):
            yolo.load(described(file, **changes))


# Descriptions


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 100_000, "its config.json is nested too deeply"),
        ('{"a":' * 100_000, "its config.json is nested too deeply"),
        (" " * (LARGEST_CONFIG + 1), "its config.json has 17 MiB, a detector's at most 16 MiB"),
        ("", "damaged"),
        ("9" * 5000, "damaged"),
        ("[]", "not a detector of this package"),
        ("null", "not a detector of this package"),
        (b"\xff\xfe\x00", "damaged"),
    ],
)
def test_descriptions_that_are_none(file, content, message, monkeypatch):
    monkeypatch.setattr("yolo.weights.keras_archive.LARGEST_GROWTH", 10_000)
    with pytest.raises(WeightsError, match=rf"b\.keras: .*{message}"):
        yolo.load(changed(file, {"config.json": content}))


WRONG = (None, -1, 10**400, "x", [], [[]], {"a": 1}, [[1, 2], [3]])


@pytest.mark.parametrize("key", ["model", "classes", "anchors", "size", "letterbox", "cfg", "nms", "seed", "name"])
@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:20])
def test_wrong_values_in_a_description(file, key, value):
    try:
        yolo.load(described(file, **{key: value}))
    except WeightsError as error:
        assert str(error).startswith(f"{file.with_name('b.keras')}: ")  # noqa: PT017 - some values will do
        assert len(str(error)) < len(str(file)) + 300  # noqa: PT017


def test_damaged_files_give_a_detector_or_a_weights_error(file):
    content, rng = file.read_bytes(), np.random.default_rng(0)
    path = file.with_name("b.keras")
    for _ in range(25):
        damaged = np.frombuffer(content, np.uint8).copy()
        places = rng.integers(0, len(damaged), rng.integers(1, 20))
        damaged[places] = rng.integers(0, 256, len(places))
        path.write_bytes(damaged.tobytes()[: rng.choice([len(content), rng.integers(1, len(content))])])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yolo.load(path)
        except WeightsError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017 - some damage does no harm


# Numbers


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(file, small, tmp_path, value):
    content = weights_of(file, tmp_path / "a.weights.h5")
    spoil(content, value)
    spoiled = changed(file, {WEIGHTS_MEMBER: content.read_bytes()})
    with pytest.raises(WeightsError, match=r"b\.keras: \S+kernel holds numbers that are not finite .*train again"):
        yolo.load(spoiled)
    for path in (spoiled, content):
        with pytest.raises(WeightsError, match=r"(b\.keras|a\.weights\.h5): \S+ holds numbers that are not finite"):
            load_matching(small, path)


LIMITED = """
import resource, sys, time
import keras, yolo, yolo.weights.load
with open("/proc/self/statm") as file:
    pages = int(file.read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 200 * 2**20, -1))
try:
    yolo.load(sys.argv[1])
except yolo.WeightsError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_half_a_gigabyte_in_half_a_megabyte_takes_no_memory(file):
    path = file.with_name("b.keras")
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", source.read("config.json"))
        with archive.open(WEIGHTS_MEMBER, "w", force_zip64=True) as member:
            for _ in range(2**29 >> 24):
                member.write(bytes(1 << 24))
    assert path.stat().st_size * LARGEST_GROWTH < 2**29
    command = [sys.executable, "-c", LIMITED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "its members unpack to 513 MiB, far more than a file of " in done.stdout
