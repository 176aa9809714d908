"""Datasets measured with a model of other classes: by name, and saying what is left out."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from yolo.errors import AnnotationError
from yolo.evaluation.class_mapping import map_classes
from yolo.structs import Dataset


def make_dataset(classes: tuple[str, ...], labels: list[int], pictures: list[int]) -> Dataset:
    """Dataset of two images of 10 x 10 pixels with one box a label."""
    counts = np.bincount(pictures, minlength=2)
    boxes = np.array([[0, 0, 1 + row, 2] for row in range(len(labels))], np.float32).reshape(-1, 4)
    return Dataset(
        classes=classes,
        files=["a.jpg", "b.jpg"],
        sizes=np.full((2, 2), 10, np.int32),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        boxes=boxes,
        labels=np.array(labels, np.int32),
        ignore=np.arange(len(labels)) == 0,
        areas=np.arange(len(labels)).astype(np.float32),
        image_ids=[1, 2],
        category_ids=tuple(10 * (index + 1) for index in range(len(classes))),
        name="zoo",
    )


def test_the_same_classes_are_left_alone():
    dataset = make_dataset(("cat", "dog"), [0, 1], [0, 1])
    assert map_classes(dataset, ["cat", "dog"]) is dataset


def test_another_order_fewer_and_synonyms(caplog):
    caplog.set_level(logging.INFO, "yolo")
    dataset = make_dataset(("motorcycle", "unicorn", "cat"), [2, 1, 0, 2], [0, 0, 0, 1])
    found = map_classes(dataset, ["dog", "cat", "motorbike"])
    assert found.classes == ("dog", "cat", "motorbike")
    assert found.labels.tolist() == [1, 2, 1]
    assert found.offsets.tolist() == [0, 2, 3]
    assert found.boxes[:, 2].tolist() == [1, 3, 4]
    assert found.areas.tolist() == [0, 2, 3]
    assert found.ignore.tolist() == [True, False, False]
    assert found.category_ids == (31, 30, 10)  # the source's ids; a free one for the dog
    assert caplog.messages == [
        "zoo: measured on the 2 classes that both know; taken by meaning: motorcycle as motorbike; "
        "not known to the model, with 1 box left out: unicorn; 1 of the model's are not in the data"
    ]


def test_nothing_in_common():
    with pytest.raises(AnnotationError, match=r"zoo: none of its classes \(pet\) is known to the model \(cat, dog\)"):
        map_classes(make_dataset(("pet",), [0], [0]), ["cat", "dog"])
