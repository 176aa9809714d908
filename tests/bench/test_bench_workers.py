"""Worker processes, and the benchmark around them."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest

from yolo.bench import bench, process
from yolo.bench.bench import Plan, run_benchmark
from yolo.bench.candidates import Candidate
from yolo.bench.process import Worker, WorkerError
from yolo.errors import ConfigError

STUB = """
import sys, json
{body}
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "die":
        print("first\\nlast words", file=sys.stderr)
        sys.exit(7)
    reply = {{"failed": "no  such\\nfile"}} if request["do"] == "fail" else {{"result": request["with"]}}
    print(json.dumps({{**reply, "said": ["careful"]}}), flush=True)
"""


@pytest.fixture
def stub(monkeypatch):
    """Workers that echo, without the package."""
    monkeypatch.setattr(process, "CODE", STUB.format(body=""))


@pytest.mark.usefixtures("stub")
def test_a_worker_answers_until_it_is_closed():
    with Worker() as worker:
        assert worker.ask("echo", a=[1, 2]) == {"a": [1, 2]}
        assert worker.ask("echo", b="é") == {"b": "é"}
        assert worker.said == ["careful", "careful"]
        child = psutil.Process(worker._process.pid)
    assert not child.is_running()


@pytest.mark.usefixtures("stub")
def test_a_failure_is_one_line_and_a_death_gives_the_last_words():
    with Worker() as worker:
        with pytest.raises(WorkerError, match=r"^no such file$"):
            worker.ask("fail")
        with pytest.raises(WorkerError, match=r"^its process ended with code 7 \(last words\)$"):
            worker.ask("die")
        with pytest.raises(WorkerError, match="code 7"):  # and still
            worker.ask("echo")


SPAWNING = """
import json, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(json.dumps({"result": {"child": child.pid}, "said": []}), flush=True)
child.wait()
"""


def test_what_a_worker_has_started_ends_with_it(monkeypatch):
    monkeypatch.setattr(process, "CODE", SPAWNING)
    worker = Worker()
    child = psutil.Process(worker.ask("echo")["child"])
    worker.close()
    assert worker._process.returncode == -9
    assert gone(child)


def gone(child: psutil.Process) -> bool:
    """Whether a process ends within half a minute; where nobody collects it, it stays as a zombie."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.05)
                continue
        return True
    return False


def test_the_real_worker_ends_with_a_parent_that_is_killed():
    code = (
        "import os, signal, sys\nfrom yolo.bench.process import Worker\nworker = Worker()\n"
        "try: worker.ask('load', nonsense=1)\n"
        "except Exception as error: print(error)\n"
        "print(worker._process.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    error, pid = done.stdout.splitlines()
    assert error.startswith("TypeError: ")
    assert "nonsense" in error
    with suppress(psutil.NoSuchProcess):
        assert gone(psutil.Process(int(pid)))


class FakeWorker:
    """Worker of a candidate whose times are those of a table."""

    MILLISECONDS: ClassVar = {"keras": 20.0, "openvino": 10.0}

    def __init__(self) -> None:
        self.said: list[str] = ["trained on these pictures"]
        self.asked: list[str] = []
        self.runtime = ""
        self.exported: dict[str, Any] = {}
        self.loaded: dict[str, Any] = {}

    def __enter__(self) -> FakeWorker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.asked.append("close")

    def ask(self, name: str, **given: Any) -> dict[str, Any]:
        self.asked.append(name)
        if name == "load":
            self.runtime = given["runtime"]
            if self.runtime == "onnx":
                raise WorkerError("cannot be converted")
        if name == "export":
            self.exported = given
            if given["runtime"] == "litert":
                raise WorkerError("not written, as it costs AP")
        if name == "load":
            self.loaded = given
        ms = self.MILLISECONDS.get(self.runtime, 1.0)
        if name == "throughput" and self.runtime == "litert":
            raise WorkerError("takes one picture at a time")
        return {
            "load": {},
            "export": {},
            "first": {"canvas": [96, 96], "precision": None},
            "size": {"bytes": 1000},
            "memory": {"bytes": 10**6 * (1 + self.asked.count("throughput"))},
            "latency": {"seconds": [ms / 1000] * 10},
            "throughput": {"rate": 1000 * given.get("batch", 0) / ms, "seconds": 1.0, "parallel": 2},
            "evaluate": {"AP": 0.5, "AP50": 0.75},
        }[name]


@pytest.fixture
def fakes(monkeypatch):
    made: list[FakeWorker] = []

    def make() -> FakeWorker:
        made.append(FakeWorker())
        return made[-1]

    monkeypatch.setattr(bench, "Worker", make)
    monkeypatch.setattr("yolo.bench.turns.PAUSE_SECONDS", 0.0)
    return made


def test_every_candidate_is_measured_or_has_its_reason(fakes, caplog):
    names = ("keras", "openvino", "onnx", "litert")
    candidates = [Candidate("a.keras", name, "float32") for name in names]
    candidates.append(Candidate("b.onnx", "onnx", "auto", missing="not installed"))
    results = run_benchmark(candidates, Plan(batches=(1, 4), seconds=0.3, data={"path": "d"}))
    keras, openvino, onnx, litert, missing = results
    assert [each.failed for each in results] == [
        "",
        "",
        "cannot be converted",
        "takes one picture at a time",
        "not installed",
    ]
    assert keras.label == "a.keras keras float32"
    assert (keras.median_ms, openvino.median_ms, litert.median_ms) == pytest.approx((20.0, 10.0, 1.0))
    assert (keras.rate(1), keras.rate(4), openvino.rate(4)) == pytest.approx((50.0, 200.0, 400.0))
    assert keras.metrics == {"AP": 0.5, "AP50": 0.75}
    assert keras.parallel == 2
    assert (keras.peak_bytes, keras.peak_bytes_batches) == (10**6, 7 * 10**6)  # three bursts a batch
    assert (keras.file_bytes, keras.canvas, keras.precision) == (1000, (96, 96), "float32")
    assert onnx.latencies == missing.latencies == []
    assert len(fakes) == 7  # two for each that loads, one for that which does not
    assert all("close" in each.asked for each in fakes)
    assert caplog.messages.count("trained on these pictures") == 1


@pytest.mark.usefixtures("fakes")
def test_speeds_stay_where_ap_cannot_be_measured(monkeypatch, caplog):
    def ask(self: FakeWorker, name: str, **given: Any) -> dict[str, Any]:
        if name == "evaluate":
            raise WorkerError("suppression is inside the file")
        return own(self, name, **given)

    own = FakeWorker.ask
    monkeypatch.setattr(FakeWorker, "ask", ask)
    (result,) = run_benchmark([Candidate("a.onnx", "openvino", "auto")], Plan(batches=(1,), seconds=0.3, data={}))
    assert (result.failed, result.metrics) == ("", {})
    assert result.median_ms == pytest.approx(10.0)
    assert "openvino: AP is not measured: suppression is inside the file" in caplog.messages


def test_an_int8_file_is_exported_first_and_measured(fakes):
    candidates = [Candidate("a.keras", name, "int8") for name in ("openvino", "litert")]
    plan = Plan(batches=(1,), seconds=0.1, data={"path": "d"}, options={"a.keras": {"size": (96, 96)}})
    measured, refused = run_benchmark(candidates, plan)
    assert (measured.failed, refused.failed) == ("", "not written, as it costs AP")
    assert (measured.label, measured.precision) == ("openvino int8", "int8")
    first, second, other = fakes
    path = Path(first.exported.pop("path"))
    assert first.exported == {
        "weights": "a.keras",
        "runtime": "openvino",
        "options": {"size": (96, 96)},
        "data": {"path": "d"},
    }
    assert first.loaded == second.loaded
    assert first.loaded == {
        "weights": str(path),
        "runtime": "openvino",
        "precision": "auto",
        "options": {},
        "converted": False,
    }
    assert path.name == "model.xml"
    assert not path.parent.exists()  # it was temporary
    assert other.asked == ["export", "close"]


def test_without_a_single_candidate_there_is_one_line(fakes):
    with pytest.raises(ConfigError, match=r"^none of 2 candidates runs: a onnx float32: cannot be converted$"):
        run_benchmark([Candidate("a", "onnx", "float32"), Candidate("b", "onnx", "float32", missing="gone")], Plan())
    assert all("close" in each.asked for each in fakes)


def test_workers_are_closed_when_the_user_interrupts(fakes, monkeypatch):
    monkeypatch.setattr(bench, "take_turns", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run_benchmark([Candidate("a", "keras", "float32")], Plan())
    assert len(fakes) == 2
    assert all("close" in each.asked for each in fakes)
