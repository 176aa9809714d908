"""Recognising formats, and the descriptions that ship with the package."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from pictures import write_picture

from yolo import AnnotationError, load_dataset
from yolo.datasets.annotations.splits import find_split
from yolo.datasets.formats.voc_xml import write_voc_annotation
from yolo.datasets.load import available_splits

DATA = Path(__file__).parents[2] / "data"


def write_voc(folder: Path, name: str = "cat") -> Path:
    """A VOC folder of one picture, which is its train split."""
    write_picture(folder / "JPEGImages" / "a.jpg")
    for place in ("Annotations", "ImageSets/Main"):
        (folder / place).mkdir(parents=True)
    (folder / "ImageSets" / "Main" / "train.txt").write_text("a\n")
    write_voc_annotation(
        folder / "Annotations" / "a.xml",
        filename="a.jpg",
        size=(100, 200),
        boxes=np.array([[1, 2, 3, 4]], np.float32),
        labels=np.array([0], np.int32),
        classes=[name],
    )
    return folder


def write_coco(path: Path, name: str = "cat") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 100, "width": 200}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 2, 2]}],
        "categories": [{"id": 7, "name": name}],
    }
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, "no such file or folder"),
        (lambda path: path.mkdir(), "no dataset in this folder: it is empty; known are .*VOC; "),
        (lambda path: (path / "Annotations").mkdir(parents=True), r"Annotations: holds no \.xml file"),
        (lambda path: path.write_text("x"), r"not a dataset of a format that is known \(.*VOC; "),
    ],
)
@pytest.mark.parametrize("function", [load_dataset, available_splits])
def test_what_is_no_dataset(tmp_path, make, message, function):
    path = tmp_path / "data.x"
    make(path)
    with pytest.raises(AnnotationError, match=message) as caught:
        function(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b.json"])
def test_names_that_no_file_can_have(name):
    with pytest.raises(AnnotationError, match="no such file or folder"):
        load_dataset(name)


def test_text_is_as_good_as_a_path(tmp_path):
    assert load_dataset(str(write_voc(tmp_path / "set.v2")), "train").name == "set.v2"


def test_a_description_of_voc(tmp_path):
    write_voc(tmp_path / "VOCdevkit" / "VOC2007")
    path = tmp_path / "voc.yaml"
    path.write_text("format: voc\npath: VOCdevkit\nnames: [dog, cat]")
    assert available_splits(path) == ("train",)
    dataset = load_dataset(path, "train")
    assert (dataset.name, dataset.classes, dataset.labels.tolist()) == ("voc", ("dog", "cat"), [1])
    assert dataset[0].path.is_file()
    assert load_dataset(path, classes=["cat"]).classes == ("cat",)


def test_a_description_in_the_voc_folder_itself(tmp_path):
    folder = write_voc(tmp_path / "set")
    (folder / "data.yaml").write_text("format: voc")
    assert load_dataset(folder, "train").classes == ("cat",)


@pytest.mark.parametrize(
    "images", ["images: pictures", "images: {train: pictures, other: nowhere}", "names: [dog, cat]"]
)
def test_a_description_of_coco(tmp_path, images):
    write_coco(tmp_path / "coco" / "annotations" / "instances_train.json")
    write_picture(tmp_path / "coco" / ("pictures" if "images" in images else "train") / "a.jpg")
    path = tmp_path / "coco.yaml"
    path.write_text(f"path: coco\ntrain: annotations/instances_train.json\n{images}")
    assert available_splits(path) == ("train",)
    dataset = load_dataset(path, "train")
    assert dataset[0].path.is_file()
    assert dataset.category_ids[dataset.labels[0]] == 7
    assert dataset.classes == (("dog", "cat") if "names" in images else ("cat",))
    assert dataset[0].boxes.tolist() == [[1, 2, 3, 4]]


def test_files_that_may_not_be_read(tmp_path, monkeypatch):
    path = write_coco(tmp_path / "a.json")

    def refuse(name):
        raise PermissionError(13, "Permission denied", str(name))

    folder, scandir = write_voc(tmp_path / "voc"), os.scandir
    monkeypatch.setattr(os, "scandir", lambda name: (refuse if "JPEGImages" in str(name) else scandir)(name))
    with pytest.raises(AnnotationError, match=r"JPEGImages: cannot be read \(Permission denied\)"):
        load_dataset(folder, classes=["cat"])
    monkeypatch.undo()
    monkeypatch.setattr(os, "open", lambda name, _: refuse(name))
    with pytest.raises(AnnotationError, match=r"a\.xml: cannot be read \(Permission denied\)"):
        load_dataset(folder, classes=["cat"])
    with pytest.raises(AnnotationError, match=rf"{path}: cannot be read \(Permission denied\)"):
        load_dataset(path)


def test_nothing_of_the_users_is_changed(tmp_path):
    write_voc(tmp_path / "voc")
    write_coco(tmp_path / "coco" / "a.json")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    load_dataset(tmp_path / "voc")
    load_dataset(tmp_path / "coco" / "a.json")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(("name", "count"), [("voc", 20), ("coco", 80), ("digits", 10)])
def test_shipped_names(name, count):
    names = (DATA / f"{name}.names").read_text().splitlines()
    assert len(names) == len(set(names)) == count
    assert yaml.safe_load((DATA / f"{name}.yaml").read_text())["names"] == names


@pytest.mark.parametrize("name", ["voc", "digits"])
def test_shipped_descriptions_of_voc_folders(tmp_path, name):
    path = tmp_path / f"{name}.yaml"
    path.write_bytes((DATA / path.name).read_bytes())
    folder = {"voc": "VOCdevkit/VOC2012", "digits": "digits"}[name]
    write_voc(tmp_path / folder, name={"voc": "dog", "digits": "4"}[name])
    dataset = load_dataset(path, "train")
    assert dataset.classes[dataset.labels[0]] == {"voc": "dog", "digits": "4"}[name]
    assert len(dataset.classes) == {"voc": 20, "digits": 10}[name]


def test_shipped_description_of_coco(tmp_path):
    (tmp_path / "coco.yaml").write_bytes((DATA / "coco.yaml").read_bytes())
    for split in ("train2017", "val2017"):
        write_coco(tmp_path / "coco" / "annotations" / f"instances_{split}.json", name="toothbrush")
        write_picture(tmp_path / "coco" / split / "a.jpg")
    for split in ("train", "val"):
        dataset = load_dataset(tmp_path / "coco.yaml", split)
        assert dataset.labels.tolist() == [79]
        assert dataset[0].path.is_file()


@pytest.mark.parametrize("name", ["voc", "coco", "digits"])
def test_shipped_descriptions_without_their_data(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"{name}.yaml"
    path.write_bytes((DATA / path.name).read_bytes())
    with pytest.raises(AnnotationError, match=rf"{path}: (path|train): there is no "):
        load_dataset(path)


@pytest.mark.parametrize("name", ["voc", "coco"])
def test_shipped_names_are_darknets(shared, name):
    """Darknet calls five of COCO's classes otherwise, and one of VOC's."""
    ours = (DATA / f"{name}.names").read_text().split("\n")
    theirs = (shared / "data" / "darknet" / f"{name}.names").read_text().split("\n")
    renamed = {(a, b) for a, b in zip(ours, theirs, strict=False) if a != b}
    assert renamed <= {
        ("motorcycle", "motorbike"),
        ("airplane", "aeroplane"),
        ("couch", "sofa"),
        ("potted plant", "pottedplant"),
        ("dining table", "diningtable"),
        ("tv", "tvmonitor"),
    }


@pytest.mark.parametrize("asked", ["val", "valid", "validation"])
@pytest.mark.parametrize("own", ["val", "valid", "validation"])
def test_the_validation_split_has_three_names(tmp_path, asked, own):
    write_coco(tmp_path / "train" / "_annotations.coco.json")
    write_coco(tmp_path / own / "_annotations.coco.json", "dog")
    found = load_dataset(tmp_path, asked)
    assert (found.classes, found.split) == (("dog",), own)


def test_of_several_names_the_one_that_is_asked_for_goes_first():
    assert find_split("valid", ("val", "valid")) == "valid"
    assert find_split("val", ("train", "validation")) == "validation"
    assert find_split("test", ("val",)) is None


@pytest.mark.parametrize("place", [".", "annotations"])
def test_coco_files_named_after_their_splits(tmp_path, place):
    for split in ("train", "val2017"):
        write_coco(tmp_path / place / f"{split}.json", split)
    write_coco(tmp_path / place / "captions_val2017.json")  # not a split
    assert available_splits(tmp_path) == ("train", "val2017", "val")
    assert load_dataset(tmp_path, "valid").classes == ("val2017",)


def test_a_missing_split_is_refused_with_those_there_are(tmp_path):
    write_coco(tmp_path / "train.json")
    write_coco(tmp_path / "test.json")
    with pytest.raises(AnnotationError, match="there is no split 'val'; it has test, train"):
        load_dataset(tmp_path, "val")
    with pytest.raises(AnnotationError, match=r"no split 'val'; it is not divided into splits \(leave --split out\)"):
        load_dataset(tmp_path / "train.json", "val")


def test_a_message_says_what_lies_there(tmp_path):
    for name in ("a.md", "notes/b.md", "notes/c.md", "notes/.hidden", "LICENSE"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    with pytest.raises(AnnotationError, match=r"no dataset in this folder: 2 \.md in notes/, 1 LICENSE, 1 \.md; known"):
        load_dataset(tmp_path)


def test_folders_named_after_splits_in_any_way(tmp_path):
    for name, label in (("Training", "cat"), ("Dev", "ant"), ("test_2024", "dog")):
        write_voc(tmp_path / name, label)
        (tmp_path / name / "ImageSets" / "Main" / "train.txt").unlink()
    assert available_splits(tmp_path) == ("train", "val", "test")
    dataset = load_dataset(tmp_path, "val")
    assert (dataset.classes, dataset.labels.tolist(), dataset.split) == (("ant", "cat", "dog"), [0], "val")
    assert dataset.files == ["Dev/JPEGImages/a.jpg"]
    assert len(load_dataset(tmp_path)) == 3


def test_a_dataset_below_one_folder(tmp_path):
    write_voc(tmp_path / "download" / "pets")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "README.md").write_text("x")
    assert load_dataset(tmp_path, "train").classes == ("cat",)


@pytest.mark.parametrize(
    ("name", "splits", "found"),
    [
        ("val", ("train", "valid"), "valid"),
        ("test", ("Train", "Test"), "Test"),
        ("validation", ("train", "val2017"), "val2017"),
        ("train", ("train2014", "train2017"), None),
        ("train2017", ("train2014",), None),
        ("trainval", ("train", "val"), None),
        ("dev", ("dev", "val"), "dev"),
    ],
)
def test_names_that_mean_a_split(name, splits, found):
    assert find_split(name, splits) == found
