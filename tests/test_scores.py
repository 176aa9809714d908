"""Rules for scores: calibration by hand, thresholds before and after it, and what a file holds of them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo.config import NmsConfig
from yolo.errors import ConfigError
from yolo.scores import Calibration, ScoreRules

HALF = ((0.0, 0.0), (0.5, 0.2), (1.0, 1.0))
"""Half of the score is worth a fifth."""
FLAT = ((0.2, 0.1), (0.6, 0.3))
"""Of a map that does not reach the ends."""
SMALL, LARGE = [0, 0, 10, 10], [0, 0, 100, 100]


def boxes(*rows):
    return np.array(rows, np.float32)


def isotonic(*maps, chosen, edges=()):
    return Calibration("isotonic", maps, chosen, edges)


def test_classes_and_sizes_have_maps_of_their_own():
    calibration = isotonic(HALF, FLAT, chosen=((0, 1), (1, 1)), edges=(32.0,))
    found = calibration.apply(
        boxes(SMALL, LARGE, SMALL, SMALL, [0, 0, 32, 32]),
        np.array([0, 0, 1, 1, 0]),
        np.array([0.25, 0.4, 0.1, 0.9, 0.5]),
    )
    assert found == pytest.approx([0.1, 0.2, 0.1, 0.3, 0.25])


def test_platt_by_hand():
    """Slope 2 and offset 0 on the logit: odds are squared; 0.75 has odds 3."""
    calibration = Calibration("platt", (((2.0, 0.0),), ((1.0, math.log(2)),)), ((0,), (1,)))
    found = calibration.apply(boxes(SMALL, SMALL), np.array([0, 1]), np.array([0.75, 0.5]))
    assert found == pytest.approx([9 / 10, 2 / 3])
    assert calibration.lowest_raw(0.9, 0) == pytest.approx(0.75)
    assert [calibration.lowest_raw(end, 0) for end in (0.0, 1.0)] == [0, 1]


@pytest.mark.parametrize(("conf", "expected"), [(0.0, 0), (0.1, 0), (0.2, 0.4), (0.3, 0.6), (0.31, 1)], ids=str)
def test_lowest_raw_by_hand(conf, expected):
    assert isotonic(FLAT, chosen=((0,),)).lowest_raw(conf, 0) == pytest.approx(expected)


def test_the_most_generous_class_and_size_decides():
    rules = ScoreRules(calibration=isotonic(HALF, FLAT, chosen=((0, 1), (0, 0)), edges=(32.0,)))
    assert rules.raw(NmsConfig(conf=0.2, iou=0.3)) == NmsConfig(conf=0.4 - 1e-6, iou=0.3)
    assert rules.raw(NmsConfig(class_conf=(0.6, 0.2))).conf == pytest.approx(0.5 - 1e-6)  # FLAT never reaches 0.6


corners = st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)), min_size=1, max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(corners, min_size=1, max_size=3),
    st.floats(0, 1, width=32),
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20),
    st.sampled_from(["isotonic", "platt"]),
)
def test_nothing_that_reaches_its_threshold_is_lost_before(drawn, conf, scores, method):
    """Whatever the maps: a score whose calibrated value is enough is above the raw threshold."""
    maps = []
    for each in drawn:
        x, y = (sorted(values) for values in zip(*each, strict=True))
        kept = [i for i in range(len(x)) if i == 0 or x[i] > x[i - 1]]
        maps.append(tuple((x[i], y[i]) for i in kept) if method == "isotonic" else ((0.1 + 3 * x[0], 8 * y[0] - 4),))
    rules = ScoreRules(calibration=Calibration(method, tuple(maps), tuple((i,) for i in range(len(maps)))))
    raw = np.array(scores * len(maps), np.float32)
    labels = np.repeat(np.arange(len(maps)), len(scores))
    _, _, kept = rules.finished(boxes(*[SMALL] * len(raw)), labels, raw, NmsConfig(conf=conf))
    found = rules.raw(NmsConfig(conf=conf)).conf
    before = rules.finished(boxes(*[SMALL] * len(raw)), labels, raw, None)[2]
    assert len(kept) == (before >= np.float32(conf)).sum()
    above = rules.apply(boxes(*[SMALL] * len(raw)), labels, raw) >= np.float32(conf)
    assert (raw[above] >= np.float32(found)).all()


def test_detections_are_ordered_anew_and_ties_keep_their_order():
    """FLAT makes 0.9 and 0.7 equal, and the 0.6 of the other class is worth more than both."""
    rules = ScoreRules(calibration=isotonic(HALF, FLAT, chosen=((0,), (1,))))
    given_boxes = boxes([0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3], [0, 0, 4, 4])
    labels, scores = np.array([1, 1, 0, 0], np.int32), np.array([0.9, 0.7, 0.6, 0.1], np.float32)
    found, names, calibrated = rules.finished(given_boxes, labels, scores, NmsConfig(conf=0.1))
    assert found[:, 2].tolist() == [3, 1, 2]
    assert names.tolist() == [0, 1, 1]
    assert calibrated == pytest.approx([0.36, 0.3, 0.3])
    assert calibrated.dtype == np.float32


def test_thresholds_of_the_classes():
    rules = ScoreRules((0.5, 0.2))
    nms = rules.with_auto(NmsConfig(conf=0.9, iou=0.3))
    assert nms == NmsConfig(conf=0.9, iou=0.3, class_conf=(0.5, 0.2))
    assert rules.raw(nms) == NmsConfig(conf=0.2, iou=0.3)
    labels, scores = np.array([1, 0, 0, 1]), np.array([0.6, 0.5, 0.4, 0.1])
    found = rules.finished(boxes(*[SMALL] * 4), labels, scores, nms)
    assert (found[1].tolist(), found[2].tolist()) == ([1, 0], [0.6, 0.5])


def test_without_rules_nothing_changes():
    scores, nms = np.array([0.1, 0.7], np.float32), NmsConfig(conf=0.5)
    labels = np.array([0, 0])
    assert ScoreRules().finished(boxes(SMALL, LARGE), labels, scores, nms)[2] is scores
    assert ScoreRules().raw(nms) is nms
    with pytest.raises(ConfigError, match=r"^conf auto: the model holds no thresholds of its classes; measure them"):
        ScoreRules().with_auto(nms)


RULES = ScoreRules((0.3, 0.4), isotonic(HALF, FLAT, chosen=((0, 1), (1, 1)), edges=(32.0,)), {"data": "voc"})


def test_json_round_trip():
    assert ScoreRules.from_plain(json.loads(json.dumps(RULES.to_plain()))) == RULES
    assert ScoreRules.from_plain(None) == ScoreRules.from_plain(ScoreRules().to_plain()) == ScoreRules()
    assert RULES
    assert not ScoreRules()


def test_other_classes():
    swapped = RULES.of_classes([1, 0])
    assert swapped.thresholds == (0.4, 0.3)
    assert swapped.calibration.chosen == ((1, 1), (0, 1))
    assert RULES.of_classes([1]).class_count == 1
    assert RULES.of_classes([0, -1]) == ScoreRules()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"thresholds": [0.3, 1.5]}, "in 0..1"),
        ({"thresholds": [math.nan, 0.5]}, "in 0..1"),
        ({"thresholds": [0.3]}, r"one number of classes, got \[1, 2\]"),
        ({"thresholds": "many"}, "damaged"),
        ({"calibration": {"method": "isotonic"}}, "damaged"),
        ({"calibration": {"method": "guess"}}, "isotonic or platt, got guess"),
        ({"calibration": {"maps": [[[0.5, 0.1], [0.4, 0.2]]]}}, "rise within 0..1"),
        ({"calibration": {"maps": [[[0.4, 0.3], [0.5, 0.2]], []]}}, "rise within 0..1"),
        ({"calibration": {"maps": [[[0.4, 0.3], [0.5, math.nan]]]}}, "pairs of numbers"),
        ({"calibration": {"maps": [[[0.4, 0.3], [0.5, 1.2]]]}}, "rise within 0..1"),
        ({"calibration": {"method": "platt", "maps": [[[-1, 0]]]}}, "one positive slope"),
        ({"calibration": {"chosen": [[0], [2]]}}, "2 of 2 maps"),
        ({"calibration": {"chosen": [[0, 1], [0, 2]]}}, "2 of 2 maps"),
        ({"calibration": {"size_edges": [-1]}}, "rising sizes"),
    ],
)
def test_damaged_rules_are_named(change, fault):
    plain = RULES.to_plain()
    calibration = change.get("calibration")
    if calibration and len(calibration) == 1 and calibration != {"method": "isotonic"}:
        if calibration.get("method") != "guess":
            calibration = {**plain["calibration"], **calibration}
        else:
            calibration = {**plain["calibration"], "method": "guess"}
    elif calibration and "maps" in calibration:
        calibration = {**plain["calibration"], **calibration}
    with pytest.raises(ConfigError, match=fault):
        ScoreRules.from_plain({**plain, **change, **({"calibration": calibration} if calibration else {})})
