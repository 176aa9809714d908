"""The files that each writer makes, to the letter, and what it says that it cannot hold."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from defusedxml import ElementTree
from pictures import write_picture

from yolo import load_dataset
from yolo.datasets.write import write_dataset
from yolo.structs import Dataset


@pytest.fixture
def parts(tmp_path) -> dict[str | None, Dataset]:
    """A picture to train on with two objects, one of them difficult, and an empty one to validate on."""
    folder = tmp_path / "source"
    write_picture(folder / "a b.png")
    write_picture(folder / "sub" / "c.png")
    whole = Dataset(
        classes=("dog", "yes"),
        files=["a b.png", "sub/c.png"],
        sizes=np.array([[100, 200], [100, 200]], np.int32),
        offsets=np.array([0, 2, 2]),
        boxes=np.array([[0, 10, 100, 60], [20.1, 0, 120.1, 100]], np.float32),
        labels=np.array([1, 0], np.int32),
        ignore=np.array([False, True]),
        areas=np.array([5000, 321.5], np.float32),
        image_ids=[7, 9],
        category_ids=(3, 90),
        folder=folder,
    )
    return {"train": whole.subset([0]), "val": whole.subset([1])}


def names(folder) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_coco(parts, tmp_path):
    report = write_dataset(parts, tmp_path / "out", to="coco")
    assert names(tmp_path / "out") == [
        ".converted",
        "annotations/instances_train.json",
        "annotations/instances_val.json",
        "images/train/a b.png",
        "images/val/c.png",
    ]
    categories = [{"id": 3, "name": "dog"}, {"id": 90, "name": "yes"}]
    first = {"id": 1, "image_id": 7, "category_id": 90, "bbox": [0, 10, 100, 50], "area": 5000, "iscrowd": 0}
    second = {"id": 2, "image_id": 7, "category_id": 3, "bbox": [20.1, 0, 100, 100], "area": 321.5, "iscrowd": 1}
    assert json.loads((tmp_path / "out/annotations/instances_train.json").read_text()) == {
        "images": [{"id": 7, "file_name": "a b.png", "height": 100, "width": 200}],
        "annotations": [first, second],
        "categories": categories,
    }
    assert json.loads((tmp_path / "out/annotations/instances_val.json").read_text()) == {
        "images": [{"id": 9, "file_name": "c.png", "height": 100, "width": 200}],
        "annotations": [],
        "categories": categories,
    }
    assert report.not_held == {}


def test_coco_ids_that_would_be_one_are_numbered(parts, tmp_path):
    part = replace(parts["train"].subset([0, 0]), image_ids=["1", 1])
    report = write_dataset({None: part}, tmp_path / "out", to="coco", pictures="none")
    images = json.loads((tmp_path / "out/annotations/instances_default.json").read_text())["images"]
    assert [each["id"] for each in images] == [1, 2]
    assert report.not_held == {"image ids of which two would be one, numbered anew": 2}


def test_coco_ids_of_classes_in_another_order_are_numbered(parts, tmp_path):
    part = replace(parts["train"], category_ids=(90, 3))
    report = write_dataset({None: part}, tmp_path / "out", to="coco", pictures="none")
    content = json.loads((tmp_path / "out/annotations/instances_default.json").read_text())
    assert content["categories"] == [{"id": 0, "name": "dog"}, {"id": 1, "name": "yes"}]
    assert [each["category_id"] for each in content["annotations"]] == [1, 0]
    assert report.not_held == {"category ids, numbered anew": 2}


def test_voc(parts, tmp_path):
    report = write_dataset(parts, tmp_path / "out", to="voc")
    assert names(tmp_path / "out") == [
        ".converted",
        "Annotations/a b.xml",
        "Annotations/c.xml",
        "ImageSets/Main/train.txt",
        "ImageSets/Main/val.txt",
        "JPEGImages/a b.png",
        "JPEGImages/c.png",
        "classes.txt",
    ]
    assert (tmp_path / "out/classes.txt").read_text() == "dog\nyes\n"
    assert (tmp_path / "out/ImageSets/Main/train.txt").read_text() == "a b\n"
    text = "".join((tmp_path / "out/Annotations/a b.xml").read_text().split())
    assert text.count("<difficult>1</difficult>") == 1
    assert "<bndbox><xmin>21.1</xmin><ymin>1</ymin><xmax>120.1</xmax><ymax>100</ymax></bndbox>" in text
    assert report.not_held == {
        "areas of objects that are not those of their boxes": 1,
        "category ids, numbered anew": 2,
        "boxes with edges between pixels, written with decimals that some programs do not read": 1,
        "image ids, the names of the files being taken instead": 2,
    }


def test_yolo(parts, tmp_path):
    report = write_dataset(parts, tmp_path / "out", to="yolo")
    assert names(tmp_path / "out") == [
        ".converted",
        "data.yaml",
        "images/train/a b.png",
        "images/val/c.png",
        "labels/train/a b.txt",
        "labels/val/c.txt",
    ]
    assert (tmp_path / "out/labels/train/a b.txt").read_text() == "1 0.25 0.35 0.5 0.5\n0 0.3505 0.5 0.5 1\n"
    assert (tmp_path / "out/labels/val/c.txt").read_text() == ""
    assert (tmp_path / "out/data.yaml").read_text() == (
        "train: images/train\nval: images/val\nnc: 2\nnames:\n  0: dog\n  1: 'yes'\n"
    )
    assert report.not_held == {
        "areas of objects that are not those of their boxes": 1,
        "category ids, numbered anew": 2,
        "difficult and crowd flags": 1,
        "image ids, the names of the files being taken instead": 2,
    }


def test_labelme(parts, tmp_path):
    report = write_dataset(parts, tmp_path / "out", to="labelme")
    assert names(tmp_path / "out") == [
        ".converted",
        "train/a b.json",
        "train/a b.png",
        "val/c.json",
        "val/c.png",
    ]
    content = json.loads((tmp_path / "out/train/a b.json").read_text())
    assert [content[key] for key in ("imagePath", "imageData", "imageHeight", "imageWidth")] == [
        "a b.png",
        None,
        100,
        200,
    ]
    assert [(each["label"], each["points"], each["flags"], each["shape_type"]) for each in content["shapes"]] == [
        ("yes", [[0, 10], [100, 60]], {}, "rectangle"),
        ("dog", [[20.1, 0], [120.1, 100]], {"difficult": True}, "rectangle"),
    ]
    assert "difficult and crowd flags" not in report.not_held


def test_csv(parts, tmp_path):
    report = write_dataset(parts, tmp_path / "out", to="csv")
    assert names(tmp_path / "out") == [
        ".converted",
        "images/train/a b.png",
        "images/val/c.png",
        "train.csv",
        "val.csv",
    ]
    assert (tmp_path / "out/train.csv").read_text().splitlines() == [
        "filename,width,height,class,xmin,ymin,xmax,ymax",
        "a b.png,200,100,yes,0,10,100,60",
        "a b.png,200,100,dog,20.1,0,120.1,100",
    ]
    assert (tmp_path / "out/val.csv").read_text().splitlines()[1:] == ["c.png,200,100,,,,,"]
    assert report.not_held["difficult and crowd flags"] == 1


def test_classes_that_a_format_cannot_list_are_counted(parts, tmp_path):
    part = replace(parts["train"], classes=("zebra", "ant"))  # read in alphabetical order
    kind = "classes that have no objects or are not in alphabetical order"
    assert write_dataset({None: part}, tmp_path / "csv", to="csv").not_held[kind] == 2
    assert kind not in write_dataset(parts, tmp_path / "labelme", to="labelme").not_held


def test_a_list_of_a_split_that_would_be_one_of_a_class_has_another_name(parts, tmp_path):
    write_dataset({"train": parts["train"], "my_train": parts["val"]}, tmp_path / "out", to="voc")
    lists = tmp_path / "out" / "ImageSets" / "Main"
    assert sorted(file.name for file in lists.iterdir()) == ["my-train.txt", "train.txt"]


def test_objects_that_readers_take_once_are_counted(parts, tmp_path):
    part = parts["train"]
    part = replace(part, boxes=part.boxes[[0, 0]], labels=part.labels[[0, 0]])  # the flags differ
    kind = "objects with the class and box of another, taken once by readers"
    assert write_dataset({None: part}, tmp_path / "yolo", to="yolo").not_held[kind] == 1
    assert kind not in write_dataset({None: part}, tmp_path / "labelme", to="labelme").not_held


def scored(parts) -> dict[str | None, Dataset]:
    """The parts as a detector would have found them."""
    scores = iter((np.array([0.5, 0.9876543], np.float32), np.zeros(0, np.float32)))
    return {split: replace(part, scores=next(scores)) for split, part in parts.items()}


def test_cvat(parts, tmp_path):
    report = write_dataset(parts, tmp_path / "out", to="cvat")
    assert names(tmp_path / "out") == [".converted", "annotations.xml", "images/train/a b.png", "images/val/c.png"]
    assert (tmp_path / "out/annotations.xml").read_text().splitlines() == [
        '<?xml version="1.0" encoding="utf-8"?>',
        "<annotations>",
        "  <version>1.1</version>",
        "  <meta><task><labels>"
        "<label><name>dog</name><type>rectangle</type><attributes></attributes></label>"
        "<label><name>yes</name><type>rectangle</type><attributes></attributes></label>"
        "</labels></task></meta>",
        '  <image id="0" name="a b.png" subset="train" width="200" height="100">',
        '    <box label="yes" source="manual" occluded="0" xtl="0" ytl="10" xbr="100" ybr="60" z_order="0"></box>',
        '    <box label="dog" source="manual" occluded="0" xtl="20.1" ytl="0" xbr="120.1" ybr="100" z_order="0"></box>',
        "  </image>",
        '  <image id="1" name="c.png" subset="val" width="200" height="100">',
        "  </image>",
        "</annotations>",
    ]
    assert report.not_held == {
        "areas of objects that are not those of their boxes": 1,
        "category ids, numbered anew": 2,
        "difficult and crowd flags": 1,
        "image ids, the names of the files being taken instead": 2,
    }


def test_cvat_with_scores(parts, tmp_path):
    write_dataset(scored(parts), tmp_path / "out", to="cvat")
    root = ElementTree.parse(tmp_path / "out/annotations.xml").getroot()
    first, second = root.iter("box")
    assert (first.get("source"), first.find("attribute[@name='score']").text) == ("auto", "0.5000")
    assert second.find("attribute[@name='score']").text == "0.9877"
    assert [each.text for each in root.findall("./meta/task/labels/label/attributes/attribute/name")] == ["score"] * 2


def test_pictures_of_one_name_in_two_splits_of_cvat_and_fiftyone(parts, tmp_path):
    write_picture(tmp_path / "other" / "a b.png")
    val = replace(parts["val"], files=["a b.png"], folder=tmp_path / "other")
    for to in ("cvat", "fiftyone"):
        write_dataset({"train": parts["train"], "val": val}, tmp_path / to, to=to)
        for split, boxes in (("train", 2), ("val", 0)):
            found = load_dataset(tmp_path / to, split, classes=["dog", "yes"])
            assert [str(path.parent.relative_to(tmp_path / to)) for path in [found.path(0)]] == [
                {"cvat": f"images/{split}", "fiftyone": f"{split}/data"}[to]
            ]
            assert len(found.boxes) == boxes


def test_fiftyone(parts, tmp_path):
    report = write_dataset(parts, tmp_path / "out", to="fiftyone")
    assert names(tmp_path / "out") == [
        ".converted",
        "train/data/a b.png",
        "train/metadata.json",
        "train/samples.json",
        "val/data/c.png",
        "val/metadata.json",
        "val/samples.json",
    ]
    first = {"_cls": "Detection", "label": "yes", "bounding_box": [0, 0.1, 0.5, 0.5]}
    second = {"_cls": "Detection", "label": "dog", "bounding_box": [0.1005, 0, 0.5, 1], "iscrowd": True}
    (sample,) = json.loads((tmp_path / "out/train/samples.json").read_text())["samples"]
    assert sample == {
        "filepath": "data/a b.png",
        "tags": ["train"],
        "metadata": {"_cls": "ImageMetadata", "width": 200, "height": 100},
        "ground_truth": {"_cls": "Detections", "detections": [first, second]},
    }
    assert json.loads((tmp_path / "out/val/metadata.json").read_text()) == {"info": {"classes": ["dog", "yes"]}}
    assert "difficult and crowd flags" not in report.not_held


def test_fiftyone_with_scores_where_the_pictures_are(parts, tmp_path):
    write_dataset(scored(parts), tmp_path / "out", to="fiftyone", pictures="none")
    (sample,) = json.loads((tmp_path / "out/train/samples.json").read_text())["samples"]
    assert sample["filepath"] == str(tmp_path / "source" / "a b.png")
    assert [each["confidence"] for each in sample["predictions"]["detections"]] == [0.5, 0.9876543]
    assert "ground_truth" not in sample


def test_scores_in_coco_and_csv(parts, tmp_path):
    write_dataset(scored(parts), tmp_path / "coco", to="coco")
    content = json.loads((tmp_path / "coco/annotations/instances_train.json").read_text())
    assert [each["score"] for each in content["annotations"]] == [0.5, 0.9876543]
    write_dataset(scored(parts), tmp_path / "csv", to="csv")
    assert (tmp_path / "csv/train.csv").read_text().splitlines() == [
        "filename,width,height,class,xmin,ymin,xmax,ymax,score",
        "a b.png,200,100,yes,0,10,100,60,0.5",
        "a b.png,200,100,dog,20.1,0,120.1,100,0.9876543",
    ]
    assert (tmp_path / "csv/val.csv").read_text().splitlines()[1:] == ["c.png,200,100,,,,,,"]


@pytest.mark.parametrize(("to", "lost"), [("yolo", 2), ("voc", 2), ("labelme", 2), ("coco", 0), ("cvat", 0)])
def test_lost_scores_are_counted(parts, tmp_path, to, lost):
    report = write_dataset(scored(parts), tmp_path / "out", to=to)
    assert report.not_held.get("scores of detected boxes", 0) == lost


@pytest.mark.parametrize("to", ["coco", "yolo", "voc"])
def test_supervision_reads_what_is_written(parts, tmp_path, to):
    import supervision

    write_dataset(parts, tmp_path / "out", to=to)
    pictures = str(tmp_path / "out" / {"coco": "images/train", "yolo": "images/train", "voc": "JPEGImages"}[to])
    read = {
        "coco": lambda: supervision.DetectionDataset.from_coco(
            pictures, str(tmp_path / "out/annotations/instances_train.json")
        ),
        "yolo": lambda: supervision.DetectionDataset.from_yolo(
            pictures, str(tmp_path / "out/labels/train"), str(tmp_path / "out/data.yaml")
        ),
        "voc": lambda: supervision.DetectionDataset.from_pascal_voc(pictures, str(tmp_path / "out/Annotations")),
    }[to]()
    found = next(each for path, each in read.annotations.items() if path.endswith("a b.png"))
    boxes = {read.classes[label]: box for label, box in zip(found.class_id, found.xyxy.tolist(), strict=True)}
    assert boxes["yes"] == pytest.approx([0, 10, 100, 60], abs=0.01)
    assert boxes["dog"] == pytest.approx([20.1, 0, 120.1, 100], abs=0.01)
