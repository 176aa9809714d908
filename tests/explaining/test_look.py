"""Fates of (slot, class) pairs against the package's own suppression, on random maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from explained_maps import CANVAS, SLOTS, look_of
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime_models import noisy_detector, pictures

from yolo.config import NmsConfig
from yolo.explaining.look import NOBODY, judge, look_at
from yolo.explaining.missing import fate_of
from yolo.ops.host_nms import decode_and_suppress, overlap_with

GREEDY = st.sampled_from(["default", "greedynms", "diounms"])
FRACTIONS = st.floats(0.05, 0.95)


def random_maps(seed):
    random = np.random.default_rng(seed)
    return [random.normal(0, 1.5, (1, side, side, 2, 8)).astype(np.float32) for side in (2, 4)]


def found_by_package(maps, nms):
    kept = decode_and_suppress(maps, SLOTS, nms)
    return [each[0][kept.valid[0]] for each in (kept.boxes, kept.scores, kept.labels)]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31),
    FRACTIONS,
    FRACTIONS,
    st.sampled_from(["default", "greedynms", "diounms", "soft"]),
    st.booleans(),
)
def test_the_detections_are_those_of_the_package(seed, conf, iou, kind, class_agnostic):
    nms = NmsConfig(conf=conf, iou=iou, kind=kind, class_agnostic=class_agnostic)
    look = look_of(random_maps(seed), nms)
    boxes, scores, labels = found_by_package(look.maps, nms)
    assert look.verdicts.boxes[look.rows] == pytest.approx(boxes)
    assert look.verdicts.final[look.rows] == pytest.approx(scores, rel=1e-6)
    assert look.verdicts.labels[look.rows].tolist() == labels.tolist()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), FRACTIONS, FRACTIONS, GREEDY, st.booleans())
def test_every_pair_is_kept_or_has_a_kept_suppressor(seed, conf, iou, kind, class_agnostic):
    nms = NmsConfig(conf=conf, iou=iou, kind=kind, class_agnostic=class_agnostic)
    look = look_of(random_maps(seed), nms)
    verdicts, kept = look.verdicts, set(look.rows.tolist())
    above = np.flatnonzero(verdicts.scores >= conf)
    for pair in above:
        by = int(verdicts.suppressor[pair])
        if pair in kept:
            assert by == NOBODY
            continue
        assert by in kept
        assert verdicts.scores[by] >= verdicts.scores[pair]
        assert class_agnostic or verdicts.labels[by] == verdicts.labels[pair]
        overlap = overlap_with(verdicts.boxes[by], verdicts.boxes[pair][None], nms, canvas=CANVAS)[0]
        assert overlap == pytest.approx(verdicts.overlap[pair])
        assert overlap > iou


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**31),
    st.builds(NmsConfig, conf=FRACTIONS, iou=FRACTIONS, kind=st.sampled_from(["default", "diounms", "soft"])),
    st.integers(0, len(SLOTS) - 1),
    st.integers(0, 2),
)
def test_a_pair_appears_at_the_threshold_that_is_said_and_not_above(seed, nms, slot, label):
    look = look_of(random_maps(seed), nms)
    pair = look.verdicts.find(slot, label)
    appears_at = fate_of(look, slot, label)["appears_at"]

    def is_found(threshold):
        boxes, _, labels = found_by_package(look.maps, replace(look.nms, conf=threshold))
        return bool(((boxes == look.verdicts.boxes[pair]).all(axis=1) & (labels == label)).any())

    if appears_at is None:
        assert not any(is_found(threshold) for threshold in (0.0, nms.conf, float(look.verdicts.scores[pair])))
    else:
        assert is_found(appears_at)
        above = float(np.nextafter(np.float32(appears_at), np.float32(2)))
        assert above > 1 or not is_found(above)


def test_slots_are_numbered_as_in_the_maps():
    look = look_of(random_maps(0), NmsConfig())
    for number in range(len(SLOTS)):
        slot = look.slot(number)
        assert (slot.column, slot.row) == tuple(SLOTS.cell[number])
        assert slot.stride == SLOTS.stride[number, 0]
        assert slot.anchor_size == tuple(SLOTS.anchor[number])
        assert slot.layer == ("coarse", "fine")[slot.scale]
    assert look.slot(8 + 2 * (4 * 2 + 3) + 1)[1:7] == ("fine", 1, 16, 2, 3, 1)
    assert look.slot(8 + 2 * (4 * 2 + 3) + 1).cell == (48, 32, 64, 48)
    assert look.slot(8 + 2 * (4 * 2 + 3) + 1).anchor_box == (44, 34, 68, 46)


def test_a_pair_beyond_the_limits_says_so():
    maps = random_maps(1)
    few = look_of(maps, NmsConfig(conf=0.01, max_candidates=3))
    assert len(few.verdicts) == 3
    lost = next(number for number in range(len(SLOTS)) if few.verdicts.find(number, 0) is None)
    assert fate_of(few, lost, 0)["reason"].startswith("not among the 3 best pairs")
    short = look_of(maps, NmsConfig(conf=0.01, iou=1.0, max_detections=2))
    third = int(np.flatnonzero(short.verdicts.final > 0)[2])
    fate = fate_of(short, int(short.verdicts.slots[third]), int(short.verdicts.labels[third]))
    assert fate["reason"] == "not among the best 2 detections"
    assert fate["appears_at"] is None


def test_a_real_network_and_picture_of_another_shape():
    detector = noisy_detector(size=96)
    picture = pictures(1)[0]
    look = look_at(detector, picture, replace(detector.nms, conf=0.05))
    expected = detector.detect(picture, conf=0.05)
    assert len(expected)
    assert look.detections.boxes == pytest.approx(expected.boxes, abs=1e-3)
    assert look.detections.scores == pytest.approx(expected.scores, abs=1e-5)
    assert look.detections.labels.tolist() == expected.labels.tolist()
    verdicts = judge(look.maps, look.slots, look.nms)
    for row, found in zip(look.rows, look.detections, strict=True):
        box = look.box.boxes_to_image(look.decoded[0][verdicts.slots[row]][None])[0]
        assert np.clip(box, 0, [60, 80, 60, 80]) == pytest.approx(found.box, abs=1e-3)
