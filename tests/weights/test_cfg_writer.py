"""Built-in networks written as Darknet files and read back."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest
from narrow_networks import narrow_networks

from yolo.config import NmsConfig
from yolo.errors import WeightsError
from yolo.model.detector import Detector
from yolo.model.networks.yolov3 import VARIANTS
from yolo.weights.cfg_writer import to_cfg
from yolo.weights.load import load


def randomised(detector, seed=0):
    """With numbers everywhere, none of them 0 or 1."""
    rng = np.random.default_rng(seed)
    detector.set_weights([rng.uniform(0.02, 0.1, each.shape) for each in detector.get_weights()])
    return detector


@pytest.mark.parametrize("model", VARIANTS)
def test_a_built_in_network_written_and_read_gives_the_same_outputs(model):
    with narrow_networks():
        detector = randomised(Detector(model, classes=["a", "b", "c"], size=(64, 96)))
    text = to_cfg(detector)
    again = Detector("net.cfg", cfg=text, classes=detector.classes)
    assert (again.canvas, again.letterbox) == ((64, 96), "letterbox")
    np.testing.assert_array_equal(again.anchors, detector.anchors)
    for ours, theirs in zip(detector.convolutions, again.convolutions, strict=True):
        theirs.set_weights(ours.get_weights())
    images = np.random.default_rng(1).integers(0, 256, (1, 64, 96, 3)).astype(np.float32)
    for ours, theirs in zip(detector(images), again(images), strict=True):
        np.testing.assert_array_equal(theirs, ours)
    assert to_cfg(again) == text
    assert again.architecture.backbone == detector.architecture.backbone


@pytest.mark.parametrize("model", VARIANTS)
def test_it_is_darknets_own_file_section_by_section(model, shared):
    """Same kinds in the same order, same routes: what pjreddie wrote by hand (his SPP pools run 5, 9, 13)."""
    theirs = (shared / "data" / "darknet" / f"{model}.cfg").read_text()
    with keras.StatelessScope(initialize_variables=False):  # its variables get no values
        ours = to_cfg(Detector(model, classes=[str(index) for index in range(80)], size=64))

    def structure(text):
        kinds = re.findall(r"^\[(\w+)\]", text, re.MULTILINE)
        lines = re.findall(r"^(filters|size|stride|from|activation)\s*=\s*(\S+)", text, re.MULTILINE)
        return kinds, sorted(lines)

    assert structure(ours)[0] == structure(theirs)[0]
    assert structure(ours)[1] == structure(theirs)[1]


def test_a_network_file_comes_back_as_it_was(shared):
    text = (shared / "data" / "darknet" / "MobileNetV2-YOLOv3-Nano-voc.cfg").read_text()
    detector = Detector("nano.cfg", cfg=text, classes=[str(index) for index in range(20)])
    assert to_cfg(detector) == text
    assert detector.architecture.backbone == 48


def test_other_layers_are_refused():
    detector = Detector("yolov3-tiny", classes=["a"], size=64)
    operation = type("Strange", (), {"name": "strange_1"})()
    from yolo.weights.cfg_writer import _Sections

    with pytest.raises(WeightsError, match="strange_1: a Strange layer cannot be written as Darknet's; save it as"):
        _Sections()._write_next(operation)
    assert detector.architecture.backbone == 7


GREEDY = "[net]\nheight=64\nwidth=64\n[convolutional]\nfilters=6\nsize=32\nstride=32\nactivation=linear\n" + (
    "[yolo]\nanchors=10,12\nclasses=1\nnum=1\nnms_kind=greedynms\nbeta_nms=0.60\n"
)


def test_the_kind_of_nms_goes_through_every_file(tmp_path, caplog):
    read = Detector("net.cfg", cfg=GREEDY, classes=["a"])
    assert read.nms == NmsConfig(kind="greedynms")
    assert to_cfg(read) == GREEDY
    read.save(tmp_path / "a.keras")
    assert load(tmp_path / "a.keras").nms == NmsConfig(kind="greedynms")
    other = Detector("net.cfg", cfg=GREEDY, classes=["a"], nms=NmsConfig(kind="diounms", beta=0.7))
    text = to_cfg(other)
    assert text == GREEDY.replace("greedynms", "diounms").replace("0.60", "0.7")
    assert Detector("net.cfg", cfg=text, classes=["a"]).nms == other.nms
    assert not caplog.records
    soft = Detector("net.cfg", cfg=GREEDY, classes=["a"], nms={"kind": "soft"})
    assert to_cfg(soft) == GREEDY
    assert caplog.messages == ["soft-NMS is no kind of Darknet's; the .cfg file keeps greedynms"]


def test_thresholds_of_an_older_file_are_of_the_default_kind():
    old = {"conf": 0.3, "iou": 0.5, "class_agnostic": False, "max_candidates": 1000, "max_detections": 300}
    detector = Detector("net.cfg", cfg=GREEDY, classes=["a"], nms=old)
    assert detector.nms == NmsConfig(conf=0.3, iou=0.5)


def test_a_built_in_network_is_written_with_its_kind_of_nms():
    detector = Detector("yolov3-tiny", classes=["a"], size=64, nms=NmsConfig(kind="diounms", beta=0.9))
    text = to_cfg(detector)
    assert text.count("[yolo]\nnms_kind=diounms\nbeta_nms=0.9\n") == 2
    assert Detector("net.cfg", cfg=text, classes=["a"]).nms == detector.nms
