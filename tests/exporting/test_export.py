"""Exported files give what Keras gives, describe themselves, and are written whole or not at all."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from cfg_texts import STAGED, YOLO, conv, one_layer, section, sections
from runtime_models import add_small_backbone, scatter

import yolo
from yolo.config import NmsConfig
from yolo.conversion.conversion import PRECISIONS, Conversion
from yolo.conversion.description import KEY, Description, describe
from yolo.conversion.entries import model_info
from yolo.conversion.onnx_file import to_onnx
from yolo.errors import AnnotationError, ConfigError
from yolo.exporting.export import Exported
from yolo.exporting.formats import FORMATS as FORMAT_KINDS
from yolo.exporting.formats import open_written
from yolo.exporting.parity import BOUNDS, Parity, differing_detections, differing_predictions, iou
from yolo.exporting.pictures import generated_pictures
from yolo.ops.suppression import Kept
from yolo.runtimes.load import describe_exported

NAMES = {"onnx": "x.onnx", "openvino": "x.openvino", "litert": "x.litert", "saved_model": "x.saved_model"}
FORMATS = list(NAMES)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the converters


def read_back(path: Path) -> Description:
    """Description in a file, read without this package's `Exported`."""
    return describe_exported(path)[0]


def outputs(exported: Exported, file_format: str, images: np.ndarray) -> list[np.ndarray]:
    return open_written(file_format, exported.path, exported.description).outputs(images)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def export_small(small: yolo.Detector, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Exported]:
    """Exports the small detector, once in each format and with each contents, into a folder of its own."""

    @cache
    def export(file_format: str, contents: str) -> Exported:
        path = tmp_path_factory.mktemp("small") / NAMES[file_format]
        return yolo.export(small, path, format=file_format, contents=contents)  # type: ignore[arg-type]

    return export


@pytest.mark.parametrize("contents", ["maps", "predictions", "detections"])
@pytest.mark.parametrize("file_format", FORMATS)
def test_a_file_gives_what_keras_gives_and_describes_itself(
    small: yolo.Detector, export_small: Callable[[str, str], Exported], file_format: str, contents: str
) -> None:
    exported = export_small(file_format, contents)
    assert exported.path.name == NAMES[file_format]
    assert exported.path.exists()
    assert exported.script.is_file()
    assert exported.parity.scores < 1e-5
    assert exported.parity.boxes < 1e-3
    assert exported.parity.missed == 0
    assert (exported.parity.maps is not None) == (contents == "maps")
    assert (exported.parity.detections > 0) == (contents == "detections")
    fixed = file_format == "litert"
    expected = describe(small, contents=contents, batch=1 if fixed else None, fixed_canvas=fixed)
    assert read_back(exported.path) == exported.description == expected
    assert not [path for path in exported.path.parent.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("file_format", "precision"), [(f, p) for f in FORMATS for p in PRECISIONS[f] if p not in ("float32", "int8")]
)
def test_lower_precisions_make_smaller_files(
    tiny: yolo.Detector, tmp_path: Path, file_format: str, precision: str
) -> None:
    exported = yolo.export(tiny, tmp_path / NAMES[file_format], format=file_format, precision=precision)  # type: ignore[arg-type]
    assert exported.bytes < 2.2 * tiny.count_params()  # two bytes a weight
    assert 1e-6 < exported.parity.scores < BOUNDS[precision].scores / 2  # type: ignore[index]
    assert exported.description.precision == precision


@pytest.fixture(scope="module")
def on_another_canvas(small: yolo.Detector) -> tuple[np.ndarray, Kept]:
    """Three pictures of 32 x 96, and what Keras finds in them."""
    images = generated_pictures((32, 96), 3)
    return images, small.resized((32, 96)).find(images, small.nms)


@pytest.mark.parametrize("contents", ["predictions", "detections"])
@pytest.mark.parametrize("file_format", ["onnx", "openvino", "saved_model"])
def test_a_dynamic_file_takes_any_canvas_and_batch(
    export_small: Callable[[str, str], Exported],
    on_another_canvas: tuple[np.ndarray, Kept],
    file_format: str,
    contents: str,
) -> None:
    images, kept = on_another_canvas
    boxes, scores, *rest = outputs(export_small(file_format, contents), file_format, images)
    assert kept.valid[:, 0].all()
    if contents == "predictions":
        assert boxes.shape == (3, 6, 4)  # 1 x 3 cells of 2 anchors
        assert scores.shape == (3, 6, 2)
        np.testing.assert_allclose(scores.max(axis=(1, 2)), kept.scores[:, 0], atol=1e-5)
    else:
        np.testing.assert_array_equal(rest[1].sum(axis=1), kept.valid.sum(axis=1))
        for row, (count, own) in enumerate(zip(kept.valid.sum(axis=1), kept.boxes, strict=True)):
            np.testing.assert_allclose(boxes[row, :count], own[:count], atol=1e-3)


@pytest.mark.parametrize("agnostic", [False, True])
def test_onnx_suppression_keeps_what_ours_keeps(tmp_path: Path, agnostic: bool) -> None:
    nms = NmsConfig(conf=0.05, iou=0.3, class_agnostic=agnostic, max_candidates=150, max_detections=40)
    dense = scatter(yolo.Detector("net.cfg", cfg=one_layer(8, side=96), classes=["a", "b"]))
    exported = yolo.export(dense, tmp_path / "x.onnx", format="onnx", contents="detections", nms=nms)
    assert exported.parity.detections > 100
    images = generated_pictures(dense.canvas, 2)
    boxes, scores, labels, valid = outputs(exported, "onnx", images)
    kept = dense.find(images, nms)
    np.testing.assert_array_equal(valid[:, : kept.valid.shape[1]], kept.valid)
    np.testing.assert_array_equal(labels[valid], kept.labels[kept.valid])
    np.testing.assert_allclose(scores[valid], kept.scores[kept.valid], atol=1e-5)
    np.testing.assert_allclose(boxes[valid], kept.boxes[kept.valid], atol=1e-3)
    assert not boxes[~valid].any()


def test_a_saved_model_with_detections_serves_what_tensorflows_detectors_serve(
    small: yolo.Detector, export_small: Callable[[str, str], Exported]
) -> None:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(export_small("saved_model", "detections").path))
    images = generated_pictures(small.canvas, 1)
    served = {name: value.numpy()[0] for name, value in loaded.signatures["serving_default"](images=images).items()}
    kept = small.find(images)
    count = int(served["num_detections"])
    assert count == kept.valid[0].sum() > 0
    fractions = kept.boxes[0, :count][:, [1, 0, 3, 2]] / 64  # the canvas is 64 x 64
    np.testing.assert_allclose(served["detection_boxes"][:count], fractions, atol=1e-5)
    np.testing.assert_allclose(served["detection_scores"][:count], kept.scores[0, :count], atol=1e-5)
    np.testing.assert_array_equal(served["detection_classes"][:count], kept.labels[0, :count] + 1)
    assert not served["detection_classes"][count:].any()


UNUSUAL = {
    "reorganized": sections(
        conv(8, 3, stride=8, pad=1), section("reorg", {"stride": 2}), conv(14), YOLO, size=(64, 64)
    ),
    "routes": sections(
        conv(8, 3, stride=16, pad=1, activation="mish", batch_normalize=1),
        section("route", {"layers": "-1", "groups": 2, "group_id": 1}),
        section("maxpool", {"size": 5, "stride": 1}),
        section("route", {"layers": "-1,-3"}),
        conv(8, 3, pad=1, groups=4, activation="swish"),
        section("shortcut", {"from": "-2", "activation": "leaky"}),
        conv(14),
        YOLO,
        size=(64, 64),
    ),
    "upsampled": sections(
        conv(8, 3, stride=32, pad=1, activation="leaky"),
        section("upsample", {"stride": 2}),
        section("dropout", {"probability": "0.5"}),
        conv(14, activation="logistic"),
        "[yolo]\nmask=0,1\nanchors=4,6, 10,8\nclasses=2\nnum=2\nnew_coords=1\nscale_x_y=1.5",
        size=(64, 64),
    ),
}


@pytest.mark.parametrize(
    ("file_format", "name"), [*((each, "routes") for each in FORMATS), ("onnx", "reorganized"), ("onnx", "upsampled")]
)
def test_unusual_darknet_sections_are_exported(tmp_path: Path, file_format: str, name: str) -> None:
    detector = scatter(yolo.Detector("net.cfg", cfg=UNUSUAL[name], classes=["a", "b"]))
    exported = yolo.export(detector, tmp_path / NAMES[file_format], format=file_format)  # type: ignore[arg-type]
    assert exported.parity.boxes < 1e-3
    assert exported.parity.scores < 1e-5


def test_a_keras_backbone_is_exported_on_its_canvas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = yolo.Detector(add_small_backbone(monkeypatch), classes=["a"], size=64)
    exported = yolo.export(detector, tmp_path / "x.onnx", format="onnx")
    assert exported.description.fixed_canvas
    with pytest.raises(ConfigError, match="fit 64x64 alone; leave size out"):
        yolo.export(detector, tmp_path / "y.onnx", format="onnx", size=96)
    with pytest.raises(ConfigError, match="dynamic: not possible, the layers of keras:SmallNet fit one size alone"):
        yolo.export(detector, tmp_path / "y.onnx", format="onnx", dynamic=True)
    with pytest.raises(ConfigError, match="precision bfloat16: the layers of keras:SmallNet are float32"):
        yolo.export(detector, tmp_path / "y", format="saved_model", precision="bfloat16")


def test_no_transposes_but_those_of_input_and_outputs(small: yolo.Detector) -> None:
    model, _ = to_onnx(small, Conversion(fixed_canvas=True))
    assert [node.op_type for node in model.graph.node].count("Transpose") == 2
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


def test_opencv_runs_a_darknet_network_from_its_onnx_file(small: yolo.Detector, tmp_path: Path) -> None:
    import cv2

    yolo.export(small, tmp_path / "x.onnx", format="onnx", contents="maps", dynamic=False, batch=1)
    images = generated_pictures(small.canvas, 1)
    net = cv2.dnn.readNetFromONNX(str(tmp_path / "x.onnx"))
    net.setInput(images)
    expected = np.asarray(small(images)[0])
    np.testing.assert_allclose(net.forward("stride_32").reshape(expected.shape), expected, atol=1e-4)


def test_the_metadata_are_named_as_other_programs_name_them(export_small: Callable[[str, str], Exported]) -> None:
    import onnx
    import openvino

    paths = {file_format: export_small(file_format, "predictions").path for file_format in FORMATS}
    entries = {entry.key: entry.value for entry in onnx.load(paths["onnx"]).metadata_props}
    assert entries["names"] == "{0: 'a', 1: 'b'}"
    assert entries["imgsz"] == "[64, 64]"
    assert (entries["stride"], entries["task"], entries["batch"], entries["channels"]) == ("32", "detect", "1", "3")
    assert {"description", "author", "date", "version", "license"} <= entries.keys()
    info = openvino.Core().read_model(paths["openvino"] / "model.xml").get_rt_info(["model_info"]).astype(dict)
    assert {"names", "labels", "resize_type", "pad_value", "confidence_threshold", "iou_threshold", KEY} <= info.keys()
    written = yaml.safe_load((paths["saved_model"] / "metadata.yaml").read_text())
    assert written["names"] == {0: "a", 1: "b"}
    with zipfile.ZipFile(paths["litert"]) as archive:
        assert json.loads(archive.read("metadata.json"))["names"] == {"0": "a", "1": "b"}


def test_openvinos_labels_are_as_many_as_the_classes(small: yolo.Detector) -> None:
    about = replace(describe(small), classes=("traffic light", "two\nlines", "a\ttab"))
    assert " ".join(model_info(about)["labels"]).split() == ["traffic_light", "two_lines", "a_tab"]


def test_a_file_that_differs_is_not_written(
    small: yolo.Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BOUNDS, "float32", replace(BOUNDS["float32"], scores=-1.0))
    with pytest.raises(
        ConfigError, match=r"x\.xml: not written, as it differs from Keras .* scores by .* \(at most -1\)"
    ):
        yolo.export(small, tmp_path / "x.xml", format="openvino")
    assert not list(tmp_path.iterdir())


def test_data_add_the_ap_of_both(tmp_path: Path) -> None:
    from yolo.datasets.digits import make_digits

    data = yolo.load_dataset(
        make_digits(tmp_path / "digits", train=1, val=3, size=64), "val", classes=["0", "1"], others="drop"
    )
    detector = scatter(yolo.Detector("net.cfg", cfg=STAGED, classes=["0", "1"]))
    exported = yolo.export(detector, tmp_path / "x.onnx", format="onnx", contents="maps", data=data, batch=2)
    assert exported.parity.pictures == 3
    assert exported.parity.ap is not None
    assert exported.parity.ap[0] == pytest.approx(exported.parity.ap[1], abs=1e-6)


def test_data_without_boxes_have_no_ap(tmp_path: Path) -> None:
    from yolo.datasets.digits import make_digits

    digits = make_digits(tmp_path / "digits", train=1, val=2, size=64)
    data = yolo.load_dataset(digits, "val", classes=["0", "1"], others="drop")
    columns = {name: getattr(data, name)[:0] for name in ("boxes", "labels", "ignore", "areas")}
    data = replace(data, offsets=np.zeros_like(data.offsets), **columns)
    detector = scatter(yolo.Detector("net.cfg", cfg=STAGED, classes=["0", "1"]))
    exported = yolo.export(detector, tmp_path / "x.onnx", format="onnx", data=data)
    assert (exported.parity.ap, exported.parity.ap50, exported.parity.pictures) == (None, None, 2)
    with pytest.raises(AnnotationError, match="has no boxes, by whose AP an int8 file is compared"):
        yolo.export(detector, tmp_path / "y.onnx", format="onnx", data=data, precision="int8")


def test_nothing_detected_is_not_called_equal() -> None:
    kept = {"precision": "float32", "pictures": 4, "boxes": 0.0, "box_iou": 1.0, "scores": 0.0, "objects": 0}
    expected = [
        ("boxes and scores", "not compared, as nothing was detected"),
        ("note", "few objects (0): give --data for a better comparison"),
    ]
    assert Parity(**kept, contents="detections").rows() == expected
    assert "not compared" not in str(Parity(**kept, contents="detections", detections=1).rows())


def test_onnx_suppresses_in_batches_of_one_size(small: yolo.Detector, tmp_path: Path) -> None:
    """The classes of the candidates are then a constant."""
    exported = yolo.export(small, tmp_path / "x.onnx", format="onnx", contents="detections", batch=2, dynamic=False)
    assert exported.parity.detections > 0 == exported.parity.missed


def test_iou_by_hand() -> None:
    boxes = np.array([[0, 0, 2, 2], [0, 0, 0, 0], [0, 0, 2, 2]], float)
    others = np.array([[1, 0, 3, 2], [0, 0, 0, 0], [5, 5, 6, 6]], float)
    np.testing.assert_allclose(iou(boxes, others), [1 / 3, 1, 0])


def test_differences_by_hand() -> None:
    boxes = np.array([[[0, 0, 10, 10], [0, 0, 4, 4]]], np.float32)
    scores = np.array([[[0.5, 0.1], [0.2, 0.3]]], np.float32)
    found = differing_predictions([boxes, scores], [boxes + [0, 0, 1, 0], scores - 0.01])
    assert found == pytest.approx({"boxes": 1.0, "box_iou": 16 / 20, "scores": 0.01, "objects": 2}, abs=1e-6)
    kept = Kept(boxes, np.array([[0.9, 0.8]]), np.array([[0, 1]]), np.array([[True, True]]))
    alone = Kept(boxes, np.array([[0.9, 0.0]]), np.array([[0, 0]]), np.array([[True, False]]))
    assert differing_detections(kept, kept)["missed"] == 0
    assert differing_detections(kept, alone) == {
        "boxes": 0,
        "box_iou": 1,
        "scores": 0,
        "missed": 1,
        "detections": 2,
        "objects": 1,
    }
    assert differing_detections(alone, kept)["missed"] == 1


def test_boxes_of_slots_that_score_next_to_nothing_are_not_compared() -> None:
    boxes = np.tile(np.array([0, 0, 10, 10], np.float32), (2, 3, 1))
    scores = np.array([[0.4, 0.021, 0.019], [0.004, 0.0003, 0.0]], np.float32)[..., None]  # 5% are 0.02 and 0.0002
    others = boxes.copy()
    others[0, 2] += 50  # of 0.019
    others[1, 2] += 50  # of 0
    found = differing_predictions([boxes, scores], [others, scores])
    assert found == {"boxes": 0.0, "box_iou": 1.0, "scores": 0.0, "objects": 2}  # 0.004 is compared, but no object
    others[1, 1] += [0, 0, 10, 0]  # of 0.0003
    assert differing_predictions([boxes, scores], [others, scores])["box_iou"] == 0.5


def test_a_comparison_of_few_objects_says_so() -> None:
    kept = {"precision": "float32", "pictures": 1, "boxes": 0.0, "box_iou": 1.0, "scores": 0.0}
    few = Parity(**kept, objects=4)
    assert few.rows()[-1] == ("note", "few objects (4): give --data for a better comparison")
    assert few.to_dict()["note"] == few.note
    assert Parity(**kept, objects=5).to_dict()["note"] is None
    assert Parity(**kept, objects=0, ap=(0.5, 0.5)).note == ""  # there are data already
    assert "note" not in dict(Parity(**kept, objects=5).rows())


def test_the_loss_of_ap_is_bounded() -> None:
    kept = {"precision": "float32", "pictures": 1, "boxes": 0.0, "box_iou": 1.0, "scores": 0.0, "objects": 9}
    assert Parity(**kept, ap=(0.5, 0.4995), ap50=(0.8, 0.9)).faults() == []
    assert Parity(**kept, ap=(0.5, 0.49)).faults() == ["AP 0.4900 instead of 0.5000"]
    assert Parity(**{**kept, "scores": float("nan")}).faults() == ["scores by nan (at most 0.001)"]


def test_what_cannot_be_converted_is_one_line(
    small: yolo.Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no such operation\nand more")

    monkeypatch.setitem(FORMAT_KINDS, "onnx", replace(FORMAT_KINDS["onnx"], convert=fail))
    with pytest.raises(ConfigError, match=r"^net\.cfg: cannot be converted to onnx, maps in float32 \(no such"):
        yolo.export(small, tmp_path / "x.onnx", format="onnx", contents="maps")
    assert not list(tmp_path.iterdir())


def test_a_batch_is_a_whole_number(small: yolo.Detector, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"batch must be a whole number > 0, got 1\.5"):
        yolo.export(small, tmp_path / "x.onnx", format="onnx", batch=1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("file_format", ["onnx", "openvino"])  # which choose the precision in two places
def test_a_detector_in_bfloat16_is_exported_in_float32(tmp_path: Path, file_format: str) -> None:
    """A training in the same process leaves Keras' policy and the detector's layers in bfloat16."""
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    trained = scatter(yolo.Detector("net.cfg", cfg=STAGED, classes=["a", "b"]))
    exported = yolo.export(trained, tmp_path / NAMES[file_format], format=file_format)  # type: ignore[arg-type]
    assert exported.parity.scores < 1e-4
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
