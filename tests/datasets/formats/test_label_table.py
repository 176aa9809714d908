"""What rows of label files mean: boxes, outlines, keypoints, confidences, pixels."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from yolo_layouts import write

from yolo import AnnotationError, load_dataset
from yolo.datasets.annotations import repair
from yolo.datasets.formats.label_text import RowFaultError, Rows, parse_rows

PLAIN = "0 0.5 0.5 0.5 0.5"
BOX = [50, 25, 150, 75]
POSES = {
    "one keypoint, seen": "0.5 0.5 2",
    "two, one unseen": "0.5 0.5 2 0 0 0",
    "two with confidence and an even count": "0.5 0.5 0.93 0.4 0.6 0.88 0.3 0.3 0.5",
    "seventeen": " ".join(f"{0.3 + each / 50:.3f} 0.6 {each % 3}" for each in range(17)),
    "five without visibility": "0.3 0.3 0.7 0.7 0.7 0.3 0.3 0.7 0.5 0.5",
}


def load(tmp_path, labels: str | list[str], extra: str = "", **options):
    """A dataset of pictures of 100 x 200, two classes, and a label file each."""
    texts = [labels] if isinstance(labels, str) else labels
    files = {f"images/{index:03}.jpg": "" for index in range(len(texts))}
    files |= {f"labels/{index:03}.txt": text for index, text in enumerate(texts)}
    return load_dataset(
        write(tmp_path, {**files, "data.yaml": f"train: images\nnames: [cat, dog]\n{extra}"}), **options
    )


@pytest.mark.parametrize("name", POSES)
def test_rows_with_keypoints_give_their_box(tmp_path, name):
    dataset = load(tmp_path, [f"{PLAIN} {POSES[name]}", f"1 0.5 0.5 0.5 0.5 {POSES[name]}"])
    assert dataset.boxes.tolist() == [BOX, BOX]
    assert dataset.repairs == {repair.KEYPOINTS: 2}


@pytest.mark.parametrize(
    ("shape", "rest"), [("[5, 2]", "0.2 0.2 0.4 0.4 0.3 0.3 0.9 0.95 0.5 0.5"), ("[1, 3]", "9 9 9"), ("[1, 2]", "0 0")]
)
def test_the_description_says_that_there_are_keypoints(tmp_path, shape, rest):
    assert load(tmp_path, f"{PLAIN} {rest}\n1 0.5 0.5 0.5 0.5", f"kpt_shape: {shape}").boxes.tolist() == [BOX, BOX]


def test_rows_of_another_length_than_the_description_says(tmp_path):
    with pytest.raises(AnnotationError, match=r"000\.txt:1: expected 11 numbers by kpt_shape: \[2, 3\], got 9"):
        load(tmp_path, f"{PLAIN} 1 1 1 1", "kpt_shape: [2, 3]")


@pytest.mark.parametrize("shape", ["5", "[5]", "[5, 4]", "[0, 2]", "[a, b]", "[1.5, 2]", "{a: 1}", "[1, 2, 3]"])
def test_a_shape_that_is_none(tmp_path, shape):
    with pytest.raises(AnnotationError, match=r"data\.yaml: kpt_shape: expected \[keypoints, 2 or 3\], got"):
        load(tmp_path, PLAIN, f"kpt_shape: {shape}")


UNCLEAR = "0 0.4 0.4 0.45 0.4 0.45 0.5 0.4 0.5"  # a rectangle at (0.4, 0.4), or a box there with two keypoints


def test_rows_that_may_be_outlines_or_keypoints(tmp_path):
    with pytest.raises(AnnotationError) as caught:
        load(tmp_path, UNCLEAR)
    assert str(caught.value) == (
        f"{tmp_path / 'labels/000.txt'}:1: 9 numbers may be an outline or a box with keypoints; write "
        "kpt_shape: [2, 2] into the data.yaml for keypoints, kpt_shape: [] for outlines"
    )
    np.testing.assert_allclose(load(tmp_path, UNCLEAR, "kpt_shape: []").boxes, [[80, 40, 90, 50]], atol=1e-4)
    np.testing.assert_allclose(load(tmp_path, UNCLEAR, "kpt_shape: [2, 2]").boxes, [[35, 20, 125, 60]], atol=1e-4)
    assert len(load(tmp_path, f"{UNCLEAR}\n{PLAIN}").boxes) == 2  # among boxes: an outline


def test_one_outline_of_another_place_decides_for_all(tmp_path):
    dataset = load(tmp_path, [UNCLEAR, "0 0.8 0.8 0.9 0.8 0.9 0.9 0.8 0.9", "1 0.1 0.1 0.3 0.1 0.3 0.2 0.1 0.2"])
    np.testing.assert_allclose(dataset.boxes, [[80, 40, 90, 50], [160, 80, 180, 90], [20, 10, 60, 20]], atol=1e-4)
    assert dataset.repairs == {}


def test_outlines_of_many_lengths(tmp_path):
    dataset = load(tmp_path, "0 .1 .2 .5 .2 .3 .6\n1 .1 .1 .2 .1 .3 .2 .2 .3 .1 .2\n0 0 0 1 0 1 1 0 1")
    np.testing.assert_allclose(dataset.boxes, [[20, 20, 100, 60], [20, 10, 60, 30], [0, 0, 200, 100]], atol=1e-4)


def test_a_confidence_is_dropped_and_counted(tmp_path):
    dataset = load(tmp_path, f"{PLAIN} 0.91\n1 0.5 0.5 0.5 0.5 1\n")
    assert (dataset.boxes.tolist(), dataset.repairs) == ([BOX, BOX], {repair.CONFIDENCE: 2})


def test_pixels(tmp_path):
    with pytest.raises(AnnotationError) as caught:
        load(tmp_path, ["0 40 30 40 40", PLAIN, "1 100 50 20 10"])
    assert str(caught.value) == (
        f"{tmp_path / 'labels/000.txt'}:1: the values are pixels, not fractions (40); divide x and width by the "
        "picture's width, y and height by its height"
    )


def test_one_box_far_outside_is_dropped(tmp_path):
    assert load(tmp_path, [PLAIN, f"0 40 30 4 4\n{PLAIN}", PLAIN]).repairs == {repair.OUTSIDE: 1}


def test_classes_counted_from_one(tmp_path):
    with pytest.raises(AnnotationError) as caught:
        load(tmp_path, ["1 .5 .5 .5 .5", "2 .5 .5 .5 .5"])
    assert str(caught.value) == (
        f"{tmp_path / 'labels/001.txt'}:1: class 2 is not in names (0 to 1): the labels count classes from 1; "
        "subtract 1 from each"
    )


def test_rows_that_look_like_corners_are_noticed(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "yolo"):
        dataset = load(tmp_path, ["0 .1 .1 .9 .9", "1 .2 .3 .4 .5"])
    assert dataset.repairs[repair.LIKE_CORNERS] == 2
    assert repair.LIKE_CORNERS in caplog.text
    assert repair.LIKE_CORNERS not in load(tmp_path, ["0 .1 .1 .9 .9", "1 .5 .5 .4 .4"]).repairs


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "ascii"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(encoding, end):
    content = end.join(["0 .5 .5 1 1", "", "\t1 .25  .5 1 1 "]).encode(encoding)
    assert parse_rows(content) == Rows([1, 3], [5, 5], [0, 0.5, 0.5, 1, 1, 1, 0.25, 0.5, 1, 1])


def test_bytes_that_are_no_text():
    with pytest.raises(RowFaultError, match="2: not a text file in UTF-8"):
        parse_rows(b"0 .5 .5 1 1\n\xff")
    with pytest.raises(RowFaultError, match="1: not a text file"):
        parse_rows(b"\xff\xfe0")
