"""Lists of pictures with boxes in pixels, as keras-yolo3 has them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import dataset_or_fault
from yolo_layouts import write

from yolo import AnnotationError, YoloError, load_dataset
from yolo.datasets.load import available_splits

LINES = "/data/pics/my cat.jpg 10,20,50,60,1 0,0,20.5,10,0\npics/b.jpg\n"
FILES = {"pics/my cat.jpg": "", "pics/b.jpg": "", "classes.txt": "cat\ndog\n"}


@pytest.mark.parametrize("name", ["train.txt", "2007_train.txt", "_annotations.txt"])
def test_a_folder_and_its_list(tmp_path, name):
    write(tmp_path, {**FILES, name: LINES})
    for path in (tmp_path, tmp_path / name):
        dataset = load_dataset(path)
        assert dataset.classes == ("cat", "dog")
        assert dataset.files == ["pics/my cat.jpg", "pics/b.jpg"]
        assert dataset.boxes.tolist() == [[10, 20, 50, 60], [0, 0, 20.5, 10]]
        assert dataset.labels.tolist() == [1, 0]
    assert available_splits(tmp_path) == (() if name.startswith("_") else ("train",))


def test_splits(tmp_path):
    write(tmp_path, {**FILES, "train.txt": "pics/b.jpg 1,2,3,4,0", "val.txt": "pics\\my cat.jpg 5,6,7,8,1"})
    assert available_splits(tmp_path) == ("train", "val")
    assert load_dataset(tmp_path, "val").boxes.tolist() == [[5, 6, 7, 8]]
    assert len(load_dataset(tmp_path)) == 2


def test_roboflow(tmp_path):
    for split in ("train", "valid"):
        write(tmp_path / split, {"a.jpg": "", "_annotations.txt": "a.jpg 1,2,3,4,1", "_classes.txt": "cat\ndog"})
    assert available_splits(tmp_path) == ("train", "valid")
    assert load_dataset(tmp_path, "train").labels.tolist() == [1]


def test_classes_where_keras_yolo3_has_them(tmp_path):
    write(tmp_path, {"a.jpg": "", "train.txt": "a.jpg 1,2,3,4,1", "model_data/voc_classes.txt": "cat\nbig dog"})
    assert load_dataset(tmp_path).classes == ("cat", "big dog")


def test_names_are_asked_for(tmp_path):
    path = write(tmp_path / "x", {"a.jpg": "", "train.txt": "a.jpg 1,2,3,4,0"})
    with pytest.raises(
        AnnotationError, match=r"no list of classes beside it: add a classes\.txt or give .* \(--names\)"
    ):
        load_dataset(path)
    assert load_dataset(path, names=["fox"]).classes == ("fox",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pics/b.jpg 1,2,3,4,2", r"train\.txt:2: class 2 is not in names \(0 to 1\); mend one of them"),
        ("pics/b.jpg 1,2,3,4", r"train\.txt:2: expected a picture and its boxes as x1,y1,x2,y2,class"),
        ("pics/none.jpg 1,2,3,4,0", r"train\.txt:2: there is no picture 'pics/none\.jpg'"),
    ],
)
def test_lines_that_are_left_out(tmp_path, line, message):
    write(tmp_path, {**FILES, "train.txt": f"pics/my cat.jpg 1,2,3,4,0\n{line}\n"})
    assert list(load_dataset(tmp_path).left_out) == [f"{tmp_path / 'train.txt'}:2"]
    with pytest.raises(AnnotationError, match=message):
        load_dataset(tmp_path, strict=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.binary(max_size=30) | st.text("0123456789,.- e", max_size=30).map(str.encode), st.integers(0, 70))
def test_whatever_a_list_holds_there_are_boxes_or_our_error(tmp_path, paste, cut):
    content = LINES.encode()
    write(tmp_path / "set", {**FILES, "train.txt": ""})
    (tmp_path / "set" / "train.txt").write_bytes(content[:cut] + paste + content[cut + len(paste) :])
    found = dataset_or_fault(tmp_path / "set")
    assert str(tmp_path) in str(found) if isinstance(found, YoloError) else found.classes
