"""`yolo.load`: which file is what, and what is said when it is not."""

from __future__ import annotations

import logging

import keras
import numpy as np
import pytest
from cfg_texts import two_scales

import yolo
from yolo.darknet.network import Convolution
from yolo.darknet.weights import ConvolutionWeights, Header, read_header, write_weights
from yolo.errors import ConfigError, WeightsError
from yolo.model.detector import Detector
from yolo.model.networks.yolov3 import VARIANTS
from yolo.weights import locate
from yolo.weights.darknet_files import get_weights, save_darknet_weights, settings_of
from yolo.weights.initialize import begin, read_source
from yolo.weights.load import load_first_convolutions, recognise
from yolo.weights.locate import is_darknet


@pytest.fixture(scope="module")
def tiny():
    """With other numbers everywhere."""
    detector = Detector("yolov3-tiny", classes=["a", "b", "c"], size=64)
    rng = np.random.default_rng(0)
    detector.set_weights([rng.uniform(0.01, 0.1, each.shape) for each in detector.get_weights()])
    return detector


@pytest.fixture(scope="module")
def tiny_file(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.weights"
    save_darknet_weights(tiny, path)
    return path


@pytest.mark.parametrize(
    ("model", "classes"), [("yolov3-tiny", 1), ("yolov3-tiny", 3), ("yolov3", 2), ("yolov3-spp", 2)]
)
def test_the_table_of_sizes_is_that_of_the_networks(model, classes):
    with keras.StatelessScope(initialize_variables=False):  # its variables get no values
        detector = Detector(model, classes=[str(index) for index in range(classes)], size=64)
    counted = sum(settings_of(layer).weights for layer in detector.convolutions)
    assert counted == VARIANTS[model].weights + classes * VARIANTS[model].weights_of_class == detector.count_params()


@pytest.mark.parametrize("header", [Header(0, 2, 0), Header(0, 1, 0)])
@pytest.mark.parametrize(("model", "classes"), [("yolov3", 80), ("yolov3", 1), ("yolov3-spp", 20), ("yolov3-tiny", 7)])
def test_built_in_networks_are_recognised_by_size(tmp_path, model, classes, header):
    path = tmp_path / "a.weights"
    size = header.size + 4 * (VARIANTS[model].weights + classes * VARIANTS[model].weights_of_class)
    with path.open("wb") as file:
        file.write(header.to_bytes())
        file.truncate(size)
    assert recognise(path) == (model, classes)
    with path.open("ab") as file:
        file.write(b"1234")
    with pytest.raises(WeightsError, match=f"{size + 4} bytes is the size of none of the networks"):
        recognise(path)


def test_a_recognised_file_is_loaded(tiny, tiny_file, caplog):
    with caplog.at_level(logging.INFO):
        loaded = yolo.load(tiny_file, names=["a", "b", "c"], size=64)
    for ours, theirs in zip(tiny.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(theirs, ours)
    assert (loaded.variant, loaded.classes, loaded.letterbox) == ("yolov3-tiny", ("a", "b", "c"), "letterbox")
    assert "recognised as yolov3-tiny of 3 classes by its size" in caplog.text
    assert loaded.origin["darknet"] == {"major": 0, "minor": 2, "revision": 5, "seen": 0}


def test_classes_without_names_are_numbered_and_told(tiny_file, caplog):
    with caplog.at_level(logging.WARNING):
        assert yolo.load(tiny_file, size=64).classes == ("class 0", "class 1", "class 2")
    assert "its 3 classes have no names; give a file of them (--names)" in caplog.text


def test_eighty_classes_are_cocos(tmp_path, caplog):
    settings = Convolution(255, 1, (1, 1), 0, 1, False, "linear", 3)
    cfg = (
        "[net]\nwidth=32\nheight=32\nchannels=3\n[convolutional]\nfilters=255\nactivation=linear\n"
        "[yolo]\nanchors=1,1,2,2,3,3\nclasses=80\nnum=3\n"
    )
    (tmp_path / "a.cfg").write_text(cfg)
    numbers = ConvolutionWeights(np.zeros(255, np.float32), np.zeros(settings.kernel_shape, np.float32))
    write_weights(tmp_path / "a.weights", Header(), [numbers])
    with caplog.at_level(logging.INFO):
        detector = yolo.load(tmp_path / "a.weights", cfg=tmp_path / "a.cfg")
    assert detector.classes[:2] == ("person", "bicycle")
    assert "its 80 classes are taken for person, ..." in caplog.text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("yolov3.weights", True),
        ("yolov3_final.weights", True),
        ("yolov3.backup", True),
        ("darknet53.conv.74", True),
        ("a.keras", False),
        ("a.h5", False),
        ("conv.74.keras", False),
    ],
)
def test_darknets_names(name, expected):
    assert is_darknet(name) is expected


def test_names_have_to_number_as_many_as_the_classes(tiny_file):
    with pytest.raises(ConfigError, match=r"names: 2 of them, but .*tiny\.weights has 3 classes"):
        yolo.load(tiny_file, names=["a", "b"])


def test_a_network_file_holds_no_weights():
    with pytest.raises(WeightsError, match=r"net\.cfg: describes a network and holds no weights; give its \.weights"):
        yolo.load("net.cfg")


def test_keras_files_take_another_canvas(tiny, tmp_path):
    tiny.save(tmp_path / "a.keras")
    loaded = yolo.load(tmp_path / "a.keras", size=96, letterbox="stretch")
    assert (loaded.canvas, loaded.letterbox) == ((96, 96), "stretch")
    with pytest.raises(ConfigError, match=r"cfg net\.cfg: .*a\.keras is not a Darknet \.weights file"):
        yolo.load(tmp_path / "a.keras", cfg="net.cfg")


def test_first_convolutions_are_for_training(tiny, tmp_path, caplog):
    path = tmp_path / "yolov3-tiny.conv.15"
    write_weights(path, Header(0, 2, 0, 99), get_weights(tiny)[:9])
    with pytest.raises(WeightsError, match=r"first layers of a network alone; begin a training from it"):
        yolo.load(path)
    assert read_source(str(path)) is None
    other = Detector("yolov3-tiny", classes=["x"], size=64, seed=5)
    fresh = [layer.get_weights() for layer in other.convolutions]
    with caplog.at_level(logging.INFO):
        begin(other, str(path))
    assert f"{path}: 9 of 13 convolutions loaded; the rest start from random weights" in caplog.text
    for index, (ours, theirs) in enumerate(zip(tiny.convolutions, other.convolutions, strict=True)):
        expected = ours.get_weights() if index < 9 else fresh[index]
        for a, b in zip(theirs.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_first_convolutions_of_another_network_are_refused(tiny, tmp_path):
    path = tmp_path / "darknet53.conv.74"
    write_weights(path, Header(), get_weights(tiny)[:4])
    other = Detector("net.cfg", cfg=two_scales(1), classes=["x"])
    with pytest.raises(WeightsError, match="the file ends within conv_4"):
        load_first_convolutions(other, path)


def test_published_names_are_downloaded(tiny_file, monkeypatch):
    asked = []

    def published_file(name, *, offline):
        asked.append((name, offline))
        return tiny_file

    monkeypatch.setattr(locate, "published_file", published_file)
    detector = yolo.load("yolov3-tiny-coco", names=["a", "b", "c"], size=64, offline=True)
    assert detector.variant == "yolov3-tiny"
    assert asked == [("yolov3-tiny-coco", True)]


def test_a_file_of_a_published_name_goes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "yolov3-coco").write_text("not weights")
    with pytest.raises(WeightsError, match=r"yolov3-coco: not a \.keras file"):
        yolo.load("yolov3-coco", offline=True)


def test_beginning_from_a_detector_says_what_went_over(tiny, caplog):
    other = Detector("yolov3-tiny", classes=["b", "z"], size=64, anchors=[[index, index] for index in range(1, 7)])
    with caplog.at_level(logging.INFO):
        begin(other, tiny)
    assert "layers loaded    13 of 13" in caplog.text
    assert "classes new      1 (z)" in caplog.text
    assert "the anchors differ from those of the weights" in caplog.text


def test_beginning_from_another_network_is_refused(tiny):
    with pytest.raises(WeightsError, match=r"the weights belong to another network \(yolov3-tiny\)"):
        begin(Detector("net.cfg", cfg=two_scales(1), classes=["a"]), tiny)


def test_a_count_too_large_for_its_header_gets_a_newer_one(tiny, tmp_path):
    tiny.origin = {"darknet": {"major": 0, "minor": 1, "revision": 0, "seen": 2**31}}
    save_darknet_weights(tiny, tmp_path / "a.weights")
    assert read_header(tmp_path / "a.weights") == Header(0, 2, 0, 2**31)
    tiny.origin = {"darknet": {"major": "x"}}
    with pytest.raises(WeightsError, match="record of its Darknet header is damaged"):
        save_darknet_weights(tiny, tmp_path / "a.weights")
    tiny.origin = {}


def test_a_backbone_alone_is_refused_before_it_is_downloaded(monkeypatch):
    monkeypatch.setattr(locate, "published_file", lambda *_, **__: pytest.fail("downloaded"))
    with pytest.raises(WeightsError, match="darknet53-imagenet: a backbone alone; begin a training from it"):
        yolo.load("darknet53-imagenet")


def test_layers_of_any_keras_model_are_a_beginning(tiny, tmp_path, caplog):
    """A model that is no detector, but has layers of the same names."""
    model = keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Conv2D(4, 3, name="conv_x")])
    model.save(tmp_path / "foreign.keras")
    assert read_source(str(tmp_path / "foreign.keras")) is None
    with pytest.raises(WeightsError, match="none of its 1 layers fits into yolov3-tiny"):
        begin(tiny, str(tmp_path / "foreign.keras"))
    tiny.save_weights(tmp_path / "tiny.weights.h5")
    other = Detector("yolov3-tiny", classes=["a", "b", "c"], size=64, seed=9)
    with caplog.at_level(logging.INFO):
        begin(other, str(tmp_path / "tiny.weights.h5"))
    np.testing.assert_array_equal(other.get_weights()[0], tiny.get_weights()[0])
    third = Detector("net.cfg", cfg=two_scales(1), classes=["a"])  # three of its layers have the same shapes
    with pytest.raises(WeightsError, match=r"belong to another network than net\.cfg; select theirs"):
        begin(third, str(tmp_path / "tiny.weights.h5"))
