"""Boxes on pictures: where the colour goes, and that everything stays inside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from yolo.images.draw import (
    GREY,
    class_colour,
    draw_boxes,
    fit_text,
    label_rectangle,
    letter_size,
    line_width,
    load_font,
    one_line,
    patch_size,
    pixel_rectangle,
    text_colour,
    tile_images,
)
from yolo.structs import Detections

BLACK = np.zeros((200, 300, 3), np.uint8)


def array(values, dtype=np.float32):
    return np.array(values, dtype)


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture)


def has_colour(picture: np.ndarray, colour) -> np.ndarray:
    return (picture == colour).all(axis=-1)


def test_the_outline_lies_on_the_box():
    picture = pixels(draw_boxes(BLACK, array([[50, 80, 150, 160]]), array([0], int), ["a"]))
    assert line_width((200, 300)) == 1
    lines = has_colour(picture, class_colour(0))
    assert lines[80, 50:150].all()  # a box 50..150 holds the columns 50 to 149
    assert lines[159, 50:150].all()
    assert lines[80:160, 50].all()
    assert lines[80:160, 149].all()
    assert not lines[81:159, 51:149].any()
    assert not lines[160:].any()
    assert not lines[:, 150:].any()


def test_the_label_stands_above_the_box():
    picture = pixels(draw_boxes(BLACK, array([[50, 80, 150, 160]]), array([0], int), ["a"]))
    drawn = has_colour(picture, class_colour(0))
    height, width = patch_size("a", load_font(letter_size((200, 300))))
    patch = drawn[80 - height : 80, 50 : 50 + width]
    assert patch[0].all()  # above the letter
    assert patch[:, 0].all()  # beside it
    assert 0.4 < patch.mean() < 1  # the rest is the letter
    assert not drawn[: 80 - height].any()
    assert not drawn[:80, 50 + width :].any()


def test_the_label_goes_inside_where_there_is_no_room_above():
    size = (200, 300)
    assert label_rectangle((50, 80, 149, 159), (20, 60), size) == (50, 60, 109, 79)  # above
    assert label_rectangle((50, 19, 149, 159), (20, 60), size) == (50, 19, 109, 38)  # one row short
    assert label_rectangle((250, 80, 299, 159), (20, 60), size) == (240, 60, 299, 79)  # moved left
    assert label_rectangle((0, 10, 299, 199), (198, 60), size) == (0, 2, 59, 199)  # moved up


def test_the_array_is_not_changed():
    image = BLACK.copy()
    draw_boxes(image, array([[0, 0, 300, 200]]), array([0], int), ["a"])
    assert not image.any()


def test_read_only_and_flipped_arrays_can_be_drawn_on():
    image = np.arange(60 * 90 * 3, dtype=np.uint8).reshape(60, 90, 3)[:, ::-1]
    image.flags.writeable = False
    plain = draw_boxes(image, np.zeros((0, 4), np.float32), array([], int), ["a"])
    np.testing.assert_array_equal(pixels(plain), image)


def test_the_best_is_drawn_last():
    boxes = array([[50, 80, 150, 160]] * 2)
    for scores, winner in (([0.9, 0.3], 0), ([0.3, 0.9], 1)):
        picture = pixels(draw_boxes(BLACK, boxes, array([0, 1], int), ["a", "b"], scores=array(scores)))
        assert tuple(picture[120, 50]) == class_colour(winner)


def test_without_scores_the_smallest_is_drawn_last():
    boxes = array([[60, 90, 70, 100], [50, 80, 150, 160]])
    boxes[0, :2] = (50, 80)
    picture = pixels(draw_boxes(BLACK, boxes, array([0, 1], int), ["a", "b"]))
    assert tuple(picture[90, 50]) == class_colour(0)
    assert tuple(picture[120, 50]) == class_colour(1)


def test_ignored_boxes_are_grey():
    boxes = array([[50, 80, 150, 160]])
    picture = pixels(draw_boxes(BLACK, boxes, array([0], int), ["a"], ignore=array([True], bool)))
    assert tuple(picture[120, 50]) == GREY
    assert not has_colour(picture, class_colour(0)).any()


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([10, 20, 30, 40], (10, 20, 29, 39)),
        ([10.2, 20.9, 30.1, 39.5], (10, 20, 30, 39)),  # every pixel it touches
        ([-50, -50, 500, 500], (0, 0, 299, 199)),  # cut at the picture
        ([10.2, 10.2, 10.4, 10.4], (10, 10, 10, 10)),  # smaller than a pixel
        ([310, 20, 330, 40], None),  # outside
        ([-20, 20, -10, 40], None),
        ([30, 20, 10, 40], None),  # inverted
        ([np.nan, 0, 10, 10], None),
        ([0, 0, np.inf, 10], None),
    ],
)
def test_pixel_rectangle(box, expected):
    assert pixel_rectangle(array(box, np.float64), (200, 300)) == expected


@pytest.mark.parametrize(
    ("size", "width", "letters"),
    [((64, 64), 1, 8), ((480, 640), 2, 17), ((4000, 6000), 17, 95)],
)
def test_lines_and_letters_follow_the_picture(size, width, letters):
    assert line_width(size) == width
    assert letter_size(size) == letters


@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.text(max_size=60),
    st.lists(st.floats(-100, 500, width=32), min_size=4, max_size=4),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_labels_stay_inside_and_nothing_crashes(height, width, name, box, scored):
    size = (height, width)
    boxes = array([box])
    scores = array([0.5]) if scored else None
    picture = draw_boxes(np.zeros((*size, 3), np.uint8), boxes, array([0], int), [name], scores=scores)
    assert picture.size == (width, height)
    text, font = fit_text(one_line(name), letter_size(size), size)
    rectangle = pixel_rectangle(boxes[0].astype(np.float64), size)
    if text and rectangle:
        left, top, right, bottom = label_rectangle(rectangle, patch_size(text, font), size)
        assert 0 <= left <= right < width
        assert 0 <= top <= bottom < height


def test_long_labels_shrink_then_lose_letters():
    text, font = fit_text("giraffe 0.98", 20, (200, 60))
    assert text.startswith("gir")
    assert font.size < 20
    assert patch_size(text, font)[1] <= 60
    assert fit_text("giraffe", 20, (200, 300)) == ("giraffe", load_font(20))
    assert fit_text("giraffe", 20, (3, 300))[0] == ""  # too low for any letter


@pytest.mark.parametrize("name", ["Käfer", "кошка", "猫", "كلب", "a\nb\tc", "\x00", "\udc80", ""])
def test_any_class_name_can_be_drawn(name):
    picture = draw_boxes(BLACK, array([[50, 80, 150, 160]]), array([0], int), [name])
    assert has_colour(pixels(picture), class_colour(0))[120, 50]


def test_letters_beyond_ascii_have_shapes_of_their_own():
    font = load_font(20)
    shapes = {bytes(font.primary.getmask(letter)) for letter in "äößéŁжγ"}
    assert len(shapes) == 7  # a font without them gives one box seven times


def test_colours_are_stable_and_apart():
    colours = np.array([class_colour(label) for label in range(300)], float)
    assert class_colour(7) == class_colour(7)
    near = [np.abs(colours[i] - colours[j]).max() for i in range(12) for j in range(i)]
    assert min(near) > 40
    assert len({tuple(colour) for colour in colours}) == 300
    neighbours = np.abs(np.diff(colours, axis=0)).max(axis=1)
    assert neighbours.min() > 80


@pytest.mark.parametrize(
    ("background", "text"),
    [
        ((255, 255, 255), (0, 0, 0)),
        ((0, 0, 0), (255, 255, 255)),
        ((255, 255, 0), (0, 0, 0)),  # Y = 0.93
        ((0, 0, 255), (255, 255, 255)),  # Y = 0.07
        ((255, 0, 0), (0, 0, 0)),  # Y = 0.2126: 5.25 against black, 4.0 against white
    ],
)
def test_letters_contrast_with_their_ground(background, text):
    assert text_colour(background) == text


def test_detections_draw(tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(BLACK).save(path)
    found = Detections(array([[50, 80, 150, 160]]), array([0.9]), array([1], np.int32), ("a", "b"))
    from_file, from_array = pixels(found.draw(path)), pixels(found.draw(BLACK))
    np.testing.assert_array_equal(from_file, from_array)
    assert tuple(from_file[120, 50]) == class_colour(1)


def test_tile_images():
    red, blue = Image.new("RGB", (10, 20), "red"), Image.new("RGB", (30, 10), "blue")
    sheet = pixels(tile_images([red, blue, red], 2, gap=2))
    assert sheet.shape == (2 * 22 + 2, 2 * 32 + 2, 3)
    assert (sheet[2:22, 12:22] == (255, 0, 0)).all()  # in the middle of a tile 30 wide
    assert (sheet[7:17, 34:64] == (0, 0, 255)).all()
    assert (sheet[24:44, 12:22] == (255, 0, 0)).all()
    assert (sheet[24:, 34:] == 255).all()  # no fourth picture


def test_tile_images_of_fewer_pictures_than_columns_is_no_wider():
    assert tile_images([Image.new("RGB", (10, 20))], 5, gap=0).size == (10, 20)
