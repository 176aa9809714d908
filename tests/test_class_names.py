"""Class names of one meaning: spellings and synonyms."""

from __future__ import annotations

from yolo.class_names import alike, match_names, meaning


def test_spellings_and_synonyms_are_equal():
    assert len({meaning(name) for name in ("Dining Table", "dining_table", "diningtable", " dining-table")}) == 1
    assert meaning("motorbike") == meaning("Motorcycle")
    assert meaning("tvmonitor") == meaning("tv")
    assert meaning("cat") != meaning("cats")


def test_a_name_is_matched_before_its_meaning():
    assert match_names(["sofa", "cat"], ["couch", "sofa", "Cat"]) == {"sofa": "sofa", "cat": "Cat"}


def test_a_known_name_is_given_once():
    assert match_names(["tv", "tvmonitor", "zebra"], ["television"]) == {"tv": "television"}
    assert match_names(["Cat", "cat"], ["cat"]) == {"cat": "cat"}


def test_names_alike():
    assert alike(["cat", "dog", "Cat", "motorbike", "motorcycle", "cat"]) == [
        ["cat", "Cat"],
        ["motorbike", "motorcycle"],
    ]
