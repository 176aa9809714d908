"""Mosaic and mixup: every label on its own image's colour, clipping by hand, distribution of the blend."""

from __future__ import annotations

import numpy as np
import pytest
from augmented import CLASSES, augmented, config, picture

from yolo.config import AugmentConfig
from yolo.datasets.augment.augmenter import Augmenter
from yolo.datasets.augment.mosaic import mixup
from yolo.datasets.pipeline.picture_loader import Picture

SIZE = (96, 128)
COLOURS = np.array([[200, 20, 20], [20, 200, 20], [20, 20, 200], [200, 200, 20]], np.uint8)


def group(size: tuple[int, int] = SIZE) -> list[Picture]:
    """Four pictures, each of one colour and wholly within one box, its label their number."""
    height, width = size
    return [
        picture(np.broadcast_to(colour, (*size, 3)).copy(), (0, 0, width, height), [label], [label % 2 == 1])
        for label, colour in enumerate(COLOURS)
    ]


def extent(canvas: np.ndarray, label: int) -> np.ndarray:
    """xyxy around the pixels of a picture's colour."""
    rows, columns = np.nonzero((canvas == COLOURS[label]).all(axis=-1))
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


@pytest.mark.parametrize("size", [SIZE, (96, 60), (40, 128)])
@pytest.mark.parametrize("scale", [0.0, 0.5])
def test_each_box_is_exactly_what_is_seen_of_its_picture(size: tuple[int, int], scale: float) -> None:
    for seed in range(30):
        canvas, objects = augmented(
            config(mosaic=1.0, scale=scale, min_visibility=0.0), group(size), seed=seed, size=SIZE
        )
        assert sorted(objects.labels) == [0, 1, 2, 3]
        np.testing.assert_array_equal(objects.ignore, objects.labels % 2 == 1)
        for box, label, share in zip(objects.boxes, objects.labels, objects.visible, strict=True):
            np.testing.assert_allclose(box, extent(canvas, label), atol=1e-4)
            seen = (canvas == COLOURS[label]).all(axis=-1).sum()
            np.testing.assert_allclose(seen, np.prod(box[2:] - box[:2]), rtol=1e-5)
            if not scale:
                np.testing.assert_allclose(share, seen / (size[0] * size[1]), rtol=1e-4)


def test_the_four_meet_in_one_point_and_fill_the_canvas() -> None:
    """Pictures as large as the canvas leave no grey; the point lies in the middle half of both sides."""
    points = []
    for seed in range(60):
        canvas, objects = augmented(config(mosaic=1.0, min_visibility=0.0), group(), seed=seed, size=SIZE)
        assert not (canvas == 127).any()
        corner = objects.boxes[(objects.boxes[:, :2] == 0).all(axis=1)][0, 2:]
        for box in objects.boxes:
            for axis in (0, 1):
                assert corner[axis] in (box[axis], box[axis + 2])
        points.append(corner / [128, 96])
    assert (np.min(points, axis=0) >= 0.24).all()
    assert (np.max(points, axis=0) <= 0.76).all()
    assert (np.ptp(points, axis=0) > 0.4).all()


def test_smaller_pictures_touch_the_point() -> None:
    """A quarter of the canvas' side each: all four lie around one point, grey outside."""
    canvas, objects = augmented(config(mosaic=1.0), group((24, 32)), size=SIZE)
    around = np.concatenate([objects.boxes[:, :2].min(axis=0), objects.boxes[:, 2:].max(axis=0)])
    np.testing.assert_array_equal(around[2:] - around[:2], [64, 48])
    x1, y1, x2, y2 = around.astype(int)
    assert not (canvas[y1:y2, x1:x2] == 127).all(axis=-1).any()
    assert (canvas != 127).any(axis=-1).sum() == 64 * 48


def test_the_crop_wanders_over_the_whole_picture() -> None:
    """One tall white line at a share of the picture's width: all of them are seen now and then."""
    shares = [0.02, 0.3, 0.6, 0.97]
    seen = np.zeros(4)
    for seed in range(60):
        pictures = []
        for label, share in enumerate(shares):
            image = np.zeros((*SIZE, 3), np.uint8)
            x = round(share * SIZE[1])
            image[:, x : x + 2] = 255
            pictures.append(picture(image, (x, 0, x + 2, SIZE[0]), [label]))
        _, objects = augmented(config(mosaic=1.0), pictures, seed=seed, size=SIZE)
        seen += np.bincount(objects.labels, minlength=4)
    assert (seen > 15).all()
    assert (seen < 50).all()


def test_boxes_of_which_too_little_is_left_are_dropped() -> None:
    for seed in range(40):
        _, every = augmented(config(mosaic=1.0, min_visibility=0.0), group(), seed=seed, size=SIZE)
        _, some = augmented(config(mosaic=1.0, min_visibility=0.3), group(), seed=seed, size=SIZE)
        np.testing.assert_array_equal(some.labels, every.labels[every.ignore | (every.visible >= 0.3)])


def test_a_tilted_mosaic_keeps_its_labels() -> None:
    kept = 0
    for seed in range(30):
        canvas, objects = augmented(
            config(mosaic=1.0, rotate=15, shear=5, perspective=0.2, min_visibility=0.0), group(), seed=seed, size=SIZE
        )
        for box, label in zip(objects.boxes, objects.labels, strict=True):
            np.testing.assert_allclose(box, extent(canvas, label), atol=2.5)
            kept += 1
    assert kept == 120


def test_neighbours_make_different_mosaics_of_the_same_four() -> None:
    augmenter = Augmenter(AugmentConfig(mosaic=1.0), CLASSES)
    canvases = [augmented(augmenter, group(), seed=seed, place=seed, size=SIZE)[0] for seed in range(4)]
    assert len({canvas.tobytes() for canvas in canvases}) == 4


def test_how_often() -> None:
    """A mosaic shows more than one colour."""
    augmenter = Augmenter(config(mosaic=0.3), CLASSES)
    canvases = (augmented(augmenter, group(), seed=seed, size=SIZE)[0] for seed in range(400))
    mosaics = [(canvas != canvas[0, 0]).any() for canvas in canvases]
    assert 0.24 < np.mean(mosaics) < 0.36


def test_plain_means_neither_mosaic_nor_mixup() -> None:
    for seed in range(10):
        canvas, objects = augmented(config(mosaic=1.0, mixup=1.0), group(), seed=seed, place=2, size=SIZE, plain=True)
        assert (canvas == COLOURS[2]).all()
        np.testing.assert_array_equal(objects.labels, [2])


@pytest.mark.parametrize(("place", "other"), [(0, 1), (1, 0), (2, 3), (3, 2)])
def test_mixup_blends_with_the_neighbour_and_keeps_both_boxes(place: int, other: int) -> None:
    canvas, objects = augmented(config(mixup=1.0), group(), place=place, size=SIZE)
    np.testing.assert_array_equal(objects.labels, [place, other])
    np.testing.assert_array_equal(objects.ignore, [place % 2 == 1, other % 2 == 1])
    np.testing.assert_array_equal(objects.boxes, [[0, 0, 128, 96]] * 2)
    assert (canvas == canvas[0, 0]).all()
    one, two = COLOURS[place].astype(float), COLOURS[other].astype(float)
    differs = one != two
    share = (canvas[0, 0] - two)[differs] / (one - two)[differs]
    np.testing.assert_allclose(share, share[0], atol=0.01)
    assert 0.2 < share[0] < 0.8


def test_the_blend_is_beta_32_32() -> None:
    """Mean 1/2, variance 1 / (4 * 65)."""
    shares = []
    for seed in range(600):
        white = np.full((1, 1, 3), 255, np.uint8)
        mixup(white, np.zeros_like(white), np.random.default_rng(seed))
        shares.append(white[0, 0, 0] / 255)
    assert np.mean(shares) == pytest.approx(0.5, abs=0.01)
    assert np.std(shares) == pytest.approx(np.sqrt(1 / 260), rel=0.1)
