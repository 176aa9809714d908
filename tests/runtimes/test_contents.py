"""Networks that give predictions or detections, or take a fixed number of images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from yolo.config import NmsConfig
from yolo.conversion.description import Description
from yolo.errors import ConfigError
from yolo.ops.host_nms import decode_and_suppress
from yolo.runtimes.detector import RuntimeDetector

OWN = NmsConfig(conf=0.3, iou=0.5)
DESCRIPTION = Description(
    model="test",
    classes=("a", "b"),
    canvas=(64, 96),
    letterbox="letterbox",
    strides=(32,),
    anchors=(((20.0, 30.0), (40.0, 20.0)),),
    nms=OWN,
)


class Recorded:
    """Network whose outputs are given, which keeps the sizes of its batches."""

    runtime, precision, parallel = "test", "float32", 1

    def __init__(self, outputs: Any):
        self.outputs, self.batches = outputs, list[int]()

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        self.batches.append(len(images))
        first = int(images[0, 0, 0, 0])
        return [
            np.resize(output[first : first + len(images)], (len(images), *output.shape[1:])) for output in self.outputs
        ]


@pytest.fixture
def maps() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 2, (5, 2, 3, 14)).astype(np.float32)


@pytest.fixture
def images() -> np.ndarray:
    """Images whose first number is their index."""
    return np.ones((5, 64, 96, 3), np.float32) * np.arange(5, dtype=np.float32)[:, None, None, None]


def predictions(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and scores by the formulas of YOLOv3, section 2.1, in plain numpy."""
    raw = maps.reshape(5, 2, 3, 2, 7).astype(np.float64)
    row, column = np.mgrid[:2, :3]
    cell = np.stack([column, row], -1)[None, :, :, None]
    centre = (1 / (1 + np.exp(-raw[..., :2])) + cell) * 32
    half = np.exp(raw[..., 2:4]) * np.array(DESCRIPTION.anchors[0]) / 2
    scores = 1 / (1 + np.exp(-raw[..., 4:5])) / (1 + np.exp(-raw[..., 5:]))
    boxes = np.concatenate([centre - half, centre + half], -1)
    return boxes.reshape(5, 12, 4).astype(np.float32), scores.reshape(5, 12, 2).astype(np.float32)


def test_predictions_are_suppressed_as_raw_maps_are(maps: np.ndarray, images: np.ndarray) -> None:
    nms = replace(OWN, conf=0.1)
    network = Recorded(predictions(maps))
    found = RuntimeDetector(replace(DESCRIPTION, contents="predictions"), network).find(images, nms)
    expected = decode_and_suppress([maps], DESCRIPTION.slots_on((64, 96)), nms)
    assert expected.valid.sum() > 10
    for own, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("batch", [2, 4, 8])
def test_a_fixed_batch_is_padded(batch: int, maps: np.ndarray, images: np.ndarray) -> None:
    network = Recorded([maps])
    found = RuntimeDetector(replace(DESCRIPTION, batch=batch), network).find(images)
    expected = RuntimeDetector(DESCRIPTION, Recorded([maps])).find(images)
    assert network.batches == [batch] * -(-5 // batch)
    for own, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(own, other)


def detections() -> list[np.ndarray]:
    scores = np.array([[0.9, 0.5, 0.0]] * 5, np.float32)
    boxes = np.arange(5 * 3 * 4, dtype=np.float32).reshape(5, 3, 4)
    return [boxes, scores, np.ones((5, 3), np.int32), scores > 0]


def test_a_higher_threshold_filters_detections(images: np.ndarray) -> None:
    detector = RuntimeDetector(replace(DESCRIPTION, contents="detections"), Recorded(detections()))
    assert detector.find(images).valid.tolist() == [[True, True, False]] * 5
    found = detector.find(images, replace(OWN, conf=0.6))
    assert found.valid.tolist() == [[True, False, False]] * 5
    assert found.boxes[0].tolist() == [[0, 1, 2, 3], [0] * 4, [0] * 4]
    assert found.scores[0].tolist() == pytest.approx([0.9, 0, 0])


@pytest.mark.parametrize("changes", [{"conf": 0.2}, {"iou": 0.4}, {"class_agnostic": True}, {"kind": "soft"}])
def test_other_thresholds_are_refused(changes: dict[str, Any], images: np.ndarray) -> None:
    detector = RuntimeDetector(replace(DESCRIPTION, contents="detections"), Recorded(detections()), "m.onnx")
    with pytest.raises(ConfigError, match=r"m.onnx: suppression is inside the file, with conf 0.3 and iou 0.5; only a"):
        detector.find(images, replace(OWN, **changes))


@pytest.mark.parametrize("shape", [(64, 96, 3), (1, 64, 96, 4), (1, 3, 64, 96), (1, 50, 96, 3), (0, 64, 96, 3)])
def test_images_that_are_on_no_canvas_do_not_reach_the_network(shape: tuple[int, ...], maps: np.ndarray) -> None:
    network = Recorded([maps])
    with pytest.raises(ConfigError, match=r"^m: expected images \(B, H, W in multiples of 32, 3\), got \("):
        RuntimeDetector(DESCRIPTION, network, "m").find(np.zeros(shape, np.float32))
    assert network.batches == []


def test_a_network_of_one_canvas_takes_no_other(maps: np.ndarray) -> None:
    detector = RuntimeDetector(replace(DESCRIPTION, fixed_canvas=True), Recorded([maps]), "m")
    detector.find(np.zeros((1, 64, 96, 3), np.float32))
    with pytest.raises(ConfigError, match=r"^m: expected images \(B, 64, 96, 3\), got \(1, 64, 64, 3\)$"):
        detector.find(np.zeros((1, 64, 64, 3), np.float32))
