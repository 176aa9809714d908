"""Conversions are made once, kept whole or not at all, within bounds, and never in the way."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import cfg_texts
import pytest
from runtime_models import noisy_detector

from yolo.runtimes import cache
from yolo.runtimes.cache import conversion_name, kept_conversion, make_room, renewed_conversion
from yolo.runtimes.load import load_detector


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YOLO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "converted"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.keras"
    noisy_detector(size=64).save(path)
    return path


def write(folder: Path) -> None:
    (folder / "model").write_text("whole")


def test_a_conversion_is_made_once(folder: Path) -> None:
    assert kept_conversion("a", write) == (folder / "a", True)
    assert kept_conversion("a", pytest.fail) == (folder / "a", False)
    assert [path.name for path in folder.iterdir()] == ["a"]


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt()])
def test_a_failed_conversion_leaves_nothing(error: BaseException, folder: Path) -> None:
    def fail(unfinished: Path) -> None:
        write(unfinished)
        raise error

    with pytest.raises(type(error)):
        kept_conversion("a", fail)
    assert list(folder.iterdir()) == []


def test_a_file_in_place_of_a_conversion_is_replaced(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "a").write_text("not a folder")
    assert kept_conversion("a", write) == (folder / "a", True)
    assert (folder / "a" / "model").read_text() == "whole"


def test_a_damaged_conversion_that_cannot_be_deleted_is_passed_by(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = kept_conversion("a", write).folder
    assert renewed_conversion(damaged, write) == (damaged, True)
    monkeypatch.setattr("yolo.runtimes.cache.shutil.rmtree", lambda *_, **__: None)  # as without rights
    renewed = renewed_conversion(damaged, write)
    assert renewed.folder != damaged
    assert (renewed.folder / "model").read_text() == "whole"
    assert f"{damaged} is damaged, but cannot be deleted" in caplog.text


def test_what_a_killed_process_left_is_deleted(folder: Path) -> None:
    for name in (".a", ".b"):
        (folder / name).mkdir(parents=True)
        write(folder / name)
    kept_conversion("a", lambda unfinished: (unfinished / "new").touch())
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")) == ["a", "a/new"]


def test_two_at_a_time_convert_once(folder: Path) -> None:
    made, begun, may_end = [], threading.Event(), threading.Event()

    def convert(unfinished: Path) -> None:
        made.append(unfinished)
        begun.set()
        assert may_end.wait(20)
        write(unfinished)

    found = []
    threads = [threading.Thread(target=lambda: found.append(kept_conversion("a", convert))) for _ in range(2)]
    threads[0].start()
    assert begun.wait(20)
    threads[1].start()
    may_end.set()
    for thread in threads:
        thread.join(20)
    assert len(made) == 1
    assert sorted(found) == [(folder / "a", False), (folder / "a", True)]


def test_without_a_cache_folder_there_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("YOLO_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(cache, "_warned", set())
    with caplog.at_level(logging.WARNING, "yolo"):
        folders = [kept_conversion("a", write).folder for _ in range(2)]
    assert all((each / "model").read_text() == "whole" for each in folders)
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == [
        "converted networks cannot be kept"
    ]


def test_what_was_not_used_for_the_longest_time_goes_first(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "used", "old", "kept")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model").write_bytes(bytes(100))
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    make_room(tmp_path, keep=tmp_path / "kept", limit=300)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "new", "used"]


def test_the_name_tells_contents_options_and_files_beside(tmp_path: Path) -> None:
    path, other = tmp_path / "net.weights", tmp_path / "other.keras"
    for each in (path, other):
        each.write_bytes(b"numbers")
    names = [conversion_name(path, "openvino", {})]

    def changed(*arguments: object) -> bool:
        names.append(conversion_name(*arguments))
        return names.count(names[-1]) == 1

    assert not changed(path, "openvino", {})
    assert changed(path, "onnx", {})
    assert changed(path, "openvino", {"size": (64, 64)})
    assert changed(path, "openvino", {"letterbox": "stretch"})
    assert changed(path, "openvino", {"names": ["a", "b"]})
    (tmp_path / "net.cfg").write_text(cfg_texts.detector())
    assert changed(path, "openvino", {})
    (tmp_path / "obj.names").write_text("a\nb\n")
    assert changed(path, "openvino", {})
    (tmp_path / "obj.names").write_text("a\nc\n")
    assert changed(path, "openvino", {})
    assert changed(other, "openvino", {})
    other.write_bytes(b"others")
    assert changed(other, "openvino", {})
    shutil.copy(other, tmp_path / "copy.keras")
    assert not changed(tmp_path / "copy.keras", "openvino", {"offline": True})


def test_a_damaged_conversion_is_made_anew(model: Path, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_detector(model, runtime="openvino")
    [entry] = folder.iterdir()
    (entry / "model.xml").write_text("<net>")
    with caplog.at_level(logging.INFO, "yolo"):
        assert load_detector(model, runtime="openvino").network.runtime == "openvino"
    assert any("converted anew" in record.getMessage() for record in caplog.records)
    assert len((entry / "model.xml").read_text()) > 1000


def test_auto_falls_back_where_a_network_cannot_be_converted(
    model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no such operation\nat length")

    monkeypatch.setattr("yolo.runtimes.convert._convert_into", fail)
    with caplog.at_level(logging.INFO, "yolo"):
        assert load_detector(model).network.runtime == "keras"
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [line.partition(": ")[2] for line in told] == [
        f"cannot be converted for {name} (no such operation)" for name in ("openvino", "onnx")
    ]
    assert list(folder.iterdir()) == []


CODE = """
import sys
from yolo.runtimes.load import load_detector
import numpy as np
found = load_detector(sys.argv[1], runtime="openvino").detect(np.zeros((64, 64, 3), np.uint8), conf=0.05)
print(len(found), *sorted({"keras", "tensorflow", "jax", "onnx"} & set(sys.modules)))
"""


def test_a_hit_imports_neither_keras_nor_tensorflow(model: Path) -> None:
    expected = load_detector(model, runtime="openvino")
    import numpy as np

    count = len(expected.detect(np.zeros((64, 64, 3), np.uint8), conf=0.05))
    ran = subprocess.run([sys.executable, "-c", CODE, str(model)], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [str(count)]
