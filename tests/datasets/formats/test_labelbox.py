"""Labelbox: lines of data rows and the list of its first version, and what is left out."""

import json

import pytest
from format_examples import LABELBOX, LABELBOX_OBJECT, objects_of, write
from pictures import write_picture

from yolo import load_dataset
from yolo.datasets.annotations.repair import NOT_LABELLED
from yolo.datasets.load import available_splits
from yolo.errors import AnnotationError

BOX = [20, 10, 60, 50]


def row(*objects, name="a.jpg"):
    labels = [{"label_kind": "Default", "annotations": {"objects": list(objects), "classifications": []}}]
    return {**LABELBOX, "data_row": {"id": "clx", "external_id": name}, "projects": {"cm1": {"labels": labels}}}


def lines(*rows):
    return "\n".join(each if isinstance(each, str) else json.dumps(each) for each in rows) + "\n"


def load_one(tmp_path, *rows):
    write_picture(tmp_path / "a.jpg")
    return load_dataset(write(tmp_path / "export.ndjson", lines(*rows)))


def test_polygons_points_and_nameless_objects(tmp_path):
    polygon = [{"x": 20, "y": 30}, {"x": 40, "y": 10}, {"x": 60, "y": 50}]
    dataset = load_one(
        tmp_path,
        row(
            {"name": "cat", "annotation_kind": "ImagePolygon", "polygon": polygon},
            {"name": "eye", "annotation_kind": "ImagePoint", "point": {"x": 3, "y": 4}},
            {**LABELBOX_OBJECT, "name": "", "value": None},
        ),
    )
    assert objects_of(dataset) == [("a.jpg", "cat", BOX)]
    assert dataset.repairs == {
        "objects with an outline but no box, bounded": 1,
        "points, lines and painted masks, which give no box, dropped": 1,
        "objects without a class, dropped": 1,
    }


def test_rows_that_nobody_has_labelled_are_no_background(tmp_path):
    write_picture(tmp_path / "b.jpg")
    unlabelled = {**row(name="b.jpg"), "projects": {"cm1": {"labels": []}}}
    dataset = load_one(tmp_path, row(LABELBOX_OBJECT), unlabelled)
    assert dataset.files == ["a.jpg"]
    assert dataset.repairs == {NOT_LABELLED: 1}


def test_the_first_version(tmp_path):
    old = {
        "ID": "ckz",
        "External ID": "a.jpg",
        "Labeled Data": "https://storage.example/x%2Fa.jpg?token=1",
        "Label": {"objects": [{"title": "Cat", "value": "cat", "bbox": LABELBOX_OBJECT["bounding_box"]}]},
    }
    write_picture(tmp_path / "a.jpg")
    dataset = load_dataset(write(tmp_path / "export.json", [old]))
    assert objects_of(dataset) == [("a.jpg", "Cat", BOX)]


def test_a_file_for_each_split(tmp_path):
    write_picture(tmp_path / "a.jpg")
    for split in ("train", "val"):
        write(tmp_path / f"{split}.ndjson", lines(row(LABELBOX_OBJECT)))
    assert available_splits(tmp_path) == ("train", "val")
    assert objects_of(load_dataset(tmp_path, "val")) == [("a.jpg", "cat", BOX)]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("{", ":21: not valid JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)); "
         "mend or export it again"),
        ("7", ":21: expected a data row with external_id, got 7"),
        (row(7, name="p0.jpg"), ":21: objects[0]: expected a bounding_box or polygon, got 7"),
        (
            row({"name": "cat", "bounding_box": {"top": 1}}, name="p0.jpg"),
            ":21: objects[0]: expected a bounding_box or polygon, got {'name': 'cat', 'bounding_box': {'top': 1}}",
        ),
        (row(name="lost.jpg"), ":21: there is no picture 'lost.jpg'"),
    ],
)  # fmt: skip
def test_one_broken_line_is_left_out_and_named(tmp_path, broken, reason):
    for index in range(20):
        write_picture(tmp_path / f"p{index}.jpg")
    rows = [row(LABELBOX_OBJECT, name=f"p{index}.jpg") for index in range(20)]
    file = write(tmp_path / "export.ndjson", lines(*rows, broken))
    dataset = load_dataset(tmp_path)
    assert len(dataset.boxes) == 20
    assert list(dataset.left_out.values()) == [f"{file}{reason}"]
    with pytest.raises(AnnotationError) as caught:
        load_dataset(tmp_path, strict=True)
    assert str(caught.value) == f"{file}{reason}"
