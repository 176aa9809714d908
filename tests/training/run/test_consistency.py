"""Differences between nested conditions."""

from __future__ import annotations

import pytest

from yolo.errors import ConfigError
from yolo.training.run.consistency import check_unchanged, differences, flatten

OLD = {"batch": 8, "loss": {"box": "giou", "weights": {}}, "gone": 1, "dataset": {"name": "a", "images": 9}}
NEW = {"batch": 8, "loss": {"box": "ciou", "weights": {}}, "added": [2], "dataset": {"name": "b", "images": 9}}


def test_nested_mappings_get_dotted_names():
    assert flatten(OLD) == {
        "batch": 8,
        "loss.box": "giou",
        "loss.weights": {},
        "gone": 1,
        "dataset.name": "a",
        "dataset.images": 9,
    }


def test_differences_are_sorted_by_name():
    expected = {"added": (None, [2]), "dataset.name": ("a", "b"), "gone": (1, None), "loss.box": ("giou", "ciou")}
    assert differences(OLD, NEW) == expected
    assert list(differences(OLD, NEW)) == list(expected)
    assert differences(OLD, NEW, ignoring=("gone", "added", "loss.box", "dataset.name")) == {}
    assert differences(OLD, OLD) == {}


def test_a_changed_run_is_refused_and_the_datasets_name_is_no_change():
    check_unchanged(OLD, {**OLD, "dataset": NEW["dataset"]})
    with pytest.raises(ConfigError, match=r"changed: added: None -> \[2\]; loss\.box: giou -> ciou\. Undo that"):
        check_unchanged(OLD, NEW, harmless=["gone"])
