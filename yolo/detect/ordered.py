"""Mapping over threads that keeps the order and stays a bounded distance ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class UntilError(Generic[Item]):
    """Items of an iterable up to an error of its own, which waits until the results before it are delivered."""

    def __init__(self, items: Iterable[Item]):
        self._items = items
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[Item]:
        iterator = iter(self._items)
        while True:
            try:
                item = next(iterator)
            except StopIteration:
                return
            except Exception as error:
                self._error = error
                return
            yield item

    def raise_error(self) -> None:
        """Raise the error that ended the items, if one did."""
        if self._error is not None:
            raise self._error


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int, name: str
) -> Generator[Result]:
    """Yield ``function(item)`` of each item, in order, computed in threads.

    A result is yielded as soon as it is ready; items are taken from the iterable by the caller's thread.

    Args:
        function: what to compute; an exception of it is raised in its place in the order, as one of the items is.
        items: the items, at most ``ahead`` of which are taken before their results are asked for.
        threads: number of threads.
        ahead: number of results that may wait, being computed or done.
        name: beginning of the threads' names.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
    waiting: deque[Future[Result]] = deque()
    given = UntilError(items)
    try:
        for item in given:
            waiting.append(pool.submit(function, item))
            while waiting and (len(waiting) > ahead or waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        given.raise_error()
    finally:  # the caller may stop early
        pool.shutdown(cancel_futures=True)
