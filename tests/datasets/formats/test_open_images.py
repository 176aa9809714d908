"""The reader of Open Images' tables: classes by name, rows of images that are not here, layouts, and faults."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from damage import damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import dataset_or_fault, write_picture

from yolo import AnnotationError, load_dataset
from yolo.datasets.load import available_splits, recognise

HEADER = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
)
TITLES = '/m/01yrx,Cat\n/m/0bt9lr,"Dog, any"\n/m/0k4j,Car\n'
A, B = "000026e7ee790996", "000062a39995e348"
DOG = f"{A},xclick,/m/0bt9lr,1,0.05,0.15,0.2,0.4,0,1,0,0,0\n"
CATS = f"{A},xclick,/m/01yrx,1,0.5,1,0,0.55,0,1,1,0,0\n"
ELSEWHERE = "0000c64e1253d68f,xclick,/m/0k4j,1,0,0.5,0.3,0.6,0,1,0,0,0\n"


def write_table(path, rows, header=HEADER):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + rows, encoding="utf-8")
    return path


def test_small_dataset(tmp_path, caplog):
    write_picture(tmp_path / "train" / f"{A}.jpg")
    write_table(tmp_path / "train-annotations-bbox.csv", DOG + ELSEWHERE * 2 + CATS)
    (tmp_path / "class-descriptions-boxable.csv").write_text(TITLES)
    with caplog.at_level(logging.INFO):
        dataset = load_dataset(tmp_path)
    assert recognise(tmp_path).format == "Open Images"
    assert dataset.classes == ("Cat", "Dog, any")  # in the order of the descriptions; no car is here
    assert dataset.files == [f"train/{A}.jpg"]
    assert dataset.image_ids == [A]
    assert dataset.boxes == pytest.approx(np.array([[10, 20, 30, 40], [100, 0, 200, 55]]))
    assert dataset.labels.tolist() == [1, 0]
    assert dataset.ignore.tolist() == [False, True]  # a group
    assert "2 rows of 1 pictures that are not here, passed over" in caplog.text


def test_splits(tmp_path):
    for split, name in (("train", A), ("validation", B)):
        write_picture(tmp_path / split / f"{name}.jpg")
    write_table(tmp_path / "oidv6-train-annotations-bbox.csv", DOG)
    write_table(tmp_path / "validation-annotations-bbox.csv", CATS.replace(A, B))
    assert available_splits(tmp_path) == ("train", "validation")
    dataset = load_dataset(tmp_path, "val")
    assert (dataset.files, dataset.classes) == ([f"validation/{B}.jpg"], ("/m/01yrx", "/m/0bt9lr"))
    assert load_dataset(tmp_path).files == [f"train/{A}.jpg", f"validation/{B}.jpg"]


def test_fiftyones_layout(tmp_path):
    for split in ("train", "validation"):
        write_picture(tmp_path / split / "data" / f"{A}.jpg")
        write_table(tmp_path / split / "labels" / "detections.csv", DOG)
        (tmp_path / split / "metadata").mkdir()
        (tmp_path / split / "metadata" / "classes.csv").write_text(TITLES)
    assert available_splits(tmp_path) == ("train", "validation")
    assert load_dataset(tmp_path, "train").classes == ("Dog, any",)


def test_cvats_layout(tmp_path):
    write_picture(tmp_path / "images" / "train" / "my cat.png")
    write_table(tmp_path / "annotations" / "train-annotations-bbox.csv", DOG.replace(A, "my cat"))
    (tmp_path / "annotations" / "class-descriptions.csv").write_text(TITLES)
    dataset = load_dataset(tmp_path, "train")
    assert (dataset.files, dataset.classes) == (["images/train/my cat.png"], ("Dog, any",))


def test_the_file_itself_and_pictures_elsewhere(tmp_path):
    path = write_table(tmp_path / "set" / "train-annotations-bbox.csv", DOG.replace("\n", "\r\n"))
    write_picture(tmp_path / "elsewhere" / f"{A}.jpg")
    assert load_dataset(path, images=tmp_path / "elsewhere").boxes[0].tolist() == pytest.approx([10, 20, 30, 40])
    with pytest.raises(AnnotationError) as caught:
        load_dataset(path)
    assert (
        str(caught.value) == f"{path}: none of its 1 pictures is found, such as '{A}'; name their folder (--images DIR)"
    )


@pytest.mark.parametrize(
    "row", [DOG.replace("0.05", "x"), DOG[:30] + "\n", DOG.replace("/m/0bt9lr", "")], ids=["number", "short", "class"]
)
def test_rows_that_cannot_be_used_are_left_out(tmp_path, row):
    write_picture(tmp_path / f"{A}.jpg")
    path = write_table(tmp_path / "a.csv", DOG + row)
    left_out = load_dataset(tmp_path).left_out
    assert [*left_out] == [f"{path}:3"]
    assert left_out[f"{path}:3"].startswith(f"{path}:3: not as its header says: b'{A},xclick,")
    with pytest.raises(AnnotationError, match=r"a\.csv:3: not as its header says"):
        load_dataset(tmp_path, strict=True)


def test_a_picture_that_cannot_be_read_is_left_out(tmp_path):
    write_picture(tmp_path / f"{A}.jpg")
    (tmp_path / f"{B}.jpg").write_bytes(b"")
    write_table(tmp_path / "a.csv", CATS.replace(A, B) + DOG)
    dataset = load_dataset(tmp_path)
    assert (dataset.files, [*dataset.left_out]) == ([f"{A}.jpg"], [f"{tmp_path}/{B}.jpg"])
    assert dataset.boxes == pytest.approx(np.array([[10, 20, 30, 40]]))


def test_places_are_lines(tmp_path):
    write_picture(tmp_path / f"{A}.jpg")
    path = write_table(tmp_path / "a.csv", ELSEWHERE + DOG + DOG.replace("0.15", "1.5"))
    assert [*load_dataset(tmp_path).repair_places.values()] == [[f"{path}:4"]]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_gives_a_dataset_or_an_error(tmp_path, data):
    if not (tmp_path / f"{A}.jpg").exists():
        write_picture(tmp_path / f"{A}.jpg")
    (tmp_path / "a.csv").write_bytes(damaged(data, (HEADER + DOG + CATS).encode()))
    dataset_or_fault(tmp_path)
