"""Figures, table, JSON and picture of made-up results."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from bench_results import MACHINE, make_results
from PIL import Image

from yolo.bench.candidates import Candidate
from yolo.bench.labels import free_place
from yolo.bench.machine import cpuinfo, describe_machine
from yolo.bench.plot import plot_benchmark
from yolo.bench.report import WIDTH, figure, to_data, to_text
from yolo.bench.results import Result, find_noise, percentile_ms, spread
from yolo.files.atomic import to_json
from yolo.images.plots import COLOURS


@pytest.mark.parametrize(
    ("bursts", "percent", "expected"),
    [
        ([[0.010, 0.030], [0.020]], 50, 20.0),
        ([[0.001 * value for value in range(101)]], 95, 95.0),
        ([[0.010], [0.020]], 95, 19.5),  # between the two
        ([], 50, math.nan),
    ],
)
def test_percentiles_are_of_all_bursts_together(bursts, percent, expected):
    assert percentile_ms(bursts, percent) == pytest.approx(expected, nan_ok=True)


def test_spread_is_the_middle_half_over_the_median():
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx((4 - 2) / 3)
    assert spread([7.0]) == 0.0


def test_noise_is_named():
    steady = make_results()
    assert find_noise(steady, load=1.9, cores=2) == []
    steady[3].rates[8] = [50.0, 100.0]  # quartiles 62.5 and 87.5, median 75
    busy, differing = find_noise(steady, load=3.04, cores=2)
    assert busy == "the machine was busy before (load average 3.0 on 2 cores); figures are too slow"
    assert differing.startswith("bursts differ by up to 33% (openvino bfloat16; above 15% in 1 of 6 candidates)")


def test_the_table_has_the_fastest_first_and_fits_a_terminal():
    results = make_results()
    results[4].failed = "not installed; pip install 'yolov3-keras[onnx]'"
    text = to_text(results, MACHINE, ["the machine was busy"])
    lines = text.splitlines()
    assert lines[0].startswith("A Processor (avx2), 2 cores; canvas 416x416; Python 3.11.7, yolov3-keras 0.1.0")
    assert max(map(len, lines)) <= WIDTH
    head = next(number for number, line in enumerate(lines) if "95 %" in line)
    assert lines[head].split("  ")[-1].strip() == "AP50"
    assert [line.split("  ")[0] for line in lines[head + 1 : head + 6]] == [
        "openvino bfloat16",
        "keras bfloat16",
        "openvino float32",
        "keras float32",
        "litert float32",
    ]
    # median of 15, 15, 14.55 and 15.75 ms; 95th percentile 15 + 0.85 x 0.75; the batches' medians
    assert lines[head + 1].split()[2:] == ["15.0", "15.6", "71.0", "85.2", "1.50", "301", "35.6", "0.330", "0.580"]
    assert "onnx float32: not measured: not installed; pip install 'yolov3-keras[onnx]'" in lines
    assert lines[-1] == "note: the machine was busy"


def test_a_wide_table_is_parted_and_long_names_are_shortened():
    results = make_results()
    for each in results:
        each.label = f"{'x' * 90} {each.label}"
        each.rates |= {batch: [1.0] for batch in (2, 4, 16, 32)}
    text = to_text(results, MACHINE)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "/s x 32" in text
    assert text.count("xxx openvino bfloat16") == 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "-"), (math.nan, "-"), (0.5, "0.50"), (9.99, "9.99"), (9.996, "10.0"), (99.94, "99.9"), (99.96, "100")],
)
def test_numbers_have_three_digits(value, expected):
    assert figure(value) == expected


def test_json_holds_every_figure_with_its_unit():
    results = make_results()
    results[1].failed = "no"
    data = json.loads(to_json(to_data(results, MACHINE, notes=[])))
    assert data["machine"]["processor"] == "A Processor"
    first, second, *_ = data["candidates"]
    assert second == {"weights": "runs/a/best.keras", "runtime": "keras", "precision": "bfloat16", "failed": "no"}
    assert first["latency_ms"] == {
        "median": pytest.approx(33.0),
        "p95": pytest.approx(33 + 0.85 * 1.65),
        "calls": 4,
        "spread": pytest.approx(0.5 * 0.01 / 1.005),  # medians of the bursts 33 and 33.33
    }
    assert first["throughput"]["8"] == {"pictures_per_s": pytest.approx(37.2), "spread": pytest.approx(0.1 / 1.2)}
    assert (first["startup_s"], first["file_bytes"], first["peak_memory_bytes"]) == (1.5, 35_562_133, 301_000_000)
    assert first["metrics"] == {"AP": 0.331, "AP50": pytest.approx(0.581)}


@pytest.mark.parametrize("accuracy", [True, False])
def test_the_picture_has_every_candidate(accuracy: bool, tmp_path: Path) -> None:
    results = make_results(accuracy=accuracy)
    plot_benchmark(results, tmp_path / "all.png")
    everything = np.asarray(Image.open(tmp_path / "all.png").convert("RGB")).reshape(-1, 3)
    colours = [tuple(bytes.fromhex(colour[1:])) for colour in COLOURS[:4]]
    for colour in colours:  # one a runtime
        assert (everything == colour).all(1).any()
    for each in results[2:]:
        each.failed = "no"
    plot_benchmark(results, tmp_path / "one.png")
    alone = np.asarray(Image.open(tmp_path / "one.png").convert("RGB")).reshape(-1, 3)
    assert (alone == colours[0]).all(1).any()
    assert not (alone == colours[1]).all(1).any()


def test_labels_avoid_what_is_taken():
    inside = (0.0, 0.0, 100.0, 100.0)
    above = free_place((50, 50), (10, 4), [], inside, step=5)
    assert above == (-5, 6.5)
    taken = [(0.0, 55.0, 100.0, 100.0)]
    assert free_place((50, 50), (10, 4), taken, inside, step=5) == (-5, -10.5)  # below, its upper edge 6.5 away
    assert free_place((50, 50), (10, 4), [inside], inside, step=5) == above  # no room at all


def test_a_result_without_measurements_has_no_figures():
    result = Result(Candidate("a.keras", "keras", "float32"), "keras float32")
    assert math.isnan(result.median_ms)
    assert math.isnan(result.rate(1))


def test_the_machine_is_described(tmp_path, monkeypatch):
    text = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu avx2 amx_bf16\n\nmodel name\t: Other\n"
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr("yolo.bench.machine.CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = describe_machine()
    assert (found["processor"], found["instructions"]) == ("Some CPU @ 2 GHz", ["avx2", "amx_bf16"])
    assert found["thread_variables"]["OMP_NUM_THREADS"] == "3"
    assert found["cores"] >= 1
    assert {"yolov3-keras", "tensorflow", "numpy"} <= set(found["packages"])
    assert cpuinfo("nothing") == ""
