"""Slots at a place: which are listed, and what is said of them."""

from __future__ import annotations

import numpy as np
import pytest
from explained_maps import CLASSES, SLOTS, look_of

from yolo.config import NmsConfig
from yolo.errors import ConfigError
from yolo.explaining.missing import missing_at, missing_box
from yolo.explaining.records import missing_records


def quiet_maps():
    maps = [np.full((1, side, side, 2, 8), -12.0, np.float32) for side in (2, 4)]
    for each in maps:
        each[..., :4] = 0.0
    return maps


def with_slots(*rows):
    """Maps in which (scale, row, column, anchor) have a logit of objectness and are of the first class."""
    maps = quiet_maps()
    for scale, place, logit in rows:
        maps[scale][(0, *place)][4:6] = logit, 12.0
    return maps


def test_the_cells_that_hold_a_point_are_listed_at_every_scale():
    reports = missing_at(look_of(quiet_maps(), NmsConfig()), (40, 20))
    places = {(each.slot.scale, each.slot.row, each.slot.column) for each in reports}
    assert places == {(0, 0, 1), (1, 1, 2)}
    assert len(reports) == 4
    assert missing_at(look_of(quiet_maps(), NmsConfig()), (64, 64))[0].slot.row in (1, 3)


def test_a_suppressed_slot_names_its_suppressor():
    look = look_of(with_slots((1, (1, 1, 0), 4.0), (1, (1, 1, 1), 3.0)), NmsConfig(iou=0.3))
    first, second = missing_at(look, (24, 24))[:2]
    assert first.detection == 0
    assert first.reason == "detection 1"
    # Anchors 16 x 16 and 24 x 12 around one middle: 16 * 12 of 256 + 288 - 192
    assert second.suppressor is not None
    assert second.suppressor.overlap == pytest.approx(192 / 352, rel=1e-4)
    assert second.suppressor.detection == 0
    assert second.appears_at is None
    assert second.reason == "suppressed by a 0.982 (detection 1), overlap 0.55"


def test_a_weak_slot_says_where_it_appears():
    look = look_of(with_slots((1, (1, 1, 0), -2.0)), NmsConfig(conf=0.25))
    (best, *_) = missing_at(look, (24, 24))
    assert best.reason == "below conf 0.25"
    assert best.appears_at == pytest.approx(1 / (1 + np.exp(2)), rel=1e-4)
    assert best.classes[0] == (CLASSES[0], pytest.approx(1, abs=1e-4))


def test_a_wanted_box_finds_slots_by_overlap_and_their_suppressors():
    look = look_of(with_slots((1, (1, 1, 0), 4.0), (1, (1, 1, 1), 3.0)), NmsConfig(iou=0.3))
    reports = missing_box(look, (12, 18, 36, 30))  # the second one's box
    assert [each.detection for each in reports[:2]] == [0, None]
    assert reports[1].iou == pytest.approx(1)
    record = missing_records(reports)[1]
    assert record["suppressor"]["detection"] == 1
    assert record["slot"]["anchor_size"] == [24, 12]


@pytest.mark.parametrize("point", [(-1, 3), (3, 64.5)])
def test_points_outside_are_refused(point):
    with pytest.raises(ConfigError, match=r"at must be x,y inside the picture of 64 x 64 pixels, got"):
        missing_at(look_of(quiet_maps(), NmsConfig()), point)


@pytest.mark.parametrize("box", [(3, 3, 3, 9), (0, 0, 65, 4), (5, 9, 10, 3)])
def test_boxes_outside_or_empty_are_refused(box):
    with pytest.raises(ConfigError, match=r"box must be x1,y1,x2,y2 with x1 < x2 and y1 < y2, inside the picture"):
        missing_box(look_of(quiet_maps(), NmsConfig()), box)


def test_all_slots_are_within_reach():
    assert len(SLOTS) == 40
