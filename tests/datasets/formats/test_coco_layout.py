"""Where COCO files lie, which splits they are, and where their pictures are found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pictures import write_picture

from yolo import AnnotationError, load_dataset
from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.formats.coco_layout import split_word
from yolo.datasets.load import available_splits
from yolo.datasets.pipeline.picture_loader import Loader
from yolo.datasets.presence import check_images


def coco(path: Path, *names: str, **more) -> Path:
    content = {
        "images": [{"id": each, "file_name": name, "height": 20, "width": 30} for each, name in enumerate(names)],
        "annotations": [{"image_id": 0, "category_id": 1, "bbox": [3, 2, 4, 4]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content | more))
    return path


@pytest.mark.parametrize(
    ("file", "picture", "splits"),
    [
        ("result.json", "images/a.jpg", ()),
        ("labels.json", "data/a.jpg", ()),
        ("annotations/instances_default.json", "images/default/a.jpg", ()),
        ("annotations/instances_Train.json", "images/Train/a.jpg", ("train",)),
        ("Annotations/train.json", "train/a.jpg", ("train",)),
        ("annotations/instances_train2017.json", "train2017/a.jpg", ("train2017", "train")),
        ("train_annotations.json", "train/images/a.jpg", ("train",)),
        ("annotations_test.json", "images/test/a.jpg", ("test",)),
        ("my_train_coco.json", "Images/a.jpg", ("train",)),
        ("coco_val.json", "valid/a.jpg", ("val",)),
        ("train/_annotations.coco.json", "train/a.jpg", ("train",)),
        ("train/labels.json", "train/data/a.jpg", ("train",)),
        ("valid/annotations/x.json", "valid/images/a.jpg", ("valid",)),
        ("annotations/val/x.json", "images/val/a.jpg", ("val",)),
        ("project/export/annotations/instances_default.json", "project/export/images/a.jpg", ()),
    ],
)
def test_layouts(tmp_path, file, picture, splits):
    coco(tmp_path / file, "a.jpg")
    write_picture(tmp_path / picture, height=20, width=30)
    assert available_splits(tmp_path) == splits
    dataset = load_dataset(tmp_path, splits[-1] if splits else None, strict=True)
    assert dataset.path(0).samefile(tmp_path / picture)
    assert dataset.boxes.tolist() == [[3, 2, 7, 6]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("instances_train2017", "train2017"),
        ("TrainingAnnotations", "train"),
        ("TEST", "test"),
        ("trainval", None),
        ("train_val_split", None),
        ("constraint", None),
    ],
)
def test_splits_as_words_of_names(name, expected):
    assert split_word(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "images\\a 1.jpg",
        "..\\..\\media\\upload\\4\\a 1.jpg",
        "C:\\Users\\me\\a 1.jpg",
        "/data/upload/3/a%201.jpg",
        "http://host:8080/data/a%201.jpg?d=3",
        "A 1.JPG",
        "a 1.png",
    ],
)
def test_names_of_pictures(tmp_path, name):
    write_picture(tmp_path / "images" / "a 1.jpg", height=20, width=30)
    assert load_dataset(coco(tmp_path / "x.json", name), strict=True)[0].path.name == "a 1.jpg"


def test_pictures_that_may_be_meant_by_two_names_are_not_guessed(tmp_path, caplog):
    for name in ("a", "b", "c"):
        write_picture(tmp_path / "images" / f"{name}.jpg", height=20, width=30)
    load_dataset(coco(tmp_path / "x.json", "d1/a.jpg", "d2/a.jpg"))
    assert "none of its 2 pictures is found" in caplog.text
    with pytest.raises(AnnotationError, match="2 of 4 cannot be used"):
        load_dataset(coco(tmp_path / "x.json", "d1/a.jpg", "d2/a.jpg", "b.jpg", "c.jpg"))


def test_pictures_of_another_split_are_not_taken(tmp_path, caplog):
    coco(tmp_path / "annotations" / "train.json", "a.jpg")
    write_picture(tmp_path / "val" / "a.jpg", height=20, width=30)
    dataset = load_dataset(tmp_path, "train")
    assert "none of its 1 pictures is found" in caplog.text
    with pytest.raises(AnnotationError, match=r"none of its 1 pictures is found.*\(--images DIR\)"):
        check_images(dataset)


def test_other_files_beside_instances(tmp_path):
    for name in ("instances", "person_keypoints", "captions", "panoptic"):
        coco(tmp_path / "annotations" / f"{name}_train2017.json", "a.jpg", categories=[{"id": 1, "name": name}])
    assert available_splits(tmp_path) == ("train2017", "train")
    assert load_dataset(tmp_path, "train").classes == ("instances",)


def test_one_picture_in_two_files_is_refused_without_a_split(tmp_path):
    write_picture(tmp_path / "images" / "a.jpg", height=20, width=30)
    for name in ("train", "val"):
        coco(tmp_path / f"{name}.json", "a.jpg")
    with pytest.raises(AnnotationError, match="it has the splits train, val; choose one"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]', "but a results file"),
        ('{"x": 1}', 'not a COCO dataset: it has no list "images"'),
    ],
)
def test_other_json_files_are_named(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(AnnotationError, match=message):
        load_dataset(tmp_path / "a.json")


def test_encodings(tmp_path):
    path = coco(tmp_path / "x.json", "a.jpg")
    text = path.read_text().replace('"cat"', '"c\\"a\\/t"')
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le"):
        path.write_text(text, encoding=encoding)
        assert load_dataset(tmp_path).classes == ('c"a/t',)
    path.write_bytes(text.replace("a.jpg", "ü").encode("latin-1"))
    with pytest.raises(
        AnnotationError, match=r"x\.json: not valid JSON \(byte \d+ is no utf-8\); save it again as UTF-8"
    ):
        load_dataset(path)


def test_the_finder_takes_the_longest_tail_and_no_tie(tmp_path):
    for name in ("x/d1/a.jpg", "y/d1/a.jpg", "y/d2/a.jpg"):
        write_picture(tmp_path / name)
    finder = PictureFinder([tmp_path])
    assert finder.find("Z/Y/D1/a.jpg") == tmp_path / "y/d1/a.jpg"
    assert finder.find("d2\\a.png") == tmp_path / "y/d2/a.jpg"
    assert finder.find("d2\\a.png", other_suffixes=False) is None
    assert finder.find("d1/a.jpg") is None
    assert finder.find("a.jpg") is None
    assert finder.find("http://[x/d2/a.jpg") == tmp_path / "y/d2/a.jpg"


def test_pictures_resized_since_loading_have_their_boxes_scaled(tmp_path, caplog):
    write_picture(tmp_path / "a.png", height=20, width=30)
    dataset = load_dataset(coco(tmp_path / "x.json", "a.png"))
    write_picture(tmp_path / "a.png", height=40, width=60)
    record = Loader(dataset, "stretch").load(0, (32, 64))
    np.testing.assert_allclose(record.boxes, [[3 * 64 / 30, 2 * 32 / 20, 7 * 64 / 30, 6 * 32 / 20]], rtol=1e-5)
    assert "height x width is 40 x 60, annotated as 20 x 30; its boxes are scaled with the picture" in caplog.text
