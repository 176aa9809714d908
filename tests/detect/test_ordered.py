"""Mapping over threads: order, bounds, errors, early ends."""

from __future__ import annotations

import threading
import time

import pytest

from yolo.detect.ordered import ordered_map


def threads_named(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


@pytest.mark.parametrize("threads", [1, 8])
def test_results_come_in_order_whatever_takes_longer(threads):
    def late(number):
        time.sleep(0.002 * (number % 3 == 0))
        return number * number

    results = ordered_map(late, range(30), threads=threads, ahead=7, name="late")
    assert list(results) == [number * number for number in range(30)]


def test_work_ahead_is_bounded_and_ends_with_the_caller():
    taken = []
    blocked = threading.Event()

    def work(number):
        return number if number == 0 else blocked.wait(10)

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    results = ordered_map(work, items(), threads=2, ahead=5, name="bounded")
    assert next(results) == 0
    assert len(taken) <= 7
    blocked.set()
    results.close()
    assert len(taken) <= 7
    assert not threads_named("bounded")


def test_what_is_ready_is_not_held_back():
    """The first result comes although the items after it do not."""
    asked = threading.Event()

    def items():
        yield 1
        time.sleep(0.05)
        yield 2
        asked.set()
        yield 3

    results = ordered_map(lambda number: number, items(), threads=1, ahead=100, name="eager")
    assert next(results) == 1
    assert not asked.is_set()
    assert list(results) == [2, 3]


def test_an_error_comes_in_its_place():
    def work(number):
        if number == 2:
            raise ValueError("two")
        return number

    results = ordered_map(work, range(5), threads=3, ahead=9, name="failing")
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)
    assert not threads_named("failing")


def test_an_error_of_the_items_comes_after_the_results_before_it():
    def items():
        yield 1
        yield 2
        raise ValueError("no third")

    def late(number):
        time.sleep(0.02)
        return number

    results = ordered_map(late, items(), threads=2, ahead=9, name="late")
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(ValueError, match="no third"):
        next(results)
