"""Intervals by bootstrap: percentiles of the resampled values."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from tables import make_dataset, make_detections

from yolo.errors import ConfigError
from yolo.evaluation.intervals import (
    Interval,
    bootstrap_intervals,
    interval_of,
    pictures_behind_mean,
    pictures_by_class,
)
from yolo.evaluation.matching import match

NORMAL = NormalDist()


def half_found(pictures):
    """One cat a picture; in every second one it is found, and nothing else."""
    dataset = make_dataset([(at, 0, 0, 0, 10, 10, False) for at in range(pictures)], pictures=pictures)
    return match(dataset, make_detections([(at, 0, 0, 0, 10, 10, 0.9) for at in range(0, pictures, 2)]))


def test_percentiles_without_bias_and_with_many_pictures():
    found = interval_of(np.arange(1001) / 1000, 0.5, pictures=10**6, level=0.9)
    assert found == pytest.approx((0.05, 0.95), abs=1e-5)


def test_bias_shifts_both_ends():
    """84.13 % of the resamples lie below: z0 is 1, and the ends are those of -1.645 + 2 and 1.645 + 2 deviations."""
    found = interval_of(np.arange(1001) / 1000, NORMAL.cdf(1), pictures=10**6, level=0.9)
    assert found == pytest.approx((NORMAL.cdf(2 - 1.6449), NORMAL.cdf(2 + 1.6449)), abs=2e-3)


def test_few_pictures_set_the_ends_apart():
    """Student's t with 4 degrees of freedom: 2.776 times sqrt(5/4) deviations."""
    far = 2.7764 * np.sqrt(5 / 4)
    found = interval_of(np.arange(10001) / 10000, 0.5, pictures=5, level=0.95)
    assert found == pytest.approx((NORMAL.cdf(-far), NORMAL.cdf(far)), abs=1e-4)


def test_nothing_to_make_an_interval_of():
    assert np.isnan(interval_of(np.array([np.nan]), 0.5, pictures=9, level=0.95)).all()
    assert np.isnan(interval_of(np.array([0.5, 0.5]), 0.5, pictures=1, level=0.95)).all()
    assert interval_of(np.array([np.nan, 0.25, 0.25]), 0.25, pictures=2, level=0.95) == (0.25, 0.25)


def test_a_mean_rests_on_the_pictures_of_the_classes_that_vary():
    """Variances 4 and 1 of classes in 5 and 17 pictures: 25 / (16 / 4 + 1 / 16) degrees of freedom."""
    rng = np.random.default_rng(0)
    unit = rng.normal(0, 1, 1000)
    unit = (unit - unit.mean()) / unit.std()
    counts = np.array([5, 17])
    assert pictures_behind_mean(np.stack([2 * unit, unit]), counts, 100) == pytest.approx(1 + 25 / (4 + 1 / 16))
    assert pictures_behind_mean(np.stack([2 * unit, unit]), counts, 6) == 6
    assert pictures_behind_mean(np.stack([0 * unit, unit]), counts, 100) == pytest.approx(17)
    assert pictures_behind_mean(np.stack([unit, unit]), np.array([1, 17]), 100) == pytest.approx(17)
    assert pictures_behind_mean(np.full((2, 9), np.nan), counts, 100) == 100


def test_pictures_of_each_class():
    """Two cats in one picture, one in another; a dog that is ignored."""
    rows = [(0, 0, 0, 0, 9, 9, False)] * 2 + [(1, 0, 0, 0, 9, 9, False), (1, 1, 0, 0, 9, 9, True)]
    assert pictures_by_class(match(make_dataset(rows, pictures=3), make_detections([]))).tolist() == [2, 0]


def test_interval_is_that_of_a_share():
    """AP is the share of cats found, in steps of 1/101; the deviation of a share is sqrt(1/4 / 400) = 0.025."""
    found = bootstrap_intervals(half_found(400), seed=1)
    assert found.ap50 == pytest.approx((0.5 - 1.96 * 0.025, 0.5 + 1.96 * 0.025), abs=0.016)
    assert found.class_ap[0] == pytest.approx(found.ap)
    assert found.class_ap50[0] == pytest.approx(found.ap50)
    assert np.isnan(found.class_ap[1]).all()  # no dog anywhere
    assert (found.level, found.resamples) == (0.95, 1000)


def test_a_seed_gives_the_same_interval_and_a_level_its_width():
    matches = half_found(40)
    found = [bootstrap_intervals(matches, resamples=200, seed=seed).ap for seed in (3, 3, 4)]
    assert found[0] == found[1] != found[2]
    narrow = bootstrap_intervals(matches, resamples=200, seed=3, level=0.5).ap
    assert found[0].low < narrow.low < narrow.high < found[0].high


def test_intervals_as_plain_data():
    found = bootstrap_intervals(half_found(10), resamples=5).to_dict(("cat", "dog"))
    assert list(found) == ["level", "resamples", "AP", "AP50", "classes"]
    assert found["classes"]["cat"] == {"AP": found["AP"], "AP50": found["AP50"]}
    assert isinstance(found["AP"], list)


@pytest.mark.parametrize("options", [{"resamples": 0}, {"seed": -1}, {"level": 1.0}])
def test_numbers_out_of_range(options):
    with pytest.raises(ConfigError, match=f"{next(iter(options))} must be"):
        bootstrap_intervals(half_found(2), **options)


def test_interval_in_words():
    assert str(Interval(0.1, 0.25)) == "0.100 to 0.250"
