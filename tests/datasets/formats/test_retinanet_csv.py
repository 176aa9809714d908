"""The reader of keras-retinanet's tables: rows, background, the list of classes, and faults."""

from __future__ import annotations

import pytest
from damage import damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import dataset_or_fault, write_picture

from yolo import AnnotationError, load_dataset
from yolo.datasets.load import available_splits, recognise

ROWS = "imgs/a.jpg,10,20,30,40,cow\nimgs/b.jpg,15.5,2,27,9,cat\nimgs/b.jpg,22,5,89,84,bird\nimgs/c.jpg,,,,,\n"


def write_set(folder, rows=ROWS, name="annotations.csv", classes=None):
    for picture in "abc":
        write_picture(folder / "imgs" / f"{picture}.jpg")
    (folder / name).write_text(rows, encoding="utf-8")
    if classes is not None:
        (folder / "classes.csv").write_text(classes, encoding="utf-8")
    return folder


def test_the_example_of_the_documentation(tmp_path):
    dataset = load_dataset(write_set(tmp_path, classes="cow,0\ncat,1\nbird,2\n"))
    assert recognise(tmp_path).format == "keras-retinanet CSV"
    assert dataset.classes == ("cow", "cat", "bird")
    assert dataset.files == ["imgs/a.jpg", "imgs/b.jpg", "imgs/c.jpg"]
    assert dataset.boxes.tolist() == [[10, 20, 30, 40], [15.5, 2, 27, 9], [22, 5, 89, 84]]
    assert dataset.labels.tolist() == [0, 1, 2]
    assert dataset.box_counts.tolist() == [1, 2, 0]
    assert (dataset.repairs, dataset.left_out) == ({}, {})


@pytest.mark.parametrize(
    "classes", ["bird,2\r\ncat,1\r\ncow,0\r\n", "class,id\ncow,0\ncat,1\nbird,2\n", "cow,0\n\ncat,10\nbird,11"]
)
def test_classes_are_in_the_order_of_their_numbers(tmp_path, classes):
    assert load_dataset(write_set(tmp_path, classes=classes)).classes == ("cow", "cat", "bird")


def test_without_a_list_classes_are_sorted(tmp_path):
    assert load_dataset(write_set(tmp_path)).classes == ("bird", "cat", "cow")


@pytest.mark.parametrize(
    "rows",
    [
        ROWS.replace("imgs/", "D:\\data\\imgs\\"),
        ROWS.replace("imgs/", "/content/set/imgs/"),
        "\ufeff" + ROWS.replace("\n", "\r\n"),
        ROWS.replace(",", ";").replace("15.5", "15,5"),
        ROWS.replace(",", "\t"),
        ROWS.replace(",,,,,", ""),
    ],
)
def test_spellings(tmp_path, rows):
    dataset = load_dataset(write_set(tmp_path, rows))
    assert dataset.boxes.tolist() == [[10, 20, 30, 40], [15.5, 2, 27, 9], [22, 5, 89, 84]]
    assert dataset.box_counts.tolist() == [1, 2, 0]


def test_splits_and_a_text_file(tmp_path):
    write_set(tmp_path, ROWS, "train.csv", classes="cow,0\ncat,1\nbird,2\n")
    write_set(tmp_path, ROWS[: ROWS.index("\n")], "val_annotations.txt")
    assert available_splits(tmp_path) == ("train", "val")
    assert load_dataset(tmp_path, "val").files == ["imgs/a.jpg"]
    assert load_dataset(tmp_path / "val_annotations.txt").classes == ("cow", "cat", "bird")


def test_a_class_that_is_not_in_the_list(tmp_path):
    write_set(tmp_path, classes="cow,0\ncat,1\n")
    with pytest.raises(AnnotationError) as caught:
        load_dataset(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/annotations.csv:3: class 'bird' is not in the list (cow, cat); mend the name or add it to the list"
    )


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("cow,0\ncat,0\n", "classes.csv:2: number 0 is that of 'cow' already"),
        ("cow,0\ncat,1\n,2\nx,3\ny,4\nz,5\nbird\nk,7", "classes.csv:3: expected a class and its number, got ',2'"),
    ],
)
def test_a_damaged_list_of_classes(tmp_path, classes, message):
    write_set(tmp_path, classes=classes)
    with pytest.raises(AnnotationError) as caught:
        load_dataset(tmp_path)
    assert str(caught.value) == f"{tmp_path}/{message}"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("imgs/a.jpg,1,2,x,4,cow", "expected a number, got 'x'"),
        ("imgs/a.jpg,1,2,3,4", "expected path, x1, y1, x2, y2, class, got 5 fields; mend or remove the line"),
        ("imgs/a.jpg,,,,,cow", "'cow' has no box; add it or remove the line"),
        ("imgs/d.jpg,1,2,3,4,cow", "there is no picture 'imgs/d.jpg'"),
    ],
)
def test_rows_that_cannot_be_used_are_left_out(tmp_path, row, reason):
    place = f"{write_set(tmp_path, ROWS + row)}/annotations.csv:5"
    dataset = load_dataset(tmp_path)
    assert (len(dataset.boxes), dataset.left_out) == (3, {place: f"{place}: {reason}"})


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(["annotations.csv", "classes.csv"]))
def test_damage_gives_a_dataset_or_an_error(tmp_path, data, name):
    if not (tmp_path / "imgs").exists():
        write_set(tmp_path)
    sound = {"annotations.csv": ROWS, "classes.csv": "cow,0\ncat,1\nbird,2\n"}
    for each, text in sound.items():
        (tmp_path / each).write_bytes(damaged(data, text.encode()) if each == name else text.encode())
    dataset_or_fault(tmp_path)
