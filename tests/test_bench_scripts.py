"""The benchmark scripts run, and their figures follow from one another."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from cfg_texts import one_layer, two_scales

from yolo.datasets.digits import make_digits

ROOT = Path(__file__).parents[1]
WITHOUT_TENSORFLOW = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
"""


def run_on_jax(folder, *options, path=ROOT) -> str:
    """What the GPU benchmark prints on a processor; the folder has a narrow network, net.cfg."""
    (folder / "net.cfg").write_text(one_layer(32))
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(path)}
    command = [sys.executable, str(ROOT / "scripts" / "bench_gpu.py"), *map(str, options)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_the_gpu_benchmark_needs_no_tensorflow(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_TENSORFLOW)
    row = run_on_jax(tmp_path, "--quick", "--peak-tflops", 0.5, path=f"{tmp_path}{os.pathsep}{ROOT}").splitlines()[-1]
    milliseconds, rate, tflops, share = (float(text) for text in re.findall(r"\d+\.\d+", row)[:4])
    assert rate == pytest.approx(1000 / milliseconds, rel=0.1)
    # yolov3-tiny takes 5.571 GFLOP at 416 px with 80 classes (Darknet), thrice that in training.
    assert tflops == pytest.approx(3 * 5.571e-3 * (32 / 416) ** 2 * rate, abs=0.001)
    assert share == pytest.approx(100 * tflops / 0.5, abs=0.15)


CASE = ["--model", "net.cfg", "--batches", 1, "--repeats", 1]


@pytest.mark.slow
def test_the_gpu_benchmark_fed_by_the_pipeline(tmp_path):
    make_digits(tmp_path / "digits", train=8, val=2, size=64, seed=3)
    *_, row = run_on_jax(tmp_path, *CASE, "--sizes", 32, "--data", "digits").splitlines()
    milliseconds, rate = (float(text) for text in re.findall(r"\d+\.\d+", row)[:2])
    assert rate == pytest.approx(1000 / milliseconds, rel=0.1)
    assert re.search(r" \d+%$", row)


@pytest.mark.slow
def test_each_row_of_the_gpu_benchmark_has_a_process_of_its_own(tmp_path):
    """One that fails ends no other: a canvas of 33 px is none."""
    out = run_on_jax(tmp_path, *CASE, "--sizes", 33, 32)
    assert re.search(r"^net.cfg +33 +1 +failed$", out, re.MULTILINE)
    assert re.search(r"^net.cfg +32 +1 +\d+\.\d ms", out, re.MULTILINE)


@pytest.mark.slow
def test_the_training_benchmark_runs():
    script = str(ROOT / "scripts" / "bench_train.py")
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, script, "--quick", "--repeats", "1", "--precision", "float32"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    bare, fit = (float(re.search(rf"{name} +(\S+) s", done.stdout)[1]) for name in ("bare", "fit"))
    ratio = float(re.search(r"fit / bare (\S+)", done.stdout)[1])
    assert ratio == pytest.approx(fit / bare, rel=0.1)


@pytest.mark.slow
def test_the_study_of_recipes_runs(tmp_path, monkeypatch, capsys):
    """One epoch of two rows; those that are kept are not run again."""
    data = make_digits(tmp_path / "digits", train=4, val=2, size=64)
    net = tmp_path / "net.cfg"
    net.write_text(two_scales())
    script, kept = str(ROOT / "scripts" / "study_recipes.py"), tmp_path / "kept.json"
    rows = ["--row", "all defaults", "--row", "no prior in the heads' biases"]
    options = [f"few={data}:val", *rows, "--seeds", "0", "--epochs", "1", "--model", str(net), "--out", str(kept)]
    done = subprocess.run([sys.executable, script, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert set(json.loads(kept.read_text())) == {"few/all defaults/0", "few/no prior in the heads' biases/0"}
    monkeypatch.setattr(sys, "argv", [script, *options])
    runpy.run_path(script, run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| change | few: mean AP50 | few: end AP50 | few: AP |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| all defaults", "| no prior in the heads' biases"]


def test_the_suppression_benchmark_times_every_kind(monkeypatch, capsys):
    script = str(ROOT / "scripts" / "bench_nms.py")
    monkeypatch.setattr(sys, "argv", [script, "--size", "64", "--classes", "2", "--rounds", "1"])
    runpy.run_path(script, run_name="__main__")
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("252 slots, 2 classes")  # 3 x (2 x 2 + 4 x 4 + 8 x 8)
    assert len(rows) == 3 * 2 * 4
    assert all(float(text) > 0 for row in rows for text in re.findall(r"\d+\.\d\d", row.partition("numpy")[2]))


@pytest.mark.slow
def test_the_benchmark_of_the_evaluation_runs():
    """All rows have the same AP; on so few pictures the target of the time is missed."""
    options = ["--pictures", "20", "--detections", "30", "--classes", "3", "--turns", "1"]
    command = [sys.executable, str(ROOT / "scripts" / "bench_eval.py"), *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr[-2000:]
    rows = [line.split() for line in done.stdout.splitlines()[1:-1]]
    assert rows[3][-5] == "100.00%"
    assert len(rows) == 8
    assert len({row[-1] for row in rows}) == 1
    assert 0 < float(rows[0][-1]) < 1


@pytest.fixture
def add_up(monkeypatch):
    """What the profile makes of oneDNN's lines."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import bench_profile

    return bench_profile.add_up


def test_the_profile_adds_up_primitives_by_kind_until_the_step_ends(add_up):
    """Lines of oneDNN 3.7, as TensorFlow prints them, shortened."""
    line = "onednn_verbose,v1,primitive,exec,cpu,{},src:bf16::blocked:acdb::f0,,alg:convolution_direct,{},{}\n"
    lines = iter(
        [
            "onednn_verbose,v1,info,oneDNN v3.7.3 (commit N/A)\n",
            line.format("convolution,brg_conv_fwd:avx512_core_bf16,forward_training", "mb4_ic3oc32", "10.5"),
            line.format("convolution,brgconv_1x1:avx512_core_bf16,forward_training", "mb4_ic64oc32", "2"),
            line.format("convolution,jit_bf16:avx512_core_bf16,backward_weights", "mb4_ic3oc32", "4.25"),
            line.format("matmul,brg_matmul:avx512_core_bf16,undef", "512x1352:1352x1024", "1e-1"),
            line.format("eltwise,jit:avx512_core,forward_training", "mb4", "3"),
            "0.05 0.0625\n",
            line.format("reorder,jit:uni,undef", "64x32x3x3", "100"),
        ]
    )
    spent, whole = add_up(lines)
    assert spent == {"forward convolutions": 12.5, "kernel gradients": 4.35, "other primitives": 3.0}
    assert whole == 62.5


def test_the_profile_says_when_a_side_ends_early(add_up):
    with pytest.raises(SystemExit, match="ended before its step did"):
        add_up(iter([]))


@pytest.mark.slow
def test_the_detection_benchmark(tmp_path):
    make_digits(tmp_path / "digits", train=6, val=2, size=64, seed=3)
    pictures = next(path.parent for path in sorted((tmp_path / "digits").rglob("*")) if path.suffix in (".jpg", ".png"))
    options = ["--pictures", pictures, "--models", "yolov3-tiny", "--cases", "openvino:float32", "--size", 64]
    options += ["--repeats", 1, "--commands", 1, "--json", tmp_path / "figures.json"]
    command = [sys.executable, str(ROOT / "scripts" / "bench_detect.py"), *map(str, options)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (row,) = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert row["ratio"] == pytest.approx(row["pipeline_per_s"] / row["bare_per_s"], rel=1e-6)  # of one turn
    assert row["cold_s"] > 0
    assert row["warm_s"] > 0
    assert f"{row['warm_s']:.1f}" in done.stdout.splitlines()[-1]
