"""The reader of the OIDv4 toolkit's folders: classes with blanks, images of two classes, splits, and faults."""

from __future__ import annotations

import pytest
from damage import damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import dataset_or_fault, write_picture

from yolo import AnnotationError, load_dataset
from yolo.datasets.annotations import repair
from yolo.datasets.load import available_splits, recognise

APPLE = "Apple 10.0 20.0 30.5 40.0\n"
LIGHT = "Traffic light 5 6 7 8\n"


def write_class(folder, text, name="0a1b"):
    write_picture(folder / f"{name}.jpg")
    (folder / "Label").mkdir(parents=True, exist_ok=True)
    (folder / "Label" / f"{name}.txt").write_text(text)


@pytest.mark.parametrize("below", ["OID/Dataset", "Dataset", "."])
def test_splits_and_an_image_of_two_classes(tmp_path, below):
    write_class(tmp_path / below / "train" / "Apple", APPLE)
    write_class(tmp_path / below / "train" / "Traffic light", LIGHT)
    write_class(tmp_path / below / "test" / "Apple", APPLE)
    if below == "OID/Dataset":
        (tmp_path / "OID" / "csv_folder").mkdir()
    assert "OIDv4" in recognise(tmp_path).format
    assert available_splits(tmp_path) == ("train", "test")
    dataset = load_dataset(tmp_path, "train")
    assert dataset.path(0) == tmp_path / below / "train" / "Apple" / "0a1b.jpg"
    assert (len(dataset), dataset.classes) == (1, ("Apple", "Traffic light"))
    assert dataset.boxes.tolist() == [[10, 20, 30.5, 40], [5, 6, 7, 8]]
    assert dataset.repairs == {repair.LISTED_TWICE: 1}
    assert load_dataset(tmp_path, "test").path(0) == tmp_path / below / "test" / "Apple" / "0a1b.jpg"


def test_lines_that_cannot_be_used_are_left_out(tmp_path):
    write_class(tmp_path / "Apple", APPLE + "1 2 3 4 5\n")
    place = f"{tmp_path}/Apple/Label/0a1b.txt:2"
    assert load_dataset(tmp_path).left_out == {
        place: f"{place}: expected class, left, top, right, bottom, got '1 2 3 4 5'"
    }
    with pytest.raises(AnnotationError, match="expected class, left, top, right, bottom"):
        load_dataset(tmp_path, strict=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_gives_a_dataset_or_an_error(tmp_path, data):
    write_class(tmp_path / "Apple", "") if not (tmp_path / "Apple").exists() else None
    (tmp_path / "Apple" / "Label" / "0a1b.txt").write_bytes(damaged(data, (APPLE + LIGHT).encode()))
    dataset_or_fault(tmp_path)
