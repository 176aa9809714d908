"""Sampling order of the images, and oversampling of rare classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_datasets import labelled, make_dataset

from yolo.datasets.pipeline.shuffle import EpochSampler, epoch_order, repeat_factors

PICTURES = [[0], [0], [0, 0], [0, 1], [0], [0], [0], [0, 2, 1], [], [0]]
"""Class 0 on nine of ten, class 1 on two, class 2 on one."""


def test_repeat_factors_by_hand() -> None:
    """sqrt(0.4 / 0.2) and sqrt(0.4 / 0.1) = 2; the larger one of a picture's classes counts."""
    factors = repeat_factors(labelled(PICTURES), 0.4)
    np.testing.assert_allclose(factors, [1, 1, 1, np.sqrt(2), 1, 1, 1, 2, 1, 1])
    np.testing.assert_array_equal(repeat_factors(labelled(PICTURES), 0.1), 1)


def test_ignored_boxes_make_no_class_common_nor_a_picture_rare() -> None:
    dataset = labelled([[0], [0, 1], [0, 1], [0]])
    dataset = replace(dataset, ignore=np.array([False, False, True, False, False, False]))
    np.testing.assert_allclose(repeat_factors(dataset, 1.0), [1, 1, 2, 1])


def test_a_class_on_no_picture_does_no_harm() -> None:
    np.testing.assert_array_equal(repeat_factors(labelled([[0], [0]], classes=2), 0.5), 1)
    np.testing.assert_array_equal(repeat_factors(labelled([[], []]), 0.5), 1)


def test_pictures_come_as_often_as_their_factors_say() -> None:
    """Ten places, shares of 11.414: each picture n s times, rounded up or down, on average exactly."""
    factors = repeat_factors(labelled(PICTURES), 0.4)
    expected = 10 * factors / factors.sum()
    counts = np.array([np.bincount(epoch_order(10, 5, epoch, factors), minlength=10) for epoch in range(3000)])
    assert (counts.sum(axis=1) == 10).all()
    assert (np.abs(counts - expected) < 1).all()
    np.testing.assert_allclose(counts.mean(axis=0), expected, atol=0.03)


def test_the_order_of_repeated_pictures_is_random() -> None:
    """Picture 1 comes three times of five; were it not shuffled, always side by side."""
    places = [np.flatnonzero(epoch_order(5, 0, epoch, np.array([1, 12.0, 1, 1, 5])) == 1) for epoch in range(40)]
    assert {len(each) for each in places} == {3}
    assert len({tuple(each) for each in places}) > 5


def test_equal_factors_show_every_picture_once() -> None:
    for epoch in range(20):
        assert sorted(epoch_order(7, 1, epoch, np.ones(7))) == list(range(7))


def test_positions_go_through_the_epochs(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    order = EpochSampler(dataset, seed=9)
    assert [order[position] for position in range(21)] == [
        int(index) for epoch in range(3) for index in epoch_order(7, 9, epoch)
    ]


@pytest.mark.parametrize("rare_classes", [0.0, 0.9])
def test_many_positions_at_once(rare_classes: float) -> None:
    """Ten pictures an epoch: within one, over a border, over several with gaps, and none."""
    order = EpochSampler(labelled(PICTURES), seed=2, rare_classes=rare_classes)
    for positions in (np.arange(3, 7), np.arange(8, 12), np.array([[39, 5], [6, 20]]), np.arange(0)):
        found = order.take(positions)
        assert found.shape == positions.shape
        assert found.ravel().tolist() == [order[int(position)] for position in positions.ravel()]


@pytest.mark.parametrize("other", [(7, 4, 2), (7, 3, 3)])
def test_seed_and_epoch_decide(other: tuple[int, int, int]) -> None:
    np.testing.assert_array_equal(epoch_order(7, 3, 2), epoch_order(7, 3, 2))
    assert (epoch_order(7, 3, 2) != epoch_order(*other)).any()
