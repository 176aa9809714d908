"""Repair of invalid boxes, class order, and the report of repairs."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.datasets.annotations import repair
from yolo.datasets.annotations.columns import Columns, build_dataset
from yolo.datasets.annotations.repair import Repairs, repair_boxes
from yolo.errors import AnnotationError

NAN, INF = np.nan, np.inf


def repaired(boxes, sizes=(100, 200)):
    """Boxes in pictures of (height, width), what is left of them, and the counts."""
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    repairs = Repairs()
    sizes = np.broadcast_to(np.array(sizes, np.int32), (len(boxes), 2))
    kept, keep = repair_boxes(boxes, sizes, place="box {}".format, repairs=repairs)
    assert kept.dtype == np.float32
    return kept[keep].tolist(), repairs.counts


@pytest.mark.parametrize(
    ("box", "expected", "fault"),
    [
        ([0, 0, 200, 100], [0, 0, 200, 100], None),  # the whole picture
        ([1.5, 2.25, 3, 4], [1.5, 2.25, 3, 4], None),
        ([10, 5, 200.0005, 50], [10, 5, 200, 50], None),  # decimals, no overhang
        ([10, 5, 201, 50], [10, 5, 200, 50], repair.ROUNDED),
        ([-1, 5, 20, 50], [0, 5, 20, 50], repair.ROUNDED),
        ([10, 5, 201.5, 50], [10, 5, 200, 50], repair.CLIPPED),
        ([10, -7, 20, 150], [10, 0, 20, 100], repair.CLIPPED),
        ([30, 5, 10, 50], [10, 5, 30, 50], repair.INVERTED),
        ([30, 50, 10, 5], [10, 5, 30, 50], repair.INVERTED),
        ([10, 5, 10, 50], None, repair.EMPTY),
        ([10, 5, 20, 5], None, repair.EMPTY),
        ([10, 5, 10 + 1e-9, 50], None, repair.EMPTY),  # vanishes in float32
        ([200, 5, 230, 50], None, repair.OUTSIDE),
        ([-30, 5, 0, 50], None, repair.OUTSIDE),
        ([10, 100, 20, 120], None, repair.OUTSIDE),
        ([NAN, 5, 20, 50], None, repair.NOT_FINITE),
        ([10, 5, INF, 50], None, repair.NOT_FINITE),
        ([-1e308, -1e308, 1e308, 1e308], [0, 0, 200, 100], repair.CLIPPED),
    ],
)
def test_each_fault(box, expected, fault):
    kept, counts = repaired([box])
    assert kept == ([] if expected is None else [expected])
    assert counts == ({fault: 1} if fault else {})


def test_a_box_may_have_two_faults():
    kept, counts = repaired([[30, 5, 10, 150]])
    assert kept == [[10, 5, 30, 100]]
    assert counts == {repair.INVERTED: 1, repair.CLIPPED: 1}


def test_no_boxes():
    assert repaired([]) == ([], {})


ANY_SIDE = st.one_of(st.floats(), st.floats(-300, 300), st.integers(-300, 300).map(float))


@given(
    st.lists(st.lists(ANY_SIDE, min_size=4, max_size=4), max_size=8),
    st.tuples(st.integers(1, 2**24), st.integers(1, 2**24)),
)
def test_what_is_left_is_finite_inside_and_has_an_area(boxes, size):
    kept, counts = repaired(boxes, size)
    dropped = sum(counts.get(fault, 0) for fault in (repair.NOT_FINITE, repair.EMPTY, repair.OUTSIDE))
    assert len(kept) + dropped == len(boxes)
    for x1, y1, x2, y2 in kept:
        assert 0 <= x1 < x2 <= size[1]
        assert 0 <= y1 < y2 <= size[0]


def make_columns(labels, names, **given_columns) -> Columns:
    """One picture of 100 x 200 with a box a label."""
    values = {
        "folder": Path("pictures"),
        "files": ["a.jpg"],
        "sizes": np.array([[100, 200]], np.int32),
        "image_ids": ["a"],
        "names": names,
        "pictures": np.zeros(len(labels), np.int64),
        "labels": np.array(labels, np.int32),
        "boxes": np.array([[0, 0, 10 + k, 10] for k in range(len(labels))], np.float64).reshape(-1, 4),
        "place": "a.xml object {}".format,
    }
    return Columns(**{**values, **given_columns})


def test_one_report_with_the_first_places_of_each_fault(caplog):
    boxes = [[5, 5, 5, 9]] * 4 + [[NAN, 0, 1, 1], [0, 0, 9, 9]]
    columns = make_columns([0] * 6, ["cat"], boxes=np.array(boxes, np.float64))
    with caplog.at_level(logging.INFO, "yolo"):
        dataset = build_dataset(columns, classes=None, name="animals", split=None)
    assert dataset.boxes.tolist() == [[0, 0, 9, 9]]
    assert dataset.repairs == {repair.NOT_FINITE: 1, repair.EMPTY: 4}
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "animals: boxes with NaN or infinite sides, dropped: 1 (a.xml object 4); "
        "boxes without area, dropped: 4 (a.xml object 0, a.xml object 1, a.xml object 2, ...)"
    )


@pytest.mark.parametrize(("right", "levels"), [(200.0, []), (200.5, [logging.INFO]), (202.0, [logging.WARNING])])
def test_rounding_is_no_warning(caplog, right, levels):
    columns = make_columns([0], ["cat"], boxes=np.array([[0, 0, right, 9]]))
    with caplog.at_level(logging.INFO, "yolo"):
        build_dataset(columns, classes=None, name="animals", split=None)
    assert [record.levelno for record in caplog.records] == levels


def test_boxes_are_sorted_by_picture_and_stay_in_order_within():
    columns = make_columns(
        [0, 1, 0, 1],
        ["cat", "dog"],
        files=["a.jpg", "b.jpg", "c.jpg"],
        image_ids=["a", "b", "c"],
        sizes=np.full((3, 2), 100, np.int32),
        pictures=np.array([2, 0, 2, 0]),
        ignore=np.array([True, False, False, False]),
        areas=np.array([1.5, NAN, 2.5, 0.0]),
    )
    dataset = build_dataset(columns, classes=None, name="animals", split="train")
    assert dataset.offsets.tolist() == [0, 2, 2, 4]
    assert dataset.boxes[:, 2].tolist() == [11, 13, 10, 12]
    assert dataset.labels.tolist() == [1, 1, 0, 0]
    assert dataset.ignore.tolist() == [False, False, True, False]
    # Where the source has no area, the box's: 11 x 10.
    assert dataset.areas.tolist() == [110, 0, 1.5, 2.5]
    assert dataset.split == "train"


def test_an_area_too_large_for_float32():
    dataset = build_dataset(make_columns([0], ["cat"], areas=np.array([1e300])), classes=None, name="x", split=None)
    assert dataset.areas.tolist() == [np.finfo(np.float32).max]


def test_wanted_classes_in_another_order_and_more_of_them():
    columns = make_columns([0, 2, 2], ["cat", "cow", "dog"], category_ids=[4, 5, 9])
    dataset = build_dataset(columns, classes=["dog", "fox", "cat"], name="animals", split=None)
    assert dataset.classes == ("dog", "fox", "cat")
    assert dataset.labels.tolist() == [2, 0, 0]
    assert dataset.category_ids == (9, 10, 4)  # the fox gets a free one


def test_a_class_that_is_not_wanted_is_named_with_its_place():
    with pytest.raises(
        AnnotationError,
        match=r"a\.xml object 1: class 'cow' is not in the list \(dog, cat\); mend the name or add it",
    ):
        build_dataset(make_columns([0, 1], ["cat", "cow"]), classes=["dog", "cat"], name="animals", split=None)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "the list of classes is empty"),
        (["cat", "dog", " cat"], "class 'cat' is twice in the list"),
        (["cat", ""], "class 1 has an empty name"),
    ],
)
def test_lists_of_classes_that_are_none(classes, message):
    with pytest.raises(AnnotationError, match=message):
        build_dataset(make_columns([], ["cat"]), classes=classes, name="animals", split=None)
