"""`yolov3 export`: what it writes and says, and what it refuses in one line."""

from __future__ import annotations

import json
import shutil
from importlib import util
from pathlib import Path

import pytest
from cfg_texts import one_layer
from short_files import no_file_longer_than

from yolo.cli.main import main
from yolo.model.detector import Detector
from yolo.runtimes.load import describe_exported

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the converters


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest detector's file."""
    path = tmp_path_factory.mktemp("saved") / "a.keras"
    Detector("net.cfg", cfg=one_layer(16), classes=["a", "b"]).save(path)
    return path


@pytest.fixture
def model(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a copy of it, which is the current one."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(saved, tmp_path)
    return tmp_path


def test_a_file_is_written_and_its_differences_told(model: Path, capsys: pytest.CaptureFixture[str]) -> None:

    options = [
        "--format",
        "onnx",
        "--size",
        "32x64",
        "--conf",
        "0.4",
        "--iou",
        "0.6",
        "--nms",
        "diounms",
        "--outputs",
        "maps",
    ]
    assert main(["export", "a.keras", *options]) == 0
    out = capsys.readouterr().out
    assert "a.onnx: 0.0 MB, float32, any size; gives stride_16" in out
    assert "scores, largest" in out
    about, _ = describe_exported("a.onnx")
    assert (about.canvas, about.nms.conf, about.nms.iou, about.nms.kind) == ((32, 64), 0.4, 0.6, "diounms")
    assert main(["export", "a.keras", "--format", "litert", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["path"] == "a.tflite"
    assert record["outputs"] == ["boxes", "scores"]
    assert record["parity"]["scores"] <= record["parity"]["bounds"]["scores"] == 0.001
    assert sorted(path.name for path in model.iterdir()) == [
        "a.keras",
        "a.onnx",
        "a.tflite",
        "detect_a_litert.py",
        "detect_a_onnx.py",
    ]


@pytest.mark.usefixtures("model")
def test_an_export_is_only_replaced_with_force(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["export", "a.keras", "--format", "saved_model", "--out", "x.saved_model"]
    assert main(command) == 0
    assert main(command) == 2
    assert "x.saved_model: exists; give another --out, or --force to write over it" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    assert main(["export", "x.saved_model", "--format", "onnx"]) == 2
    assert "x.saved_model: is an export already; give the .keras or .weights file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "--format onnx --precision bfloat16",
            "--precision bfloat16: a file of format onnx holds float32, float16, int8",
        ),
        ("--format openvino --precision bfloat16", "int8; OpenVINO chooses bfloat16 when it runs"),
        ("--for triton --precision int8", "--precision must be float32 with --for triton, got int8"),
        ("--for tf-serving --format onnx", "--format must be left out with --for tf-serving, got onnx"),
        ("--for triton --out full", "full: exists; give another --out"),
        ("--size 64", "give --format or --for"),
        ("--format onnx --precision int8", "--precision int8 needs pictures to calibrate on: --data DATA"),
        ("--format onnx --out there.onnx", "there.onnx: exists; give another --out, or --force"),
        ("--format openvino --out full --force", "full: a folder with other contents than an export"),
        ("--format onnx --out x.tflite", "x.tflite: give a name that ends in .onnx for format onnx"),
        ("--format openvino --out x.onnx", "x.onnx: .onnx is not a name of format openvino; it may end in .xml"),
        ("--format onnx --out none/x.onnx", "none/x.onnx: there is no folder none"),
        ("--format litert --dynamic", "--dynamic: not possible, a LiteRT file has fixed sizes"),
        ("--format onnx --dynamic --fixed", "--dynamic must be given without --fixed"),
        ("--format onnx --batch 0", "--batch must be > 0"),
        ("--format onnx --conf 2", "--conf must be in"),
        ("--format onnx --split val", "--split must be given with --data"),
        ("--format onnx --data none", "none: no such file or folder"),
        ("--format nothing", "--format"),
    ],
)
def test_faults_are_one_line_and_leave_nothing(
    model: Path, capsys: pytest.CaptureFixture[str], options: str, message: str
) -> None:
    (model / "there.onnx").write_text("mine")
    (model / "full").mkdir()
    (model / "full" / "mine.txt").write_text("mine")
    before = {path: path.is_file() and path.read_bytes() for path in model.rglob("*")}
    assert main(["export", "a.keras", *options.split()]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert {path: path.is_file() and path.read_bytes() for path in model.rglob("*")} == before


@pytest.mark.usefixtures("model")
def test_a_missing_package_is_named_with_its_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = lambda name: None if name == "tf2onnx" else util.find_spec(name)  # noqa: E731
    monkeypatch.setattr("yolo.exporting.formats.find_spec", missing)
    assert main(["export", "a.keras", "--format", "onnx"]) == 2
    expected = "yolov3 export: --format onnx: needs tf2onnx, not installed; pip install 'yolov3-keras[onnx]'"
    assert capsys.readouterr().err.splitlines()[-1] == expected


@pytest.mark.usefixtures("model")
def test_another_backend_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    assert main(["export", "a.keras", "--format", "onnx"]) == 2
    assert "Keras computes with jax here (unset KERAS_BACKEND)" in capsys.readouterr().err


def test_a_full_disk_leaves_nothing(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("yolo.exporting.formats.write_onnx", full)
    assert main(["export", "a.keras", "--format", "onnx"]) == 2
    assert "a.onnx: cannot be written (No space left on device)" in capsys.readouterr().err
    assert [path.name for path in model.iterdir()] == ["a.keras"]


@pytest.mark.parametrize("options", ["--format onnx", "--format openvino", "--format litert", "--format saved_model"])
def test_no_room_for_a_file_is_one_line_in_every_format(
    model: Path, capsys: pytest.CaptureFixture[str], options: str
) -> None:
    """Each program that writes has errors of its own for it."""
    check_no_room(options, model, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("options", ["--for tf-serving --size 32", "--for triton --size 32"])
def test_no_room_for_a_server_is_one_line(model: Path, capsys: pytest.CaptureFixture[str], options: str) -> None:
    check_no_room(options, model, capsys)


def check_no_room(options: str, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with no_file_longer_than(1000):
        code = main(["export", "a.keras", *options.split()])
    assert code == 2
    assert ": cannot be written (" in capsys.readouterr().err.splitlines()[-1]
    assert [path.name for path in model.iterdir()] == ["a.keras"]


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("options", ["--dynamic", "--force", "--outputs maps", "--split val"])
def test_options_that_a_server_has_not_are_refused(capsys: pytest.CaptureFixture[str], options: str) -> None:
    assert main(["export", "a.keras", "--for", "tf-serving", *options.split()]) == 2
    assert f"{options.split(maxsplit=1)[0]} must be left out with --for tf-serving" in capsys.readouterr().err
