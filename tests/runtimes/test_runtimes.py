"""Detections are the same whatever runs the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import yolo
from yolo.config import NmsConfig
from yolo.model.inference import inference_network
from yolo.runtimes.load import load_detector

NMS = NmsConfig(conf=0.05)


@pytest.fixture(scope="module")
def detector() -> yolo.Detector:
    """A small network whose batch norms and heads are far from their initial values."""
    made = yolo.Detector("yolov3-tiny", classes=["a", "b", "c"], size=96)
    random = np.random.default_rng(0)
    for layer in made.convolutions:
        if layer.batch_norm is not None:
            norm = layer.batch_norm
            for variable in (norm.gamma, norm.moving_variance):
                variable.assign(random.uniform(0.5, 1.5, variable.shape))
            for variable in (norm.beta, norm.moving_mean):
                variable.assign(random.normal(0, 0.1, variable.shape))
    noise = random.uniform(0, 255, (1, 96, 96, 3)).astype(np.float32)
    for head, raw in zip(made.heads, made(noise), strict=True):
        kernel, bias = head.get_weights()
        head.set_weights([kernel / np.std(raw), random.normal(-1, 0.5, bias.shape)])  # no score near 1, where all tie
    return made


def test_folding_batch_norm_changes_nothing(detector: yolo.Detector) -> None:
    images = np.random.default_rng(1).uniform(0, 255, (2, 96, 96, 3)).astype(np.float32)
    folded = inference_network(detector)(images)
    for raw, expected in zip(folded, detector(images), strict=True):
        np.testing.assert_allclose(np.reshape(raw, expected.shape), expected, atol=1e-4)


def test_openvino_finds_what_keras_finds(
    detector: yolo.Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOLO_CACHE", str(tmp_path / "cache"))
    detector.save(tmp_path / "model.keras")
    images = [np.random.default_rng(seed).integers(0, 256, (80, 60 + seed, 3), np.uint8) for seed in range(3)]
    other = load_detector(tmp_path / "model.keras", runtime="openvino", precision="float32")
    assert other.classes == detector.classes
    for found, expected in zip(other.detect_images(images, NMS), detector.detect_images(images, NMS), strict=True):
        assert len(found) > 0
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.01)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
