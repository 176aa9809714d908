"""Corrected copies: what is left out, joined or drawn once, and the list of the changes."""

from __future__ import annotations

import shutil

import numpy as np
from doctor_pictures import make, sound, write_scene

from yolo.datasets.annotations.repair import EMPTY
from yolo.doctor.check import check, scan_parts
from yolo.doctor.correct import Change, corrected
from yolo.doctor.findings import Parts


def test_a_sound_dataset_stays_as_it_is(tmp_path):
    parts: Parts = {"train": sound(tmp_path, "train", 0, 3), "val": sound(tmp_path, "val", 20, 2)}
    result, changes = corrected(parts, scan_parts(parts))
    assert changes == []
    assert {split: part.fingerprint for split, part in result.items()} == {
        split: part.fingerprint for split, part in parts.items()
    }


def test_pictures_are_left_out(tmp_path):
    """Of twins, the one in val stays; of two in one split, the one with more boxes."""
    train, val = sound(tmp_path, "train", 0, 6), sound(tmp_path, "val", 20, 2)
    train.path(0).write_bytes(b"no picture")
    shutil.copy(val.path(1), train.path(2))
    shutil.copy(train.path(4), tmp_path / "train" / "bare.jpg")
    content = {"bare.jpg": [], **{sample.path.name: named(sample) for sample in train}}
    parts: Parts = {"train": make(train.folder, content), "val": val}
    result, changes = corrected(parts, scan_parts(parts))
    assert result["train"].files == ["1.jpg", "3.jpg", "4.jpg", "5.jpg"]
    assert result["val"].fingerprint == val.fingerprint
    assert changes == [
        Change(str(train.path(0)), "unreadable", "picture left out (not a picture that can be decoded)"),
        Change(str(train.folder / "bare.jpg"), "duplicate", f"picture left out: {train.folder / '4.jpg'} is the same"),
        Change(str(train.path(2)), "same_in_splits", f"picture left out: {val.path(1)} is the same"),
    ]
    assert not [each for each in check(result, scan_parts(result)).findings if each.kind.severity != "note"]


def named(sample):
    return [(("cat", "dog")[label], box) for label, box in zip(sample.labels, sample.boxes, strict=True)]


def test_names_are_joined_and_boxes_there_once(tmp_path):
    """The name of the most boxes is kept; a box of both names on one place is one box."""
    write_scene(tmp_path / "a.jpg", 0)
    write_scene(tmp_path / "b.jpg", 1)
    train = make(
        tmp_path,
        {"a.jpg": [("Cat", [10, 10, 50, 50]), ("cat", [10, 10, 50, 50.5]), ("cat", [60, 10, 90, 50])]},
        ("Cat", "cat", "couch"),
        category_ids=(4, 5, 6),
    )
    val = make(tmp_path, {"b.jpg": [("sofa", [10, 10, 50, 50]), ("CAT", [1, 2, 30, 40])]}, ("CAT", "sofa"))
    result, changes = corrected({"train": train, "val": val}, scan_parts({"train": train, "val": val}))
    assert (result["train"].classes, result["train"].category_ids) == (("cat", "couch"), (4, 6))
    np.testing.assert_array_equal(result["train"].boxes, [[10, 10, 50, 50], [60, 10, 90, 50]])
    np.testing.assert_array_equal(result["train"].labels, [0, 0])
    np.testing.assert_array_equal(result["train"].areas, [1600, 1200])
    assert result["val"].classes == ("cat", "sofa")  # synonyms may be meant
    assert changes == [
        Change("Cat", "class_spelling", "class joined with cat"),
        Change("CAT", "class_spelling", "class joined with cat"),
        Change(f"{tmp_path / 'a.jpg'}: box 2 (cat) (train)", "box_doubled", "box left out"),
    ]


def test_what_the_readers_have_done_is_listed(tmp_path):
    write_scene(tmp_path / "a.jpg", 0)
    part = make(
        tmp_path,
        {"a.jpg": [("cat", [10, 10, 50, 50])]},
        repairs={EMPTY: 3},
        repair_places={EMPTY: ["a.xml: object 3"]},
        left_out={"b.xml": "b.xml: not XML"},
    )
    result, changes = corrected({None: part}, scan_parts({None: part}))
    assert changes == [
        Change("a.xml: object 3", "box_empty", "dropped"),
        Change("", "box_empty", "dropped: 2 more"),
        Change("b.xml: not XML", "left_out", "left out"),
    ]
    assert (result[None].repairs, result[None].left_out) == ({}, {})
