"""`yolov3 bench`: what it passes on, prints and writes; once with real runtimes."""

from __future__ import annotations

import json

import pytest
from bench_results import MACHINE, make_results

from yolo.cli.main import main


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """A folder with (empty) weights; the benchmark is replaced by made-up results."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.keras", "b.onnx", "c.weights", "c.cfg"):
        (tmp_path / name).touch()
    found = []

    def run_benchmark(candidates, plan):
        found.append((candidates, plan))
        return make_results(accuracy=False)

    monkeypatch.setattr("yolo.bench.candidates.reason_missing", lambda _: "")
    monkeypatch.setattr("yolo.bench.bench.run_benchmark", run_benchmark)
    monkeypatch.setattr("yolo.bench.machine.describe_machine", lambda: MACHINE | {"load": 5.0})
    return found


@pytest.mark.usefixtures("calls")
def test_table_json_and_picture(tmp_path, capsys, caplog):
    assert main(["bench", "a.keras", "--out", "out"]) == 0
    captured = capsys.readouterr()
    assert "openvino bfloat16  15.0  15.6" in captured.out
    assert "note: the machine was busy before (load average 5.0 on 2 cores)" in captured.out
    assert caplog.messages[-1] == "bench.json and bench.png written to out"
    assert (tmp_path / "out" / "bench.png").read_bytes().startswith(b"\x89PNG")
    written = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert written["settings"] == {"seconds": 3.0, "batches": [1, 8], "data": None}
    assert main(["bench", "a.keras", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == written


@pytest.mark.parametrize(
    "command",
    [
        "a.keras b.onnx --runtime keras onnx --precisions float32 --batch 8 2 8 --seconds 1 --size 96x128",
        "--runtime keras onnx --precisions float32 --batch 8 2 8 a.keras --seconds 1 b.onnx --size 96x128",
        "--seconds 1 --size 96x128 --precisions float32 --runtime keras onnx --batch 8 2 8 -- a.keras b.onnx",
    ],
)
def test_options_may_stand_anywhere_and_take_several_values(calls, command):
    assert main(["bench", *command.split()]) == 0
    ((candidates, plan),) = calls
    assert [(each.weights, each.runtime, each.precision) for each in candidates] == [
        ("a.keras", "keras", "float32"),
        ("a.keras", "onnx", "float32"),
        ("b.onnx", "onnx", "auto"),
    ]
    assert plan.batches == [2, 8]
    assert plan.seconds == 1.0
    assert plan.options == {"a.keras": {"size": (96, 128)}, "b.onnx": {"size": (96, 128)}}


def test_darknets_options_go_to_darknets_files_alone(calls):
    command = ["bench", "a.keras", "c.weights", "--cfg", "c.cfg", "--letterbox", "stretch", "--offline"]
    assert main(command) == 0
    ((_, plan),) = calls
    assert plan.options == {
        "a.keras": {"letterbox": "stretch", "offline": True},
        "c.weights": {"letterbox": "stretch", "offline": True, "cfg": "c.cfg"},
    }


@pytest.mark.slow
def test_real_runtimes_side_by_side(tmp_path, monkeypatch, capsys, caplog):
    """Among them an int8 file, which is made first."""
    from runtime_models import narrow_detector

    from yolo.datasets.digits import make_digits

    monkeypatch.setenv("YOLO_CACHE", str(tmp_path / "cache"))
    make_digits(tmp_path / "digits", train=1, val=3, size=96)
    detector = narrow_detector([str(digit) for digit in range(10)], share=2)
    detector.save(tmp_path / "a.keras")
    command = ["bench", tmp_path / "a.keras", "--runtime", "keras", "openvino", "--precisions", "float32", "int8"]
    command += ["--seconds", "0.2", "--batch", "2", "--data", tmp_path / "digits", "--out", tmp_path / "out", "--json"]
    assert main([str(word) for word in command]) == 0
    captured = capsys.readouterr()
    data = json.loads(captured.out)
    assert data == json.loads((tmp_path / "out" / "bench.json").read_text())
    assert [(each["runtime"], each["precision"]) for each in data["candidates"]] == [
        ("keras", "float32"),
        ("openvino", "float32"),
        ("openvino", "int8"),
    ]
    for each in data["candidates"]:
        assert each["weights"] == str(tmp_path / "a.keras")
        assert each["canvas"] == [96, 96]
        assert 0 < each["latency_ms"]["median"] <= each["latency_ms"]["p95"] < 10_000
        assert each["latency_ms"]["calls"] >= 9  # three turns of three
        assert each["throughput"]["2"]["pictures_per_s"] > 0
        assert 0 < each["startup_s"] < 300
        bytes_per_weight = each["file_bytes"] / detector.count_params()
        least, most = (1, 1.2) if each["precision"] == "int8" else (3.9, 4.2)
        assert least < bytes_per_weight < most
        assert 1e8 < each["peak_memory_bytes"] <= each["peak_memory_batches_bytes"] < 1e10
        assert 0 <= each["metrics"]["AP"] <= each["metrics"]["AP50"] <= 1
    first, second, _ = (each["metrics"] for each in data["candidates"])
    assert second == pytest.approx(first, abs=1e-3)
    assert "AP is measured on 3 pictures" in caplog.messages
