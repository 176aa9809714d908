"""The files that ship: descriptions and class names in `data/`, anchor sets in `anchors/`."""

from __future__ import annotations

import numpy as np
import pytest

from yolo.anchors import published_anchors, published_names, read_anchors
from yolo.datasets.digits import CLASSES
from yolo.datasets.formats.data_yaml import class_list, read_description
from yolo.datasets.load import load_dataset
from yolo.files.shipped import shipped_file, shipped_folder

SETS = ("coco", "digits", "voc")


def listed(name: str) -> tuple[str, ...]:
    return tuple((shipped_folder("data") / f"{name}.names").read_text(encoding="utf-8").splitlines())


def described(name: str) -> tuple[str, ...]:
    path = shipped_folder("data") / f"{name}.yaml"
    return class_list(path, read_description(path))


def test_every_list_has_its_description():
    found = {path.name for path in shipped_folder("data").iterdir()}
    assert found == {f"{name}{suffix}" for name in SETS for suffix in (".names", ".yaml")}


@pytest.mark.parametrize("name", SETS)
def test_list_and_description_agree(name):
    assert listed(name) == described(name)
    assert listed(name) == tuple(line.strip() for line in listed(name) if line.strip())


def test_classes():
    assert len(listed("coco")) == 80
    assert (listed("coco")[0], listed("coco")[16], listed("coco")[79]) == ("person", "dog", "toothbrush")
    assert len(listed("voc")) == 20
    assert list(listed("voc")) == sorted(listed("voc"))
    assert (listed("voc")[0], listed("voc")[19]) == ("aeroplane", "tvmonitor")
    assert listed("digits") == CLASSES


def test_coco_names_are_those_of_real_coco(shared):
    dataset = load_dataset(shared / "data" / "coco128" / "instances.json")
    assert dataset.classes == listed("coco")


def test_the_published_anchors_are_there():
    assert {"yolov3-coco", "yolov3-tiny-coco", "yolov3-voc"} <= set(published_names())


@pytest.mark.parametrize("name", published_names())
def test_anchor_files(name):
    path = shipped_file("anchors", f"{name}.txt")
    anchors = read_anchors(path)
    assert anchors.shape[1] == 2
    assert len(anchors) % 3 == 0  # three a scale
    assert (anchors > 0).all()
    assert (np.diff(anchors.prod(axis=1)) > 0).all()
    origin = path.read_text(encoding="utf-8").splitlines()[0]
    assert origin.startswith("# ")
    assert len(origin) > 20


def test_published_coco_anchors():
    """Section 2.3 of the YOLOv3 paper."""
    expected = [[10, 13], [16, 30], [33, 23], [30, 61], [62, 45], [59, 119]]
    expected += [[116, 90], [156, 198], [373, 326]]
    assert published_anchors("yolov3-coco").tolist() == expected
    tiny = [[10, 14], [23, 27], [37, 58], [81, 82], [135, 169], [344, 319]]
    assert published_anchors("yolov3-tiny-coco").tolist() == tiny


@pytest.mark.parametrize(
    ("cfg", "name"),
    [("yolov3", "yolov3-coco"), ("yolov3-spp", "yolov3-coco"), ("yolov3-tiny", "yolov3-tiny-coco")]
    + [("yolov3-voc", "yolov3-voc")],
)
def test_anchors_are_those_of_darknet(shared, cfg, name):
    text = (shared / "data" / "darknet" / f"{cfg}.cfg").read_text()
    line = next(line for line in text.splitlines() if line.startswith("anchors"))
    numbers = [float(each) for each in line.partition("=")[2].split(",")]
    assert published_anchors(name).ravel().tolist() == numbers
