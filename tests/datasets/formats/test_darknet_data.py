"""Darknet's .data files, and CVAT's "YOLO 1.1"."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import dataset_or_fault
from yolo_layouts import BOX, ROW, write

from yolo import AnnotationError, YoloError, load_dataset
from yolo.datasets.load import available_splits

CVAT = {
    "obj.data": "classes = 2\ntrain = data/train.txt\nvalid=data/valid.txt\nnames = data/obj.names\nbackup = backup/\n",
    "obj.names": "cat\ndog\n",
    "train.txt": "data/obj_train_data/a.jpg\n",
    "valid.txt": "data/obj_valid_data/sub/b.jpg\n",
    "obj_train_data/a.jpg": "",
    "obj_train_data/a.txt": ROW,
    "obj_valid_data/sub/b.jpg": "",
    "obj_valid_data/sub/b.txt": "0 .5 .5 1 1",
}
ALEXEY = {
    "cfg/voc.data": "classes= 2\ntrain  = /home/me/darknet/data/train.txt\nnames = data/voc.names",
    "data/voc.names": "cat\ndog",
    "data/train.txt": "/home/me/darknet/data/JPEGImages/a.jpg\n",
    "data/JPEGImages/a.jpg": "",
    "data/labels/a.txt": ROW,
}


def test_cvat(tmp_path):
    write(tmp_path, CVAT)
    dataset = load_dataset(tmp_path)
    assert available_splits(tmp_path) == ("train", "valid")
    assert dataset.files == ["obj_train_data/a.jpg", "obj_valid_data/sub/b.jpg"]
    assert (dataset.boxes.tolist(), dataset.labels.tolist()) == ([BOX, [0, 0, 200, 100]], [1, 0])
    assert load_dataset(tmp_path / "obj.data", "val").image_ids == ["b"]


def test_files_of_another_machine(tmp_path):
    dataset = load_dataset(write(tmp_path, ALEXEY) / "cfg" / "voc.data")
    assert (dataset.boxes.tolist(), dataset.classes) == ([BOX], ("cat", "dog"))
    assert dataset[0].path.is_file()


def test_pictures_elsewhere(tmp_path):
    write(tmp_path / "a", {name: text for name, text in CVAT.items() if not name.endswith(".jpg")})
    write(tmp_path / "b", {"a.jpg": "", "a.txt": ROW, "b.jpg": ""})
    with pytest.raises(
        AnnotationError, match=r"train\.txt:1: there is no picture .*; name their folder \(--images DIR\)"
    ):
        load_dataset(tmp_path / "a")
    assert load_dataset(tmp_path / "a", "train", images=tmp_path / "b").boxes.tolist() == [BOX]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "obj.data",
            "classes = 3\ntrain = train.txt\nnames = obj.names",
            "classes is '3', but .*obj.names has 2 names",
        ),
        ("obj.data", "names = obj.names", "it names no pictures; give train = and valid ="),
        ("obj.data", "train = none.txt\nnames = obj.names", "train: there is no 'none.txt' beside this file or above"),
        ("obj.names", "cat\ncat", "obj.names: class 'cat' is twice in the list"),
        ("train.txt", "", "train: there are no pictures in .*train.txt"),
    ],
)
def test_faults(tmp_path, name, text, message):
    write(tmp_path, {**CVAT, name: text})
    with pytest.raises(AnnotationError, match=message):
        load_dataset(tmp_path)


def test_several(tmp_path):
    write(tmp_path, {"a.data": CVAT["obj.data"], "b.data": CVAT["obj.data"]})
    with pytest.raises(AnnotationError, match=r"it has several \.data files: a\.data, b\.data; give one as DATA"):
        load_dataset(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.sampled_from(["obj.data", "obj.names", "train.txt"]), st.binary(max_size=30), st.integers(0, 40))
def test_whatever_a_file_holds_there_are_boxes_or_our_error(tmp_path, name, paste, cut):
    write(tmp_path / "set", CVAT)
    content = (tmp_path / "set" / name).read_bytes()
    (tmp_path / "set" / name).write_bytes(content[:cut] + paste + content[cut + len(paste) :])
    found = dataset_or_fault(tmp_path / "set")
    assert str(tmp_path) in str(found) if isinstance(found, YoloError) else found.classes
