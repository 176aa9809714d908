"""Handles of remote files: how few are opened, that readers do not share one, and which are dropped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf

from yolo.files import remote as addresses
from yolo.files.remote import HandlePool, read_range, write_file

CONTENT = bytes(range(256)) * 40
THREADS = 4


@pytest.fixture(autouse=True)
def handles(monkeypatch) -> HandlePool:
    """The pool that `read_range` uses, an empty one for each test."""
    pool = HandlePool()
    monkeypatch.setattr(addresses, "_handles", pool)
    return pool


@pytest.fixture
def address(tmp_path) -> str:
    """Of a file in what stands for a bucket."""
    address = f"ram://bucket/{tmp_path.name}/file"
    tf.io.gfile.makedirs(address.rpartition("/")[0])
    with tf.io.gfile.GFile(address, "wb") as file:
        file.write(CONTENT)
    return address


class Handle:
    """In the place of a `GFile`: knows who reads it, and what became of it."""

    def __init__(self, address: str, read: Callable[[], None] = lambda: None) -> None:
        self.address = address
        self.closed = False
        self._read = read
        self._offset = 0
        self._reader = threading.Lock()

    def seek(self, offset: int) -> None:
        assert self._reader.acquire(blocking=False), "two readers of one handle"
        self._offset = offset

    def read(self, length: int) -> bytes:
        assert not self.closed
        try:
            self._read()
            return CONTENT[self._offset : self._offset + length]
        finally:
            self._reader.release()

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def opened(monkeypatch) -> list[Handle]:
    """Every handle that is opened, in its order."""
    return opened_handles(monkeypatch)


def opened_handles(monkeypatch, read: Callable[[], None] = lambda: None) -> list[Handle]:
    """From now on; ``read`` is called by each read."""
    found: list[Handle] = []

    def open_one(address: str, mode: str) -> Handle:
        assert mode == "rb"
        found.append(Handle(address, read))
        return found[-1]

    monkeypatch.setattr(tf.io.gfile, "GFile", open_one)
    return found


def open_at_address(opened: list[Handle]) -> list[str]:
    return [handle.address for handle in opened if not handle.closed]


def test_tensorflows_threads_open_no_more_handles_than_there_are_threads(monkeypatch, address):
    """300 calls, each of which forgets what its thread had kept."""
    opened: list[str] = []
    real = tf.io.gfile.GFile
    monkeypatch.setattr(tf.io.gfile, "GFile", lambda *arguments: [opened.append(arguments[0]), real(*arguments)][1])

    def read(offset: np.int64) -> np.ndarray:
        return np.frombuffer(read_range(address, int(offset), 16), np.uint8)

    options = tf.data.Options()
    options.threading.private_threadpool_size = THREADS
    calls = tf.data.Dataset.range(0, 300 * 31, 31).map(
        lambda offset: tf.numpy_function(read, [offset], tf.uint8), num_parallel_calls=THREADS
    )
    for number, found in enumerate(calls.with_options(options).as_numpy_iterator()):
        assert found.tobytes() == CONTENT[31 * number : 31 * number + 16]
    assert 1 <= len(opened) <= THREADS


def test_two_readers_never_share_a_handle(monkeypatch):
    """They meet within their reads, so that both have one at the same time; later rounds open none."""
    meeting = threading.Barrier(2, timeout=20)
    opened = opened_handles(monkeypatch, meeting.wait)
    with ThreadPoolExecutor(2) as threads:
        for _ in range(20):
            parts = threads.map(lambda offset: read_range("gs://a/b", offset, 3), (7, 90))
            assert list(parts) == [CONTENT[7:10], CONTENT[90:93]]
    assert len(opened) == 2


def test_many_threads_without_a_meeting(opened):
    with ThreadPoolExecutor(8) as threads:
        parts = list(threads.map(lambda number: read_range(f"gs://a/{number % 3}", number, 5), range(2000)))
    assert parts == [CONTENT[number : number + 5] for number in range(2000)]
    assert len(opened) <= 3 * 8


def test_a_handle_that_fails_is_dropped(monkeypatch):
    faults = [None, OSError("gone"), None, None]

    def read() -> None:
        if (fault := faults.pop(0)) is not None:
            raise fault

    opened = opened_handles(monkeypatch, read)
    read_range("gs://a/b", 0, 1)
    with pytest.raises(OSError, match="gone"):
        read_range("gs://a/b", 0, 1)
    assert [handle.closed for handle in opened] == [True]
    assert read_range("gs://a/b", 1, 2) == read_range("gs://a/b", 1, 2) == CONTENT[1:3]
    assert [handle.closed for handle in opened] == [True, False]


def test_the_file_not_read_for_longest_is_closed_first(opened):
    pool = HandlePool(limit=3)
    for name in "abcad":
        with pool.taken(name):
            pass
    assert open_at_address(opened) == ["a", "c", "d"]
    with pool.taken("b"), pool.taken("b"), pool.taken("a"):
        assert len(opened) == 4 + 2
    assert len(open_at_address(opened)) == 3


def test_a_closed_pool_keeps_nothing(opened, handles):
    read_range("gs://a/b", 0, 1)
    with handles.taken("gs://a/c"):
        handles.close()
        assert open_at_address(opened) == ["gs://a/c"]
    assert open_at_address(opened) == []
    assert read_range("gs://a/b", 2, 3) == CONTENT[2:5]
    assert open_at_address(opened) == []


def test_a_file_that_was_written_anew_is_opened_anew(address):
    """Its handle had read all of it ahead."""
    assert read_range(address, 4, 3) == CONTENT[4:7]
    write_file(address, lambda file: file.write(b"something else"))
    assert read_range(address, 4, 3) == b"thi"
