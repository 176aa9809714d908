"""Class activation maps of given activations and gradients, against sums worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from yolo.explaining.class_activation import eigencam, gradcam_plus_plus, layercam, mass_inside, merge

ACTIVATIONS = np.array([[[1, 2], [3, 4]], [[0, 1], [2, 0]]], np.float32)  # (2, 2, 2 channels)
GRADIENTS = np.array([[[1, -1], [0.5, 2]], [[1, 1], [-3, 1]]], np.float32)


def test_layercam_weights_each_place_with_its_positive_gradient():
    # 1*1 + 0*2; 0.5*3 + 2*4; 1*0 + 1*1; 0*2 + 1*0
    assert layercam(ACTIVATIONS, GRADIENTS) == pytest.approx(np.array([[1, 9.5], [1, 0]]))


def test_layercam_has_nothing_below_zero():
    assert layercam(-ACTIVATIONS, GRADIENTS).max() == 0


def test_gradcam_plus_plus_by_plain_loops():
    weights = []
    for channel in range(2):
        a, g = ACTIVATIONS[..., channel].astype(float), GRADIENTS[..., channel].astype(float)
        total = 0.0
        for row in range(2):
            for column in range(2):
                d = g[row, column]
                below = 2 * d**2 + a.sum() * d**3
                total += (d**2 / below if below else 0) * max(d, 0)
        weights.append(total)
    expected = np.maximum(ACTIVATIONS @ np.array(weights), 0)
    assert gradcam_plus_plus(ACTIVATIONS, GRADIENTS) == pytest.approx(expected, rel=1e-6)


def test_gradcam_plus_plus_of_one_channel_by_hand():
    activations = np.array([[[1], [2]]], np.float32)
    gradients = np.array([[[1], [0]]], np.float32)
    # alpha = 1 / (2 + 3) at the first place, so the channel's weight is 0.2
    assert gradcam_plus_plus(activations, gradients) == pytest.approx(np.array([[0.2, 0.4]]))


def test_eigencam_is_the_first_component_of_a_singular_value_decomposition():
    activations = np.random.default_rng(0).uniform(0, 1, (5, 4, 3)).astype(np.float32)
    u, s, _ = np.linalg.svd(activations.reshape(20, 3))
    expected = np.abs(u[:, 0] * s[0]).reshape(5, 4)  # of positive activations it has one sign
    assert eigencam(activations) == pytest.approx(expected, rel=1e-4)


def test_maps_are_scaled_before_they_are_averaged():
    one = np.array([[10, 0], [0, 0]], np.float32)
    other = np.array([[0, 0], [0, 0.1]], np.float32)
    assert merge([one, other, np.zeros((2, 2), np.float32)], (2, 2)) == pytest.approx(np.array([[1, 0], [0, 1]]))
    assert merge([one, one, other], (2, 2)) == pytest.approx(np.array([[1, 0], [0, 0.5]]))


def test_maps_of_other_sizes_are_laid_over_the_canvas():
    coarse = np.array([[0, 1]], np.float32)
    found = merge([coarse], (2, 4))
    assert found == pytest.approx(np.array([[0, 0.25, 0.75, 1]] * 2))  # between the cells' middles, linear


def test_nothing_stays_nothing():
    assert merge([np.zeros((2, 2), np.float32)], (4, 4)).max() == 0
    assert merge([], (4, 4)).shape == (4, 4)


@pytest.mark.parametrize(
    ("box", "share"),
    [
        ((0, 0, 4, 2), 1.0),
        ((0, 0, 2, 2), 0.5),
        ((0.5, 0, 1, 1), 1 / 16),  # half a pixel of eight
        ((-5, -5, 1, 9), 0.25),  # only what lies in the picture
        ((4, 0, 9, 2), 0.0),
    ],
)
def test_mass_inside_counts_parts_of_pixels(box, share):
    assert mass_inside(np.ones((2, 4), np.float32), box) == pytest.approx(share)


def test_an_empty_map_has_no_share():
    assert np.isnan(mass_inside(np.zeros((2, 2), np.float32), (0, 0, 1, 1)))
