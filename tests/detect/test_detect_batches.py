"""Batches of canvases of one size: which images make one, in what order results come, how many are held."""

from __future__ import annotations

import random
import threading
import time

import numpy as np
import pytest

from yolo.detect import batches
from yolo.detect.batches import Batches, Fitted

SHAPES = {"l": (2, 4, 3), "p": (4, 2, 3), "s": (4, 4, 3)}


def stream(letters: str, size: int = 0):
    """Items numbered along the letters: canvases of their shapes, none for a dash."""
    for number, letter in enumerate(letters):
        yield Fitted(number, np.zeros(SHAPES[letter], np.uint8) if letter in SHAPES else None, size)


class Runner:
    """Squares the items, and keeps the batches."""

    def __init__(self):
        self.batches = []
        self.lock = threading.Lock()

    def __call__(self, batch):
        assert len({each.canvas.shape for each in batch}) == 1
        with self.lock:
            self.batches.append([each.item for each in batch])
        return [each.item**2 for each in batch]


def run(letters: str, *, batch: int, calls: int = 0, size: int = 0):
    """Batches in the order in which they were run."""
    runner = Runner()
    results = list(Batches(runner, batch=batch, calls=calls).results(stream(letters, size)))
    assert results == [(number, number**2 if each in SHAPES else None) for number, each in enumerate(letters)]
    return runner.batches


@pytest.mark.parametrize(
    ("letters", "batch", "expected"),
    [
        ("lllll", 2, [[0, 1], [2, 3], [4]]),
        ("llll", 2, [[0, 1], [2, 3]]),
        ("lll", 8, [[0, 1, 2]]),
        ("", 8, []),
        ("-", 8, []),
        ("l--l-ll", 2, [[0, 3], [5, 6]]),  # full in spite of the gaps
        ("lplplp", 3, [[0, 2, 4], [1, 3, 5]]),
        ("lppl", 2, [[1, 2], [0, 3]]),  # full batches first, but results in order
        ("lpslps", 8, [[0, 3], [1, 4], [2, 5]]),  # at the end the oldest first
        ("pllllllllllll", 2, [[1, 2], [3, 4], [5, 6], [7, 8], [0], [9, 10], [11, 12]]),  # alone after 4 batches
    ],
)
def test_batches_depend_on_the_stream_alone(letters, batch, expected):
    assert run(letters, batch=batch) == expected


def test_large_images_wait_less(monkeypatch):
    monkeypatch.setattr(batches, "GATHERED_BYTES", 100)
    assert run("pllllllll", batch=8, size=40) == [[0], [1, 2, 3], [4, 5, 6], [7, 8]]
    assert run("lll", batch=8, size=101) == [[0], [1], [2]]


@pytest.mark.parametrize("calls", [0, 1, 3])
def test_any_stream_keeps_order_and_window(calls):
    random_ = random.Random(calls)

    class Slow(Runner):
        def __call__(self, batch):
            time.sleep(random_.random() * 0.003)
            return super().__call__(batch)

    held = largest = 0

    def counted(letters):
        nonlocal held, largest
        for each in stream(letters):
            held += 1
            largest = max(largest, held)
            yield each

    letters = "".join(random_.choices("llllppps-", k=400))
    gather = Batches(Slow(), batch=4, calls=calls)
    numbers = []
    for number, result in gather.results(counted(letters)):
        held -= 1
        numbers.append(number)
        assert result == (None if letters[number] == "-" else number**2)
    assert numbers == list(range(400))
    assert largest <= gather.window == 16 + 8 * (calls + 1)


def test_memory_is_bounded_by_size_too(monkeypatch):
    monkeypatch.setattr(batches, "GATHERED_BYTES", 1000)
    monkeypatch.setattr(batches, "HELD_BYTES", 1000)
    held = largest = 0

    def counted():
        nonlocal held, largest
        for each in stream("lp" * 30, 300):
            held += 1
            largest = max(largest, held)
            yield each

    for _ in Batches(Runner(), batch=8, calls=1).results(counted()):
        held -= 1
    assert largest == 4


def test_as_many_calls_at_a_time_as_asked_for():
    """Two that the network computes, and one before or after it."""
    together = threading.Barrier(3)

    def meet(batch):
        together.wait(10)  # breaks unless three are there
        return [0 for _ in batch]

    assert len(list(Batches(meet, batch=1, calls=2).results(stream("llllll")))) == 6


def test_an_error_comes_in_its_place_and_ends_the_threads():
    def fail(batch):
        if batch[0].item == 2:
            raise ZeroDivisionError
        return [each.item for each in batch]

    results = Batches(fail, batch=1, calls=1).results(stream("lllll"))
    assert [next(results), next(results)] == [(0, 0), (1, 1)]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("network")]


def test_the_first_result_does_not_wait_for_a_full_window():
    taken = []

    def counted():
        for each in stream("l" * 100):
            taken.append(each)
            yield each
            time.sleep(0.002)

    results = Batches(Runner(), batch=2, calls=1).results(counted())
    assert next(results) == (0, 0)
    assert len(taken) <= 6
    results.close()
