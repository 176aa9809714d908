"""The reader of VisDrone's labels: categories, ignored objects, splits, and faults."""

from __future__ import annotations

import pytest
from damage import damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import dataset_or_fault, write_picture

from yolo import AnnotationError, load_dataset
from yolo.datasets.annotations.repair import REGIONS
from yolo.datasets.load import available_splits, recognise

CAR = "10,20,30,40,1,4,0,1\n"


def write_set(folder, text, name="a"):
    write_picture(folder / "images" / f"{name}.jpg")
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / "annotations" / f"{name}.txt").write_text(text)
    return folder


def test_small_dataset(tmp_path):
    rows = CAR + "1,2,3,4,0,1,0,0,\n" + "100,0,50,50,0,0,0,0\n" + "5,5,5,5,0,11,0,0\n" + "50,20,30,40,1,4,0,1\n"
    dataset = load_dataset(write_set(tmp_path, rows))
    assert recognise(tmp_path).format == "VisDrone"
    assert dataset.classes[:4] == ("pedestrian", "people", "bicycle", "car")
    assert len(dataset.classes) == 10
    assert dataset.boxes.tolist() == [
        [10, 20, 40, 60], [1, 2, 4, 6], [100, 0, 150, 50], [5, 5, 10, 10], [50, 20, 80, 60],
    ]  # fmt: skip
    assert dataset.labels.tolist() == [3, 0, 3, 3, 3]  # those of no class are the commonest class's
    assert dataset.ignore.tolist() == [False, True, True, True, False]
    assert dataset.repair_places == {REGIONS: [f"{tmp_path}/annotations/a.txt:{line}" for line in (3, 4)]}


def test_splits(tmp_path):
    for split in ("train", "val", "test-dev"):
        write_set(tmp_path / f"VisDrone2019-DET-{split}", CAR)
    assert available_splits(tmp_path) == ("test", "train", "val")
    dataset = load_dataset(tmp_path, "val")
    assert dataset.files == ["VisDrone2019-DET-val/images/a.jpg"]


@pytest.mark.parametrize("row", ["1,2,3", "1,2,3,4,1,12,0,0", "1,2,x,4,1,4,0,0", "1,2,3,4,1,cat,0,0"])
def test_lines_that_cannot_be_used_are_left_out(tmp_path, row):
    dataset = load_dataset(write_set(tmp_path, CAR + row))
    assert (len(dataset.boxes), [*dataset.left_out]) == (1, [f"{tmp_path}/annotations/a.txt:2"])
    with pytest.raises(AnnotationError, match=r"a\.txt:2: expected x, y, width, height, score"):
        load_dataset(tmp_path, strict=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_gives_a_dataset_or_an_error(tmp_path, data):
    write_set(tmp_path, "") if not (tmp_path / "images").exists() else None
    (tmp_path / "annotations" / "a.txt").write_bytes(damaged(data, (CAR + CAR.replace("1,4", "0,0")).encode()))
    dataset_or_fault(tmp_path)
