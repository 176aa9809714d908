"""Edits of a network file: canvas, anchors and classes change, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest
from cfg_texts import conv, section, sections
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo.darknet.edit import retarget
from yolo.darknet.network import head_of
from yolo.darknet.plan import make_detector_plan
from yolo.errors import ConfigError

TEXT = """\
# A network of two heads
[net]
width = 64   # across
height=96
channels=3

[convolutional]
filters=4
size=3
stride=4
pad=1
activation=leaky ; the trunk

[convolutional]
filters = 21 # = 3 x (5 + 2)
activation=linear

[yolo]
mask = 3,4,5
anchors = 1,2,  3,4,  5,6,  7,8,  9,10,  11,12
classes=2
num=6
jitter=.3

[route]
layers = 0

[convolutional]
size=3
stride=2
pad=1
filters=14
activation=linear

[yolo]
mask = 1,2
anchors = 1,2,  3,4,  5,6,  7,8,  9,10,  11,12
classes=2
num=6"""


def changed(text=TEXT, **options):
    own = {"canvas": (96, 64), "letterbox": "stretch", "classes": 2}
    return retarget(text, "a.cfg", **{**own, **options})


def differences(old, new):
    """The lines that differ, of texts of as many lines."""
    old, new = old.split("\n"), new.split("\n")
    assert len(old) == len(new)
    return {number: after for number, (before, after) in enumerate(zip(old, new, strict=True), 1) if before != after}


def anchors_of(text):
    return [np.array(head_of(head).anchors, np.float32) for head in make_detector_plan(text, "a.cfg").heads]


def test_nothing_to_do_leaves_every_byte():
    assert changed() == TEXT
    assert changed(anchors=[np.array(each, "f4") for each in ([[3, 4], [5, 6]], [[7, 8], [9, 10], [11, 12]])]) == TEXT


def test_canvas():
    assert differences(TEXT, changed(canvas=(32, 160))) == {3: "width=160   # across", 4: "height=32"}


def test_classes_and_the_filters_before_each_head():
    assert differences(TEXT, changed(classes=7)) == {
        15: "filters=36 # = 3 x (5 + 2)",  # 3 x (5 + 7)
        21: "classes=7",
        32: "filters=24",  # 2 x (5 + 7)
        38: "classes=7",
    }


def test_anchors_are_listed_finest_first():
    coarse, fine = np.array([[30.5, 40], [50, 60.25], [0.1, 70]], "f4"), np.array([[2, 3]], "f4")
    text = changed(anchors=[coarse, fine])
    listed = "2,3,  30.5,40,  50,60.25,  0.1,70"
    # The first head of the file has stride 4 and is the finest.
    assert differences(TEXT, text) == {
        15: "filters=7 # = 3 x (5 + 2)",
        19: "mask=0",
        20: f"anchors={listed}",
        22: "num=4",
        32: "filters=21",
        36: "mask=1,2,3",
        37: f"anchors={listed}",
        39: "num=4",
    }
    for found, expected in zip(anchors_of(text), (coarse, fine), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_letterbox_is_added_and_changed():
    text = changed(letterbox="letterbox")
    assert text.split("\n")[1:3] == ["[net]", "letter_box=1"]
    assert text.replace("letter_box=1\n", "") == TEXT
    assert make_detector_plan(text).letterbox == "letterbox"
    assert changed(text, letterbox="stretch") == text.replace("letter_box=1", "letter_box=0")


def test_line_endings_stay():
    text = changed(TEXT.replace("\n", "\r\n"), classes=7, letterbox="letterbox")
    assert text.replace("\r\n", "\n") == changed(classes=7, letterbox="letterbox")
    assert text.count("\r\n") == text.count("\n")


def test_an_option_given_twice_is_changed_twice():
    text = TEXT.replace("classes=2\nnum=6", "classes=2\nnum=6\nclasses = 2")
    plan = make_detector_plan(changed(text, classes=5))
    assert [head_of(head).classes for head in plan.heads] == [5, 5]


def test_options_left_to_darknet_are_added_where_they_differ_from_its_own():
    head = section("yolo", {"mask": "0", "anchors": "1,2"})
    text = sections(conv(25), head)
    assert changed(text, canvas=(32, 32), classes=20) == text
    added = changed(text, canvas=(32, 32), classes=1)
    assert "[yolo]\nclasses=1\nmask=0" in added
    assert head_of(make_detector_plan(added).heads[0]).classes == 1


def test_the_anchors_of_a_region_are_counted_in_cells():
    region = section("region", {"anchors": "1.5,2, 3,0.25", "num": 2, "classes": 1})
    text = sections(conv(2, 3, stride=8, pad=1), conv(12), region)
    assert changed(text, canvas=(32, 32), classes=1) == text
    new = changed(text, canvas=(32, 32), classes=1, anchors=[np.array([[10, 8], [4, 4.4], [1, 1]], "f4")])
    assert "anchors=1.25,1,  0.5,0.55,  0.125,0.125\nnum=3\n" in new
    assert "filters=18\n" in new
    np.testing.assert_array_equal(anchors_of(new)[0], np.array([[10, 8], [4, 4.4], [1, 1]], "f4"))


def test_a_grid_that_does_not_fit_names_the_file():
    with pytest.raises(ConfigError, match=r"^a\.cfg:35: \[yolo\]: a grid of 13 x 8 does not divide"):
        changed(canvas=(100, 64))


LENGTHS = st.floats(2**-10, 2**14, width=32).map(np.float32)
SHAPES = st.lists(st.tuples(LENGTHS, LENGTHS), min_size=1, max_size=4).map(lambda found: np.array(found, np.float32))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(coarse=SHAPES, fine=SHAPES, classes=st.integers(1, 90), rows=st.integers(1, 9), letterbox=st.booleans())
def test_what_is_asked_for_is_read_again_and_asking_twice_changes_nothing(coarse, fine, classes, rows, letterbox):
    options = {"canvas": (8 * rows, 32), "classes": classes, "letterbox": "letterbox" if letterbox else "stretch"}
    text = changed(**options, anchors=[coarse, fine])
    plan = make_detector_plan(text, "a.cfg")
    assert (plan.canvas, plan.letterbox) == (options["canvas"], options["letterbox"])
    assert [head_of(head).classes for head in plan.heads] == [classes, classes]
    for found, expected in zip(anchors_of(text), (coarse, fine), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert changed(text, **options, anchors=[coarse, fine]) == text
    assert changed(text, **options) == text
    assert [line for line in text.split("\n") if line.startswith(("#", "jitter", "layers"))] == [
        "# A network of two heads",
        "jitter=.3",
        "layers = 0",
    ]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(shapes=SHAPES, stride=st.integers(1, 33))
def test_a_regions_anchors_survive_any_stride(shapes, stride):
    region = section("region", {"anchors": "1,2", "classes": 1})
    text = sections(conv(1, stride=stride), conv(6), region, size=(stride, stride))
    text = changed(text, canvas=(stride, stride), classes=1, anchors=[shapes])
    np.testing.assert_array_equal(anchors_of(text)[0], shapes)
    assert changed(text, canvas=(stride, stride), classes=1, anchors=[shapes]) == text
