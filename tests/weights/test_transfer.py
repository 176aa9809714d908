"""Weight transfer to other classes: kept classes give the same boxes and scores."""

from __future__ import annotations

import numpy as np
import pytest

from yolo.config import NmsConfig
from yolo.errors import ConfigError, WeightsError
from yolo.model.detector import Detector
from yolo.ops.decode import decode
from yolo.weights.transfer import UNLEARNED, Transfer, match_classes, meaning, transfer, with_classes

OLD = ["cat", "dog", "sofa", "aeroplane"]
NET = """[net]
width=64
height=64
channels=3

[convolutional]
batch_normalize=1
filters=8
size=3
stride=32
pad=1
activation=leaky

[convolutional]
filters=18
size=1
activation=linear

[yolo]
mask=0,1
anchors=10,20, 30,15
classes=4
num=2
"""
NORMALISED = NET.replace("filters=18\n", "filters=18\nbatch_normalize=1\n")
REGION = NET.replace("mask=0,1\n", "softmax=1\n").replace("[yolo]", "[region]").replace("10,20, 30,15", "1,2, 3,1.5")


def make(text=NET, classes=OLD, **options):
    """A small detector with weights that are all different."""
    detector = Detector("net.cfg", cfg=text, classes=classes, **options)
    rng = np.random.default_rng(0)
    detector.set_weights([rng.uniform(0.1, 1, each.shape) for each in detector.get_weights()])
    return detector


def outputs(detector):
    """Boxes, objectness and class probabilities of a random picture."""
    images = np.random.default_rng(1).integers(0, 256, (2, *detector.canvas, 3)).astype(np.float32)
    return [np.asarray(part) for part in decode(detector(images), detector.slots)]


@pytest.mark.parametrize("text", [NET, NORMALISED], ids=["bias", "batch norm"])
@pytest.mark.parametrize(
    ("classes", "origins"),
    [
        (["dog"], [1]),
        (["airplane", "cat"], [3, 0]),  # COCO's name for VOC's aeroplane
        (["couch", "zebra", "dog", "cat", "aeroplane"], [2, None, 1, 0, 3]),
        (["zebra", "cat", "dog", "sofa", "aeroplane"], [None, 0, 1, 2, 3]),
    ],
)
def test_classes_that_are_kept_come_out_the_same(text, classes, origins):
    old = make(text)
    new, _ = with_classes(old, classes)
    boxes, objects, scores = outputs(old)
    new_boxes, new_objects, new_scores = outputs(new)
    # How a convolution is summed up depends on the number of its filters, on some processors.
    np.testing.assert_allclose(new_boxes, boxes, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(new_objects, objects, rtol=1e-6)
    for index, origin in enumerate(origins):
        if origin is not None:
            np.testing.assert_allclose(new_scores[..., index], scores[..., origin], rtol=1e-6)
    assert new.classes == tuple(classes)
    assert f"classes={len(classes)}" in new.architecture.cfg


def test_a_subset_detects_what_the_whole_does():
    old = make()
    new, _ = with_classes(old, ["dog", "cat"])
    images = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3)).astype(np.float32)
    nms = NmsConfig(conf=0.0, iou=0.4, max_candidates=100, max_detections=100)
    whole, part = old.find(images, nms), new.find(images, nms)
    for label, origin in ((0, 1), (1, 0)):
        ours, theirs = part.labels[0] == label, whole.labels[0] == origin
        ours, theirs = ours & part.valid[0], theirs & whole.valid[0]
        assert ours.any()
        np.testing.assert_allclose(part.boxes[0][ours], whole.boxes[0][theirs], rtol=1e-6)
        np.testing.assert_allclose(part.scores[0][ours], whole.scores[0][theirs], rtol=1e-6)


def test_a_new_class_beside_old_ones_is_not_found_before_it_is_learned():
    new, table = with_classes(make(), [*OLD, "zebra"])
    _, _, scores = outputs(new)
    bias = new.heads[0].get_weights()[1].reshape(2, -1)
    np.testing.assert_allclose(1 / (1 + np.exp(-bias[:, -1])), UNLEARNED, rtol=1e-5)
    assert (scores[..., -1] < 0.25).all()
    assert table.new == ["zebra"]


def test_new_classes_may_begin_with_the_filters_of_old_ones():
    old = make()
    new, _ = with_classes(old, ["zebra", "cat"], new="sampled", seed=3)
    same, _ = with_classes(old, ["zebra", "cat"], new="sampled", seed=3)
    _, _, scores = outputs(new)
    _, _, known = outputs(old)
    assert any(np.array_equal(scores[..., 0], known[..., index]) for index in range(4))
    np.testing.assert_array_equal(scores, outputs(same)[2])


def test_the_table():
    _, table = with_classes(make(), ["dog", "airplane", "zebra"])
    assert table.loaded == ["conv_0", "conv_1"]
    assert (table.kept, table.renamed, table.new) == (["dog"], [("aeroplane", "airplane")], ["zebra"])
    assert table.dropped == ["cat", "sofa"]
    assert not table.other_anchors
    assert [line.split(maxsplit=2)[2] for line in table.lines()] == [
        "2 of 2",
        "1 (dog)",
        "1 (aeroplane as airplane)",
        "1 (zebra)",
        "2 (cat, sofa)",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (["tv", "cat"], ["tvmonitor"], [0]),
        (["tvmonitor"], ["tv"], [0]),
        (["diningtable"], ["dining table"], [0]),
        (["Dining_Table"], ["diningtable"], [0]),
        (["pottedplant", "motorbike"], ["motorcycle", "potted plant"], [1, 0]),
        (["aeroplane", "airplane"], ["airplane", "aeroplane"], [1, 0]),  # the exact name goes first
        (["sofa", "couch"], ["Couch"], [0]),
        (["cat"], ["cats"], [-1]),
    ],
)
def test_names_are_matched(old, new, expected):
    assert match_classes(old, new, Transfer()) == expected


def test_meaning_is_one_spelling():
    assert meaning("  Potted_plant ") == meaning("pottedplant") == "pottedplant"
    assert meaning("Zebra crossing") == "zebracrossing"


def test_other_anchors_are_told():
    other = make(anchors=[[12, 20], [30, 15]])
    table = transfer(make(), other)
    assert table.other_anchors
    assert len(table.loaded) == 2


def test_heads_with_another_number_of_anchors_begin_anew():
    other = make(anchors=[[12, 20], [30, 15], [40, 40], [50, 50]])
    before = other.heads[0].get_weights()
    table = transfer(make(), other)
    assert table.loaded == ["conv_0"]
    assert table.skipped == [("conv_1", "its shape is 1x1x8x36, in the weights 1x1x8x18")]
    np.testing.assert_array_equal(before[0], other.heads[0].get_weights()[0])


def test_the_number_of_anchors_is_asked_and_not_guessed():
    """18 filters could be 3 x 6 or 2 x 9 as well."""
    old = make()
    other = make(classes=["cat"], anchors=[[12, 20], [30, 15], [40, 40]])
    assert transfer(old, other).skipped == [("conv_1", "its shape is 1x1x8x18, in the weights 1x1x8x18")]


def test_how_much_went_over_is_counted_in_weights():
    # 3 x 3 x 3 x 8 + 4 x 8 = 248 of conv_0, and 8 x 36 + 36 = 324 of a head that does not fit
    other = make(anchors=[[12, 20], [30, 15], [40, 40], [50, 50]])
    assert transfer(make(), other).fraction == pytest.approx(248 / (248 + 324))


def test_nothing_that_fits_is_an_error():
    with pytest.raises(WeightsError, match=r"none of the weights of net\.cfg fit into net\.cfg"):
        transfer(make(NET.replace("size=3", "size=5").replace("filters=8", "filters=9")), make())


def test_no_classes_are_an_error():
    with pytest.raises(ConfigError, match="classes must be at least one name"):
        with_classes(make(), [])


def test_softmax_classes_are_carried_over_too():
    old = make(REGION)
    new, table = with_classes(old, ["dog", "cat"])
    kernel, small = (each.heads[0].get_weights()[0].reshape(8, 2, -1) for each in (old, new))
    np.testing.assert_array_equal(small, kernel[..., [0, 1, 2, 3, 4, 6, 5]])
    np.testing.assert_allclose(outputs(new)[2].sum(-1), 1, rtol=1e-5)
    assert table.kept == ["dog", "cat"]
