"""Locks of the operating system: held by one process at a time, and by none that is dead."""

from __future__ import annotations

import errno
import os
import platform
import threading

import pytest
from processes import finish, holding, start

from yolo.errors import ConfigError
from yolo.files import locks
from yolo.files.locks import BusyError, check_free, is_unused, locked_file, locked_folder


def fault(folder) -> str:
    """What a refused lock says."""
    with pytest.raises(ConfigError) as caught, locked_folder(folder):
        pass
    return str(caught.value)


def test_a_second_process_is_refused_and_told_of_the_first(tmp_path):
    with holding(tmp_path / ".lock") as process:
        expected = f"a run is going on in {tmp_path} (process {process.pid} on {platform.node()}, since 20"
        for _ in range(2):  # asking does not spoil what the lock file says
            assert fault(tmp_path).startswith(expected)
            assert fault(tmp_path).endswith("; wait for it or give another --out")
        with pytest.raises(ConfigError, match=r"end it$"), locked_folder(tmp_path, remedy="wait for it or end it"):
            pass
        with pytest.raises(ConfigError, match="a run is going on"):
            check_free(tmp_path)


def test_a_killed_process_leaves_no_lock(tmp_path):
    with holding(tmp_path / ".lock") as process:
        process.kill()
        process.wait()
        assert (tmp_path / ".lock").exists()
        assert is_unused(tmp_path)
        check_free(tmp_path)
    with locked_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_it_may_be_nested_and_taken_again_and_leaves_nothing(tmp_path):
    for _ in range(2):
        with locked_folder(tmp_path), locked_folder(tmp_path / ".." / tmp_path.name):
            check_free(tmp_path)
            assert is_unused(tmp_path)
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(ZeroDivisionError), locked_folder(tmp_path):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_the_inner_one_does_not_end_the_outer_one(tmp_path):
    with locked_file(tmp_path / "a"):
        with locked_file(tmp_path / "a"):
            pass
        assert refused_in_a_thread(tmp_path / "a")
    assert not refused_in_a_thread(tmp_path / "a")


def refused_in_a_thread(path) -> bool:
    """Whether another thread of this process cannot hold a lock."""
    refused = []

    def work():
        try:
            with locked_file(path):
                refused.append(False)
        except BusyError as error:
            assert str(error).startswith(f"process {os.getpid()} on ")  # noqa: PT017
            refused.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return refused.pop()


FORKING = """
import fcntl, os, sys, time
from pathlib import Path
from yolo.files.locks import BusyError, locked_file
lock = Path(sys.argv[1])
with locked_file(lock):
    child = os.fork()
    if not child:
        try:
            with locked_file(lock):
                print("both hold it", flush=True)
        except BusyError:
            print("child", os.getpid(), flush=True)
        if sys.argv[2] == "stays":
            os.close(1), os.close(2)
            time.sleep(600)
        sys.exit()  # unwinds the parent's `with`
    if sys.argv[2] == "stays":
        time.sleep(600)
    os.waitpid(child, 0)
    with lock.open() as other:
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("held", flush=True)
"""


def test_a_forked_child_neither_has_the_lock_nor_ends_it(tmp_path):
    code, out, err = finish(start("-c", FORKING, tmp_path / "lock", "leaves"))
    assert (code, err) == (0, "")
    assert out.splitlines()[0].startswith("child ")
    assert out.splitlines()[1:] == ["held"]


def test_a_forked_child_that_lives_on_does_not_keep_it(tmp_path):
    process = start("-c", FORKING, tmp_path / "lock", "stays")
    name, child = process.stdout.readline().split()
    try:
        assert name == "child"
        process.kill()
        process.wait()
        with locked_file(tmp_path / "lock"):
            pass
    finally:
        os.kill(int(child), 9)
        process.communicate()


TAKING = """
import os, sys
from pathlib import Path
from yolo.files.locks import BusyError, locked_file
folder, taken = Path(sys.argv[1]), 0
while taken < 40:
    try:
        with locked_file(folder / "lock"):
            os.close(os.open(folder / "alone", os.O_CREAT | os.O_EXCL))
            (folder / "alone").unlink()
            taken += 1
    except BusyError:
        pass
"""


def test_of_many_processes_one_at_a_time_has_it(tmp_path):
    """The file is deleted after each, while others are about to lock it."""
    for process in [start("-c", TAKING, tmp_path) for _ in range(3)]:
        code, _, err = finish(process)
        assert (code, err) == (0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EROFS])
def test_where_the_file_system_has_no_locks_it_is_said_once(tmp_path, monkeypatch, caplog, number):
    fcntl = pytest.importorskip("fcntl")

    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    for _ in range(2):
        with locked_folder(tmp_path):
            (tmp_path / "result").write_text("")
    reason = os.strerror(number)
    assert caplog.messages == [f"{tmp_path}: cannot be locked ({reason}); see that no other process writes there"]


def test_a_full_disk_does_not_keep_it_from_being_locked(tmp_path, monkeypatch):
    def write(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(locks.os, "write", write)
    with locked_file(tmp_path / "a"):
        assert (tmp_path / "a").read_text() == ""


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", '{"process": 1}'])
def test_a_holder_that_cannot_be_read_is_another_process(tmp_path, text):
    with holding(tmp_path / ".lock"):
        (tmp_path / ".lock").write_text(text)
        assert "(another process); wait" in fault(tmp_path)


def test_a_lock_alone_leaves_a_folder_unused(tmp_path):
    assert is_unused(tmp_path)
    (tmp_path / ".lock").write_text("")
    assert is_unused(tmp_path)
    (tmp_path / "best.keras").write_text("")
    assert not is_unused(tmp_path)
