"""Files of runtimes as weights: those of this package run, all others are refused in one line that names them."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from runtime_models import append_metadata, copied, noisy_detector, pictures, write_exported

import yolo
from yolo.cli.main import main
from yolo.config import NmsConfig
from yolo.conversion.description import KEY, describe
from yolo.errors import ConfigError, WeightsError
from yolo.runtimes.load import load_detector

NMS = NmsConfig(conf=0.05)
FORMATS = ("openvino", "onnx", "litert", "saved_model")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YOLO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def detector() -> yolo.Detector:
    return noisy_detector(size=64)


@pytest.fixture(scope="module")
def files(detector: yolo.Detector, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_exported(tmp_path_factory.mktemp("files") / "exported", detector)


@pytest.mark.parametrize("name", FORMATS)
def test_an_exported_file_needs_nothing_else(name: str, detector: yolo.Detector, files: dict[str, Path]) -> None:
    other = load_detector(files[name], precision="float32")
    assert (other.classes, other.canvas, other.nms) == (detector.classes, detector.canvas, detector.nms)
    found = other.detect_images(pictures(), NMS)
    for own, expected in zip(found, detector.detect_images(pictures(), NMS), strict=True):
        assert len(own) > 0
        np.testing.assert_array_equal(own.labels, expected.labels)
        np.testing.assert_allclose(own.boxes, expected.boxes, atol=0.01)


def test_openvino_runs_onnx_files_where_onnxruntime_is_missing(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yolo.runtimes.choose.PACKAGES", {"openvino": "openvino", "onnx": "missing_onnxruntime"})
    assert load_detector(files["onnx"]).network.runtime == "openvino"
    with pytest.raises(ConfigError, match="missing_onnxruntime is not installed"):
        load_detector(files["onnx"], runtime="onnx")


def test_openvino_runs_onnx_files(detector: yolo.Detector, files: dict[str, Path]) -> None:
    other = load_detector(files["onnx"], runtime="openvino", precision="float32")
    assert other.network.runtime == "openvino"
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    for raw, expected in zip(other.network(images), detector(images), strict=True):
        np.testing.assert_allclose(np.reshape(raw, expected.shape), expected, atol=1e-3)


def test_the_only_model_of_a_folder_is_meant(files: dict[str, Path], tmp_path: Path) -> None:
    copied(files, "openvino", tmp_path)
    assert load_detector(tmp_path).network.runtime == "openvino"


def test_info_describes_it(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(files["onnx"]), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["kind"], report["classes"], report["outputs"]) == (
        "exported",
        ["a", "b", "c"],
        ["stride_32", "stride_16"],
    )
    assert main(["info", str(files["litert"])]) == 0
    assert "batch        1\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [["train", "DATA", "--weights", "FILE"], ["convert", "FILE", "to.keras"]],
)
def test_nothing_is_trained_on_it(
    command: list[str], files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {"FILE": str(files["onnx"]), "DATA": str(tmp_path)}
    assert main([words.get(word, word) for word in command]) == 2
    assert "o.onnx: an exported file, for detection alone; give the .keras or .weights" in capsys.readouterr().err


def test_yolo_load_says_so_too(files: dict[str, Path]) -> None:
    with pytest.raises(WeightsError, match=r"ov.xml: an exported file, for detection alone"):
        yolo.load(files["openvino"])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("onnx", {"runtime": "litert"}, r"--runtime litert: .*o.onnx runs in onnx or openvino alone"),
        ("openvino", {"runtime": "onnx"}, r"ov.xml runs in openvino alone"),
        ("litert", {"precision": "bfloat16"}, r"--precision bfloat16: runtime litert computes in float32"),
        ("onnx", {"cfg": "x.cfg"}, r"cfg x.cfg: .*o.onnx is an exported file and needs none"),
        ("litert", {"size": 96}, r"l.tflite has a fixed input size, 64x64; export it with another"),
    ],
)
def test_options_that_do_not_fit(name: str, options: dict[str, object], message: str, files: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match=message):
        load_detector(files[name], **options)


@pytest.mark.parametrize("name", ["openvino", "onnx", "litert"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_empty_and_truncated_files(name: str, share: float, files: dict[str, Path], tmp_path: Path) -> None:
    path = copied(files, name, tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match=f"{path.name}: ") as caught:
        load_detector(path)
    assert "\n" not in str(caught.value)
    assert ("is empty" in str(caught.value)) == (share == 0)


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".tflite"])
def test_files_of_anything(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"noise{suffix}"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(WeightsError, match=rf"noise{suffix}: not an? "):
        load_detector(path)


def test_annotations_are_no_model(tmp_path: Path) -> None:
    (tmp_path / "picture.xml").write_text("<?xml version='1.0'?>\n<!-- by hand -->\n<annotation><object/></annotation>")
    with pytest.raises(WeightsError, match=r"picture.xml: an XML file of <annotation>, not an OpenVINO model \(annot"):
        load_detector(tmp_path / "picture.xml")


@pytest.mark.parametrize("part", [b"<!-- -->", b"<?a?>"])
def test_comments_without_a_root_take_no_time(part: bytes, tmp_path: Path) -> None:
    (tmp_path / "long.xml").write_bytes(part * 60 + b"end")  # backtracking would never end
    with pytest.raises(WeightsError, match=r"long.xml: not an XML file"):
        load_detector(tmp_path / "long.xml")


def test_places_of_weights_without_bounds(files: dict[str, Path], tmp_path: Path) -> None:
    path = copied(files, "openvino", tmp_path)
    text = path.read_text()
    path.write_text(re.sub(r'offset="\d+"', f'offset="{"9" * 5000}"', text))
    with pytest.raises(WeightsError, match=r"ov.bin beside it is of another model, or damaged"):
        load_detector(path)


def test_the_weights_beside_an_xml_file(files: dict[str, Path], tmp_path: Path) -> None:
    path = copied(files, "openvino", tmp_path)
    with path.with_suffix(".bin").open("ab") as file:
        file.write(bytes(64))
    with pytest.raises(WeightsError, match=r"ov.bin beside it is of another model, or damaged: [\d,]+ bytes, expected"):
        load_detector(path)
    path.with_suffix(".bin").unlink()
    with pytest.raises(WeightsError, match=r"ov.xml: its weights, ov.bin, do not lie beside it"):
        load_detector(path)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models of another program, with the metadata that it writes."""
    import onnx
    import openvino
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("foreign")
    port = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["images"], ["output0"])],
        "theirs",
        [port("images", 1, [1, 3, 64, 64])],
        [port("output0", 1, [1, 3, 64, 64])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.helper.set_model_props(model, {"names": "{0: 'cat'}", "stride": "32"})
    onnx.save(model, str(folder / "theirs.onnx"))
    converted = openvino.convert_model(str(folder / "theirs.onnx"))
    converted.set_rt_info("cat", ["model_info", "labels"])
    openvino.save_model(converted, str(folder / "theirs.xml"), compress_to_fp16=False)
    relu = tf.function(tf.nn.relu, input_signature=[tf.TensorSpec((1, 8, 8, 3), tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([relu.get_concrete_function()], tf.Module())
    (folder / "theirs.tflite").write_bytes(converter.convert())
    append_metadata(folder / "theirs.tflite", {"names": "{0: 'cat'}"})
    tf.saved_model.save(tf.Module(), str(folder / "saved"), signatures={"serving_default": relu})
    return {
        "onnx": folder / "theirs.onnx",
        "openvino": folder / "theirs.xml",
        "litert": folder / "theirs.tflite",
        "saved_model": folder / "saved",
    }


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("onnx", r"\(its outputs: output0; its metadata: names, stride\)"),
        ("openvino", r"\(its outputs: output0; its metadata: labels, names, stride\)"),
        ("litert", r"\(its outputs: .+; its metadata: names\)"),
        ("saved_model", r"\(its outputs: output_0; its metadata: none\)"),
    ],
)
def test_files_of_other_programs_are_named(name: str, told: str, foreign: dict[str, Path]) -> None:
    path = foreign[name]
    with pytest.raises(WeightsError, match=f"{path.name}: holds no description by this package {told}"):
        load_detector(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("a", "b")}, r"says that stride_32 is \(\?, \?, \?, 21\), in its graph it is \(\?, \?, \?, 24\)"),
        ({"strides": (64, 32)}, r"its description names the output stride_64, its graph has stride_16, stride_32"),
        ({"strides": (0, 0)}, r"description inside is damaged \(strides is \(0, 0\)\)"),
        ({"canvas": (100, 64)}, r"damaged \(canvas is \(100, 64\)\)"),
        ({"anchors": ((), ())}, r"damaged \(anchors is"),
        ({"contents": "boxes"}, r"damaged \(contents is boxes\)"),
        ({"letterbox": "crop"}, r"damaged \(letterbox is crop\)"),
    ],
)
def test_descriptions_that_do_not_fit(
    changes: dict[str, object], message: str, detector: yolo.Detector, files: dict[str, Path], tmp_path: Path
) -> None:
    text = replace(describe(detector), **changes).to_text()
    with pytest.raises(WeightsError, match=message):
        load_detector(with_description(files["onnx"], text, tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the description inside is damaged"),
        ("[]", "the description inside is damaged"),
        ('{"version": 3, "shape": 1}', "its description is of version 3, this package reads up to 2; update it"),
        ("[" * 100_000, "the description inside is damaged"),
        ('{"version": Infinity}', "the description inside is damaged"),
    ],
)
def test_damaged_and_newer_descriptions(text: str, message: str, files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=re.escape(message)):
        load_detector(with_description(files["onnx"], text, tmp_path))


def with_description(path: Path, text: str, folder: Path) -> Path:
    """A copy of an ONNX file with another description."""
    import onnx

    model = onnx.load(str(path))
    for entry in model.metadata_props:
        if entry.key == KEY:
            entry.value = text
    onnx.save(model, str(folder / "changed.onnx"))
    return folder / "changed.onnx"


def test_data_outside_the_folder_of_an_onnx_file_is_not_read(files: dict[str, Path], tmp_path: Path) -> None:
    import onnx

    (tmp_path / "inner").mkdir()
    model = onnx.load(str(files["onnx"]))
    onnx.save(model, str(tmp_path / "inner" / "m.onnx"), save_as_external_data=True, location="m.data")
    path = tmp_path / "inner" / "m.onnx"
    assert load_detector(path).network.runtime == "onnx"  # beside the file it is read
    shutil.move(tmp_path / "inner" / "m.data", tmp_path / "m.data")
    outside = onnx.load(str(path), load_external_data=False)
    for tensor in outside.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../m.data"
    path.write_bytes(outside.SerializeToString())
    with pytest.raises(WeightsError, match=r"m.onnx: not an ONNX model, or a damaged one"):
        load_detector(path)


def test_a_graph_that_reads_files_is_not_loaded(detector: yolo.Detector, tmp_path: Path) -> None:
    import tensorflow as tf
    import yaml

    def run(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"stride_32": images + tf.strings.to_number(tf.io.read_file("/etc/hostname"))}

    signature = [tf.TensorSpec((None, 64, 64, 3), tf.float32, name="images")]
    tf.saved_model.save(tf.Module(), str(tmp_path / "m"), signatures=tf.function(run, input_signature=signature))
    (tmp_path / "m" / "metadata.yaml").write_text(yaml.safe_dump({KEY: describe(detector).to_text()}))
    with pytest.raises(WeightsError, match="m: not loaded, as its graph does more than compute: ReadFile"):
        load_detector(tmp_path / "m")
