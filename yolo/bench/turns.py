"""Measurements in turns: short bursts of one candidate after the other, so that noise hits all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

BURST_SECONDS = 0.5
"""Length of a burst; calls that take longer make it longer."""
PAUSE_SECONDS = 0.2
"""Rest before each burst: threads of the one before go to sleep, and the processor cools."""
LEAST_TURNS = 3
"""Smallest number of bursts of each candidate, from which the spread is told."""

Key = TypeVar("Key", bound=Hashable)


def take_turns(
    keys: Sequence[Key],
    burst: Callable[[Key], float | None],
    *,
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Measure candidates in turns until each has been measured for a time; the order rotates from turn to turn.

    Args:
        keys: the candidates.
        burst: measures one of them and returns for how many seconds, or None if it failed and is to be left out.
        seconds: time for each, in all its bursts together.
        sleep: waits for a number of seconds.
    """
    measured = dict.fromkeys(keys, 0.0)
    turn = 0
    while waiting := [key for key in measured if measured[key] < seconds or turn < LEAST_TURNS]:
        first = turn % len(waiting)
        for key in [*waiting[first:], *waiting[:first]]:
            sleep(PAUSE_SECONDS)
            length = burst(key)
            if length is None:
                del measured[key]
            else:
                measured[key] += length
        turn += 1
