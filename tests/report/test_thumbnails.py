"""Small pictures: bounded whatever they show, and in the frame of the boxes."""

from __future__ import annotations

import base64
from dataclasses import replace

import cv2
import numpy as np
import pytest
from report_cases import three_pictures

from yolo.report.thumbnails import LARGEST, encoded, surroundings, thumbnail


def test_noise_is_bounded():
    noise = np.random.default_rng(0).integers(0, 256, (480, 480, 3), np.uint8)
    assert len(encoded(noise)) <= LARGEST


def test_a_whole_picture_and_a_part(tmp_path):
    dataset, _ = three_pictures(tmp_path)
    whole = thumbnail(dataset, 0, side=80)
    assert (whole.width, whole.height, whole.left, whole.top, whole.span) == (80, 60, 0, 0, (160, 120))
    data = np.frombuffer(base64.b64decode(whole.uri.partition(",")[2]), np.uint8)
    assert cv2.imdecode(data, cv2.IMREAD_COLOR).shape == (60, 80, 3)
    part = thumbnail(dataset, 0, around=np.array([10.0, 10, 50, 50]))
    assert (part.left, part.top, part.span) == (0, 0, (60, 60))
    assert (part.width, part.height) == (60, 60)  # never enlarged


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([40, 40, 60, 60], (26, 26, 74, 74)),  # at least 48 px
        ([0, 0, 100, 100], (0, 0, 100, 100)),  # not beyond the picture
        ([80, 0, 120, 40], (40, 0, 100, 60)),  # a box over the edge
    ],
)
def test_surroundings(box, expected):
    assert surroundings(np.array(box, float), 100, 100) == expected


def test_a_picture_that_was_made_smaller_after_it_was_annotated(tmp_path):
    dataset, _ = three_pictures(tmp_path)
    large = replace(dataset, sizes=dataset.sizes * 2)
    assert thumbnail(large, 0).span == (320, 240)


def test_a_picture_that_is_gone(tmp_path):
    dataset, _ = three_pictures(tmp_path)
    (tmp_path / "a.png").unlink()
    assert thumbnail(dataset, 0) is None
