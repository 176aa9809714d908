"""`yolov3 info` on every kind of file."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from cfg_texts import two_scales
from keras import layers
from narrow_networks import narrow_networks

from yolo.cli.info import to_table
from yolo.cli.main import main
from yolo.config import NmsConfig
from yolo.model.detector import Detector
from yolo.weights.darknet_files import save_darknet_weights

CLASSES = [f"Klasse ä{index}" for index in range(12)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A detector in Keras' file and in Darknet's."""
    folder = tmp_path_factory.mktemp("info")
    detector = Detector("yolov3-tiny", classes=CLASSES, size=(64, 96), origin={"dataset": "pets"})
    detector.save(folder / "tiny.keras")
    save_darknet_weights(detector, folder / "tiny.weights")
    Detector("net.cfg", cfg=two_scales(12), classes=CLASSES, size=(64, 96)).save(folder / "narrow.keras")
    return folder


def info(capsys, *arguments):
    assert main(["info", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def report(capsys, *arguments):
    return json.loads(info(capsys, *arguments, "--json"))


def test_a_detector(folder, capsys):
    found = report(capsys, folder / "tiny.keras")
    assert found["kind"] == "detector"
    assert found["model"] == "yolov3-tiny"
    assert found["parameters"] == {"total": 8_701_654, "trainable": 8_695_286, "fixed": 6_368}
    assert found["canvas"] == [64, 96]
    assert found["letterbox"] == "letterbox"
    assert found["classes"] == CLASSES
    assert [scale["stride"] for scale in found["scales"]] == [32, 16]
    assert found["thresholds"]["conf"] == 0.25
    assert found["origin"] == {"dataset": "pets"}
    first = next(row for row in found["layers"] if row["name"] == "conv_0")
    expected = {"kind": "convolution 3x3 leaky", "shape": [64, 96, 16], "parameters": 3 * 9 * 16 + 64}
    assert first == {"name": "conv_0", **expected, "flops": 2 * 3 * 9 * 16 * 64 * 96}
    assert sum(row["flops"] for row in found["layers"]) == found["flops"]


def test_a_detector_as_text(folder, capsys):
    lines = info(capsys, folder / "tiny.keras").splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "parameters", "BFLOPs"]
    row = next(line for line in lines if line.startswith("conv_7"))
    assert row.split()[1:] == ["convolution", "1x1", "leaky", "2", "x", "3", "x", "256", "263,168", "0.003"]
    totals = dict(line.split("  ", 1) for line in lines[lines.index("") + 1 :])
    stripped = {name: text.strip() for name, text in totals.items()}
    assert stripped["canvas"] == "64 x 96 (height x width), letterbox"
    assert stripped["parameters"] == "8,701,654 (8,695,286 trainable, 6,368 not)"
    assert stripped["classes"].startswith("12: Klasse ä0, Klasse ä1,")
    assert stripped["classes"].endswith("Klasse ä9, ...")
    assert stripped["origin"] == "dataset pets"
    assert {"anchors /32", "anchors /16", "operations", "thresholds"} < set(stripped)


def test_another_size_changes_the_operations_alone(folder, capsys):
    own, other = (report(capsys, folder / "narrow.keras", *size) for size in ((), ("--size", "128x96")))
    assert other["canvas"] == [128, 96]
    assert other["flops"] == 2 * own["flops"]
    assert other["parameters"] == own["parameters"]


def test_weights_are_recognised_by_their_size(folder, capsys):
    found = report(capsys, folder / "tiny.weights", "--size", "64")
    assert (found["model"], len(found["classes"])) == ("yolov3-tiny", 12)
    assert found["canvas"] == [64, 64]
    assert found["origin"]["weights"] == "tiny.weights"


def test_darknet_weights_with_their_network_file(shared, capsys):
    base = shared / "data" / "darknet" / "MobileNetV2-YOLOv3-Nano-voc"
    found = report(capsys, f"{base}.weights", "--cfg", f"{base}.cfg")
    alone = report(capsys, f"{base}.cfg")
    assert found["classes"][0] == "aeroplane"
    assert found["parameters"] == alone["parameters"]
    assert found["parameters"]["total"] == 769_750
    assert found["flops"] == alone["flops"]
    assert found["scales"] == alone["scales"]
    assert (alone["kind"], alone["class_count"], alone["classes"]) == ("network", 20, [])


def test_a_classifiers_network_file(shared, capsys):
    text = info(capsys, shared / "data" / "darknet" / "darknet53.cfg")
    assert "18.570 BFLOPs" in text
    assert "none: it does not detect" in text
    assert "anchors" not in text


def test_arrays_of_a_keras_file(tmp_path, capsys):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(5, name="first")])
    model.save_weights(tmp_path / "a.weights.h5")
    model.save(tmp_path / "a.keras")
    for name in ("a.weights.h5", "a.keras"):
        found = report(capsys, tmp_path / name)
        assert found["arrays"] == [{"name": "first", "shapes": [[3, 5], [5]]}]
        assert found["parameters"] == {"total": 20}
    assert info(capsys, tmp_path / "a.keras").splitlines()[1].split("  ") == ["first", "3 x 5", "5"]


def test_a_dataset(tmp_path, capsys):
    boxes = [(1, 1, [2, 2, 4, 4]), (1, 7, [1, 1, 2, 2]), (2, 7, [0, 0, 9, 9])]
    content = {
        "images": [{"id": index, "file_name": f"{index}.jpg", "height": 20, "width": 30} for index in (1, 2, 3)],
        "categories": [{"id": 7, "name": "cat"}, {"id": 1, "name": "dog"}, {"id": 2, "name": "emu"}],
        "annotations": [
            {"id": index, "image_id": image, "category_id": category, "bbox": box, "iscrowd": int(index == 0)}
            for index, (image, category, box) in enumerate(boxes)
        ],
    }
    (tmp_path / "pets.json").write_text(json.dumps(content))
    found = report(capsys, tmp_path / "pets.json")
    assert (found["name"], found["pictures"], found["boxes"], found["ignored"]) == ("pets", 3, 3, 1)
    assert found["classes"] == {"dog": 1, "emu": 0, "cat": 2}
    lines = info(capsys, tmp_path / "pets.json").splitlines()
    assert lines[3] == "boxes     3, 1 of them ignored (crowds, difficult)"
    assert lines[5:] == ["class  boxes", "dog        1", "emu        0", "cat        2"]


@pytest.mark.parametrize(
    "case",
    [
        ("none.keras", None, (), "none.keras: no such file or folder"),
        ("none.cfg", None, (), "none.cfg"),
        ("a.keras", b"PK", (), "a.keras: not a .keras file, or a damaged one"),
        ("a.h5", b"hello", (), "a.h5: not a Keras file with weights, or a damaged one"),
        ("a.weights", bytes(100), (), "is the size of none of the networks"),
        ("a.log", b"", (), "a.log: of no known kind"),
        ("a.yaml", b"names: [a]", (), "a.yaml: it names no pictures"),
        ("a.cfg", b"[net]\nwidth=32\nheight=32\n", ("--size", "33"), "size must be a multiple of 32"),
        ("a.cfg", b"[net]\nwidth=32\nheight=32\n", ("--cfg", "b.cfg"), "is itself a network file"),
    ],
)
def test_faults_are_one_line(tmp_path, capsys, case):
    name, content, options, message = case
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["info", str(tmp_path / name), *options]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err.splitlines()[-1]
    assert "Traceback" not in printed.err


def test_columns():
    rows = [("a", "1"), ("bcd", "22")]
    assert to_table(("x", "n"), rows, right=1) == ["x     n", "a     1", "bcd  22"]
    assert to_table(("x", "n"), rows) == ["x    n", "a    1", "bcd  22"]


def test_a_published_checkpoint_of_a_backbone(tmp_path, capsys):
    with narrow_networks():
        Detector("keras:MobileNetV3Small", classes=["a"], size=64).save(tmp_path / "a.keras")
        found = report(capsys, tmp_path / "a.keras")
    assert found["model"] == "keras:MobileNetV3Small"
    assert any(row["name"] == "backbone/conv" and row["kind"] == "convolution 3x3 /2" for row in found["layers"])
    assert sum(row["parameters"] for row in found["layers"]) == found["parameters"]["total"]
    assert np.isfinite(found["flops"])


GREEDY = "[net]\nheight=64\nwidth=64\n[convolutional]\nfilters=6\nsize=32\nstride=32\nactivation=linear\n" + (
    "[yolo]\nanchors=10,12\nclasses=1\nnum=1\n"
)


def thresholds_as_text(capsys, *arguments):
    lines = info(capsys, *arguments).splitlines()
    return next(line.split(maxsplit=1)[1] for line in lines if line.startswith("thresholds"))


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ("", ""),
        ("nms_kind=default\nbeta_nms=0.7", ""),
        ("nms_kind=greedynms\nbeta_nms=0.7", ", kind greedynms"),
        ("nms_kind=diounms\nbeta_nms=0.7", ", kind diounms, beta 0.7"),
    ],
)
def test_a_kind_of_nms_that_is_not_the_default_is_said(tmp_path, capsys, options, shown):
    (tmp_path / "net.cfg").write_text(GREEDY + options)
    text = thresholds_as_text(capsys, tmp_path / "net.cfg")
    own = "conf 0.25, iou 0.45, class_agnostic false, max_candidates 1000, max_detections 300"
    assert text == own + shown


def test_the_kind_of_nms_of_a_detector_is_said(tmp_path, capsys):
    nms = NmsConfig(kind="soft", sigma=0.25)
    Detector("net.cfg", cfg=GREEDY, classes=["a"], nms=nms).save(tmp_path / "soft.keras")
    assert thresholds_as_text(capsys, tmp_path / "soft.keras").endswith(", kind soft, sigma 0.25")
    assert report(capsys, tmp_path / "soft.keras")["thresholds"] == nms.to_plain()
