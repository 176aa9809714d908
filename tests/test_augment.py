"""Augmentation: boxes against pixels, hand-worked cases, and draws that depend on the seed alone."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from yolo.config import AugmentConfig
from yolo.datasets.augment import Augmenter

OFF = {"flip": 0.0, "hue": 0.0, "saturation": 0.0, "brightness": 0.0, "scale": 0.0, "translate": 0.0}
HEIGHT, WIDTH = 96, 160


def config(**changes: float) -> AugmentConfig:
    return AugmentConfig(**{**OFF, **changes})


def scene(box: tuple[int, int, int, int]) -> np.ndarray:
    """A grey picture with one red rectangle."""
    image = np.full((HEIGHT, WIDTH, 3), 127, np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = (230, 40, 40)
    return image


def red_box(image: np.ndarray) -> np.ndarray:
    """xyxy around the red pixels."""
    redness = image[..., 0].astype(int) - image[..., 1]
    rows, columns = np.nonzero(redness > redness.max() / 2)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


@pytest.mark.parametrize("changes", [{}, {"scale": 0.4}, {"translate": 0.3}, {"flip": 1.0}, {"scale": 0.9}])
def test_boxes_agree_with_pixels(changes: dict[str, float]) -> None:
    box = (50, 30, 90, 70)
    augmenter = Augmenter(config(**changes) if changes else AugmentConfig())
    seen = 0
    for seed in range(60):
        image, boxes, kept = augmenter(scene(box), np.array([box], np.float32), seed=seed)
        assert image.shape == (HEIGHT, WIDTH, 3)
        assert image.dtype == np.uint8
        if len(kept):
            np.testing.assert_allclose(boxes[0], red_box(image), atol=2)
            assert (boxes >= 0).all()
            assert (boxes <= [WIDTH, HEIGHT, WIDTH, HEIGHT]).all()
            seen += 1
    assert seen >= 50


def test_flip_by_hand() -> None:
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    boxes = np.array([[10, 20, 30, 60], [0, 0, 160, 96]], np.float32)
    flipped, moved, kept = Augmenter(config(flip=1.0))(image, boxes, seed=0)
    np.testing.assert_array_equal(flipped, image[:, ::-1])
    np.testing.assert_allclose(moved, [[130, 20, 150, 60], [0, 0, 160, 96]], atol=1e-4)
    np.testing.assert_array_equal(kept, [0, 1])


def test_identity_hands_back_what_it_got() -> None:
    image, boxes = scene((1, 2, 30, 40)), np.array([[1, 2, 30, 40]], np.float32)
    same, unmoved, kept = Augmenter(config())(image, boxes, seed=3)
    assert same is image
    assert unmoved is boxes
    np.testing.assert_array_equal(kept, [0])


def test_the_picture_it_got_stays_as_it_was() -> None:
    image = scene((50, 30, 90, 70))
    before = image.copy()
    for seed in range(10):
        Augmenter(AugmentConfig())(image, np.array([[50, 30, 90, 70]], np.float32), seed=seed)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("threshold", [0.0, 0.13, 0.37])
def test_visibility_threshold_by_hand(threshold: float) -> None:
    """A tiny box in the middle always stays and tells the shift; from it the rest follows."""
    boxes = np.array([[79, 47, 81, 49], [0, 0, 40, 30], [120, 60, 160, 96], [70, 0, 90, 10]], np.float32)
    augmenter = Augmenter(config(translate=0.4, min_visibility=threshold))
    dropped = 0
    for seed in range(80):
        _, moved, kept = augmenter(scene((0, 0, 40, 30)), boxes, seed=seed)
        shift = moved[0] - boxes[0]
        assert kept[0] == 0
        np.testing.assert_allclose(shift, np.tile(np.round(shift[:2]), 2), atol=1e-3)
        cut = np.clip(boxes + np.round(shift), 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
        visible = np.prod(cut[:, 2:] - cut[:, :2], axis=1) / np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        expected = np.flatnonzero((visible >= threshold) & (visible > 0))
        np.testing.assert_array_equal(kept, expected)
        np.testing.assert_allclose(moved, cut[expected], atol=1e-3)
        dropped += len(boxes) - len(kept)
    assert dropped > 10


def test_zoom_by_hand() -> None:
    """Zoomed by z about the centre: 40 px wide becomes 40 z, and what lies outside is grey."""
    box = np.array([[60, 28, 100, 68]], np.float32)
    zooms = []
    for seed in range(50):
        image, boxes, _ = Augmenter(config(scale=0.4))(scene((60, 28, 100, 68)), box, seed=seed)
        zoom = (boxes[0, 2] - boxes[0, 0]) / 40
        np.testing.assert_allclose((boxes[0, :2] + boxes[0, 2:]) / 2, [80, 48], atol=0.6)
        if zoom < 0.9:
            assert (image[0] == 127).all()
        zooms.append(zoom)
    assert 0.59 < min(zooms) < 0.7
    assert 1.3 < max(zooms) < 1.41


def test_a_picture_shifted_out_of_the_canvas_is_grey() -> None:
    augmenter = Augmenter(config(scale=0.95, translate=0.95))
    gone = 0
    for seed in range(200):
        image, boxes, kept = augmenter(
            scene((0, 0, WIDTH, HEIGHT)), np.array([[0, 0, WIDTH, HEIGHT]], np.float32), seed=seed
        )
        if (image == 127).all():
            assert len(boxes) == len(kept) == 0
            gone += 1
    assert gone


def test_without_boxes() -> None:
    image, boxes, kept = Augmenter(AugmentConfig())(scene((1, 1, 5, 5)), np.zeros((0, 4), np.float32), seed=1)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert boxes.shape == (0, 4)
    assert boxes.dtype == np.float32
    assert kept.shape == (0,)
    assert kept.dtype == np.int64


def test_all_boxes_gone() -> None:
    augmenter = Augmenter(config(translate=0.9))
    corner = np.array([[0, 0, 4, 4]], np.float32)
    counts = {len(augmenter(scene((0, 0, 4, 4)), corner, seed=seed)[2]) for seed in range(30)}
    assert counts == {0, 1}


@pytest.mark.parametrize("changes", [{"hue": 0.1}, {"saturation": 0.5}, {"brightness": 0.3}])
def test_colours_alone_leave_the_boxes(changes: dict[str, float]) -> None:
    box = np.array([[50, 30, 90, 70]], np.float32)
    image, boxes, kept = Augmenter(config(**changes))(scene((50, 30, 90, 70)), box, seed=5)
    np.testing.assert_array_equal(boxes, box)
    np.testing.assert_array_equal(kept, [0])
    assert (image[50, 70] != (230, 40, 40)).any()


def test_brightness_is_a_factor() -> None:
    """40 and 230 keep their ratio, up to rounding; grey stays grey."""
    for seed in range(20):
        image, _, _ = Augmenter(config(brightness=0.1))(
            scene((50, 30, 90, 70)), np.zeros((0, 4), np.float32), seed=seed
        )
        factor = image[0, 0, 0] / 127
        assert 0.88 < factor < 1.12
        np.testing.assert_allclose(image[50, 70], np.array([230, 40, 40]) * factor, atol=2)


def test_a_call_depends_on_its_seed_alone() -> None:
    """Whatever was drawn before, and in whichever thread."""
    box = np.array([[50, 30, 90, 70]], np.float32)
    image = scene((50, 30, 90, 70))
    augmenter = Augmenter(AugmentConfig())
    alone = {seed: Augmenter(AugmentConfig())(image, box, seed=(7, seed)) for seed in range(24)}
    with ThreadPoolExecutor(8) as pool:
        order = list(np.random.default_rng(0).permutation(24)) * 3
        for seed, result in zip(
            order, pool.map(lambda seed: augmenter(image, box, seed=(7, int(seed))), order), strict=True
        ):
            for received, expected in zip(result, alone[seed], strict=True):
                np.testing.assert_array_equal(received, expected)
    assert len({result[0].tobytes() for result in alone.values()}) == 24


def test_the_draws_of_different_transforms_are_independent() -> None:
    """Seeding every transform alike would tie the flip to the zoom."""
    box, left = np.array([[60, 28, 100, 68]], np.float32), scene((60, 28, 100, 68))
    left[28:68, 60:64] = (40, 40, 230)
    augmenter = Augmenter(config(scale=0.4, flip=0.5))
    flips, zooms = [], []
    for seed in range(400):
        image, boxes, _ = augmenter(left, box, seed=seed)
        flips.append(image[:, WIDTH // 2 :, 2].max() > 200)
        zooms.append(boxes[0, 2] - boxes[0, 0])
    assert 0.42 < np.mean(flips) < 0.58
    assert abs(np.corrcoef(flips, zooms)[0, 1]) < 0.15


def test_import_leaves_the_environment_alone() -> None:
    program = "import os; import yolo.datasets.augment; assert 'NO_ALBUMENTATIONS_UPDATE' not in os.environ"
    environment = {key: value for key, value in os.environ.items() if key != "NO_ALBUMENTATIONS_UPDATE"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
