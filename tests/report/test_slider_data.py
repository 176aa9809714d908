"""Data of the slider against plain counting."""

from __future__ import annotations

import numpy as np
from detection_cases import random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from report_cases import three_pictures

from yolo.analysis.analysis import analyse
from yolo.evaluation.matching import match
from yolo.report.pictures import RIGHT, WRONG, at_least, score_units, short_name, slider_data


def test_counts_of_every_threshold(tmp_path):
    analysis = analyse(*three_pictures(tmp_path), resamples=0)
    data = slider_data(analysis)
    assert (data["least"], data["start"], data["true"]) == (5, 40, 4)
    counts = [(0, 3, 3), (20, 3, 3), (21, 3, 2), (40, 3, 2), (41, 2, 2), (55, 2, 2), (56, 2, 1), (61, 2, 1), (62, 1, 1)]
    for step, right, wrong in counts:
        assert (data["right"][step], data["wrong"][step]) == (right, wrong)
    assert (data["right"][90], data["right"][91], data["wrong"][100]) == (1, 0, 0)


def test_boxes_of_a_picture(tmp_path):
    data = slider_data(analyse(*three_pictures(tmp_path), resamples=0))
    first = next(each for each in data["pictures"] if each["path"] == "a.png")
    assert first["true"] == [[10, 10, 40, 40, 0, 0], [80, 10, 40, 40, 0, 0]]
    assert first["found"] == [
        [10, 10, 40, 40, 0, 9000, RIGHT, 0],
        [10, 60, 30, 50, 1, 7000, WRONG, -1],
        [80, 12, 40, 40, 0, 4000, RIGHT, 1],
    ]
    assert (first["width"], first["height"], first["span"]) == (160, 120, [160, 120])
    paths = [each["path"] for each in data["pictures"]]
    assert len(set(paths)) == len(paths)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**9))
def test_steps_count_as_comparisons_of_whole_numbers_do(seed):
    matches = match(*random_case(seed))
    units = score_units(matches.scores)
    steps = np.arange(101) * 100
    assert at_least(units, steps) == [sum(unit >= step for unit in units) for step in steps]


def test_a_hundredth_that_is_a_hair_below_counts():
    assert score_units(np.array([0.29, 0.57, 0.1 + 0.2, 0.29999])).tolist() == [2900, 5700, 3000, 2999]


def test_names_of_files_are_shortened_in_the_middle():
    assert short_name("folder/a.jpg") == "a.jpg"
    assert short_name("C:\\x\\b.jpg") == "b.jpg"
    assert len(short_name("x" * 100 + ".jpg")) == 40
