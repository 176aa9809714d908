"""Preparation of a run from Python: the network, its anchors, and the warning about shared images."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from tables import make_dataset

import yolo
from yolo.anchors import fit_anchors, fit_shapes, published_anchors, write_anchors
from yolo.datasets.digits import make_digits
from yolo.errors import ConfigError
from yolo.model.detector import Detector
from yolo.training.setup import anchor_advice, check_anchors, make_detector, network_options, warn_of_overlap

TINY = {"model": "yolov3-tiny", "size": 64}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return yolo.load_dataset(make_digits(tmp_path_factory.mktemp("digits"), train=8, val=4, size=64, seed=3), "train")


def test_anchors_are_fitted_unless_others_are_named(dataset, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        detector = make_detector(dataset, **TINY, seed=5)
    np.testing.assert_array_equal(detector.anchors, fit_anchors(dataset, 6, 64, seed=5))
    assert detector.classes == dataset.classes
    assert "anchors fitted to the boxes: mean IoU" in caplog.text
    published = published_anchors("yolov3-tiny-coco", 64)
    write_anchors(tmp_path / "own.txt", published * 2, origin="of a test", size=64)
    for wanted, expected in (
        ("yolov3-tiny-coco", published),
        (tmp_path / "own.txt", published * 2),
        (published * 3, published * 3),
    ):
        np.testing.assert_allclose(make_detector(dataset, **TINY, anchors=wanted).anchors, expected, rtol=1e-4)


def test_boxes_that_allow_no_fit_leave_the_networks_anchors(dataset, caplog):
    with caplog.at_level(logging.WARNING):
        detector = make_detector(replace(dataset, ignore=np.ones_like(dataset.ignore)), **TINY)
    assert "the network's own anchors are used" in caplog.text
    np.testing.assert_array_equal(detector.anchors, Detector("yolov3-tiny", classes=["a"], size=64).anchors)


def test_advice_about_anchors_is_never_what_was_done_already():
    line, square = np.array([[360.0, 12.0]]), np.full((6, 2), 100, np.float32)
    assert anchor_advice(line, square) == (
        "fit anchors to them (yolov3 train --anchors auto, yolo.fit_anchors), which leaves 0.0 %"
    )
    wild = np.array([[4.0**x, 4.0**y] for x in range(6) for y in range(6)])
    fitted = fit_shapes(wild, 2)
    assert anchor_advice(wild, fitted) == (
        "no 2 anchors fit so many different shapes: take a model with more of them (yolov3 has 9, yolov3-tiny 6), "
        "or fit twice as many (yolov3 anchors DATA --count 4 --out FILE, then --anchors FILE)"
    )


def test_boxes_of_one_long_shape_are_no_cause_for_a_warning(caplog):
    rows = [(picture, 0, 20, 74, 380, 86, 0) for picture in range(3)]
    dataset = make_dataset(rows, pictures=3, sizes=np.full((3, 2), 400, np.int32))
    with caplog.at_level(logging.INFO):
        check_anchors(make_detector(dataset, **TINY), dataset)
    assert "best possible recall 1.000" in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_weights_bring_their_network_anchors_and_size(dataset, tmp_path):
    source = Detector("yolov3-tiny", classes=["3", "cat"], size=96, letterbox="stretch", seed=1)
    source.save(tmp_path / "a.keras")
    detector = make_detector(dataset, weights=tmp_path / "a.keras")
    assert (detector.variant, detector.canvas, detector.letterbox) == ("yolov3-tiny", (96, 96), "stretch")
    np.testing.assert_array_equal(detector.anchors, source.anchors)
    np.testing.assert_array_equal(detector.convolutions[0].get_weights()[0], source.convolutions[0].get_weights()[0])
    smaller = make_detector(dataset, weights=tmp_path / "a.keras", size=64, letterbox="letterbox", anchors="auto")
    assert (smaller.canvas, smaller.letterbox) == ((64, 64), "letterbox")
    assert not np.array_equal(smaller.anchors, source.anchors)


@pytest.mark.parametrize(
    ("model", "cfg", "expected"),
    [(None, None, "yolov3"), ("yolov3-spp", None, "yolov3-spp"), (None, "a.cfg", "a.cfg"), ("b.cfg", "a.cfg", "b.cfg")],
)
def test_the_network_without_a_whole_detector_in_the_weights(model, cfg, expected):
    assert network_options(model, None, cfg) == {"model": expected}


def test_a_model_and_a_network_file_without_weights_are_one_too_many(dataset):
    with pytest.raises(ConfigError, match=r"model yolov3 and cfg net\.cfg are given, but no weights: give one of them"):
        make_detector(dataset, model="yolov3", cfg="net.cfg")


def test_shared_images_are_counted(dataset, caplog):
    warn_of_overlap(dataset.subset([0, 1]), dataset.subset([2, 3]))
    assert not caplog.messages
    warn_of_overlap(dataset.subset([0, 1]), dataset.subset([1, 2, 3]))
    assert caplog.messages == ["1 of the 3 validation pictures are trained on too: the metrics flatter"]
