"""Short measurements of one detector: how long a call takes, and how many images a second several calls make."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

LEAST_CALLS = 3
"""Smallest number of timed calls in a burst, however slow."""

Clock = Callable[[], float]


def time_calls(call: Callable[[], object], seconds: float, *, clock: Clock = time.perf_counter) -> list[float]:
    """Durations in seconds of calls one after the other, for a time.

    The first call is not among them: it finds caches that others have filled in the meantime.
    """
    call()
    durations: list[float] = []
    begin = now = clock()
    while now - begin < seconds or len(durations) < LEAST_CALLS:
        call()
        before, now = now, clock()
        durations.append(now - before)
    return durations


def measure_rate(
    call: Callable[[], object], seconds: float, *, batch: int, parallel: int, clock: Clock = time.perf_counter
) -> tuple[float, float]:
    """Images per second of calls of ``batch`` images each, ``parallel`` of them at a time.

    Returns:
        The rate, and the seconds over which it was measured: at least as long as two calls take.
    """

    def caller(_: int) -> list[tuple[float, float]]:
        times = []
        while (start := clock()) < end:
            call()
            times.append((start, clock()))
        return times

    start = clock()
    call()
    begin = clock()
    length = max(seconds, 2 * parallel * (begin - start))
    end = begin + length
    with ThreadPoolExecutor(parallel) as pool:
        calls = [each for times in pool.map(caller, range(parallel)) for each in times]
    return batch * calls_within(calls, begin, end) / length, length


def calls_within(calls: Sequence[tuple[float, float]], begin: float, end: float) -> float:
    """Number of calls (start, end) between two times, of those that overlap the border the part that lies inside."""
    return sum(max(0.0, min(stop, end) - max(start, begin)) / (stop - start) for start, stop in calls if stop > start)
