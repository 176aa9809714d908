"""Options are checked when they are made."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from yolo.config import AugmentConfig, LossConfig, NmsConfig, TrainConfig, canvas_size
from yolo.config_types import Range
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
        (TrainConfig, {"momentum": float("nan")}, r"momentum must be in \[0, 1\), got nan"),
        (TrainConfig, {"weight_decay": float("nan")}, "weight_decay must be >= 0, got nan"),
        (TrainConfig, {"step_at": [0.5, 1.0]}, r"step_at must be in \(0, 1\), got \[0\.5, 1\.0\]"),
        (LossConfig, {"class_weights": [1.0, -1.0]}, r"loss\.class_weights must be >= 0, got \[1\.0, -1\.0\]"),
        (AugmentConfig, {"shear": 45}, r"augment\.shear must be in \[0, 45\), got 45"),
        (TrainConfig, {"freeze": 3, "unfreeze_at": 0}, "unfreeze_at must be > 0, got 0"),
    ],
)
def test_what_is_out_of_range_is_named(config, options, message):
    with pytest.raises(ConfigError, match=message):
        config(**options)


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (LossConfig, {"box": "eiou"}, r"loss\.box must be one of giou, diou, ciou, squared, got 'eiou'"),
        (LossConfig, {"objectness_target": "x"}, r"loss\.objectness_target must be one of one, iou, got 'x'"),
        (LossConfig, {"class_weights": "even"}, r"balanced or a list, each a number or null, got 'even'"),
        (LossConfig, {"class_weights": [1, "2"]}, r"loss\.class_weights must be balanced or a list"),
        (LossConfig, {"assign_iou": "0.3"}, r"loss\.assign_iou must be a number or null, got '0\.3'"),
        (TrainConfig, {"optimizer": "adam"}, "optimizer must be one of adamw, sgd, got 'adam'"),
        (TrainConfig, {"schedule": "linear"}, "schedule must be one of cosine, step, constant, got 'linear'"),
        (TrainConfig, {"schedule": None}, "schedule must be one of cosine, step, constant, got None"),
        (TrainConfig, {"schedule": ["step"]}, "schedule must be one of"),
        (TrainConfig, {"cache": "memory"}, "cache must be one of none, ram, disk"),
        (TrainConfig, {"batch": 4.5}, r"batch must be a whole number or auto, got 4\.5"),
        (TrainConfig, {"batch": "all"}, "batch must be a whole number or auto, got 'all'"),
        (TrainConfig, {"epochs": True}, "epochs must be a whole number, got True"),
        (TrainConfig, {"epochs": np.float32(3)}, "epochs must be a whole number"),
        (TrainConfig, {"unfreeze_at": 1.5, "freeze": "neck"}, "unfreeze_at must be a whole number or null"),
        (TrainConfig, {"learning_rate": "1e-4"}, "learning_rate must be a number or null, got '1e-4'"),
        (TrainConfig, {"step_at": 0.5}, "step_at must be a list, each a number, got 0.5"),
        (TrainConfig, {"loss": {"box": "giou"}}, "loss must be a LossConfig"),
        (AugmentConfig, {"no_flip": "b"}, r"augment\.no_flip must be a list, each text, got 'b'"),
        (AugmentConfig, {"swap_on_flip": ["a", "b"]}, r"augment\.swap_on_flip must be names with values"),
        (AugmentConfig, {"albumentations": 3}, r"augment\.albumentations must be text or null"),
        (NmsConfig, {"max_detections": 2.0}, "max_detections must be a whole number"),
        (NmsConfig, {"class_agnostic": "no"}, "class_agnostic must be true or false"),
    ],
)
def test_what_is_of_another_kind_is_named_with_all_there_is(config, options, message):
    with pytest.raises(ConfigError, match=message):
        config(**options)


@pytest.mark.parametrize(
    ("limits", "in_messages", "in_help", "inside", "outside"),
    [
        (Range(0), ">= 0", ">= 0", [0, 1e9], [-0.1, float("nan")]),
        (Range(0, above=True), "> 0", "> 0", [0.1], [0]),
        (Range(0, 1), "in 0..1", "0 to 1", [0, 1], [-0.1, 1.1]),
        (Range(0, 1, below=True), "in [0, 1)", "0 to <1", [0, 0.9], [1]),
        (Range(0, 1, above=True), "in (0, 1]", ">0 to 1", [0.1, 1], [0]),
        (Range(0, 1, above=True, below=True), "in (0, 1)", ">0 to <1", [0.5, [0.1, 0.9]], [0, 1, [0.5, 1]]),
    ],
)
def test_ranges(limits, in_messages, in_help, inside, outside):
    assert (str(limits), limits.in_words()) == (in_messages, in_help)
    assert all(limits.holds(value) for value in [*inside, None, "auto", []])
    assert not any(limits.holds(value) for value in outside)


def test_numbers_of_numpy_become_pythons():
    config = TrainConfig(epochs=np.int64(3), batch=np.uint8(4), momentum=np.float32(0.5), ema=np.float64(0.5), seed=2)
    values = [config.epochs, config.batch, config.momentum, config.ema, config.seed]
    assert values == [3, 4, 0.5, 0.5, 2]
    assert [type(each) for each in values] == [int, int, float, float, int]


def test_whole_numbers_are_numbers():
    assert TrainConfig(warmup_epochs=2, clip_norm=0, step_at=(0.5,)).warmup_epochs == 2


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
