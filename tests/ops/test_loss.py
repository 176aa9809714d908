"""The loss against one written with plain loops, its gradient against finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from yolo.config import LossConfig
from yolo.ops.loss import class_loss, objectness_loss, overlaps_any, yolo_loss
from yolo.ops.slots import make_slots

CLASSES = 3
SLOTS = make_slots(
    (64, 96), (32, 16), [np.array([[40, 20], [30, 60]], np.float32), np.array([[8, 8], [10, 20]], np.float32)]
)


def make_case(seed, pictures=3, boxes=5):
    """Raw maps and padded targets with some ignored boxes."""
    rng = np.random.default_rng(seed)
    maps = [
        rng.normal(0, 1, (pictures, rows, columns, 2, 5 + CLASSES)).astype(np.float32)
        for rows, columns in ((2, 3), (4, 6))
    ]
    centre, size = rng.uniform(5, (90, 60), (pictures, boxes, 2)), rng.uniform(5, 50, (pictures, boxes, 2))
    targets = {
        "boxes": np.concatenate([centre - size / 2, centre + size / 2], -1).astype(np.float32),
        "labels": rng.integers(0, CLASSES, (pictures, boxes)).astype(np.int32),
        "valid": rng.random((pictures, boxes)) < 0.8,
        "ignore": rng.random((pictures, boxes)) < 0.3,
    }
    return maps, targets


def tensors(maps, targets):
    return [ops.convert_to_tensor(each) for each in maps], {k: ops.convert_to_tensor(v) for k, v in targets.items()}


def run(maps, targets, config):
    maps, targets = tensors(maps, targets)
    return np.stack([ops.convert_to_numpy(term) for term in yolo_loss(maps, SLOTS, config, **targets)], -1)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def entropy(logit, target):
    p = sigmoid(np.float64(logit))
    return -target * math.log(p) - (1 - target) * math.log(1 - p)


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / union, union


def box_term(kind, predicted, true, raw, slot):
    overlap, union = iou(predicted, true)
    hull = [
        min(predicted[0], true[0]),
        min(predicted[1], true[1]),
        max(predicted[2], true[2]),
        max(predicted[3], true[3]),
    ]
    width, height = hull[2] - hull[0], hull[3] - hull[1]
    if kind == "giou":
        return 1 - overlap + (width * height - union) / (width * height)
    centres = [((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for box in (predicted, true)]
    distance = math.dist(*centres) ** 2 / (width**2 + height**2)
    if kind == "diou":
        return 1 - overlap + distance
    angles = [math.atan2(box[2] - box[0], box[3] - box[1]) for box in (predicted, true)]
    penalty = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    if kind == "ciou":
        return 1 - overlap + distance + penalty**2 / (1 - overlap + penalty)
    size = np.array([true[2] - true[0], true[3] - true[1]])
    offset = np.array(centres[1]) / SLOTS.stride[slot] - SLOTS.cell[slot]
    error = ((sigmoid(raw[:2]) - offset) ** 2).sum() + ((raw[2:4] - np.log(size / SLOTS.anchor[slot])) ** 2).sum()
    return error * (2 - size.prod() / (64 * 96))


def oracle(maps, targets, config):
    """The three terms of each picture, with loops."""
    terms = []
    for picture in range(len(maps[0])):
        raw = np.concatenate([each[picture].reshape(-1, 5 + CLASSES) for each in maps]).astype(np.float64)
        centre, half = (sigmoid(raw[:, :2]) + SLOTS.cell) * SLOTS.stride, np.exp(raw[:, 2:4]) * SLOTS.anchor / 2
        predicted = np.concatenate([centre - half, centre + half], 1)
        true = {key: value[picture] for key, value in targets.items()}
        owner = {}
        for box in range(len(true["boxes"])):
            if true["valid"][box] and not true["ignore"][box]:
                for slot in claims(true["boxes"][box], config.assign_iou):
                    owner.setdefault(slot, box)
        where = what = whether = 0.0
        for slot, box in owner.items():
            where += box_term(config.box, predicted[slot], true["boxes"][box], raw[slot], slot)
            weight = config.class_weights[true["labels"][box]] if config.class_weights else 1.0
            for label in range(CLASSES):
                target = float(label == true["labels"][box]) * (1 - config.label_smoothing) + config.label_smoothing / 2
                what += weight * entropy(raw[slot, 5 + label], target)
        for slot in range(len(SLOTS)):
            near = any(iou(predicted[slot], box)[0] > config.ignore_iou for box in true["boxes"][true["valid"]])
            if slot in owner or not near:
                target = float(slot in owner)
                if slot in owner and config.objectness_target == "iou":
                    target = iou(predicted[slot], true["boxes"][owner[slot]])[0]
                focus = abs(target - sigmoid(raw[slot, 4])) ** config.focal_gamma
                whether += focus * entropy(raw[slot, 4], target)
        terms.append([config.box_weight * where, config.objectness_weight * whether, config.class_weight * what])
    return np.array(terms)


def claims(box, assign_iou):
    """The slots of a box, by looking at every anchor and cell."""
    width, height = box[2] - box[0], box[3] - box[1]
    centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    anchors = list(dict.fromkeys(map(tuple, SLOTS.anchor.tolist())))
    overlaps = [iou([0, 0, width, height], [0, 0, *anchor])[0] for anchor in anchors]
    for anchor, overlap in zip(anchors, overlaps, strict=True):
        if overlap == max(overlaps) or (assign_iou is not None and overlap > assign_iou):
            inside = (np.floor(centre / SLOTS.stride) == SLOTS.cell).all(axis=1) & (SLOTS.anchor == anchor).all(axis=1)
            yield int(np.flatnonzero(inside)[0])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("box", ["giou", "diou", "ciou", "squared"])
@pytest.mark.parametrize("assign_iou", [None, 0.3])
def test_it_is_the_plain_loops_value(seed, box, assign_iou):
    config = LossConfig(
        box=box,
        box_weight=2.0,
        objectness_weight=0.5,
        class_weight=3.0,
        ignore_iou=0.3,
        label_smoothing=0.1,
        assign_iou=assign_iou,
    )
    case = make_case(seed)
    np.testing.assert_allclose(run(*case, config), oracle(*case, config), rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "options",
    [
        {"objectness_target": "iou"},
        {"focal_gamma": 2.0},
        {"focal_gamma": 0.5, "objectness_target": "iou", "assign_iou": 0.3},
        {"class_weights": [0.5, 2.0, 4.0]},
    ],
)
def test_its_variants_are_the_plain_loops_value(seed, options):
    config, case = LossConfig(ignore_iou=0.3, **options), make_case(seed)
    np.testing.assert_allclose(run(*case, config), oracle(*case, config), rtol=2e-4, atol=1e-4)


def test_balanced_weights_have_to_be_numbers_by_now():
    with pytest.raises(ValueError, match="class_weights as numbers"):
        run(*make_case(0), LossConfig(class_weights="balanced"))


def test_the_target_iou_is_a_constant_to_the_box():
    """The objectness term moves no box, whatever its target."""
    maps, targets = make_case(1)
    variables, padded = tensors(maps, targets)
    with tf.GradientTape() as tape:
        tape.watch(variables)
        terms = yolo_loss(variables, SLOTS, LossConfig(objectness_target="iou"), **padded)
        total = tf.reduce_sum(terms.objectness)
    assert all(np.abs(gradient.numpy()[..., :4]).max() == 0 for gradient in tape.gradient(total, variables))


def test_padding_costs_nothing():
    maps, targets = make_case(0)
    padded = {key: np.concatenate([value, np.zeros_like(value)], 1) for key, value in targets.items()}
    np.testing.assert_allclose(run(maps, targets, LossConfig()), run(maps, padded, LossConfig()), rtol=1e-6)


def test_ignored_boxes_own_nothing_and_silence_what_lies_on_them():
    maps = [np.zeros((1, 2, 3, 2, 8), np.float32), np.zeros((1, 4, 6, 2, 8), np.float32)]
    targets = {
        "boxes": np.array([[[0, 0, 64, 64]]], np.float32),
        "labels": np.zeros((1, 1), np.int32),
        "valid": np.ones((1, 1), bool),
        "ignore": np.ones((1, 1), bool),
    }
    found = run(maps, targets, LossConfig(ignore_iou=0.2))
    # At zero, every slot predicts its anchor in the middle of its cell.
    boxes = np.concatenate(
        [SLOTS.stride * (SLOTS.cell + 0.5) - SLOTS.anchor / 2, SLOTS.stride * (SLOTS.cell + 0.5) + SLOTS.anchor / 2], 1
    )
    silenced = sum(iou(each, [0, 0, 64, 64])[0] > 0.2 for each in boxes)
    assert silenced > 0
    np.testing.assert_allclose(found, [[0, (60 - silenced) * math.log(2), 0]], rtol=1e-5)


def test_objectness_by_hand():
    logits = np.array([[0.0, 2.0, -1.0, 3.0]], np.float32)
    slot, valid = np.array([[1, 3, 0]], np.int32), np.array([[True, True, False]])
    ignore_mask = np.array([[False, True, True, False]])
    one = ops.ones((1, 3))
    found = objectness_loss(*map(ops.convert_to_tensor, (logits, slot, valid, ignore_mask)), target=one)
    # Slot 0 is background, 1 owns though it is ignored, 2 is ignored, 3 owns.
    expected = math.log(2) + math.log1p(math.exp(-2)) + math.log1p(math.exp(-3))
    assert float(ops.convert_to_numpy(found)[0]) == pytest.approx(expected, rel=1e-6)


def test_classes_by_hand():
    logits = ops.convert_to_tensor(np.array([[[0.0, 2.0]]], np.float32))
    labels = ops.convert_to_tensor(np.array([[1]], np.int32))
    plain, smooth = (float(ops.convert_to_numpy(class_loss(logits, labels, s))[0, 0]) for s in (0.0, 0.2))
    assert plain == pytest.approx(entropy(0, 0) + entropy(2, 1), rel=1e-6)
    assert smooth == pytest.approx(entropy(0, 0.1) + entropy(2, 0.9), rel=1e-6)


def test_overlap_has_to_be_above_the_threshold():
    predicted = ops.convert_to_tensor(np.array([[[0, 0, 2, 2], [0, 0, 2, 1]]], np.float32))
    boxes = ops.convert_to_tensor(np.array([[[0, 0, 2, 2]]], np.float32))
    valid = ops.ones((1, 1), "bool")
    assert ops.convert_to_numpy(overlaps_any(predicted, boxes, valid, threshold=0.5)).tolist() == [[True, False]]
    assert ops.convert_to_numpy(overlaps_any(predicted, boxes, ~valid, threshold=0.5)).tolist() == [[False, False]]


@pytest.mark.parametrize("options", [{}, {"box": "diou"}, {"box": "squared"}, {"focal_gamma": 1.5}])
def test_the_gradient_is_that_of_finite_differences(options):
    maps, targets = make_case(7, pictures=1, boxes=4)
    config = LossConfig(ignore_iou=0.9, **options)
    variables, padded = tensors(maps, targets)
    with tf.GradientTape() as tape:
        tape.watch(variables)
        total = tf.add_n([tf.reduce_sum(term) for term in yolo_loss(variables, SLOTS, config, **padded)])
    gradients = tape.gradient(total, variables)
    rng = np.random.default_rng(0)
    strongest = [int(np.abs(gradient.numpy()).ravel().argmax()) for gradient in gradients]
    for scale, gradient in enumerate(gradients):
        for index in {*rng.integers(0, maps[scale].size, 12).tolist(), strongest[scale]}:
            values = []
            for step in (-1e-2, 1e-2):
                moved = [each.copy() for each in maps]
                moved[scale].ravel()[index] += step
                values.append(oracle(moved, targets, config).sum())
            assert gradient.numpy().ravel()[index] == pytest.approx((values[1] - values[0]) / 2e-2, rel=2e-2, abs=2e-3)


@pytest.mark.parametrize("box", ["giou", "diou", "ciou", "squared"])
def test_the_gradient_stays_finite_for_degenerate_boxes_and_huge_logits(box):
    maps, targets = make_case(3)
    targets["boxes"][:, 0, 2:] = targets["boxes"][:, 0, :2]  # no area
    targets["valid"][:, 0] = True
    maps[0] *= 100
    config = LossConfig(box=box, focal_gamma=0.5)
    variables, padded = tensors(maps, targets)
    with tf.GradientTape() as tape:
        tape.watch(variables)
        total = tf.add_n([tf.reduce_sum(term) for term in yolo_loss(variables, SLOTS, config, **padded)])
    assert np.isfinite(float(total))
    assert all(np.isfinite(gradient.numpy()).all() for gradient in tape.gradient(total, variables))
