"""Options about how DATA is read: classes picked, renamed and merged, a list of names, strictness."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonargparse import Namespace
from pictures import write_picture

from yolo.cli.data_options import load_data, load_other, new_names
from yolo.cli.main import main
from yolo.errors import ConfigError

READ_ALL = {"names": None, "classes": None, "merge": None, "strict": False}


@pytest.fixture
def data(tmp_path) -> Path:
    """A COCO file of one picture with a car, a truck and a cat."""
    write_picture(tmp_path / "a.jpg")
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 100, "width": 200}],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": number, "bbox": [number, 2, 20, 20]} for number in (1, 2, 3)
        ],
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "truck"}, {"id": 3, "name": "cat"}],
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("options", "classes"),
    [
        ([], {"car": 1, "truck": 1, "cat": 1}),
        (["--classes", "cat, car"], {"cat": 1, "car": 1}),
        (["--classes", "cat,dog"], {"cat": 1, "dog": 0}),
        (["--rename", "car=auto"], {"auto": 1, "truck": 1, "cat": 1}),
        (["--merge", "vehicle=car+truck"], {"vehicle": 2, "cat": 1}),
        (
            ["--merge", "vehicle=car+truck", "--rename", "cat=animal", "--classes", "animal,vehicle"],
            {"animal": 1, "vehicle": 2},
        ),
    ],
)
def test_classes_are_picked_renamed_and_merged(data, capsys, options, classes):
    assert main(["info", str(data), "--json", *options]) == 0
    found = json.loads(capsys.readouterr().out)["classes"]
    assert list(found.items()) == list(classes.items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--classes", "dog,cow"], "it has none of the classes dog, cow; it has car, cat, truck"),
        (["--rename", "dog=cat"], "there is no class 'dog' to rename; it has car, truck, cat"),
        (["--rename", "dog"], "--rename dog: expected OLD=NEW"),
        (["--merge", "x=car+truck,y=car"], "class car is given two new names in --rename and --merge; name it once"),
        (["--classes", "cat,,car"], "--classes cat,,car: a name is empty; separate the names by one comma"),
        (["--classes", "cat,cat"], "class 'cat' is twice in the list"),
    ],
)
def test_faulty_options(data, capsys, options, message):
    assert main(["info", str(data), *options]) == 2
    assert message in capsys.readouterr().err


def test_a_class_named_twice():
    with pytest.raises(ConfigError, match="class a is given two new names"):
        new_names(Namespace(rename="a=b", merge="c=a+d"))


def test_a_picked_class_that_is_not_there_is_named(data, caplog):
    assert main(["info", str(data), "--classes", "cat,dog"]) == 0
    assert "there is no class dog; it has car, cat, truck" in caplog.text


def test_validation_may_lack_a_class_that_is_renamed(data, tmp_path):
    train = load_data(Namespace(**READ_ALL, data=str(data), images=None, rename="car=auto"), None)
    other = json.loads(data.read_text())
    other["categories"], other["annotations"] = other["categories"][2:], other["annotations"][2:]
    (tmp_path / "val.json").write_text(json.dumps(other))
    arguments = Namespace(**READ_ALL, rename="car=auto")
    found = load_other(str(tmp_path / "val.json"), arguments, None, classes=train.classes)
    assert (found.classes, found.labels.tolist()) == (("auto", "truck", "cat"), [2])
