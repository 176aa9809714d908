"""Weights of Keras files by layer name: both layouts, the backbone, mismatches, damaged files."""

from __future__ import annotations

import shutil
import zipfile
from contextlib import suppress

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from narrow_networks import narrow_networks, shallow_efficientnet

from yolo.errors import WeightsError
from yolo.model.detector import Detector
from yolo.weights.keras_files import load_matching


@pytest.fixture(scope="module", autouse=True)
def narrow():
    """A narrow neck: the backbones are what is tested."""
    with narrow_networks():
        yield


def classifier(**options):
    """A Keras classifier of the same family as the detector's backbone."""
    return keras.applications.MobileNetV3Small(weights=None, input_shape=(96, 96, 3), classes=7, **options)


@pytest.fixture(scope="module")
def source():
    return classifier()


def detector(model="keras:MobileNetV3Small", **options):
    return Detector(model, **{"classes": ["a", "b"], "size": 64, **options})


def weights_of(network):
    """Every layer's weights by the path of its variables, nested models included."""
    found = {}
    for weight in network.weights:
        found.setdefault(weight.path.rpartition("/")[0], []).append(np.asarray(weight.value))
    return found


def assert_equal(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_classifiers_weights_go_into_the_backbone(tmp_path, source, suffix):
    path = tmp_path / f"classifier{suffix}"
    source.save_weights(path) if suffix == ".weights.h5" else source.save(path)
    ours = detector()
    before = weights_of(ours.network)
    report = load_matching(ours, path)
    theirs, after = weights_of(source), weights_of(ours.network)
    shared = [name for name in after if name in theirs]
    assert sorted(report.loaded) == sorted(shared)
    assert len(shared) > 60
    for name in after:
        assert_equal(after[name], theirs[name] if name in theirs else before[name])
    skipped = {name.rpartition("/")[2]: reason for name, reason in report.skipped}
    assert skipped == {"conv_2": "no layer here has this name", "logits": "no layer here has this name"}


def test_heads_of_other_classes_are_skipped_with_their_shapes(tmp_path):
    other = detector("yolov3-tiny", classes=["x", "y", "z"], seed=5)
    other.save(tmp_path / "other.keras")
    ours = detector("yolov3-tiny")
    report = load_matching(ours, tmp_path / "other.keras")
    heads = [("conv_9/convolution", "its shape is 1x1x512x24, here 1x1x512x21")]
    heads += [("conv_12/convolution", "its shape is 1x1x256x24, here 1x1x256x21")]
    assert sorted(report.skipped) == sorted(heads)
    theirs, mine = weights_of(other.network), weights_of(ours.network)
    assert len(report.loaded) == 2 * 11  # convolution and batch norm
    for name in report.loaded:
        assert_equal(theirs[name], mine[name])


def test_a_name_that_fits_several_layers_fits_none(tmp_path):
    def convolution(name):
        layer = layers.Conv2D(16, 3, use_bias=False, kernel_initializer="ones", name="convolution")
        return keras.Sequential([keras.Input((8, 8, 3)), layer], name=name)

    ours = detector("yolov3-tiny")
    convolution("any").save_weights(tmp_path / "alone.weights.h5")
    with pytest.raises(WeightsError, match="convolution: 13 layers here have this name"):
        load_matching(ours, tmp_path / "alone.weights.h5")
    outer = keras.Sequential([keras.Input((8, 8, 3)), convolution("conv_0")])
    outer.save_weights(tmp_path / "within.weights.h5")
    assert load_matching(ours, tmp_path / "within.weights.h5").loaded == ["conv_0/convolution"]
    assert (np.asarray(ours.convolutions[0].convolution.kernel) == 1).all()


def legacy(path, entries):
    """A file as Keras 1 and 2 wrote it: {layer: {weight name: array}}."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in entries]
        for layer, arrays in entries.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in arrays]
            for name, array in arrays.items():
                group[name] = array


def test_names_of_the_first_keras(tmp_path):
    kernel, bias = np.full((3, 3, 3, 64), 2, np.float32), np.full(64, 3, np.float32)
    legacy(
        tmp_path / "vgg.h5",
        {
            "block1_conv1": {"block1_conv1_W_1:0": kernel, "block1_conv1_b_1:0": bias},
            "block1_conv2": {"block1_conv2/kernel:0": kernel},  # of another shape
            "block1_pool": {},
        },
    )
    ours = detector("keras:VGG16")
    report = load_matching(ours, tmp_path / "vgg.h5")
    assert report.loaded == ["block1_conv1"]
    assert report.skipped == [("block1_conv2", "its shape is 3x3x3x64, here 3x3x64x64")]
    first = ours.network.get_layer("backbone").get_layer("block1_conv1")
    assert_equal(first.get_weights(), [kernel, bias])


def test_the_normalization_of_pictures_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(keras.applications, "EfficientNetB0", shallow_efficientnet)
    trained = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(64, 64, 3))
    trained.save_weights(tmp_path / "efficient.weights.h5")
    ours = detector("keras:EfficientNetB0")
    report = load_matching(ours, tmp_path / "efficient.weights.h5")
    assert [name.partition("/")[0].rstrip("_0123456789") for name, _ in report.skipped] == ["normalization"]
    own = next(each for each in ours.network.get_layer("backbone").layers if isinstance(each, layers.Normalization))
    np.testing.assert_allclose(own.adapt_mean, [0.485, 0.456, 0.406], rtol=1e-6)


def test_numbers_that_are_not_finite_are_skipped(tmp_path):
    kernel = np.full((3, 3, 3, 64), np.nan, np.float32)
    legacy(tmp_path / "a.h5", {"block1_conv1": {"kernel:0": kernel, "bias:0": np.zeros(64, np.float32)}})
    with pytest.raises(WeightsError, match="not finite"):
        load_matching(detector("keras:VGG16"), tmp_path / "a.h5")


# Faults


@pytest.fixture(scope="module")
def tiny():
    return detector("yolov3-tiny")


def test_nothing_matches(tmp_path, tiny, source):
    source.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(WeightsError, match=r"a.weights.h5: none of its \d+ layers fits into yolov3-tiny; "):
        load_matching(tiny, tmp_path / "a.weights.h5")


def test_the_file_is_missing_or_of_another_kind(tmp_path, tiny):
    with pytest.raises(WeightsError, match="no such file"):
        load_matching(tiny, tmp_path / "none.h5")
    (tmp_path / "a.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(WeightsError, match="not a Keras file by its name"):
        load_matching(tiny, tmp_path / "a.pkl")


@pytest.mark.parametrize("name", ["a.h5", "a.weights.h5", "a.keras"])
@pytest.mark.parametrize("content", [b"", b"hello" * 100, b"PK\x03\x04" + bytes(50), b"\x89HDF\r\n\x1a\n" + bytes(90)])
def test_damaged_files(tmp_path, tiny, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=r"a\.\S+: .*damaged"):
        load_matching(tiny, tmp_path / name)


def test_a_file_cut_short_or_with_wrong_bytes_never_escapes_as_another_error(tmp_path, tiny):
    tiny.save_weights(tmp_path / "whole.weights.h5")
    content = (tmp_path / "whole.weights.h5").read_bytes()
    path = tmp_path / "cut.weights.h5"
    rng = np.random.default_rng(0)
    for length in (100, 1000, 10_000, len(content) // 2):
        path.write_bytes(content[:length])
        with pytest.raises(WeightsError):
            load_matching(tiny, path)
    for _ in range(20):
        damaged = np.frombuffer(content[:20_000], np.uint8).copy()
        damaged[rng.integers(0, len(damaged), 200)] = rng.integers(0, 256, 200)
        path.write_bytes(damaged.tobytes() + content[20_000:])
        with suppress(WeightsError):
            load_matching(tiny, path)


def test_links_into_other_files_are_refused(tmp_path, tiny):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["kernel"] = np.zeros((3, 3, 3, 16), np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["layer_names"] = [b"conv_0"]
        file.create_group("conv_0").attrs["weight_names"] = [b"conv_0/convolution/kernel"]
        file["conv_0/conv_0/convolution/kernel"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "kernel")
    with pytest.raises(WeightsError, match="is a link"):
        load_matching(tiny, tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.weights.h5", "w") as file:
        group = file.create_group("layers/convolution/convolution/vars")
        group.attrs["name"] = "convolution"
        file.create_group("layers/convolution/vars").attrs["name"] = "conv_0"
        raw = [(str(tmp_path / "secret.bin"), 0, 3 * 3 * 3 * 16 * 4)]
        group.create_dataset("0", (3, 3, 3, 16), "f4", external=raw)
    with pytest.raises(WeightsError, match="no numbers of its own"):
        load_matching(tiny, tmp_path / "b.weights.h5")


def test_an_array_that_declares_more_than_it_holds_is_not_read(tmp_path, tiny):
    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        group = file.create_group("layers/convolution/convolution/vars")
        group.attrs["name"] = "convolution"
        file.create_group("layers/convolution/vars").attrs["name"] = "conv_0"
        group.create_dataset("0", (1 << 20, 1 << 20), "f4", chunks=(1024, 1024), compression="gzip")
    with pytest.raises(WeightsError, match=r"a\.weights\.h5: .*its arrays have 4,194,304 MiB, far more than a file of"):
        load_matching(tiny, tmp_path / "a.weights.h5")
    with zipfile.ZipFile(tmp_path / "b.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(1 << 24))
    with pytest.raises(WeightsError, match=r"its members unpack to 16 MiB, far more than a file of [\d,]+ bytes holds"):
        load_matching(tiny, tmp_path / "b.keras")


def test_a_keras_file_without_weights(tmp_path, tiny):
    tiny.save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "b.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(WeightsError, match=r"b\.keras: .*model\.weights\.h5"):
        load_matching(tiny, tmp_path / "b.keras")
    shutil.copy(tmp_path / "a.keras", tmp_path / "c.h5")  # by its name another kind
    with pytest.raises(WeightsError, match="damaged"):
        load_matching(tiny, tmp_path / "c.h5")
