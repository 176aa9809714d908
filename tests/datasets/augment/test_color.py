"""Hue, saturation and brightness: by hand, and against Python's own colorsys."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from augmented import config

from yolo.datasets.augment.color import colour_map, jitter

COLOURS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


class Fixed:
    """In place of a generator: draws these shares of the limits."""

    def __init__(self, *shares: float) -> None:
        self.shares = np.array(shares)

    def uniform(self, low: float, high: float, count: int) -> np.ndarray:
        assert (low, high, count) == (-1, 1, 3)
        return self.shares


def changed(image: np.ndarray, shares: tuple[float, float, float], **limits: float) -> np.ndarray:
    result = image.copy()
    jitter(result, config(**limits), Fixed(*shares))
    return result


@pytest.mark.parametrize(
    ("parts", "colour", "expected"),
    [
        ((0, 1, 1), [10, 20, 60], [10, 20, 60]),
        ((1 / 3, 1, 1), [10, 20, 60], [60, 10, 20]),  # red becomes green
        ((-1 / 3, 1, 1), [10, 20, 60], [20, 60, 10]),
        ((1 / 2, 1, 1), [10, 20, 60], [50, 40, 0]),  # across the grey of 30
        ((0, 0, 1), [10, 20, 60], [30, 30, 30]),
        ((0, 0.5, 1), [10, 20, 60], [20, 25, 45]),
        ((0, 2, 1), [20, 20, 50], [10, 10, 70]),
        ((0, 1, 0.7), [10, 20, 60], [7, 14, 42]),
        ((0.17, 1.8, 1.3), [40, 40, 40], [52, 52, 52]),  # grey stays grey
    ],
)
def test_by_hand(parts: tuple[float, float, float], colour: list[int], expected: list[int]) -> None:
    turn, saturation, brightness = parts
    matrix = colour_map(turn=turn, saturation=saturation, brightness=brightness)
    np.testing.assert_allclose(matrix @ colour, expected, atol=1e-9)


@pytest.mark.parametrize("turn", [-0.1, -0.015, 0.015, 0.05])
def test_hues_move_like_those_of_hsv(turn: float) -> None:
    """On average; in between the two hues differ by a degree or so (360 a circle)."""
    moved = []
    for colour in COLOURS.reshape(-1, 3) / 255:
        before, saturation, _ = colorsys.rgb_to_hsv(*colour)
        after, *_ = colorsys.rgb_to_hsv(*(colour_map(turn=turn, saturation=1, brightness=1) @ colour))
        if saturation > 0.2:
            moved.append((after - before + 0.5) % 1 - 0.5)
    assert np.mean(moved) == pytest.approx(turn, abs=0.003)
    np.testing.assert_allclose(moved, turn, atol=0.003 + 0.25 * abs(turn))


def test_pixels_are_rounded_and_held_in_their_range() -> None:
    matrix = colour_map(turn=0.2 * 0.5, saturation=1 + 0.9, brightness=1 + 0.5 * 0.4)
    expected = np.clip(COLOURS @ matrix.T, 0, 255)
    received = changed(COLOURS, (0.5, 1, 0.4), hue=0.2, saturation=0.9, brightness=0.5)
    assert np.abs(received - expected).max() <= 1
    assert (received == 255).any()
    assert (received == 0).any()


def test_each_limit_is_its_own() -> None:
    for name, parts in (("hue", (0.2, 1, 1)), ("saturation", (0, 1.2, 1)), ("brightness", (0, 1, 1.2))):
        turn, saturation, brightness = parts
        matrix = colour_map(turn=turn, saturation=saturation, brightness=brightness)
        received = changed(COLOURS, (1, 1, 1), **{name: 0.2})
        np.testing.assert_allclose(received, np.clip(COLOURS @ matrix.T, 0, 255), atol=1)


def test_switched_off_nothing_changes() -> None:
    np.testing.assert_array_equal(changed(COLOURS, (1, 1, 1)), COLOURS)


def test_factors_fill_their_range() -> None:
    grey, factors = np.full((1, 1, 3), 100, np.uint8), []
    for seed in range(300):
        image = grey.copy()
        jitter(image, config(brightness=0.3), np.random.default_rng(seed))
        factors.append(image[0, 0, 0] / 100)
    assert 0.69 < min(factors) < 0.72
    assert 1.28 < max(factors) < 1.31
    assert abs(np.mean(factors) - 1) < 0.03
