"""The pipeline over files: results as of a plain loop, in order, whatever the sizes, the batches and the faults."""

from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from fake_detectors import FakeDetector
from PIL import Image

from yolo.config import NmsConfig
from yolo.conversion.description import Description
from yolo.detect import predictor
from yolo.detect.predictor import Unreadable, check_rect, fitting, predict
from yolo.errors import ConfigError
from yolo.images.codec import read_image
from yolo.images.letterbox import Letterbox
from yolo.runtimes.detector import RuntimeDetector

SIZES = [(60, 90), (90, 60), (64, 64), (1, 200), (200, 1), (33, 100), (60, 90), (70, 90), (100, 33), (60, 90), (5, 7)]


class MeanNetwork:
    """Network whose objectness and class logits are mean brightness and redness of each 32 x 32 (16 x 16) block.

    Where a block lies on the canvas does not matter to it, only what is in it.
    """

    runtime, precision, parallel = "numpy", "float32", 2

    def __init__(self, strides=(32, 16)):
        self.strides = strides

    def __call__(self, images):
        assert images.dtype == np.float32
        return [self.map(images, stride) for stride in self.strides]

    @staticmethod
    def map(images, stride):
        count, height, width, _ = images.shape
        blocks = images.reshape(count, height // stride, stride, width // stride, stride, 3).mean(axis=(2, 4)) / 64 - 2
        box = np.zeros((*blocks.shape[:3], 4), np.float32)
        return np.concatenate([box, blocks.mean(axis=-1, keepdims=True), blocks[..., :2]], axis=-1).astype(np.float32)


def make_detector(strides=(32, 16), **changes) -> RuntimeDetector:
    anchors = tuple(((stride * 1.5, float(stride)),) for stride in strides)
    fields = {
        "model": "blocks",
        "classes": ("a", "b"),
        "canvas": (96, 96),
        "letterbox": "letterbox",
        "strides": strides,
        "anchors": anchors,
        "nms": NmsConfig(conf=0.1, iou=0.4),
    }
    return RuntimeDetector(Description(**{**fields, **changes}), MeanNetwork(strides))


def make_pictures(folder: Path, sizes) -> list[Path]:
    random = np.random.default_rng(0)
    paths = [folder / f"{number:03d}.png" for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8)).save(path)
    return paths


def one_by_one(detector, path, *, rect):
    """What a plain loop finds in a file."""
    image = read_image(path)
    letterbox = fitting(detector, image.shape[:2], rect=rect)
    return detector.unpad(detector.find(letterbox.apply_unrounded(image)[None]), [letterbox])[0]


def assert_same(found, expected):
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-4)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)


@pytest.mark.parametrize("rect", [False, True])
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_results_are_those_of_a_plain_loop(tmp_path, batch, rect):
    detector = make_detector()
    paths = make_pictures(tmp_path, SIZES * 3)
    results = list(predict(detector, paths, batch=batch, rect=rect, finish=lambda _, image, found: (image, found)))
    assert [result.path for result in results] == paths
    assert sum(len(result.detections) for result in results) > 100
    for result in results:
        image, found = result.finished
        np.testing.assert_array_equal(image, read_image(result.path))
        assert found is result.detections
        assert_same(result.detections, one_by_one(detector, result.path, rect=rect))


def test_stretched_images_keep_their_fractions(tmp_path):
    detector = make_detector(letterbox="stretch")
    for result in predict(detector, make_pictures(tmp_path, SIZES), batch=3):
        assert_same(result.detections, one_by_one(detector, result.path, rect=False))


def test_detect_images_finds_the_same_without_trimming(tmp_path):
    detector = make_detector()
    paths = make_pictures(tmp_path, SIZES)
    expected = detector.detect_images([read_image(path) for path in paths])
    for result, one in zip(predict(detector, paths, batch=4), expected, strict=True):
        assert_same(result.detections, one)


@pytest.mark.parametrize("strides", [(32, 16), (64, 32), (16, 8), (8,)])
def test_trimmed_canvases_are_multiples_of_the_largest_stride(tmp_path, strides):
    detector = make_detector(strides, canvas=(192, 128))
    seen = set()
    network = detector.network
    detector.network = lambda images: seen.add(images.shape[1:3]) or network(images)
    detector.network.parallel = 1
    paths = make_pictures(tmp_path, SIZES)
    for result in predict(detector, paths, rect=True):
        assert_same(result.detections, one_by_one(detector, result.path, rect=True))
    assert seen == {fitting(detector, size, rect=True).canvas_size for size in SIZES}
    assert all(height % strides[0] == 0 and width % strides[0] == 0 for height, width in seen)
    assert len(seen) > 2


@pytest.mark.parametrize(
    ("size", "canvas", "stride", "trimmed"),
    [
        ((480, 640), (416, 416), 32, (320, 416)),  # 312 rows
        ((640, 480), (416, 416), 32, (416, 320)),
        ((427, 640), (416, 416), 32, (288, 416)),  # 277.55: 278 rows
        ((641, 833), (416, 416), 32, (320, 416)),  # 320.12: 320 rows fill the canvas, at the same scale
        ((416, 416), (416, 416), 32, (416, 416)),
        ((1, 5000), (416, 416), 32, (32, 416)),
        ((5000, 1), (416, 416), 32, (416, 32)),
        ((480, 640), (416, 416), 64, (320, 416)),  # 416 is no multiple of 64: never larger than the canvas
        ((480, 640), (320, 608), 32, (320, 448)),  # 427 columns
    ],
)
def test_trimming_keeps_the_scale(size, canvas, stride, trimmed):
    whole = Letterbox(size, canvas)
    small = whole.trimmed(stride)
    assert small.canvas_size == trimmed
    assert small.inner_size == whole.inner_size
    assert small.scale == whole.scale
    assert small.trimmed(stride) == small
    box = np.array([[0, 0, size[1], size[0]]], np.float32)
    np.testing.assert_allclose(small.boxes_to_image(small.boxes_to_canvas(box)), box, rtol=1e-6)
    top, left = small.offset
    np.testing.assert_array_equal(
        small.boxes_to_canvas(box)[0], [left, top, left + small.inner_size[1], top + small.inner_size[0]]
    )


def test_what_trimming_cuts_off_is_padding():
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    whole = Letterbox((60, 90), (96, 96))
    small = whole.trimmed(32)
    assert small.canvas_size == (64, 96)
    np.testing.assert_array_equal(small.apply(image), whole.apply(image)[16:80])
    np.testing.assert_array_equal(small.apply_exactly(image), small.apply_unrounded(image))
    assert small.apply_exactly(image).dtype == np.uint8


@pytest.mark.parametrize(
    ("changes", "rect", "expected"),
    [
        ({}, None, True),
        ({}, True, True),
        ({}, False, False),
        ({"fixed_canvas": True}, None, False),
        ({"fixed_canvas": True}, False, False),
        ({"fixed_canvas": True}, True, "takes images of 96x96 alone"),
        ({"letterbox": "stretch"}, None, False),
        ({"letterbox": "stretch"}, True, "stretches images to its whole input"),
    ],
)
def test_who_trims(changes, rect, expected):
    detector = make_detector(**changes)
    if isinstance(expected, str):
        with pytest.raises(ConfigError, match=f"^rect: this model {expected}; use --no-rect$"):
            check_rect(detector, rect)
    else:
        assert check_rect(detector, rect) is expected


@pytest.mark.parametrize("bad", [{0}, {4}, {1, 2}, {0, 1, 2, 3, 4}])
def test_unreadable_files_are_results_too(tmp_path, bad):
    paths = make_pictures(tmp_path, SIZES[:5])
    for number in bad:
        paths[number].write_text("no picture")
    detector = FakeDetector()
    results = list(predict(detector, paths, batch=2))
    assert [result.path for result in results] == paths
    assert {number for number, result in enumerate(results) if isinstance(result, Unreadable)} == bad
    for number in bad:
        assert str(paths[number]) in str(results[number].error)
    counts = [len(batch) for batch in detector.batches]
    assert counts == [2] * ((5 - len(bad)) // 2) + [1] * ((5 - len(bad)) % 2)  # full in spite of the gaps


def test_an_error_in_finishing_comes_in_its_place(tmp_path):
    def finish(path, *_):
        if path.stem == "003":
            raise ZeroDivisionError
        return path

    results = predict(make_detector(), make_pictures(tmp_path, SIZES), batch=3, finish=finish)
    assert [next(results).finished.stem for _ in range(3)] == ["000", "001", "002"]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not [each for each in threading.enumerate() if each.name.startswith(("read", "network", "finish"))]


def test_thresholds_are_passed_on(tmp_path):
    detector = FakeDetector()
    nms = NmsConfig(conf=0.1)
    list(predict(detector, make_pictures(tmp_path, SIZES[:3]), batch=2, nms=nms))
    assert detector.asked == [(2, nms), (1, nms)]


def test_other_faults_are_not_swallowed(tmp_path):
    class Broken(FakeDetector):
        def find(self, *_):
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(predict(Broken(), make_pictures(tmp_path, SIZES[:2])))


@pytest.mark.parametrize("keep_images", [False, True])
def test_pictures_in_memory_are_bounded(monkeypatch, keep_images):
    """Counts images that are alive: those of the window and of the readers, not of the whole folder."""
    alive = weakref.WeakSet()
    most = 0

    class Tracked(np.ndarray):
        def __hash__(self):
            return id(self)

        __eq__ = object.__eq__

    def read(_):
        image = np.zeros((40, 60, 3), np.uint8).view(Tracked)
        alive.add(image)
        return image

    monkeypatch.setattr(predictor, "read_image", read)
    detector = make_detector()
    paths = [Path(str(number)) for number in range(400)]
    finish = (lambda path, image, _: (path, image.shape)) if keep_images else None
    for result in predict(detector, paths, batch=2, threads=2, finish=finish):
        assert result.finished == ((result.path, (40, 60, 3)) if keep_images else None)
        del result
        most = max(most, len(alive))
    gc.collect()
    assert not alive
    window = 8 + 2 * 2 * 3  # gathered, and two batches for each of three calls
    assert most <= (window if keep_images else 0) + 4 + 2 + 2
    assert most > 0 or not keep_images
