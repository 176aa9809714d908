"""Checks before training that every multi-scale canvas fits the network."""

from __future__ import annotations

import keras
import pytest
from cfg_texts import one_layer

from yolo.config import TrainConfig
from yolo.errors import ConfigError
from yolo.model.detector import Detector
from yolo.training.engine.preflight import check_canvases

COARSE = one_layer(64, side=128)
"""A network of stride 64, which only every second multiple of 32 suits."""


def test_a_keras_backbone_has_one_canvas():
    detector = Detector("keras:MobileNetV3Small", classes=["a", "b"], size=64)
    check_canvases(detector, TrainConfig())
    check_canvases(detector, TrainConfig(multi_scale=0.4))  # less than 32 px: the one canvas
    with pytest.raises(ConfigError, match=r"^model keras:MobileNetV3Small: .* fixed size; leave out multi_scale$"):
        check_canvases(detector, TrainConfig(multi_scale=0.5))


@pytest.mark.parametrize(
    ("size", "multi_scale", "message"),
    [
        # (96 + 2 - 3) // 64 + 1 = 2 cells of 64 px: they would be taken for a canvas of 128 px.
        (128, 0.25, r"multi_scale 0\.25 includes a canvas of 96 x 96: .*its stride of 64 does not divide it"),
        (512, 0.1, r"480 x 480: .*its stride of 64 does not divide it; leave it out"),
        (192, 0.2, r"160 x 160: net\.cfg:16: \[yolo\]: a grid of 3 x 3 does not divide the canvas .*; leave it out"),
    ],
)
def test_sizes_that_do_not_suit_a_darknet_file_are_found(size, multi_scale, message):
    detector = Detector("net.cfg", cfg=COARSE, classes=["a", "b"], size=size)
    check_canvases(detector, TrainConfig())
    with pytest.raises(ConfigError, match=message):
        check_canvases(detector, TrainConfig(multi_scale=multi_scale))


def test_sizes_that_suit_a_darknet_file_pass():
    text = COARSE.replace("stride=64", "stride=32")
    check_canvases(Detector("net.cfg", cfg=text, classes=["a", "b"]), TrainConfig(multi_scale=0.5))


def test_the_built_in_networks_take_every_canvas():
    """Which is why their graphs are not built in vain."""
    detector = Detector("yolov3-tiny", classes=["a"], size=64)
    nodes = len(detector.convolutions[0]._inbound_nodes)
    check_canvases(detector, TrainConfig(multi_scale=0.5))
    assert len(detector.convolutions[0]._inbound_nodes) == nodes
    for size in (32, 96):
        assert detector(keras.ops.zeros((1, size, size, 3)))[0].shape[1:3] == (size // 32, size // 32)
