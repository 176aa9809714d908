"""Target assignment on a 2 x 3 coarse and a 4 x 6 fine grid, two anchors each, counted by hand.

Slots: the coarse scale has 2 x 3 cells x 2 anchors = 12, the fine one 4 x 6 x 2 = 48 from slot 12 on.
"""

from __future__ import annotations

import numpy as np
import pytest
from encoding import encode_boxes
from keras import ops

from yolo.ops.decode import decode, decode_boxes, flatten_maps
from yolo.ops.slots import make_slots
from yolo.ops.targets import match

COARSE = np.array([[40, 20], [30, 60]], np.float32)
FINE = np.array([[8, 8], [10, 20]], np.float32)
SLOTS = make_slots((64, 96), (32, 16), [COARSE, FINE])


def around(x, y, width, height):
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def owners(boxes, valid=None, **options):
    """(slot, box) of the claims that stand."""
    boxes = np.array([boxes], np.float32)
    valid = np.ones(boxes.shape[:2], bool) if valid is None else np.array([valid])
    found = match(ops.convert_to_tensor(boxes), ops.convert_to_tensor(valid), SLOTS.layout, **options)
    slot, box, stands = (ops.convert_to_numpy(part) for part in found)
    return [(int(s), int(b)) for s, b, ok in zip(slot[0], box, stands[0], strict=True) if ok]


def test_slots_run_by_scale_row_column_anchor():
    assert len(SLOTS) == 60
    np.testing.assert_array_equal(
        SLOTS.cell[[0, 1, 2, 5, 6, 11, 12, 14, 24]],
        [[0, 0], [0, 0], [1, 0], [2, 0], [0, 1], [2, 1], [0, 0], [1, 0], [0, 1]],
    )
    np.testing.assert_array_equal(SLOTS.stride[[0, 11, 12, 59], 0], [32, 32, 16, 16])
    np.testing.assert_array_equal(SLOTS.anchor[[0, 1, 12, 13]], [*COARSE, *FINE])


def test_maps_are_flattened_in_the_slots_order():
    maps = [np.zeros((1, *SLOTS.canvas, 2, 6), np.float32)[:, ::s, ::s] for s in (32, 16)]
    maps[0][0, 1, 2, 1, :] = 7  # last row, column and anchor of the coarse scale
    maps[1][0, 1, 0, 0, :] = 8
    flat = ops.convert_to_numpy(flatten_maps([ops.convert_to_tensor(each) for each in maps]))
    assert flat.shape == (1, 60, 6)
    assert np.flatnonzero(flat[0, :, 0] == 7).tolist() == [11]
    assert np.flatnonzero(flat[0, :, 0] == 8).tolist() == [24]


@pytest.mark.parametrize(
    ("box", "slot"),
    [
        (around(16, 16, 40, 20), 0),  # coarse anchor 0, first cell
        (around(70, 40, 30, 60), 11),  # coarse anchor 1, row 1, column 2: (1 * 3 + 2) * 2 + 1
        (around(50, 20, 8, 8), 12 + (1 * 6 + 3) * 2),  # fine anchor 0, row 1, column 3
        (around(50, 20, 10, 20), 12 + (1 * 6 + 3) * 2 + 1),
        (around(32, 16, 40, 20), 2),  # a centre on the border belongs to the cell that begins there
        (around(96, 64, 40, 20), 10),  # on the canvas' far corner: to the last cell
        (around(0, 0, 8, 8), 12),
    ],
)
def test_a_box_goes_to_its_best_anchor_in_the_cell_of_its_centre(box, slot):
    assert owners([box]) == [(slot, 0)]


def test_of_equal_anchors_the_first_is_taken():
    slots = make_slots((32, 32), (32,), [np.array([[10, 20], [20, 10]], np.float32)])
    square = ops.convert_to_tensor(np.array([[around(16, 16, 15, 15)]], np.float32))
    found = match(square, ops.ones((1, 1), "bool"), slots.layout)
    assert ops.convert_to_numpy(found.slot).tolist() == [[0]]


def test_of_two_boxes_in_one_slot_the_first_owns_it():
    boxes = [around(16, 16, 38, 20), around(17, 17, 40, 20), around(70, 40, 30, 60)]
    assert owners(boxes) == [(0, 0), (11, 2)]
    # What is not valid is not in the way.
    assert owners(boxes, valid=[False, True, True]) == [(0, 1), (11, 2)]


def test_what_is_not_valid_claims_nothing():
    assert owners([around(16, 16, 40, 20)], valid=[False]) == []


def test_every_anchor_above_an_iou():
    box = around(16, 16, 30, 30)
    # Shape IoU: 40 x 20: 600 / 1100 = 0.545; 30 x 60: 900 / 1800 = 0.5; 8 x 8: 0.07; 10 x 20: 200 / 900 = 0.22
    assert owners([box], assign_iou=0.52) == [(0, 0)]
    assert owners([box], assign_iou=0.4) == [(0, 0), (1, 0)]
    assert owners([box], assign_iou=0.2) == [(0, 0), (1, 0), (12 + 7 * 2 + 1, 0)]
    assert owners([box], assign_iou=0.9) == [(0, 0)]  # the best one always


def test_with_several_anchors_too_the_first_box_owns_the_slot():
    boxes = [around(16, 16, 40, 20), around(17, 17, 30, 60)]
    # Shape IoU of 40 x 20 and 30 x 60: 600 / 2000 = 0.3
    assert owners(boxes, assign_iou=0.25) == [(0, 0), (1, 0)]


def test_decoding_by_hand():
    raw = np.zeros((len(SLOTS), 4), np.float32)
    rows = [0, 24]  # coarse cell (0, 0), anchor 40 x 20; fine cell (0, 1), anchor 8 x 8
    raw[24] = [np.log(3), -np.log(3), np.log(2), np.log(0.5)]
    found = ops.convert_to_numpy(decode_boxes(ops.convert_to_tensor(raw), SLOTS))[rows]
    expected = [around(16, 16, 40, 20), around(0.75 * 16, 1.25 * 16, 16, 4)]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_huge_numbers_decode_to_finite_boxes():
    raw = np.tile(np.array([1e4, -1e4, 1e4, -1e4], np.float32), (len(SLOTS), 1))
    found = ops.convert_to_numpy(decode_boxes(ops.convert_to_tensor(raw), SLOTS))
    assert np.isfinite(found).all()


def test_encoded_boxes_come_back_through_perfect_maps():
    """Boxes to slots, slots to logits, logits as maps, maps to predictions."""
    rng = np.random.default_rng(0)
    boxes = np.array([around(*rng.uniform(1, (95, 63)), *rng.uniform(4, 60, 2)) for _ in range(40)], np.float32)
    claims = owners(boxes.tolist())
    assert len({slot for slot, _ in claims}) == len(claims) > 12
    raw = np.full((60, 5 + 3), -20, np.float32)
    raw[:, :4] = 0
    for slot, box in claims:
        constants = (part[slot] for part in (SLOTS.cell, SLOTS.stride, SLOTS.anchor))
        raw[slot, :4] = encode_boxes(boxes[box], *constants)
        raw[slot, 4] = raw[slot, 5 + box % 3] = 20
    maps = [raw[:12].reshape(1, 2, 3, 2, 8), raw[12:].reshape(1, 4, 6, 2, 8)]
    found = decode([ops.convert_to_tensor(each) for each in maps], SLOTS)
    objects = ops.convert_to_numpy(found.objectness)[0]
    assert sorted(np.flatnonzero(objects > 0.5)) == sorted(slot for slot, _ in claims)
    for slot, box in claims:
        np.testing.assert_allclose(ops.convert_to_numpy(found.boxes)[0, slot], boxes[box], atol=0.05)
        assert ops.convert_to_numpy(found.classes)[0, slot].argmax() == box % 3
