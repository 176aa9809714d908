"""int8 files: what they find, what they hold, how they are refused."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from cfg_texts import two_scales
from PIL import Image
from runtime_models import scatter

import yolo
from yolo import Dataset
from yolo.cli.main import main
from yolo.config import Format
from yolo.conversion.conversion import Conversion
from yolo.errors import ConfigError
from yolo.exporting.calibration import Canvases
from yolo.exporting.formats import FORMATS, open_written
from yolo.exporting.int8 import to_int8
from yolo.exporting.quiet import quiet
from yolo.images.letterbox import Letterbox

SIZE = 96


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Six pictures of smooth colours, with a box each."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    for index in range(6):
        colours = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8))
        colours.resize((128, 96), Image.Resampling.BICUBIC).save(folder / "images" / f"{index}.png")
        (folder / "labels" / f"{index}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (folder / "data.yaml").write_text("path: .\nval: images\nnames: [a]\n")
    return yolo.load_dataset(folder, "val")


def test_canvases_are_drawn_by_the_seed_and_made_as_detection_makes_them(pictures: Dataset) -> None:
    canvases = Canvases(pictures, (SIZE, SIZE), "letterbox", batch=2, count=3, seed=1)
    first, second = canvases
    assert (len(canvases), canvases.pictures, first.shape) == (2, 3, (2, SIZE, SIZE, 3))
    assert first.dtype == np.float32
    np.testing.assert_array_equal(second[0], second[1])  # filled up with the last picture
    drawn = np.random.default_rng(1).permutation(6)[0]
    image = pictures.image(int(drawn))
    expected = Letterbox(image.shape[:2], (SIZE, SIZE)).apply(image)
    np.testing.assert_array_equal(first[0], expected)
    np.testing.assert_array_equal(next(iter(canvases)), first)  # a second pass gives the same


def test_pictures_that_cannot_be_read_are_skipped_and_counted(
    pictures: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    path = pictures.path(0)
    whole = path.read_bytes()
    path.write_bytes(b"no picture")
    try:
        assert Canvases(pictures, (SIZE, SIZE), "letterbox").pictures == 5
        assert "1 of 6 pictures for calibration skipped" in caplog.text
    finally:
        path.write_bytes(whole)


def test_int8_without_pictures_is_one_line(tiny: yolo.Detector) -> None:
    for file_format in ("onnx", "openvino", "litert"):
        with pytest.raises(ConfigError, match=r"^precision int8 needs pictures to calibrate on: --data DATA$"):
            to_int8(tiny, file_format, Conversion(precision="int8"), None)


def test_litert_refuses_int8_around_a_suppression(tiny: yolo.Detector, pictures: Dataset) -> None:
    """Its quantiser calibrates all loops of a file and fails in those of suppression."""
    with pytest.raises(ConfigError, match=r"give --outputs predictions$"):
        to_int8(tiny, "litert", Conversion(precision="int8", contents="detections"), pictures)


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["onnx", "openvino", "litert"])
def test_an_int8_file_finds_what_keras_finds_and_is_a_quarter(
    file_format: Format, tiny: yolo.Detector, pictures: Dataset, tmp_path: Path
) -> None:
    model, description = to_int8(tiny, file_format, Conversion(precision="int8", fixed_canvas=True), pictures)
    assert (description.precision, description.classes) == ("int8", tiny.classes)
    place = tmp_path / {"onnx": "m.onnx", "openvino": "m.xml", "litert": "m.tflite"}[file_format]
    FORMATS[file_format].write(model, description, place)
    size = sum(each.stat().st_size for each in tmp_path.iterdir())
    weights = 4 * tiny.count_params()
    assert 0.24 * weights < size < 0.3 * weights
    found = open_written(file_format, place, description)
    images = np.concatenate(list(Canvases(pictures, (SIZE, SIZE), "letterbox")))
    maps = [np.asarray(each).reshape(*each.shape[:3], -1) for each in tiny(images)]
    for own, expected in zip(found.outputs(images), maps, strict=True):
        error = np.sqrt(np.mean((own - expected) ** 2))
        assert own.dtype == np.float32
        assert 0 < error < 0.15 * np.std(expected)  # int8 it is, and near


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the converters
@pytest.mark.parametrize("file_format", ["openvino", "onnx", "litert"])
def test_an_int8_export_prints_json_alone(
    file_format: Format,
    pictures: Dataset,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = pictures.path(0).parents[1]
    scatter(yolo.Detector("net.cfg", cfg=two_scales(1, side=SIZE), classes=["a"])).save(tmp_path / "m.keras")
    out = tmp_path / {"onnx": "m.onnx", "openvino": "m.openvino", "litert": "m.tflite"}[file_format]
    command = ["export", str(tmp_path / "m.keras"), "--format", file_format, "--precision", "int8", "--out", str(out)]
    capfd.readouterr()
    assert main([*command, "--data", str(folder), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["parity"]["precision"] == "int8"
    said = [line for line in caplog.messages if "calibrat" in line]
    assert said == [f"int8: calibrating on 6 pictures of {folder.name}"]


def test_other_programs_are_quiet_and_ours_is_not(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    handlers, filters = list(root.handlers), list(root.filters)
    monkeypatch.setattr("yolo.exporting.quiet.NNCF", "like_nncf")
    nncf = logging.getLogger("like_nncf")
    level = nncf.level
    with quiet():
        print("progress")
        logging.warning("please consider")  # as ONNX Runtime's quantiser does
        nncf.warning("statistics")
        logging.getLogger("yolo.exporting.int8").warning("ours")
        logging.error("fault")
    assert capsys.readouterr() == ("", "")
    assert caplog.messages == ["ours", "fault"]
    assert (root.handlers, root.filters, nncf.level) == (handlers, filters, level)
