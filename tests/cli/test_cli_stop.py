"""`yolov3 detect` that is stopped half-way, or runs twice at once: real processes, real signals, full disks."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from PIL import Image
from processes import HELPERS, finish, start
from short_files import no_file_longer_than

from yolo.detect.outputs import Records, append_line
from yolo.errors import ConfigError

FOUND = [{"class": "car", "score": 0.875, "box": [1.0, 2.0, 3.0, 4.0]}]


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (80, 40), (9, 9, 9)).save(Path("in") / name)
    return tmp_path


def record(name: str) -> dict:
    return {"source": f"in/{name}", "frame": None, "detections": FOUND}


def detect(*arguments, **options):
    return start(HELPERS / "slow_detect.py", "model.keras", "in", "--batch", "1", *arguments, **options)


def waiting(*arguments):
    """A process of `detect` that has come to the second picture."""
    process = detect(*arguments)
    end = time.monotonic() + 100
    while not Path("waiting").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    return process


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_was_found(number, code):
    process = waiting("--out", "out", "--json")
    process.send_signal(number)
    Path("go").touch()
    ended, out, err = finish(process)
    assert ended == code
    assert json.loads(out) == [record("a.png")]
    assert json.loads(Path("out/detections.json").read_text()) == [record("a.png")]
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "detections.json"]
    assert "stopped after 1 of 3 pictures; out/detections.json says what is in 1 of them" in err.splitlines()
    assert "Traceback" not in err


@pytest.mark.usefixtures("pictures")
def test_without_a_folder_json_is_what_is_known():
    process = waiting("--json")
    process.send_signal(signal.SIGTERM)
    Path("go").touch()
    code, out, err = finish(process)
    assert (code, json.loads(out)) == (143, [record("a.png")])
    assert "stopped after 1 of 3 pictures" in err.splitlines()


@pytest.mark.usefixtures("pictures")
def test_two_at_once_and_a_killed_one():
    process = waiting("--out", "out")
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    for force in ([], ["--force"]):
        code, out, err = finish(detect("--out", "out", *force))
        assert (code, out) == (2, "")
        said = f"yolov3 detect: a run is going on in out (process {process.pid} on "
        assert err.splitlines()[-1].startswith(said)
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == before
    process.kill()
    process.communicate()
    assert [json.loads(line) for line in Path("out/detections.jsonl").read_text().splitlines()] == [record("a.png")]
    Path("go").touch()
    code, _, err = finish(detect("--out", "out"))
    assert (code, err) == (2, "yolov3 detect: out: exists; give another --out, or --force to write into it\n")
    code, _, err = finish(detect("--out", "out", "--force"))
    assert code == 0, err
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "b.png", "c.png", "detections.json"]
    assert json.loads(Path("out/detections.json").read_text()) == [record(f"{name}.png") for name in "abc"]


@pytest.mark.usefixtures("pictures")
def test_a_full_stdout_is_one_line():
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    Path("go").touch()
    with Path("/dev/full").open("w") as full:
        process = detect("--json", "--out", "out", stdout=full)
        _, err = process.communicate(timeout=100)
    assert process.returncode == 2
    assert err.splitlines()[-1] == "yolov3 detect: stdout: cannot be written (No space left on device)"
    assert "Traceback" not in err
    assert json.loads(Path("out/detections.json").read_text()) == [record(f"{name}.png") for name in "abc"]


def test_a_line_that_does_not_fit_is_taken_back(tmp_path):
    append_line(tmp_path / "lines", "a" * 50)
    too_long = pytest.raises(ConfigError, match=r"lines: cannot be written \(File too large\); make room or")
    with no_file_longer_than(80), too_long:
        append_line(tmp_path / "lines", "b" * 50)
    append_line(tmp_path / "lines", "c")
    assert (tmp_path / "lines").read_text() == "a" * 50 + "\nc\n"


def test_lines_stay_where_the_list_cannot_be_written(tmp_path):
    records = Records()
    records.write_to(tmp_path)
    records.add({"source": "a.png"})
    (tmp_path / "detections.json").mkdir()  # nothing can take its place
    with pytest.raises(ConfigError, match=r"detections\.json: cannot be written"):
        records.finish()
    assert records.salvage() == tmp_path / "detections.jsonl"
    assert (tmp_path / "detections.jsonl").read_text() == '{"source": "a.png"}\n'
