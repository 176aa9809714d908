"""Suppression in numpy: cases by hand, plain loops and the Keras version on random and on tied maps."""

from __future__ import annotations

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.helpers.nms_oracle import expected, overlap, ranked_pairs
from yolo.config import NmsConfig, NmsKind
from yolo.ops.decode import Predictions, decode
from yolo.ops.host_nms import decode_and_suppress, suppress_candidates
from yolo.ops.nms import suppress
from yolo.ops.slots import Coding, make_slots

KINDS = get_args(NmsKind)
ANCHORS = [np.array([[70, 60], [40, 90]], np.float32), np.array([[20, 20], [30, 14], [25, 25]], np.float32)]


def slots_of(canvas=(64, 96), **coding):
    """Slots of two scales: 6 cells of 2 anchors, 24 of 3."""
    return make_slots(canvas, (32, 16), ANCHORS, Coding(**coding))


def maps_of(slots, raw):
    """Split raw (B, P, 5 + C) into the maps of the two scales."""
    height, width = slots.canvas
    first = (height // 32) * (width // 32) * 2
    coarse = raw[:, :first].reshape(len(raw), height // 32, width // 32, 2, -1)
    return [coarse, raw[:, first:].reshape(len(raw), height // 16, width // 16, 3, -1)]


def in_keras(maps, slots, config):
    tensors = [keras.ops.convert_to_tensor(raw) for raw in maps]
    kept = suppress(decode(tensors, slots), config, canvas=slots.canvas)
    return type(kept)(*(keras.ops.convert_to_numpy(part) for part in kept))


def decoded(maps, slots):
    """Boxes (B, P, 4) and scores (B, P, C) of Keras."""
    found = decode([keras.ops.convert_to_tensor(raw) for raw in maps], slots)
    boxes, objectness, classes = (keras.ops.convert_to_numpy(part) for part in found)
    return boxes, objectness[..., None] * classes


def assert_equal(one, other, **tolerance):
    np.testing.assert_array_equal(one.valid, other.valid)
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_allclose(one.scores, other.scores, **{"rtol": 1e-5, **tolerance})
    np.testing.assert_allclose(one.boxes, other.boxes, **{"rtol": 1e-4, "atol": 1e-3, **tolerance})
    assert [part.dtype for part in one] == [np.float32, np.float32, np.int32, bool]


configs = st.builds(
    NmsConfig,
    conf=st.sampled_from([0.0, 0.001, 0.1, 0.25, 0.6]),
    iou=st.sampled_from([0.0, 0.3, 0.45, 0.7]),
    class_agnostic=st.booleans(),
    max_candidates=st.sampled_from([1, 7, 40, 1000]),
    max_detections=st.sampled_from([1, 5, 300]),
    kind=st.sampled_from(KINDS),
    beta=st.sampled_from([0.3, 1.0]),
    sigma=st.sampled_from([0.1, 0.5]),
)


def no_near_ties(boxes, scores, config, aspect):
    """Whether no two candidates are so alike that the last digit of a float32 decides."""
    values = np.sort(np.append(scores.ravel(), config.conf))
    pairs = ranked_pairs(scores, config)
    near = [
        abs(overlap(boxes[a[1]].tolist(), boxes[b[1]].tolist(), config, aspect) - config.iou)
        for index, a in enumerate(pairs)
        for b in pairs[:index]
        if config.kind != "soft"
    ]
    return np.diff(values).min() > 1e-6 and min(near, default=1.0) > 1e-5


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    config=configs,
    coding=st.sampled_from([{}, {"sizes": "squared", "scale_xy": (1.1, 1.2)}, {"softmax": True}]),
    canvas=st.sampled_from([(64, 64), (32, 96)]),
)
def test_random_maps_give_what_plain_loops_and_keras_give(seed, config, coding, canvas):
    slots = slots_of(canvas, **coding)
    raw = np.random.default_rng(seed).normal(0, 1.5, (1, len(slots), 5 + 3)).astype(np.float32)
    maps = maps_of(slots, raw)
    (boxes,), (scores,) = decoded(maps, slots)
    aspect = canvas[1] / canvas[0]
    assume(no_near_ties(boxes, scores, config, aspect))
    found = decode_and_suppress(maps, slots, config)
    assert_equal(found, in_keras(maps, slots, config))
    rows = expected(boxes, scores, config, aspect)
    decay = [(score, slot, label) for score, slot, label in rows]
    assert found.valid[0].sum() == len(rows)
    np.testing.assert_allclose(found.scores[0][: len(rows)], [row[0] for row in decay], rtol=1e-4)
    np.testing.assert_array_equal(found.labels[0][: len(rows)], [row[2] for row in decay])
    np.testing.assert_allclose(found.boxes[0][: len(rows)], boxes[[row[1] for row in decay]], rtol=1e-4, atol=1e-3)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), config=configs)
def test_of_equal_scores_the_same_come_first(seed, config):
    # Logits whose sigmoids are exactly 0, 0.5 and 1, so that scores are one of 0, 0.25, 0.5 and 1, and boxes exact.
    assume(config.kind != "soft")  # decayed scores are no longer exact
    slots, rng = slots_of(), np.random.default_rng(seed)
    raw = np.zeros((2, len(slots), 5 + 2), np.float32)
    raw[..., 4:] = rng.choice(np.array([-200, 0, 40], np.float32), raw[..., 4:].shape)
    maps = maps_of(slots, raw)
    found, keras_found = decode_and_suppress(maps, slots, config), in_keras(maps, slots, config)
    assert_equal(found, keras_found, rtol=0, atol=0)
    boxes, scores = decoded(maps, slots)
    aspect = slots.canvas[1] / slots.canvas[0]
    for index in range(2):
        if config.kind == "default":  # the powers of the others are not exact
            rows = expected(boxes[index], scores[index], config, aspect)
            np.testing.assert_array_equal(found.boxes[index][: len(rows)], boxes[index][[row[1] for row in rows]])
            np.testing.assert_array_equal(found.labels[index][: len(rows)], [row[2] for row in rows])
            assert found.valid[index].sum() == len(rows)


def one_cell_apart(kind, **options):
    """Scores kept of two boxes of 64 x 64 whose centres are 16 px apart: their IoU is 48 / 80, their ratio `RATIO`."""
    slots = make_slots((16, 32), (16,), [np.array([[64, 64]], np.float32)])
    raw = np.zeros((1, 1, 2, 1, 6), np.float32)
    raw[..., 4:] = [[[40, 40]], [[40, 0]]]  # scores 1 and 0.5
    config = NmsConfig(kind=kind, **options)
    # The canvas is twice as wide as high: distances as if both sides were equal.
    slots = replace(slots, canvas=(32, 32))
    found = decode_and_suppress([raw], slots, config)
    assert_equal(found, in_keras([raw], slots, config))
    return found.scores[0][found.valid[0]].tolist()


RATIO = 256 / (80**2 + 64**2)


@pytest.mark.parametrize(
    ("kind", "beta", "overlap"),
    [
        ("default", 0.6, 0.6),
        ("greedynms", 0.1, 0.6 - RATIO**0.6),  # 0.493; Darknet's exponent, whatever beta_nms says
        ("diounms", 1.0, 0.6 - RATIO),  # 0.576
        ("diounms", 0.3, 0.6 - RATIO**0.3),  # 0.272
    ],
)
def test_what_has_to_be_above_the_threshold(kind, beta, overlap):
    assert one_cell_apart(kind, beta=beta, iou=overlap - 1e-4) == [1.0]
    assert one_cell_apart(kind, beta=beta, iou=overlap + 1e-4) == [1.0, 0.5]


REFERENCE = np.load(Path(__file__).parents[1] / "references" / "suppression" / "nms.npz")
"""Boxes and scores, and the scores that the Darknet program's own functions leave of them (make_nms.py)."""


@pytest.mark.parametrize("case", [name for name in REFERENCE.files if len(name.split()) == 3])
def test_it_is_what_the_darknet_program_leaves(case):
    size, kind, beta = case.split()
    canvas = tuple(map(int, size.split("x")))
    boxes, scores, left = REFERENCE[f"{size} boxes"], REFERENCE[f"{size} scores"], REFERENCE[case]
    config = NmsConfig(kind=kind, beta=float(beta), iou=0.45, conf=0.005)
    wanted = np.sort(left[left > 0])[::-1]
    assert 0.3 < len(wanted) / (scores > 0).sum() < 0.8

    pairs = np.flatnonzero(scores)
    pairs = pairs[np.argsort(-scores.ravel()[pairs])]
    candidates = boxes[pairs // 3], scores.ravel()[pairs], (pairs % 3).astype(np.int32)
    found_boxes, found, labels = suppress_candidates(candidates, config, canvas=canvas)
    np.testing.assert_array_equal(found, wanted)
    slot, label = np.array([np.argwhere(left == score)[0] for score in found]).T
    np.testing.assert_array_equal(found_boxes, boxes[slot])
    np.testing.assert_array_equal(labels, label)

    kept = suppress(
        Predictions(*map(keras.ops.convert_to_tensor, (boxes[None], np.ones((1, 60), np.float32), scores[None]))),
        config,
        canvas=canvas,
    )
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(kept.scores)[0][: len(wanted)], wanted)
    assert keras.ops.convert_to_numpy(kept.valid).sum() == len(wanted)


def test_soft_scores_by_hand():
    assert one_cell_apart("soft", sigma=0.5, conf=0.243) == pytest.approx([1.0, 0.5 * math.exp(-0.36 / 0.5)])
    assert one_cell_apart("soft", sigma=0.5, conf=0.244) == [1.0]  # 0.2434 is left
    assert one_cell_apart("soft", sigma=0.5, max_detections=1) == [1.0]


def test_distances_are_measured_in_fractions_of_the_canvas():
    # One above the other, 16 px apart, 64 x 64, on a canvas four times as wide as high: heights count fourfold.
    slots = replace(make_slots((32, 16), (16,), [np.array([[64, 64]], np.float32)]), canvas=(32, 128))
    raw = np.zeros((1, 2, 1, 1, 6), np.float32)
    raw[..., 4:] = [[[[40, 40]]], [[[40, 0]]]]
    ratio = (4 * 16) ** 2 / (64**2 + (4 * 80) ** 2)
    for slack, count in ((-1e-4, 1), (1e-4, 2)):
        config = NmsConfig(kind="diounms", beta=1.0, iou=0.6 - ratio + slack)
        found = decode_and_suppress([raw], slots, config)
        assert found.valid.sum() == count
        assert_equal(found, in_keras([raw], slots, config))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_above_the_threshold_is_nothing(kind):
    slots = slots_of()
    maps = maps_of(slots, np.full((2, len(slots), 7), -9, np.float32))
    found = decode_and_suppress(maps, slots, NmsConfig(kind=kind))
    assert_equal(found, in_keras(maps, slots, NmsConfig(kind=kind)))
    assert not found.valid.any()
    assert found.boxes.shape == (2, 168, 4)
    assert not found.boxes.any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("conf", [0.0, 0.25, 1.0])
def test_slots_with_nan_are_left_out_and_infinite_logits_are_certain(kind, conf):
    slots = slots_of()
    raw = np.full((1, len(slots), 7), -np.inf, np.float32)
    raw[0, :, :4] = 0
    raw[0, [3, 20, 40, 60], 4:6] = np.inf  # sure of the first class
    raw[0, [20, 61], 2] = np.nan
    raw[0, 40, 4] = np.nan
    raw[0, 62, 6] = np.nan
    raw[0, 60, :4] = [np.inf, -np.inf, np.inf, -np.inf]  # e^10 times as wide as its anchor, and of no height
    maps, config = maps_of(slots, raw), NmsConfig(kind=kind, conf=conf)
    found = decode_and_suppress(maps, slots, config)
    assert_equal(found, in_keras(maps, slots, config))
    assert found.labels[0][:2].tolist() == [0, 0]
    assert found.scores[0][:3].tolist() == [1, 1, 0]
    assert np.isfinite(found.boxes).all()


def test_maps_may_hold_anchors_and_numbers_on_one_axis_and_be_of_half_precision():
    slots, config = slots_of(), NmsConfig(conf=0.1)
    raw = np.random.default_rng(0).normal(0, 1, (3, len(slots), 7)).astype(np.float16)
    maps = maps_of(slots, raw)
    joined = [each.reshape(*each.shape[:3], -1) for each in maps]
    found = decode_and_suppress(joined, slots, config)
    assert_equal(found, decode_and_suppress([each.astype(np.float32) for each in maps], slots, config), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda maps: maps[:1], "expected 2 maps, got 1"),
        (lambda maps: maps[::-1], r"expected a map \(B, 2, 3, 2, 5 \+ C\), got \(1, 4, 6, 3, 7\)"),
        (lambda maps: [maps[0][..., :5], maps[1]], r"got \(1, 2, 3, 2, 5\)"),
        (lambda maps: [maps[0][..., :6], maps[1]], "one number of classes"),
        (lambda maps: [maps[0].reshape(1, 2, 3, 7, 2), maps[1]], r"got \(1, 2, 3, 7, 2\)"),
    ],
)
def test_maps_of_another_network_are_refused(change, message):
    slots = slots_of()
    with pytest.raises(ValueError, match=message):
        decode_and_suppress(change(maps_of(slots, np.zeros((1, len(slots), 7), np.float32))), slots, NmsConfig())


@pytest.mark.parametrize("kind", KINDS)
def test_many_candidates_of_one_class_are_the_loops_result(kind):
    """More than one block of candidates: 3,000 slots of one class, chains of overlapping boxes."""
    slots = make_slots((800, 960), (16,), [np.array([[50, 30]], np.float32)])
    rng = np.random.default_rng(5)
    raw = rng.normal(0, 0.3, (1, 50, 60, 1, 6)).astype(np.float32)
    raw[..., 4] = rng.permutation(np.linspace(-3, 6, 3000)).reshape(50, 60, 1)
    raw[..., 5] = 40
    config = NmsConfig(kind=kind, iou=0.3, max_candidates=800)
    (boxes,), (scores,) = decoded([raw], slots)
    found = decode_and_suppress([raw], slots, config)
    rows = expected(boxes, scores, config, 960 / 800)
    np.testing.assert_allclose(found.scores[0][found.valid[0]], [row[0] for row in rows], rtol=1e-4)
    np.testing.assert_allclose(found.boxes[0][found.valid[0]], boxes[[row[1] for row in rows]], atol=1e-3)


def test_threads_may_share_slots_and_maps():
    slots = slots_of()
    maps = maps_of(slots, np.random.default_rng(1).normal(0, 1, (4, len(slots), 7)).astype(np.float32))
    runs = [NmsConfig(conf=0.1, kind=kind) for kind in KINDS] * 8
    alone = [decode_and_suppress(maps, slots, config) for config in runs]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda config: decode_and_suppress(maps, slots, config), runs))
    for one, other in zip(alone, together, strict=True):
        assert_equal(one, other, rtol=0, atol=0)


def test_neither_keras_nor_tensorflow_is_imported():
    code = "import sys, yolo.ops.host_nms; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in loaded
    assert not {"keras", "tensorflow", "jax", "torch"} & set(loaded)
