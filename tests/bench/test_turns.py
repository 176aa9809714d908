"""Bursts and turns, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from yolo.bench.bursts import calls_within, measure_rate, time_calls
from yolo.bench.turns import LEAST_TURNS, PAUSE_SECONDS, take_turns


class Clock:
    """Time that passes only while something is called."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def call(self, durations: list[float]) -> Callable[[], None]:
        """A function that takes each of the durations in turn, and the last one from then on."""
        waiting = list(durations)

        def run() -> None:
            self.now += waiting.pop(0) if len(waiting) > 1 else waiting[0]

        return run


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        ([9.0, 0.25], [0.25] * 4),  # the first call is not counted; a second is full after four
        ([9.0, 0.5, 0.75, 2.0], [0.5, 0.75, 2.0]),  # the last one may begin just before the end
        ([9.0, 4.0], [4.0] * 3),  # three at least
    ],
)
def test_calls_are_timed_for_a_time(durations, expected):
    clock = Clock()
    assert time_calls(clock.call(durations), 1.0, clock=clock) == expected


def test_a_rate_counts_the_part_of_the_last_call_that_lies_inside():
    clock = Clock()
    # The first call takes 0.4 s, so that a second is long enough; calls of 0.3 s: 3 and a third of one fit in.
    rate, seconds = measure_rate(clock.call([0.4, 0.3]), 1.0, batch=6, parallel=1, clock=clock)
    assert seconds == 1.0
    assert rate == pytest.approx(6 / 0.3)


def test_slow_calls_are_measured_for_longer():
    clock = Clock()
    rate, seconds = measure_rate(clock.call([2.0]), 1.0, batch=1, parallel=1, clock=clock)
    assert seconds == 4.0
    assert rate == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([], 0.0),
        ([(0.0, 1.0), (1.0, 2.0)], 2.0),
        ([(0.0, 1.5), (1.5, 3.0)], 1.0 + 1 / 3),  # a third of the second one
        ([(-1.0, 1.0)], 0.5),
        ([(2.0, 3.0)], 0.0),
        ([(1.0, 1.0)], 0.0),
    ],
)
def test_calls_across_the_border_count_in_part(calls, expected):
    assert calls_within(calls, 0.0, 2.0) == pytest.approx(expected)


def recorded(order: list[str], seconds: dict[str, float | None], key: str) -> float | None:
    order.append(key)
    return seconds[key]


def test_the_order_of_turns_rotates_after_a_rest_each():
    order: list[str] = []
    rests: list[float] = []
    take_turns(list("abc"), partial(recorded, order, dict.fromkeys("abc", 1.0)), seconds=1.0, sleep=rests.append)
    assert "".join(order) == "abcbcacab"
    assert rests == [PAUSE_SECONDS] * 9


def test_each_is_measured_for_the_same_time_and_often_enough():
    order: list[str] = []
    take_turns(list("ab"), partial(recorded, order, {"a": 0.5, "b": 2.0}), seconds=4.0, sleep=lambda _: None)
    assert order.count("a") == 8  # of 0.5 s
    assert order.count("b") == LEAST_TURNS  # 2 would do


def test_a_failed_candidate_is_left_out():
    order: list[str] = []
    take_turns(list("ab"), partial(recorded, order, {"a": None, "b": 1.0}), seconds=3.0, sleep=lambda _: None)
    assert "".join(order) == "abbb"
