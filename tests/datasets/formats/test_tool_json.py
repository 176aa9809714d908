"""Exports of VoTT, Datumaro and FiftyOne: outlines, flags, classes without objects, and what is left out."""

import pytest
from format_examples import DATUMARO, DATUMARO_BOX, FIFTYONE, FIFTYONE_LABELS, VOTT, objects_of, write
from pictures import write_picture

from yolo import AnnotationError, load_dataset
from yolo.datasets.load import available_splits


def load(folder, content):
    write_picture(folder / "a.jpg")
    return load_dataset(write(folder / "export.json", content))


def test_vott_gives_an_object_for_each_tag(tmp_path):
    region = VOTT["assets"]["1a"]["regions"][0]
    polygon = {"tags": ["cat"], "points": [{"x": 1, "y": 2}, {"x": 5, "y": 2}, {"x": 5, "y": 9}]}
    asset = {**VOTT["assets"]["1a"], "regions": [{**region, "tags": ["dog", "cat"]}, polygon]}
    tags = [{"name": "dog"}, {"name": "cow"}, {"name": "cat"}]
    dataset = load(tmp_path, {**VOTT, "tags": tags, "assets": {"1a": asset}})
    assert dataset.classes == ("dog", "cow", "cat")
    assert [*dataset.labels] == [0, 2, 2]
    assert dataset.boxes[2].tolist() == [1, 2, 5, 9]


def test_datumaro_of_two_splits(tmp_path):
    for split in ("train", "val"):
        write_picture(tmp_path / "images" / split / "a.jpg")
        write(tmp_path / "annotations" / f"{split}.json", DATUMARO)
    assert available_splits(tmp_path) == ("train", "val")
    assert len(load_dataset(tmp_path)) == 2


def test_datumaros_kinds_of_objects(tmp_path):
    annotations = [
        {**DATUMARO_BOX, "attributes": {"is_crowd": True}},
        {"type": "polygon", "label_id": 1, "points": [1, 2, 5, 2, 5, 9]},
        {"type": "mask", "label_id": 0},
        {**DATUMARO_BOX, "label_id": None, "bbox": [1, 2, 3, 4]},
    ]
    labels = {"label": {"labels": [{"name": "cat"}, {"name": "dog"}]}}
    item = {**DATUMARO["items"][0], "annotations": annotations}
    dataset = load(tmp_path, {**DATUMARO, "categories": labels, "items": [item]})
    assert objects_of(dataset) == [("a.jpg", "cat", [20, 10, 60, 50]), ("a.jpg", "dog", [1, 2, 5, 9])]
    assert dataset.ignore.tolist() == [True, False]
    assert dataset.repairs == {
        "objects with an outline but no box, bounded": 1,
        "points, lines and painted masks, which give no box, dropped": 1,
        "objects without a class, dropped": 1,
    }


def test_fiftyones_field_with_objects(tmp_path):
    sample = {"filepath": "/x/data/a.jpg", "weather": {"_cls": "Classification", "label": "sun"}}
    outline = {"_cls": "Polyline", "label": "cat", "points": [[[0.1, 0.1], [0.3, 0.1], [0.3, 0.5]]]}
    sample["shapes"] = {"_cls": "Polylines", "polylines": [outline]}
    dataset = load(tmp_path, {"samples": [sample]})
    assert objects_of(dataset) == [("a.jpg", "cat", pytest.approx([20, 10, 60, 50], abs=1e-4))]


def test_fiftyones_labels_as_names(tmp_path):
    labels = {"a": [{"label": "dog", "bounding_box": [0.1, 0.1, 0.2, 0.4]}], "b": None}
    write_picture(tmp_path / "b.jpg")
    dataset = load(tmp_path, {"classes": None, "labels": labels})
    assert (dataset.classes, dataset.box_counts.tolist()) == (("dog",), [1, 0])


REGION = {"tags": ["cat"], "boundingBox": {"left": 1}}
FAULTS = [
    (
        {**VOTT, "assets": {"1a": {"asset": {"name": "a.jpg"}, "regions": [REGION]}}},
        "assets['1a']: regions[0]: expected a region with a boundingBox, got",
    ),
    (
        {**VOTT, "assets": {"1a": VOTT["assets"]["1a"], "2": 7}},
        "assets['2']: expected an asset with a name and regions",
    ),
    (
        {**DATUMARO, "items": [{"id": "a", "annotations": [{"type": "bbox", "bbox": [1, 2]}]}]},
        "items[0]: annotations[0]: expected a bbox or polygon, got",
    ),
    ({**DATUMARO, "items": [*DATUMARO["items"], {}]}, "items[1]: expected an item with an image and annotations"),
    ({"samples": [*FIFTYONE["samples"], {"filepath": 7}]}, "samples[1]: expected a sample with filepath"),
    (
        {**FIFTYONE_LABELS, "labels": {"a": [{"label": 0, "bounding_box": [1]}]}},
        "labels['a']: [0]: expected a bounding_box of four numbers",
    ),
]


@pytest.mark.parametrize(("content", "message"), FAULTS)
def test_faults_are_named(tmp_path, content, message):
    (reason,) = load(tmp_path, content).left_out.values()
    assert reason.startswith(f"{tmp_path / 'export.json'}: {message}")


@pytest.mark.parametrize("content", [{"assets": {}}, {"categories": {}, "items": []}, {"samples": []}])
def test_an_empty_export_is_refused(tmp_path, content):
    with pytest.raises(AnnotationError):
        load(tmp_path, content)
