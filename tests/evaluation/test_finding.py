"""Detection in an evaluation's batches: order, threads and errors, and what Keras leaves to numpy."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import yolo
from yolo.config import NmsConfig
from yolo.conversion.description import Description
from yolo.evaluation.finding import found_in
from yolo.images.letterbox import Letterbox
from yolo.runtimes.detector import RuntimeDetector

NMS = NmsConfig(conf=0.001, iou=0.6)


@pytest.fixture(scope="module")
def detector() -> yolo.Detector:
    """A small network whose heads find much and differ between images."""
    made = yolo.Detector("yolov3-tiny", classes=["a", "b", "c"], size=64)
    noise = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    for head, raw in zip(made.heads, made(noise), strict=True):
        kernel, bias = head.get_weights()
        head.set_weights([kernel / np.std(raw), np.zeros_like(bias)])
    return made


def make_batches(count: int):
    """Batches of three images on 64 x 64 canvases, of images of 32 x 64."""
    random = np.random.default_rng(1)
    for number in range(count):
        images = random.integers(0, 256, (3, 64, 64, 3), np.uint8)
        yield images, [3 * number, 3 * number + 1, 3 * number + 2], [Letterbox((32, 64), (64, 64))] * 3


def test_keras_finds_the_same_with_suppression_in_numpy(detector: yolo.Detector) -> None:
    results = list(found_in(detector, make_batches(4), NMS))
    assert [row for rows, _ in results for row in rows] == list(range(12))
    for (_, found), (images, _, letterboxes) in zip(results, make_batches(4), strict=True):
        for one, expected in zip(found, detector.unpad(detector.find(images, NMS), letterboxes), strict=True):
            assert len(one) == len(expected) > 10
            np.testing.assert_allclose(one.boxes, expected.boxes, atol=1e-3)
            np.testing.assert_allclose(one.scores, expected.scores, atol=1e-6)
            np.testing.assert_array_equal(one.labels, expected.labels)


def test_keras_finds_on_other_canvases(detector: yolo.Detector) -> None:
    images = np.random.default_rng(2).integers(0, 256, (2, 32, 96, 3), np.uint8)
    other = detector.resized((32, 96))
    for one, expected in zip(detector.find(images, NMS), other.find(images, NMS), strict=True):
        np.testing.assert_allclose(one, expected, atol=1e-4)


class Network:
    """Network that finds one box, with the batch's first value as its class, and says which threads called it."""

    runtime, precision, parallel = "numpy", "float32", 2

    def __init__(self):
        self.together = threading.Barrier(3)

    def __call__(self, images):
        self.together.wait(10)  # breaks unless three calls are under way
        maps = np.full((len(images), 2, 2, 5 + 3), -50, np.float32)
        maps[:, 0, 0, 4] = 5
        maps[range(len(images)), 0, 0, 5 + images[:, 0, 0, 0].astype(int)] = 5
        return [maps]


def make_runtime_detector() -> RuntimeDetector:
    description = Description(
        model="one",
        classes=("a", "b", "c"),
        canvas=(64, 64),
        letterbox="letterbox",
        strides=(32,),
        anchors=(((16.0, 16.0),),),
    )
    return RuntimeDetector(description, Network())


def test_a_runtime_is_called_by_several_threads_and_results_keep_their_order() -> None:
    labels = [number % 3 for number in range(9)]
    batches = [
        (np.full((1, 64, 64, 3), label, np.uint8), [number], [Letterbox((64, 64), (64, 64))])
        for number, label in enumerate(labels)
    ]
    results = list(found_in(make_runtime_detector(), batches, NMS))
    assert [rows for rows, _ in results] == [[number] for number in range(9)]
    assert [found[0].labels[0] for _, found in results] == labels


def test_errors_of_the_batches_come_after_the_results_before_them(detector: yolo.Detector) -> None:
    def broken():
        yield from make_batches(2)
        raise ValueError("unreadable")

    results = found_in(detector, broken(), NMS)
    assert [next(results)[0], next(results)[0]] == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ValueError, match="unreadable"):
        next(results)
    assert not [each for each in threading.enumerate() if each.name.startswith("suppress")]
