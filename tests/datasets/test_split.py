"""Division of datasets: splits by hand, and what holds for any of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import make_dataset

from yolo.datasets.split import (
    class_counts,
    complete,
    deal,
    fold_dataset,
    groups_by_pattern,
    join_datasets,
    split_dataset,
)
from yolo.errors import AnnotationError, ConfigError
from yolo.structs import Dataset

THREE = {"train": 0.7, "val": 0.2, "test": 0.1}


def labelled(labels: list[list[int]], classes: int = 3) -> Dataset:
    """A dataset of pictures with boxes of these classes."""
    rows = [(picture, label, 0, 0, 10, 10, 0) for picture, each in enumerate(labels) for label in each]
    return make_dataset(rows, pictures=len(labels), classes=tuple(map(str, range(classes))))


def pictures_of(parts: dict[str, Dataset]) -> dict[str, list[int]]:
    return {name: list(part.image_ids) for name, part in parts.items()}


def test_a_rare_class_is_shared_out_before_a_common_one():
    """Ten pictures of class 0, two of which also have the only objects of class 1: one for each half."""
    for seed in range(10):
        parts = split_dataset(labelled([[0]] * 8 + [[0, 1]] * 2), {"train": 0.5, "val": 0.5}, seed=seed)
        assert [len(part) for part in parts.values()] == [5, 5]
        assert [int((part.labels == 1).sum()) for part in parts.values()] == [1, 1]


def test_without_stratification_only_the_sizes_are_right():
    found = set()
    for seed in range(20):
        parts = split_dataset(labelled([[0]] * 8 + [[0, 1]] * 2), {"train": 0.5, "val": 0.5}, seed=seed, stratify=False)
        assert [len(part) for part in parts.values()] == [5, 5]
        found.add(int((parts["val"].labels == 1).sum()))
    assert len(found) > 1


def test_a_single_object_of_a_class_is_trained_on():
    parts = split_dataset(labelled([[0]] * 9 + [[1]]), THREE)
    assert 9 in parts["train"].image_ids
    assert [len(part) for part in parts.values()] == [7, 2, 1]


def test_pictures_without_boxes_are_shared_out_too():
    parts = split_dataset(labelled([[]] * 20), THREE)
    assert [len(part) for part in parts.values()] == [14, 4, 2]


def test_classes_are_counted_by_pictures_of_each_group():
    dataset = labelled([[0, 0, 1], [1], [], [2, 0]])
    expected = [[1, 2, 0], [1, 0, 1]]
    np.testing.assert_array_equal(class_counts(dataset, np.array([0, 0, 1, 1]), 2), expected)


def test_large_groups_come_first():
    """Groups of 4, 1 and 1 pictures: halves of three are not to be had, and the large one stays whole."""
    owners = deal(np.zeros((3, 0), int), np.array([1, 4, 1]), np.array([0.5, 0.5]), np.random.default_rng(0))
    assert owners[0] == owners[2] != owners[1]


def test_pictures_keep_their_order_and_columns():
    dataset = labelled([[0], [1], [2], [0, 1], [], [1, 1]])
    part = split_dataset(dataset, {"train": 0.5, "val": 0.5})["val"]
    assert list(part.image_ids) == sorted(part.image_ids)
    assert part.split == "val"
    for sample in part:
        source = dataset[int(sample.image_id)]
        np.testing.assert_array_equal(sample.labels, source.labels)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 2), max_size=4), min_size=3, max_size=60),
    st.integers(0, 2**32 - 1),
    st.integers(1, 8),
    st.booleans(),
)
def test_splits_are_disjoint_complete_whole_and_reproducible(labels, seed, size, stratify):
    dataset = labelled(labels)
    groups = [index // size for index in range(len(dataset))]
    if len(set(groups)) < 3:
        return
    parts = split_dataset(dataset, THREE, seed=seed, groups=groups, stratify=stratify)
    numbers = pictures_of(parts)
    assert sorted(chain.from_iterable(numbers.values())) == list(range(len(dataset)))
    assert all(numbers.values())
    owners = {number: name for name, each in numbers.items() for number in each}
    for group in set(groups):
        assert len({owners[number] for number in range(len(dataset)) if groups[number] == group}) == 1
    again = split_dataset(dataset, THREE, seed=seed, groups=groups, stratify=stratify)
    assert pictures_of(again) == numbers


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), max_size=3), min_size=20, max_size=100), st.integers(0, 1000))
def test_fractions_are_close(labels, seed):
    """Within a picture, whatever the classes are."""
    dataset = labelled(labels)
    for name, part in split_dataset(dataset, THREE, seed=seed).items():
        assert abs(len(part) - THREE[name] * len(dataset)) <= 1


def test_another_seed_gives_another_division():
    dataset = labelled([[0]] * 40)
    found = {tuple(split_dataset(dataset, THREE, seed=seed)["val"].image_ids) for seed in range(5)}
    assert len(found) == 5


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 6), st.integers(8, 40), st.sampled_from([0.0, 0.2]))
def test_folds_hold_every_picture_out_once(folds, pictures, test):
    dataset = labelled([[index % 3] for index in range(pictures)])
    parted = fold_dataset(dataset, folds, test=test)
    assert len(parted) == folds
    tests = {tuple(parts["test"].image_ids) if test else () for parts in parted}
    assert len(tests) == 1
    held_out = [number for parts in parted for number in parts["val"].image_ids]
    assert sorted([*held_out, *tests.pop()]) == list(range(pictures))
    for parts in parted:
        everything = chain.from_iterable(pictures_of(parts).values())
        assert sorted(everything) == list(range(pictures))


def test_splits_are_joined_and_repeated_images_taken_once(tmp_path):
    """Classes cat, dog and dog, cow; both splits have a 0.jpg of their own, and b/2.jpg is in both."""
    first = labelled([[0], [1], [0]], classes=2)
    first = replace(first, classes=("cat", "dog"), files=["0.jpg", "1.jpg", "../b/2.jpg"], folder=tmp_path / "a")
    first = replace(first, files=["0.jpg", "1.jpg", str(tmp_path / "b" / "2.jpg")], category_ids=(1, 5))
    second = replace(labelled([[1], [0, 1], [0]], classes=2), classes=("dog", "cow"), folder=tmp_path / "b")
    second = replace(second, files=["0.jpg", "2.jpg", "0.jpg"], category_ids=(5, 9))
    joined = join_datasets([first, second], name="whole")
    assert list(joined.files) == ["a/0.jpg", "a/1.jpg", "b/2.jpg", "b/0.jpg"]
    assert (joined.classes, joined.category_ids, joined.split) == (("cat", "dog", "cow"), (1, 5, 9), None)
    assert [[joined.classes[label] for label in sample.labels] for sample in joined] == [
        ["cat"],
        ["dog"],
        ["cat"],
        ["cow"],
    ]
    assert join_datasets([first], name="whole") is first


def test_groups_are_the_first_group_of_the_match():
    files = ["a/cam1_001.jpg", "a/cam1_002.jpg", "a/cam22_001.jpg", "other.jpg"]
    dataset = replace(labelled([[0]] * 4), files=files)
    assert groups_by_pattern(dataset, r"(cam\d+)_") == ["cam1", "cam1", "cam22", 3]
    assert groups_by_pattern(dataset, r"\d+\.jpg|other") == ["001.jpg", "002.jpg", "001.jpg", "other"]
    windows = replace(dataset, files=[file.replace("/", "\\") for file in files])
    assert groups_by_pattern(windows, r"^(a)/") == ["a", "a", "a", 3]
    assert groups_by_pattern(dataset, r"(x)?cam") == ["cam", "cam", "cam", 3]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "group (: not a regular expression: missing ), unterminated subpattern at position 0"),
        ("zebra", "group zebra: it matches none of the 4 file names; the first is 0.jpg"),
    ],
)
def test_patterns_that_cannot_be_used(pattern, message):
    with pytest.raises(ConfigError) as caught:
        groups_by_pattern(labelled([[0]] * 4), pattern)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"fractions": {"train": 0.7, "val": 0.2}}, ConfigError, "the sum of the shares must be 1, got 0.8999"),
        ({"fractions": {"train": 1.2, "val": -0.2}}, ConfigError, "the share of train must be > 0 and at most 1"),
        ({"fractions": THREE, "groups": [0, 0, 1, 1]}, AnnotationError, "2 groups cannot be divided into 3 parts"),
        ({"fractions": {**THREE, "test": 0.05, "a": 0.03, "b": 0.02}}, AnnotationError, "4 pictures cannot be divided"),
        ({"fractions": THREE, "seed": -1}, ConfigError, "seed must be in"),
        ({"fractions": THREE, "groups": [1]}, ValueError, "expected a group for each of 4 pictures, got 1"),
    ],
)
def test_what_cannot_be_divided(arguments, error, message):
    with pytest.raises(error, match=message):
        split_dataset(labelled([[0]] * 4), **arguments)


@pytest.mark.parametrize("options", [{"folds": 1}, {"folds": 2, "test": 1.0}])
def test_folds_that_cannot_be(options):
    with pytest.raises(ConfigError, match=r"(folds|test) must be"):
        fold_dataset(labelled([[0]] * 4), **options)


def test_train_takes_a_group_of_a_class_that_it_lacks():
    owners, sizes = np.array([0, 0, 0, 1]), np.array([1, 1, 1, 1])
    classes = np.array([[1, 0], [0, 0], [0, 0], [0, 1]])
    assert complete(owners, classes, sizes, 0).tolist() == [0, 1, 0, 0]
    assert complete(owners, classes, np.array([1, 2, 2, 1]), 0).tolist() == owners.tolist()  # none to spare
