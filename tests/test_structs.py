"""Dataset: its columns, its samples and its subsets, by values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from yolo.errors import ConfigError
from yolo.structs import Dataset, Detections


@pytest.fixture
def dataset() -> Dataset:
    """Three pictures with two boxes, none and one."""
    return Dataset(
        classes=("cat", "dog"),
        files=["a.jpg", "sub/b.png", "c.jpg"],
        sizes=np.array([[10, 20], [30, 40], [50, 60]], np.int32),
        offsets=np.array([0, 2, 2, 3]),
        boxes=np.array([[0, 1, 2, 3], [4, 5, 6, 8], [7, 8, 9, 10]], np.float32),
        labels=np.array([0, 1, 1], np.int32),
        ignore=np.array([False, True, False]),
        areas=np.array([4, 6, 3], np.float32),
        image_ids=[11, 22, "c"],
        category_ids=(3, 7),
        folder=Path("pictures"),
        name="animals",
        split="train",
        repairs={"boxes without area, dropped": 1},
    )


def values(sample):
    return (
        sample.path.as_posix(),
        sample.image_id,
        sample.size,
        sample.boxes.tolist(),
        sample.labels.tolist(),
        sample.ignore.tolist(),
    )


FIRST = ("pictures/a.jpg", 11, (10, 20), [[0, 1, 2, 3], [4, 5, 6, 8]], [0, 1], [False, True])
SECOND = ("pictures/sub/b.png", 22, (30, 40), [], [], [])
THIRD = ("pictures/c.jpg", "c", (50, 60), [[7, 8, 9, 10]], [1], [False])


@pytest.mark.parametrize(("index", "expected"), [(0, FIRST), (1, SECOND), (2, THIRD), (-1, THIRD), (-3, FIRST)])
def test_getitem(dataset, index, expected):
    assert values(dataset[index]) == expected


def test_iteration_gives_every_picture_once(dataset):
    assert [values(sample) for sample in dataset] == [FIRST, SECOND, THIRD]


@pytest.mark.parametrize("index", [3, -4])
def test_getitem_beyond_the_end(dataset, index):
    with pytest.raises(IndexError, match=f"picture {index} of 3"):
        dataset[index]


def test_counts_and_pictures_of_boxes(dataset):
    assert dataset.box_counts.tolist() == [2, 0, 1]
    assert dataset.box_pictures.tolist() == [0, 0, 2]


@pytest.mark.parametrize(
    ("indices", "expected", "areas"),
    [
        ([2, 0], [THIRD, FIRST], [3, 4, 6]),
        ([1], [SECOND], []),
        ([], [], []),
        ([0, 1, 0], [FIRST, SECOND, FIRST], [4, 6, 4, 6]),
        ([-1], [THIRD], [3]),
    ],
)
def test_subset(dataset, indices, expected, areas):
    part = dataset.subset(indices, split="part")
    assert [values(sample) for sample in part] == expected
    assert part.areas.tolist() == areas
    assert part.split == "part"
    assert (part.classes, part.category_ids, part.name) == (("cat", "dog"), (3, 7), "animals")


def test_subset_keeps_the_split_it_is_of(dataset):
    assert dataset.subset([0]).split == "train"


@given(st.lists(st.integers(0, 2), max_size=8))
def test_subset_is_getitem_of_each(indices):
    dataset = _numbered([2, 0, 3])
    part = dataset.subset(np.array(indices, np.int64))
    assert [values(sample) for sample in part] == [values(dataset[index]) for index in indices]


def _numbered(counts: list[int]) -> Dataset:
    total = sum(counts)
    boxes = np.arange(4 * total, dtype=np.float32).reshape(-1, 4)
    return Dataset(
        classes=("thing",),
        files=[f"{index}.jpg" for index in range(len(counts))],
        sizes=np.full((len(counts), 2), 100, np.int32),
        offsets=np.cumsum([0, *counts]),
        boxes=boxes,
        labels=np.zeros(total, np.int32),
        ignore=np.zeros(total, bool),
        areas=np.ones(total, np.float32),
        image_ids=list(range(len(counts))),
        category_ids=(0,),
    )


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("boxes", np.zeros((3, 5), np.float32), r"Dataset\.boxes: expected shape \(3, 4\), got \(3, 5\)"),
        ("labels", np.zeros(2, np.int32), r"Dataset\.labels: expected shape \(3,\), got \(2,\)"),
        ("labels", np.array([0, 1, 2], np.int32), r"Dataset\.labels: expected 0\.\.1"),
        ("offsets", np.array([0, 2, 1, 3]), r"Dataset\.offsets: expected a rise from 0 to 3"),
        ("offsets", np.array([0, 2, 2, 2]), r"Dataset\.offsets: expected a rise from 0 to 3"),
        ("image_ids", [1], r"Dataset\.image_ids: expected shape \(3,\), got \(1,\)"),
        ("category_ids", (1,), r"Dataset\.category_ids: expected shape \(2,\), got \(1,\)"),
    ],
)
def test_columns_that_do_not_fit_together(dataset, column, value, message):
    with pytest.raises(ValueError, match=message):
        replace(dataset, **{column: value})


def test_fingerprint_follows_boxes_classes_and_pictures(dataset):
    moved = dataset.boxes.copy()
    moved[0, 0] += 0.5
    others = [
        replace(dataset, boxes=moved),
        replace(dataset, classes=("cat", "fox")),
        replace(dataset, files=["a.jpg", "sub/b.png", "d.jpg"]),
        replace(dataset, ignore=~dataset.ignore),
    ]
    prints = {dataset.fingerprint, *(other.fingerprint for other in others)}
    assert len(prints) == 5
    assert replace(dataset, name="other", folder=Path("elsewhere")).fingerprint == dataset.fingerprint


def test_fingerprint_of_a_name_that_is_no_unicode(dataset):
    assert replace(dataset, files=["a\udcff.jpg", "b\ud800.jpg", "c.jpg"]).fingerprint


def test_a_dataset_prints_as_three_lines(dataset):
    lines = str(dataset).split("\n")
    assert lines == [
        "animals, split train",
        "3 images, 3 boxes, 2 classes: cat, dog",
        f"in {Path('pictures').absolute()}",
    ]
    assert repr(dataset) == "<Dataset animals, split train: 3 images, 3 boxes, 2 classes>"
    one = replace(dataset.subset([1]), split=None, classes=tuple("abcdefghij"), category_ids=tuple(range(10)))
    assert repr(one) == "<Dataset animals: 1 image, 0 boxes, 10 classes>"
    assert str(one).split("\n")[1] == "1 image, 0 boxes, 10 classes: a, b, c, d, e, f, g, h and 2 more"


@pytest.fixture
def detections() -> Detections:
    return Detections(
        boxes=np.array([[0, 1, 2, 3], [4, 5, 6.25, 8], [7, 8, 9, 10]], np.float32),
        scores=np.array([0.9, 0.75, 0.3], np.float32),
        labels=np.array([1, 0, 1], np.int32),
        classes=("cat", "dog"),
    )


def test_detections_iterate_best_first(detections):
    assert [each.name for each in detections] == ["dog", "cat", "dog"]
    first = next(iter(detections))
    assert (first.box.tolist(), first.score, first.label) == ([0, 1, 2, 3], pytest.approx(0.9), 1)
    box, _, label, name = detections[-1]
    assert (box.tolist(), label, name) == ([7, 8, 9, 10], 1, "dog")


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (slice(1), [0.9]),
        (slice(None, None, -1), [0.3, 0.75, 0.9]),
        (np.array([False, True, True]), [0.75, 0.3]),
        ([True, False, True], [0.9, 0.3]),
        ([2, 0], [0.3, 0.9]),
        ([], []),
    ],
)
def test_parts_of_detections_are_detections(detections, index, expected):
    part = detections[index]
    assert isinstance(part, Detections)
    assert part.scores.tolist() == pytest.approx(expected)
    assert (len(part.boxes), len(part.labels), part.classes) == (len(expected), len(expected), ("cat", "dog"))


@pytest.mark.parametrize("index", [3, -4, np.int64(3)])
def test_there_is_no_detection_beyond_the_last(detections, index):
    with pytest.raises(IndexError, match=f"detection {index} of 3"):
        detections[index]


def test_a_mask_has_the_length_of_the_detections(detections):
    with pytest.raises(IndexError, match="boolean"):
        detections[np.array([True, False])]


def test_detections_print_a_line_each(detections):
    assert str(detections) == (
        "3 detections\n"
        "  dog 0.90 at (0.0, 1.0, 2.0, 3.0)\n"
        "  cat 0.75 at (4.0, 5.0, 6.2, 8.0)\n"
        "  dog 0.30 at (7.0, 8.0, 9.0, 10.0)"
    )
    assert repr(detections) == "<Detections: dog 0.90, cat 0.75, dog 0.30>"
    assert (str(detections[:0]), repr(detections[:0])) == ("0 detections", "<Detections: none>")
    assert repr(detections[[0] * 10]).endswith(", dog 0.90 and 2 more>")


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, [0.9, 0.75, 0.3]),
        ({"conf": 0.5}, [0.9, 0.75]),
        ({"conf": [0.8, 0.2]}, [0.9, 0.3]),  # cat, dog
        ({"classes": ["dog"]}, [0.9, 0.3]),
        ({"min_area": 5}, [0.75]),  # 2.25 x 3
        ({"conf": 0.5, "classes": ["dog", "cat"], "min_area": 4}, [0.9, 0.75]),
        ({"classes": []}, []),
    ],
)
def test_detections_are_filtered(detections, conditions, expected):
    assert detections.filter(**conditions).scores.tolist() == pytest.approx(expected)


def test_a_filter_knows_the_classes(detections):
    with pytest.raises(ConfigError, match="class 'fox' is not among the classes: cat, dog"):
        detections.filter(classes=["fox"])


def test_crops_of_an_array_and_of_a_file(detections, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (12, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    crops = detections.crop(pixels)
    assert [crop.shape for crop in crops] == [(2, 2, 3), (3, 3, 3), (2, 2, 3)]
    for one, other in zip(crops, detections.crop(tmp_path / "a.png"), strict=True):
        np.testing.assert_array_equal(one, other)
    assert detections.crop(pixels, margin=0.5)[0].shape == (4, 3, 3)  # clipped at the left
