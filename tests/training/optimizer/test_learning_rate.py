"""The learning rate over a run, worked out by hand."""

from __future__ import annotations

import logging

import pytest

from yolo.config import TrainConfig
from yolo.training.optimizer.learning_rate import WarmedUp, log_rate, make_schedule, peak_rate


@pytest.mark.parametrize(
    ("kind", "step", "expected"),
    [
        ("cosine", 0, 0.25),  # a quarter of the rise
        ("cosine", 3, 1.0),
        ("cosine", 4, 1.0),  # the fall begins
        ("cosine", 9, 0.1 + 0.9 / 2),  # half of its ten updates
        ("cosine", 14, 0.1),  # the end
        ("cosine", 99, 0.1),  # beyond
        ("step", 1, 0.5),
        ("step", 6, 1.0),
        ("step", 7, 0.1),  # half of 14
        ("step", 10, 0.1),
        ("step", 11, 0.01),  # behind 0.75 x 14 = 10.5
        ("constant", 2, 0.75),
        ("constant", 14, 1.0),
    ],
)
def test_by_hand(kind, step, expected):
    schedule = WarmedUp(2.0, warmup=4, updates=14, final=0.1, kind=kind, step_at=(0.5, 0.75))
    assert float(schedule(step)) == pytest.approx(2.0 * expected, rel=1e-6)
    assert float(WarmedUp.from_config(schedule.get_config())(step)) == float(schedule(step))


def test_without_a_warmup_the_first_rate_is_the_peak():
    assert float(WarmedUp(3.0, warmup=0, updates=5)(0)) == 3.0


@pytest.mark.parametrize(
    ("options", "steps", "warmup", "updates"),
    [
        ({"epochs": 5, "warmup_epochs": 3}, 10, 10, 50),  # at most a fifth
        ({"epochs": 100, "warmup_epochs": 3}, 10, 30, 1000),
        ({"epochs": 100, "warmup_epochs": 3, "accumulate": 4}, 10, 7, 250),  # updates, not steps
    ],
)
def test_it_counts_updates(options, steps, warmup, updates):
    schedule = make_schedule(TrainConfig(**options), batch=16, steps_per_epoch=steps)
    assert (schedule.warmup, schedule.updates) == (warmup, updates)


@pytest.mark.parametrize(
    ("options", "batch", "expected"),
    [
        ({}, 16, 0.002),
        ({}, 64, 0.004),  # the square root of 4
        ({"accumulate": 4}, 16, 0.004),
        ({"optimizer": "sgd"}, 8, 0.005),  # in proportion
        ({"learning_rate": 0.3}, 64, 0.3),  # as asked for
    ],
)
def test_the_rate_follows_the_batch(options, batch, expected):
    assert peak_rate(TrainConfig(**options), batch) == pytest.approx(expected)


def test_it_says_so(caplog):
    with caplog.at_level(logging.INFO):
        log_rate(TrainConfig(), 16)
        assert not caplog.text
        log_rate(TrainConfig(), 64)
    assert "learning rate 0.004: 0.002 at 16 pictures an update, scaled to 64 (by the square root)" in caplog.text
