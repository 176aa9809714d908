"""Options are checked when they are made."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from yolo.config import AugmentConfig, LossConfig, NmsConfig, TrainConfig, canvas_size
from yolo.errors import ConfigError


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (LossConfig, {"box_weight": -1}, r"loss\.box_weight must be >= 0, got -1"),
        (LossConfig, {"ignore_iou": 0}, r"loss\.ignore_iou must be in \(0, 1\]"),
        (LossConfig, {"label_smoothing": 1}, r"loss\.label_smoothing must be in \[0, 1\)"),
        (LossConfig, {"assign_iou": 1.5}, r"loss\.assign_iou must be in \(0, 1\)"),
        (AugmentConfig, {"flip": 2}, r"augment\.flip must be in 0\.\.1"),
        (AugmentConfig, {"hue": 0.6}, r"augment\.hue must be in 0\.\.0\.5"),
        (AugmentConfig, {"scale": 1}, r"augment\.scale must be in \[0, 1\)"),
        (NmsConfig, {"conf": 1.1}, r"conf must be in 0\.\.1"),
        (NmsConfig, {"iou": -0.1}, r"iou must be in 0\.\.1"),
        (NmsConfig, {"max_detections": 0}, "max_detections must be > 0"),
        (TrainConfig, {"epochs": 0}, "epochs must be > 0"),
        (TrainConfig, {"batch": -2}, "batch must be > 0"),
        (TrainConfig, {"learning_rate": 0.0}, "learning_rate must be > 0"),
        (TrainConfig, {"seed": -1}, "seed must be in"),
        (TrainConfig, {"momentum": 1}, "momentum must be in"),
    ],
)
def test_what_is_out_of_range_is_named(config, options, message):
    with pytest.raises(ConfigError, match=message):
        config(**options)


def test_options_do_not_change():
    with pytest.raises(FrozenInstanceError):
        TrainConfig().epochs = 3


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (416, (416, 416)),
        (np.int64(416), (416, 416)),
        ((320, 416), (320, 416)),
        ([32, 64], (32, 64)),
        (np.array([32, 64]), (32, 64)),
    ],
)
def test_canvas_sizes(size, expected):
    assert canvas_size(size) == expected


@pytest.mark.parametrize("size", [0, -32, 100, (416, 417), (32, 32, 32)])
def test_canvas_sizes_are_multiples_of_32(size):
    with pytest.raises(ConfigError, match="size must be"):
        canvas_size(size)
