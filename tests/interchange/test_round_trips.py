"""Detections and datasets that go to other programs' objects and come back are what they were."""

from __future__ import annotations

import builtins
import json
from dataclasses import replace

import numpy as np
import pandas
import pytest
import supervision
from box_strategies import CLASSES, DATASETS, DETECTIONS, SIZE
from hypothesis import given, settings
from PIL import Image

from yolo.errors import AnnotationError, ConfigError, MediaError
from yolo.structs import Dataset, Detections

few = settings(max_examples=25, deadline=None)


def assert_equal(found: Detections, source: Detections, *, atol: float = 0.0) -> None:
    np.testing.assert_allclose(found.boxes, source.boxes, rtol=0, atol=atol)
    np.testing.assert_allclose(found.scores, source.scores, rtol=0, atol=1e-7 if atol else 0)
    np.testing.assert_array_equal(found.labels, source.labels)
    assert found.classes == source.classes
    assert (found.boxes.dtype, found.scores.dtype, found.labels.dtype) == (np.float32, np.float32, np.int32)


@few
@given(DETECTIONS)
def test_plain_data(detections):
    assert_equal(Detections.from_dict(json.loads(json.dumps(detections.to_dict()))), detections)


@few
@given(DETECTIONS)
def test_coco_entries(detections):
    entries = json.loads(json.dumps(detections.to_coco("x", (3, 90, 7))))
    assert_equal(Detections.from_coco(entries, CLASSES, (3, 90, 7)), detections, atol=0.002)


@few
@given(DETECTIONS)
def test_pandas_tables(detections):
    frame = detections.to_pandas()
    assert list(frame.columns) == ["class", "score", "x1", "y1", "x2", "y2"]
    assert_equal(Detections.from_pandas(frame, CLASSES), detections)


@few
@given(DETECTIONS)
def test_supervisions_detections(detections):
    assert_equal(Detections.from_supervision(detections.to_supervision(), CLASSES), detections)


@few
@given(DATASETS)
def test_datasets_as_tables(dataset):
    frame = dataset.to_pandas()
    assert len(frame) == np.maximum(dataset.box_counts, 1).sum()
    assert frame["class"].notna().sum() == len(dataset.boxes)
    back = Dataset.from_pandas(frame, CLASSES)
    assert back.fingerprint == dataset.fingerprint
    np.testing.assert_array_equal(back.areas, dataset.areas)
    assert back.image_ids == dataset.image_ids
    assert (back.scores is None) == (dataset.scores is None)
    assert dataset.scores is None or back.scores.tolist() == dataset.scores.tolist()


@few
@given(DATASETS)
def test_datasets_as_supervisions(dataset):
    other = dataset.to_supervision()
    assert (other.classes, list(other.image_paths)) == (list(CLASSES), list(dataset.files))
    back = Dataset(**other_fields(other))
    assert back.fingerprint == dataset.fingerprint
    np.testing.assert_array_equal(back.areas, dataset.areas)
    assert dataset.scores is None or back.scores.tolist() == dataset.scores.tolist()


def other_fields(data):
    from yolo.interchange.supervision import from_dataset

    return from_dataset(data, lambda _: SIZE)._asdict()


DETECTED = Detections(
    boxes=np.array([[1, 2, 11, 22], [0, 0, 4, 4]], np.float32),
    scores=np.array([0.75, 0.5], np.float32),
    labels=np.array([1, 0], np.int32),
    classes=("cat", "dog"),
)


def test_what_supervision_sees():
    found = DETECTED.to_supervision()
    assert found.xyxy.tolist() == [[1, 2, 11, 22], [0, 0, 4, 4]]
    assert found.confidence.tolist() == [0.75, 0.5]
    assert found.class_id.tolist() == [1, 0]
    assert found["class_name"].tolist() == ["dog", "cat"]
    assert found.area.tolist() == [200, 16]
    names = Detections.from_supervision(found)
    assert (names.classes, names.labels.tolist()) == (("dog", "cat"), [0, 1])


def test_supervision_draws_them():
    scene = supervision.BoxAnnotator().annotate(np.zeros((40, 40, 3), np.uint8), DETECTED.to_supervision())
    assert scene[2, 1:11].any(axis=1).all()


def test_supervision_without_confidence_or_in_another_order():
    plain = supervision.Detections(xyxy=np.array([[0, 0, 2, 2.0]]), class_id=np.array([1]))
    assert Detections.from_supervision(plain, ["a", "b"]).scores.tolist() == [1]
    both = supervision.Detections(
        xyxy=np.array([[0, 0, 2, 2], [0, 0, 3, 3.0]]), class_id=np.array([1, 0]), confidence=np.array([0.25, 0.5])
    )
    found = Detections.from_supervision(both, ["a", "b"])
    assert (found.names, found.boxes[0].tolist()) == (["a", "b"], [0, 0, 3, 3])


def test_coco_entries_by_hand():
    assert DETECTED.to_coco(5, [10, 20]) == [
        {"image_id": 5, "category_id": 20, "bbox": [1, 2, 10, 20], "score": 0.75},
        {"image_id": 5, "category_id": 10, "bbox": [0, 0, 4, 4], "score": 0.5},
    ]
    assert [entry["category_id"] for entry in DETECTED.to_coco(5)] == [1, 0]


def test_a_dataset_of_supervision_is_measured(tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    path = str(tmp_path / "a.png")
    boxes = supervision.Detections(xyxy=np.array([[1, 2, 3, 5.0]]), class_id=np.array([0]))
    data = Dataset.from_supervision(supervision.DetectionDataset(["cat"], [path], {path: boxes}), name="mine")
    assert (data.sizes.tolist(), data.name, data.areas.tolist(), data.scores) == ([[20, 30]], "mine", [6], None)
    lost = supervision.DetectionDataset(["cat"], ["gone.png"], {"gone.png": boxes})
    with pytest.raises(MediaError, match=r"gone\.png"):
        Dataset.from_supervision(lost)


def test_a_table_of_ones_own():
    frame = pandas.DataFrame(
        {
            "file": ["b.jpg", "a.jpg", "b.jpg", "c.jpg"],
            "height": [20, 10, 20, 5],
            "width": [40, 10, 40, 5],
            "class": ["dog", "cat", "cat", None],
            "x1": [1, 2, 3, np.nan],
            "y1": [1, 2, 3, np.nan],
            "x2": [5, 6, 7, np.nan],
            "y2": [4, 6, 8, np.nan],
        }
    )
    data = Dataset.from_pandas(frame)
    assert (data.classes, data.files, data.image_ids) == (("cat", "dog"), ["b.jpg", "a.jpg", "c.jpg"], data.files)
    assert (data.offsets.tolist(), data.labels.tolist()) == ([0, 2, 3, 3], [1, 0, 0])
    assert data.boxes[1].tolist() == [3, 3, 7, 8]
    assert data.areas.tolist() == [12, 20, 16]


def table(**changes):
    columns = {"file": ["a"], "height": [9], "width": [9], "class": ["x"], "x1": [1], "y1": [1], "x2": [2], "y2": [2]}
    return pandas.DataFrame({**columns, **changes})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Detections.from_dict({"boxes": []}), "scores, labels, classes is missing"),
        (lambda: Detections.from_dict({**DETECTED.to_dict(), "labels": [1, 2]}), "class numbers 0 to 1, got 2"),
        (lambda: Detections.from_dict({**DETECTED.to_dict(), "labels": [1]}), "a label for each of 2 boxes, got 1"),
        (lambda: Detections.from_dict({**DETECTED.to_dict(), "scores": [1, 1.5]}), r"in 0..1, got 1.5"),
        (lambda: Detections.from_dict({**DETECTED.to_dict(), "scores": [1]}), "score for each of 2 boxes, got 1"),
        (lambda: Detections.from_dict({**DETECTED.to_dict(), "boxes": [[1, 2, 3]]}), "four numbers"),
        (lambda: Detections.from_dict({**DETECTED.to_dict(), "boxes": [[5, 2, 3, 4]] * 2}), "box 0 must be x1 <= x2"),
        (lambda: Detections.from_coco([{"image_id": 1}], ["a"]), r"results\[0\]: has no category_id, bbox, score"),
        (lambda: Detections.from_coco(DETECTED.to_coco(1), ["a"]), r"results\[0\]: category_id 1 is of no class"),
        (
            lambda: Detections.from_coco(DETECTED.to_coco(1) + DETECTED.to_coco(2), ["a", "b"]),
            r"results\[2\]: image_id 2 is another image",
        ),
        (lambda: Detections.from_pandas(table()), "has no column score"),
        (lambda: Detections.from_pandas(table(score=[0.5]), ["y"]), "class 'x' of box 0 is not among the classes"),
        (lambda: Detections.from_supervision(supervision.Detections(np.ones((1, 4)))), "give classes="),
        (lambda: Detections.from_supervision(supervision.Detections(np.ones((1, 4))), ["a"]), "no class_id"),
        (lambda: Dataset.from_pandas(table().drop(columns="width")), "has no column width"),
        (lambda: Dataset.from_pandas(table(x1=[float("nan")])), "box 0 must be"),
        (lambda: Dataset.from_pandas(table(**{"class": [3]})), "box 0: expected a class name, got 3"),
        (
            lambda: Dataset.from_pandas(pandas.concat([table(), table(height=[8])])),
            "row 1: a has another height or width",
        ),
    ],
)
def test_faults_are_named(call, message):
    with pytest.raises(AnnotationError, match=message):
        call()


def test_supervision_cannot_hold_a_file_twice():
    data = Dataset.from_detections(["a.png", "a.png"], [(9, 9), (9, 9)], [DETECTED, DETECTED])
    with pytest.raises(AnnotationError, match=r"a\.png: is in the dataset twice"):
        data.to_supervision()


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("pandas", DETECTED.to_pandas),
        ("supervision", DETECTED.to_supervision),
        ("pandas", lambda: Dataset.from_detections(["a"], [(9, 9)], [DETECTED]).to_pandas()),
    ],
)
def test_a_missing_package_is_named(monkeypatch, package, call):
    real = builtins.__import__

    def without(name, *args, **options):
        if name == package:
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=rf"{package} is not installed; pip install 'yolov3-keras\[results\]'"):
        call()


def test_a_dataset_of_what_was_found():
    data = Dataset.from_detections(["a.png", "b.png"], [(20, 30), (9, 9)], [DETECTED, DETECTED[:0]], name="found")
    assert (data.box_counts.tolist(), data.scores.tolist(), data.name) == ([2, 0], [0.75, 0.5], "found")
    assert data.subset([1, 0]).scores.tolist() == [0.75, 0.5]
    with pytest.raises(ValueError, match="same classes"):
        Dataset.from_detections(["a", "b"], [(9, 9)] * 2, [DETECTED, replace(DETECTED, classes=("x", "y"))])
    with pytest.raises(ValueError, match="scores"):
        replace(data, scores=data.scores[:1])
