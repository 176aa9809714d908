"""Runtimes and precisions by what is installed and what the machine has."""

from __future__ import annotations

from pathlib import Path

import pytest

from yolo.errors import ConfigError
from yolo.runtimes import choose
from yolo.runtimes.choose import choose_precision, choose_runtime, has_accelerator, keras_backend, runtimes_to_try


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Modules that are found, on a machine with a processor alone."""
    found = {"openvino", "onnxruntime", "onnx", "tf2onnx", "ai_edge_litert"}
    monkeypatch.setattr(choose, "find_spec", lambda name: name if name in found else None)
    monkeypatch.setattr(choose, "has_accelerator", lambda: False)
    monkeypatch.setattr(choose, "keras_backend", lambda: "tensorflow")
    return found


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ((), ["openvino", "onnx", "keras"]),
        (("openvino",), ["onnx", "keras"]),
        (("openvino", "tf2onnx"), ["keras"]),  # no way to convert
        (("onnxruntime",), ["openvino", "keras"]),
    ],
)
def test_auto_is_the_fastest_installed(missing: tuple[str, ...], expected: list[str], installed: set[str]) -> None:
    installed.difference_update(missing)
    assert runtimes_to_try() == expected
    assert choose_runtime("auto") == expected[0]


def test_a_gpu_or_another_backend_is_keras(installed: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "openvino" in installed
    monkeypatch.setattr(choose, "has_accelerator", lambda: True)
    assert choose_runtime("auto") == "keras"
    assert choose_runtime("openvino") == "openvino"
    monkeypatch.setattr(choose, "has_accelerator", lambda: False)
    monkeypatch.setattr(choose, "keras_backend", lambda: "jax")
    assert choose_runtime("auto") == "keras"


@pytest.mark.parametrize(
    ("runtime", "module"), [("openvino", "openvino"), ("onnx", "tf2onnx"), ("litert", "ai_edge_litert")]
)
def test_a_missing_package_is_one_line_with_its_extra(runtime: str, module: str, installed: set[str]) -> None:
    installed.remove(module)
    with pytest.raises(ConfigError) as caught:
        choose_runtime(runtime)
    assert str(caught.value) == (
        f"--runtime {runtime}: {module} is not installed; pip install 'yolov3-keras[{runtime}]'"
    )


def test_running_onnx_files_needs_no_converter(installed: set[str]) -> None:
    installed.remove("tf2onnx")
    assert choose_runtime("onnx", convert=False) == "onnx"


@pytest.mark.parametrize(
    ("wanted", "runtime", "held", "expected"),
    [
        ("auto", "onnx", "float32", "auto"),
        ("bfloat16", "openvino", "float32", "bfloat16"),
        ("mixed_bfloat16", "keras", "float32", "bfloat16"),
        ("bfloat16", "openvino", "float16", "bfloat16"),
        ("float16", "onnx", "float16", "float16"),
        ("auto", "litert", "int8", "auto"),
    ],
)
def test_precisions(wanted: str, runtime: str, held: str, expected: str) -> None:
    assert choose_precision(wanted, runtime, held) == expected


@pytest.mark.parametrize(
    ("wanted", "runtime", "held", "told"),
    [
        ("bfloat16", "onnx", "float32", "runtime onnx computes in float32 on"),
        ("float16", "openvino", "float32", "runtime openvino computes in float32 or bfloat16 on"),
        ("float32", "litert", "int8", "a file in int8 computes in int8 on"),
    ],
)
def test_precisions_that_a_runtime_has_not(wanted: str, runtime: str, held: str, told: str) -> None:
    with pytest.raises(ConfigError, match=f"--precision {wanted}: {told}"):
        choose_precision(wanted, runtime, held)


def test_without_a_device_nothing_is_imported_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yolo.system.startup.import_keras", pytest.fail)
    assert not has_accelerator(tmp_path)
    (tmp_path / "nvidiactl").touch()  # the driver without a GPU
    assert not has_accelerator(tmp_path)
    (tmp_path / "nvidia3").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not has_accelerator(tmp_path)


def test_the_backend_is_read_without_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert keras_backend() == "jax"
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert keras_backend() == "tensorflow"
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    assert keras_backend() == "torch"
    (tmp_path / "keras.json").write_text("[")
    assert keras_backend() == "tensorflow"
