"""One augmented picture: boxes against pixels, hand-worked cases, and draws that depend on the seed alone."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from augmented import CLASSES, HEIGHT, RED, WIDTH, augmented, config, picture, red_box, scene

from yolo.config import AugmentConfig
from yolo.datasets.augment.augmenter import Augmenter

BOX = (50, 30, 90, 70)


@pytest.mark.parametrize(
    "changes", [{"scale": 0.4}, {"translate": 0.3}, {"flip": 1.0}, {"scale": 0.9}, {"scale": 0.3, "perspective": 0.3}]
)
def test_boxes_agree_with_pixels(changes: dict[str, float]) -> None:
    seen = 0
    for seed in range(60):
        image, objects = augmented(config(**changes), picture(scene(BOX), BOX), seed=seed)
        if len(objects.boxes):
            np.testing.assert_allclose(objects.boxes[0], red_box(image), atol=2)
            assert (objects.boxes >= 0).all()
            assert (objects.boxes <= [WIDTH, HEIGHT, WIDTH, HEIGHT]).all()
            seen += 1
    assert seen >= 50


def test_rotated_and_sheared_boxes_enclose_the_pixels() -> None:
    """The hull of the turned rectangle is exactly that of the turned box."""
    for seed in range(40):
        image, objects = augmented(
            config(rotate=180, shear=20), picture(scene((70, 40, 90, 56)), (70, 40, 90, 56)), seed=seed
        )
        np.testing.assert_allclose(objects.boxes[0], red_box(image), atol=1.6)


def test_a_smaller_picture_comes_to_the_middle_of_the_canvas() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 100, 3), np.uint8)
    canvas, objects = augmented(config(), picture(image, (0, 0, 100, 60)))
    np.testing.assert_array_equal(canvas[18:78, 30:130], image)
    canvas[18:78, 30:130] = 127
    assert (canvas == 127).all()
    np.testing.assert_array_equal(objects.boxes, [[30, 18, 130, 78]])
    np.testing.assert_array_equal(objects.visible, [1])


@pytest.mark.parametrize("changes", [{}, {"rotate": 1e-9}])
def test_flip_by_hand(changes: dict[str, float]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    flipped, objects = augmented(config(flip=1.0, **changes), picture(image, [[10, 20, 30, 60], [0, 0, 160, 96]]))
    np.testing.assert_array_equal(flipped, image[:, ::-1])
    np.testing.assert_allclose(objects.boxes, [[130, 20, 150, 60], [0, 0, 160, 96]], atol=1e-4)


@pytest.mark.parametrize("threshold", [0.0, 0.13, 0.37])
def test_visibility_threshold_by_hand(threshold: float) -> None:
    """A tiny box in the middle always stays and tells the shift; from it the rest follows. Ignored ones stay."""
    boxes = np.array([[79, 47, 81, 49], [0, 0, 40, 30], [120, 60, 160, 96], [70, 0, 90, 10]], np.float32)
    augmenter = Augmenter(config(translate=0.4, min_visibility=threshold), CLASSES)
    dropped = 0
    for seed in range(80):
        shown = picture(scene((0, 0, 40, 30)), boxes, [0, 1, 2, 3], [True, False, True, False])
        _, (moved, labels, ignore, share) = augmented(augmenter, shown, seed=seed)
        shift = np.tile(np.round((moved[0] - boxes[0])[:2]), 2)
        assert labels[0] == 0
        np.testing.assert_allclose(moved[0] - boxes[0], shift, atol=1e-3)
        cut = np.clip(boxes + shift, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
        visible = np.prod(cut[:, 2:] - cut[:, :2], axis=1) / np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        expected = np.flatnonzero(((visible >= threshold) | [True, False, True, False]) & (visible > 0))
        np.testing.assert_array_equal(labels, expected)
        np.testing.assert_array_equal(ignore, expected % 2 == 0)
        np.testing.assert_allclose(moved, cut[expected], atol=1e-3)
        np.testing.assert_allclose(share, visible[expected], rtol=1e-5)
        dropped += len(boxes) - len(labels)
    assert dropped > 10


@pytest.mark.parametrize("changes", [{}, {"rotate": 1e-9}])
def test_zoom_by_hand(changes: dict[str, float]) -> None:
    """Zoomed by z about the centre: 40 px wide becomes 40 z, and what lies outside is grey."""
    zooms = []
    for seed in range(50):
        image, objects = augmented(
            config(scale=0.4, **changes), picture(scene((60, 28, 100, 68)), (60, 28, 100, 68)), seed=seed
        )
        zoom = (objects.boxes[0, 2] - objects.boxes[0, 0]) / 40
        np.testing.assert_allclose((objects.boxes[0, :2] + objects.boxes[0, 2:]) / 2, [80, 48], atol=0.6)
        if zoom < 0.9:
            assert (image[0] == 127).all()
        zooms.append(zoom)
    assert 0.59 < min(zooms) < 0.7
    assert 1.3 < max(zooms) < 1.41


def test_shift_is_a_share_of_the_canvas() -> None:
    box = np.array([60, 28, 100, 68])
    augmenter, shown = Augmenter(config(translate=0.1), CLASSES), picture(scene((60, 28, 100, 68)), box)
    shifts = np.array([augmented(augmenter, shown, seed=seed)[1].boxes[0] - box for seed in range(200)])
    np.testing.assert_allclose(shifts[:, :2], shifts[:, 2:], atol=1e-3)
    assert (np.abs(shifts[:, :2]) <= [16.5, 10.1]).all()
    assert (shifts[:, :2].max(axis=0) > [14, 8]).all()
    assert (shifts[:, :2].min(axis=0) < [-14, -8]).all()


def test_a_picture_shifted_out_of_the_canvas_is_grey() -> None:
    gone = 0
    for seed in range(200):
        whole = (0, 0, WIDTH, HEIGHT)
        image, objects = augmented(config(scale=0.95, translate=0.95), picture(scene(whole), whole), seed=seed)
        if (image == 127).all():
            assert len(objects.boxes) == len(objects.labels) == 0
            gone += 1
    assert gone


@pytest.mark.parametrize("changes", [{}, {"rotate": 10}, {"mosaic": 1.0}, {"mixup": 1.0}])
def test_without_boxes(changes: dict[str, float]) -> None:
    image, objects = augmented(AugmentConfig(**changes), picture(scene((1, 1, 5, 5)), []), seed=1)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert [column.shape for column in objects] == [(0, 4), (0,), (0,), (0,)]
    assert [column.dtype for column in objects] == [np.float32, np.int32, np.bool_, np.float32]


@pytest.mark.parametrize("changes", [{"hue": 0.1}, {"saturation": 0.5}, {"brightness": 0.3}])
def test_colours_alone_leave_the_boxes(changes: dict[str, float]) -> None:
    image, objects = augmented(config(**changes), picture(scene(BOX), BOX), seed=5)
    np.testing.assert_array_equal(objects.boxes, [BOX])
    assert (image[50, 70] != RED).any()


def test_the_picture_it_got_stays_as_it_was() -> None:
    """It may be shared by a cache: OpenCV writes to read-only arrays without a word where it can."""
    image = scene(BOX)
    before = image.copy()
    everything = AugmentConfig(mosaic=0.5, mixup=0.5, rotate=5)
    for seed in range(20):
        augmented(everything, picture(image, BOX), seed=seed)
        augmented(AugmentConfig(), picture(image, BOX), seed=seed)
    np.testing.assert_array_equal(image, before)


def test_a_call_depends_on_its_seed_alone() -> None:
    """Whatever was drawn before, and in whichever thread."""
    settings = AugmentConfig(mosaic=0.5, mixup=0.3, rotate=5)
    shown = picture(scene(BOX), BOX)
    augmenter = Augmenter(settings, CLASSES)
    alone = {seed: augmented(settings, shown, seed=seed) for seed in range(24)}
    order = [int(seed) for seed in np.random.default_rng(0).permutation(24)] * 3
    with ThreadPoolExecutor(8) as pool:
        together = pool.map(lambda seed: augmented(augmenter, shown, seed=seed), order)
        for seed, (image, objects) in zip(order, together, strict=True):
            np.testing.assert_array_equal(image, alone[seed][0])
            for received, expected in zip(objects, alone[seed][1], strict=True):
                np.testing.assert_array_equal(received, expected)
    assert len({image.tobytes() for image, _ in alone.values()}) == 24


def test_the_draws_of_different_changes_are_independent() -> None:
    left = scene((60, 28, 100, 68))
    left[28:68, 60:64] = (40, 40, 230)
    flips, zooms = [], []
    for seed in range(400):
        image, objects = augmented(config(scale=0.4, flip=0.5), picture(left, (60, 28, 100, 68)), seed=seed)
        flips.append(image[:, WIDTH // 2 :, 2].max() > 200)
        zooms.append(objects.boxes[0, 2] - objects.boxes[0, 0])
    assert 0.42 < np.mean(flips) < 0.58
    assert abs(np.corrcoef(flips, zooms)[0, 1]) < 0.15


def test_sources_are_what_is_read() -> None:
    augmenter = Augmenter(AugmentConfig(mosaic=0.5, mixup=0.5), CLASSES)
    kinds = set()
    for seed in range(60):
        place, plain = seed % 4, seed % 5 == 0
        read: list[int] = []

        def group(index: int, read: list[int] = read) -> object:
            read.append(index)
            return picture(scene(BOX), BOX)

        augmenter(np.empty((HEIGHT, WIDTH, 3), np.uint8), group, place, seed=[seed], plain=plain)
        sources = augmenter.sources(place, seed=[seed], plain=plain)
        assert sorted(read) == sorted(sources)
        kinds.add((len(sources), plain))
        if plain:
            assert sources == [place]
    assert kinds == {(1, False), (2, False), (4, False), (5, False), (1, True)}


def test_albumentations_is_left_alone_without_a_file() -> None:
    """It takes half a second to import."""
    program = "import sys, yolo.datasets.pipeline.stream; assert 'albumentations' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
