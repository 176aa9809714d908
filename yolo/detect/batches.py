"""Batches of images on canvases of one size, run while further ones are gathered, and given back in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from yolo.detect.ordered import UntilError
from yolo.files.bounded import MIB

Item = TypeVar("Item")
Result = TypeVar("Result")

PATIENCE = 4
"""An image waits for others of its canvas until this many batches of images were read after it."""
GATHERED_BYTES = 128 * MIB
"""An image also stops waiting when the images read after it take up this much."""
HELD_BYTES = 384 * MIB
"""Size of all images in the window at which reading stops."""


@dataclass(eq=False)
class Fitted(Generic[Item]):
    """Item of the stream with its image on a canvas; or without one, which passes through in its place."""

    item: Item
    canvas: NDArray[Any] | None = None
    """(h, w, 3)."""
    bytes: int = 0
    """Memory of everything in the item."""


@dataclass(eq=False)
class _Held(Generic[Item, Result]):
    """Item in the window, from its arrival until its result is taken."""

    fitted: Fitted[Item]
    number: int
    bytes_before: int
    """Sum of the sizes of all items before it."""
    running: Future[Sequence[Result]] | None = None
    """Call of its batch; None while the batch is gathered."""
    index: int = 0
    """Position in the batch."""

    @property
    def is_ready(self) -> bool:
        return self.fitted.canvas is None or (self.running is not None and self.running.done())


class Batches(Generic[Item, Result]):
    """Window over a stream of images, in which those of one canvas size are gathered into batches and run.

    Which images make a batch depends on the stream alone, not on the speed of anything, so that a repeated run gives
    the same numbers.

    Args:
        run: computes the results of a batch, in a thread: of items in the order of the stream, with canvases of one
            size.
        batch: most images in a batch.
        calls: calls of ``run`` that the network computes at a time. One more is under way, so that the work before
            and after the network overlaps with it.
    """

    def __init__(self, run: Callable[[Sequence[Fitted[Item]]], Sequence[Result]], *, batch: int, calls: int):
        self._run, self._batch, self._calls = run, batch, calls + 1
        self._patience = PATIENCE * batch
        self.window = self._patience + 2 * self._calls * batch
        """Most items held at a time."""
        self._held: deque[_Held[Item, Result]] = deque()
        self._gathered: dict[tuple[int, ...], list[_Held[Item, Result]]] = {}  # the group of the oldest image first
        self._number = self._bytes = 0

    def results(self, stream: Iterable[Fitted[Item]]) -> Generator[tuple[Item, Result | None]]:
        """Yield the items of a stream in its order, each with its result; None for items without a canvas."""
        pool = ThreadPoolExecutor(self._calls, thread_name_prefix="network")
        given = UntilError(stream)
        try:
            for fitted in given:
                self._add(fitted, pool)
                while self._held and (self._held[0].is_ready or self._is_full()):
                    yield self._take(pool)
            while self._gathered:
                self._start(next(iter(self._gathered)), pool)
            while self._held:
                yield self._take(pool)
            given.raise_error()
        finally:  # the caller may stop early
            pool.shutdown(cancel_futures=True)

    def _add(self, fitted: Fitted[Item], pool: ThreadPoolExecutor) -> None:
        held: _Held[Item, Result] = _Held(fitted, self._number, self._bytes)
        self._held.append(held)
        self._number += 1
        self._bytes += fitted.bytes
        if fitted.canvas is not None:
            group = self._gathered.setdefault(fitted.canvas.shape, [])
            group.append(held)
            if len(group) == self._batch:
                self._start(fitted.canvas.shape, pool)
        while self._gathered and self._waits_too_long(next(iter(self._gathered.values()))[0]):
            self._start(next(iter(self._gathered)), pool)

    def _waits_too_long(self, held: _Held[Item, Result]) -> bool:
        return self._number - held.number > self._patience or self._bytes - held.bytes_before > GATHERED_BYTES

    def _is_full(self) -> bool:
        return len(self._held) >= self.window or self._bytes - self._held[0].bytes_before > HELD_BYTES

    def _start(self, shape: tuple[int, ...], pool: ThreadPoolExecutor) -> Future[Sequence[Result]]:
        group = self._gathered.pop(shape)
        running = pool.submit(self._run, [held.fitted for held in group])
        for index, held in enumerate(group):
            held.running, held.index = running, index
        return running

    def _take(self, pool: ThreadPoolExecutor) -> tuple[Item, Result | None]:
        """Remove the oldest item, and wait for its result."""
        held = self._held.popleft()
        if held.fitted.canvas is None:
            return held.fitted.item, None
        # An image alone may fill the window before its batch is started.
        running = held.running or self._start(held.fitted.canvas.shape, pool)
        return held.fitted.item, running.result()[held.index]
