"""What is kept about many files between runs, and when it is not believed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from damage import damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import write_picture

from yolo.datasets.annotations import sizes
from yolo.datasets.annotations.sizes import read_headers
from yolo.datasets.formats import label_reading
from yolo.datasets.formats.label_reading import read_label_files
from yolo.files import kept_arrays
from yolo.files.kept_arrays import Ragged, make_room

OLD = 1_600_000_000


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Four pictures and label files that have not changed for years; two files are enough to keep what is read."""
    monkeypatch.setenv("YOLO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept_arrays, "SMALLEST", 2)
    for index in range(4):
        path = write_picture(tmp_path / "set" / f"{index}.png", height=10 + index, width=20)
        path.with_suffix(".txt").write_text(f"{index} .5 .5 .5 .5\n" * index)
        for file in (path, path.with_suffix(".txt")):
            os.utime(file, (OLD, OLD))
    return tmp_path / "set"


def pictures(folder: Path) -> list[str]:
    return [str(folder / f"{index}.png") for index in range(4)]


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The files that are really read."""
    found: list[str] = []
    for module, name in ((sizes, "one_header"), (label_reading, "read_rows")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda file, real=real: (found.append(Path(file).name), real(file))[1])
    return found


def heights(folder: Path) -> list[int]:
    return read_headers(pictures(folder)).shown[:, 0].tolist()


def test_headers_are_read_once(folder, reads):
    assert heights(folder) == [10, 11, 12, 13]
    assert reads == ["0.png", "1.png", "2.png", "3.png"]
    assert heights(folder) == [10, 11, 12, 13]
    assert read_headers(pictures(folder)[::-1]).shown[:, 0].tolist() == [13, 12, 11, 10]
    assert len(reads) == 4
    assert [file.suffix for file in folder.iterdir()].count(".npz") == 0


def test_a_changed_picture_is_read_again(folder, reads):
    heights(folder)
    reads.clear()
    path = write_picture(folder / "2.png", height=50)
    os.utime(path, (OLD, OLD + 1))
    assert heights(folder) == [10, 11, 50, 13]
    assert reads == ["2.png"]
    write_picture(folder / "2.png", height=60)  # just now: it may change again within the same tick of the clock
    heights(folder)
    reads.clear()
    assert heights(folder) == [10, 11, 60, 13]
    assert reads == ["2.png"]


def test_what_cannot_be_read_is_not_kept(folder, reads):
    (folder / "1.png").write_bytes(b"")
    os.utime(folder / "1.png", (OLD, OLD))
    for _ in range(2):
        reads.clear()
        assert list(read_headers(pictures(folder)).faults) == [1]
    assert reads == ["1.png"]


def test_parts_of_a_folder_add_up(folder, reads):
    read_headers(pictures(folder)[:3])
    read_headers([pictures(folder)[each] for each in (0, 3, 2)])
    assert reads == ["0.png", "1.png", "2.png", "3.png"]
    assert heights(folder) == [10, 11, 12, 13]
    assert len(reads) == 4


def test_rows_of_labels_are_kept(folder, reads):
    files = [str(folder / f"{index}.txt") for index in range(4)]
    first = read_label_files([*files, None])
    (folder / "1.txt").write_text("7 .5 .5 1 1")
    os.utime(folder / "1.txt", (OLD, OLD))
    second = read_label_files([None, *files[::-1]])
    assert first.pictures.tolist() == [1, 2, 2, 3, 3, 3]
    assert second.pictures.tolist() == [1, 1, 1, 2, 2, 3]
    assert second.rows.column(0).tolist() == [3, 3, 3, 2, 2, 7]
    assert second.lines.tolist() == [1, 2, 3, 1, 2, 1]
    assert reads == ["0.txt", "1.txt", "2.txt", "3.txt", "1.txt"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(data=st.data())
def test_damage_is_ignored(folder, data):
    heights(folder)
    (kept,) = (folder.parent / "cache" / "files").glob("sizes-*.npz")
    content = kept.read_bytes()
    kept.write_bytes(damaged(data, content))
    assert heights(folder) == [10, 11, 12, 13]
    shutil.rmtree(folder.parent / "cache")


def test_a_cache_that_cannot_be_written_is_ignored(folder, monkeypatch):
    (folder.parent / "cache").write_text("a file")
    assert heights(folder) == heights(folder) == [10, 11, 12, 13]
    monkeypatch.delenv("YOLO_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert heights(folder) == [10, 11, 12, 13]


def test_few_files_are_not_worth_it(folder, monkeypatch):
    monkeypatch.setattr(kept_arrays, "SMALLEST", 5)
    heights(folder)
    assert not (folder.parent / "cache").exists()


def test_the_oldest_go_first(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_arrays, "FOLDER_LIMIT", 25)
    for index in range(4):
        (tmp_path / f"{index}.npz").write_bytes(b"x" * 10)
        os.utime(tmp_path / f"{index}.npz", (OLD + index, OLD + index))
    make_room(tmp_path, keep=tmp_path / "0.npz")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0.npz", "3.npz"]


def test_rows_of_some_files():
    table = Ragged({"a": np.array([2, 0, 1])}, {"a": np.array([10, 11, 30])})
    taken = table.take(np.array([2, 0, 1, 2]))
    assert (taken.counts["a"].tolist(), taken.columns["a"].tolist()) == ([1, 2, 0, 1], [30, 10, 11, 30])
    assert table.take(np.zeros(0, np.int64)).columns["a"].tolist() == []
