"""Checkpoints: whole or not there, damage noticed, the last good one kept."""

from __future__ import annotations

import errno
import logging
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.errors import ConfigError, WeightsError
from yolo.training.run import checkpoint
from yolo.training.run.checkpoint import Checkpoints

ARRAYS = {
    "weights/conv_0/kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "optimizer/iteration": np.array(7, np.int64),
    "weights/odd name: ä": np.asfortranarray(np.eye(3)),
}


def meta(step):
    return {"state": {"step": step}, "text": "Füße", "nothing": None}


def test_what_comes_back_is_what_went_in(tmp_path):
    folder = Checkpoints(tmp_path)
    folder.save(7, ARRAYS, meta(7))
    found = folder.latest()
    assert found.step == 7
    assert found.meta == meta(7)
    assert set(found.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found.arrays[name], array)
        assert found.arrays[name].dtype == array.dtype


def test_the_newest_and_the_one_before_are_kept(tmp_path):
    folder = Checkpoints(tmp_path)
    for step in (1, 5, 40, 300):
        folder.save(step, ARRAYS, meta(step))
    assert [path.name for path in sorted(folder.path.iterdir())] == ["step-000000040.npz", "step-000000300.npz"]
    folder.clear()
    assert folder.latest() is None


def test_what_a_killed_save_left_goes_with_the_next(tmp_path):
    """Also if it was by a process of our own number, which in a container is often the same again."""
    folder = Checkpoints(tmp_path)
    for leave in (lambda: folder.save(1, ARRAYS, meta(1)), folder.clear):
        leave()
        left = [folder.path / f".{number}-7f{number:x}.npz" for number in (1, os.getpid())]
        for path in left:
            path.write_bytes(b"half")
        folder.save(2, ARRAYS, meta(2))
        assert not any(path.exists() for path in left)
        left[0].write_bytes(b"half")
    folder.clear()
    assert list(folder.path.iterdir()) == []


def test_nothing_there_is_none(tmp_path):
    assert Checkpoints(tmp_path / "absent").latest() is None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "step-000000001.npz"
    checkpoint.write(path, ARRAYS, meta(1))
    return path.read_bytes()


@given(data=st.data())
def test_any_changed_byte_is_noticed_or_changes_nothing(whole, tmp_path_factory, data):
    """Some bytes, such as a member's date, mean nothing to us; no other may pass for a good checkpoint."""
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
    path = tmp_path_factory.mktemp("damaged") / "step-000000001.npz"
    path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
    try:
        found = checkpoint.read(path)
    except WeightsError:
        return
    assert_as_written(found)


def assert_as_written(found):
    assert list(found.arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found.arrays[name], array)
    assert found.meta == meta(1)


def directory(whole):
    """Where the directory at the zip's end begins."""
    return whole.index(b"PK\x01\x02")


def test_any_flipped_bit_of_the_directory_is_noticed_or_changes_nothing(whole, tmp_path):
    """Such as the flag that says a member is encrypted, or a length that makes those behind it vanish."""
    path, noticed = tmp_path / "step-000000001.npz", 0
    for place in range(directory(whole), len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            try:
                assert_as_written(checkpoint.read(path))
            except WeightsError:
                noticed += 1
    assert noticed > 1000


@pytest.mark.parametrize("lost", ARRAYS)
def test_a_lost_array_is_noticed(whole, tmp_path, lost):
    path = tmp_path / "step-000000001.npz"
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(tmp_path / "less.npz", "w") as less:
        for name in archive.namelist():
            if name != f"{lost}.npy":
                less.writestr(name, archive.read(name))
    with pytest.raises(WeightsError, match="its arrays are not those that were written"):
        checkpoint.read(tmp_path / "less.npz")


@given(length=st.integers(0, 5000))
def test_half_a_file_is_noticed(whole, tmp_path_factory, length):
    path = tmp_path_factory.mktemp("short") / "step-000000001.npz"
    path.write_bytes(whole[: min(length, len(whole) - 1)])
    with pytest.raises(WeightsError, match="damaged"):
        checkpoint.read(path)


def test_a_damaged_one_is_passed_over_with_a_warning(tmp_path, caplog):
    folder = Checkpoints(tmp_path)
    folder.save(1, ARRAYS, meta(1))
    newest = folder.save(2, ARRAYS, meta(2))
    data = bytearray(newest.read_bytes())
    data[300] ^= 1
    newest.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert folder.latest().step == 1
    assert f"{newest}: damaged" in caplog.text


def test_a_header_that_promises_too_much_is_refused_before_memory_is_taken(tmp_path):
    path = tmp_path / "step-000000001.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("meta.json", '{"state": {"step": 1}, "arrays": ["a"]}')
        header = b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999,), }"
        archive.writestr("a.npy", header.ljust(127) + b"\n1234")
    with pytest.raises(WeightsError, match="another size than its header says"):
        checkpoint.read(path)


def test_objects_are_never_unpickled(tmp_path):
    path = tmp_path / "step-000000001.npz"
    np.savez(path, a=np.array([{"code": 1}], dtype=object))
    with pytest.raises(WeightsError):
        checkpoint.read(path)


def test_a_full_disk_leaves_the_last_one_whole(tmp_path, monkeypatch):
    folder = Checkpoints(tmp_path)
    folder.save(1, ARRAYS, meta(1))

    def full(path, *_):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "write", full)
    with pytest.raises(ConfigError, match=r"step-000000002\.npz: cannot be written \(No space left on device\)"):
        folder.save(2, ARRAYS, meta(2))
    assert folder.latest().step == 1
    assert [path.name for path in Path(folder.path).iterdir()] == ["step-000000001.npz"]
