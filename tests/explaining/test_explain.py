"""Activation maps of networks made by hand, in which the place that speaks for a detection is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cfg_texts import conv, detector
from runtime_models import add_small_backbone, noisy_detector, pictures

import yolo
from yolo.errors import ConfigError
from yolo.explaining.explain import explain
from yolo.explaining.features import cell_at, feature_maps, fields_of, filter_pictures
from yolo.explaining.layers import default_layers, find_layer, first_filters
from yolo.explaining.look import look_at
from yolo.scores import Calibration, ScoreRules

SIDE = 64
TEXT = detector(
    conv(4, 3, stride=8, pad=1),
    conv(4, 3, pad=1),
    size=(SIDE, SIDE),
)
"""Cells of 8 pixels: colours, a look at the neighbours, and a head of two anchors and two classes (14 numbers)."""


def looking_right():
    """A network that finds class b wherever the cell to the right is red."""
    network = yolo.Detector("hand.cfg", cfg=TEXT, classes=["a", "b"])
    colours, neighbours, head = (np.zeros(layer.convolution.kernel.shape, "f4") for layer in network.convolutions)
    colours[1, 1, 0, 2] = 1.0  # channel 2 is the red of the cell's corner pixel
    neighbours[1, 2, 2, 0] = 1.0  # channel 0 is the right neighbour's channel 2
    bias = np.full(14, -6.0, "f4")
    bias[:4] = 0.0
    head[0, 0, 0, 4] = head[0, 0, 0, 6] = 12.0  # objectness and class b of the first anchor
    for layer, kernel in zip(network.convolutions, (colours, neighbours, head), strict=True):
        layer.set_weights([kernel, bias if layer is network.convolutions[-1] else np.zeros(4, "f4")])
    return network


def red_cell(row, column):
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    picture[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8, 0] = 255
    return picture


@pytest.fixture(scope="module")
def hand_made():
    return looking_right()


@pytest.mark.parametrize("method", ["layercam", "gradcam++"])
@pytest.mark.parametrize(("row", "column"), [(3, 5), (0, 1), (7, 7)])
def test_the_map_lies_on_the_cell_that_the_network_looks_at(hand_made, method, row, column):
    found = explain(hand_made, red_cell(row, column), method=method, layers=["conv_0"])
    (only,) = found.detections
    assert (only.slot.layer, only.slot.row, only.slot.column, only.slot.anchor) == ("conv_2", row, column - 1, 0)
    assert only.slot.anchor_size == (4, 6)
    assert only.name == "b"
    assert only.score == pytest.approx(only.objectness * only.probability)
    y, x = np.unravel_index(only.class_map.argmax(), only.class_map.shape)
    assert (y // 8, x // 8) == (row, column)
    assert only.class_map.max() == pytest.approx(1)
    beyond = [0 <= (row + down) < 8 and only.class_map[(row + down) * 8 + 4, column * 8 + 4] for down in (-2, 2)]
    assert max(beyond) == 0


def test_the_map_before_the_head_lies_on_the_slots_own_cell(hand_made):
    (only,) = explain(hand_made, red_cell(3, 5), layers=["conv_1"]).detections
    y, x = np.unravel_index(only.class_map.argmax(), only.class_map.shape)
    assert (y // 8, x // 8) == (3, 4)


def test_eigencam_is_of_the_layer_alone(hand_made):
    (only,) = explain(hand_made, red_cell(3, 5), method="eigencam", layers=["conv_0"]).detections
    y, x = np.unravel_index(only.class_map.argmax(), only.class_map.shape)
    assert (y // 8, x // 8) == (3, 5)
    assert only.box_map is only.class_map


def test_detections_are_those_of_the_detector_and_their_slots_the_true_ones():
    network = noisy_detector(size=96)
    picture = pictures(1)[0]
    found = explain(network, picture, conf=0.05, top=4)
    expected = network.detect(picture, conf=0.05)[:4]
    assert [each.name for each in found.detections] == [each.name for each in expected]
    assert [each.box for each in found.detections] == [pytest.approx(each.box, abs=1e-3) for each in expected]
    for each in found.detections:
        raw = found.look.maps[each.slot.scale][0, each.slot.row, each.slot.column, each.slot.anchor]
        assert 1 / (1 + np.exp(-raw[4])) == pytest.approx(each.objectness, rel=1e-5)
        assert 1 / (1 + np.exp(-raw[5 + each.label])) == pytest.approx(each.probability, rel=1e-5)
        assert each.class_map.shape == each.box_map.shape == picture.shape[:2]


def test_shuffled_weights_give_other_maps():
    """Adebayo et al. 2018: a map that stays says nothing of what the network has learned."""
    network, other = noisy_detector(size=96), noisy_detector(size=96)
    random = np.random.default_rng(0)
    other.set_weights([random.permutation(each.ravel()).reshape(each.shape) for each in other.get_weights()])
    picture = pictures(1)[0]
    (own,), (strange,) = (explain(each, picture, conf=0.0, top=1).detections for each in (network, other))
    flat = [each.class_map.ravel()[::7] for each in (own, strange)]
    ranks = [np.argsort(np.argsort(each)) for each in flat]
    assert abs(np.corrcoef(*ranks)[0, 1]) < 0.6
    (again,) = explain(network, picture, conf=0.0, top=1).detections
    assert again.class_map == pytest.approx(own.class_map, abs=1e-5)


def test_the_default_layers_are_ends_of_stages():
    network = noisy_detector(size=96)
    names = default_layers(network)
    assert [int(find_layer(network.network, name).shape[1]) for name in names] == [12, 6, 3]
    before_heads = {head.input._keras_history.operation.name for head in network.heads}
    assert not before_heads & set(names)
    assert default_layers(looking_right()) == ["conv_0"]  # the other one is before its head


def test_a_backbone_of_keras_has_its_outputs_as_layers(monkeypatch):
    network = yolo.Detector(add_small_backbone(monkeypatch), classes=["a"], size=64)
    names = default_layers(network)
    assert any("/" in name for name in names)
    assert len(explain(network, red_cell(1, 1), conf=0.0, top=1)) == 1
    name, kernel = first_filters(network.network)
    assert kernel.shape[2] == 3
    assert name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": ["conv_00"]}, r"layer conv_00: the network has no such feature map; did you mean conv_0"),
        ({"layers": ["xyz"]}, r"layer xyz: the network has no such feature map; there are rescaling"),
        ({"method": "gradcam"}, r"method must be one of layercam, gradcam\+\+, eigencam, got gradcam"),
        ({"top": 0}, r"top must be > 0, got 0"),
        ({"conf": 1.5}, r"conf must be"),
    ],
)
def test_bad_options_are_named(hand_made, options, message):
    with pytest.raises(ConfigError, match=message):
        explain(hand_made, red_cell(0, 1), **options)


def test_a_runtime_is_refused():
    with pytest.raises(ConfigError, match=r"a runtime has no gradients; load the \.keras or \.weights file"):
        explain(object(), red_cell(0, 1))  # type: ignore[arg-type]


def test_features_fields_and_cells(hand_made):
    look = look_at(hand_made, red_cell(3, 5), hand_made.nms)
    maps = feature_maps(look, "conv_0")
    assert maps.shape == (8, 8, 4)
    assert maps[3, 5, 0] == pytest.approx(1)  # the channel that varies most comes first
    output = find_layer(hand_made.network, "conv_1")
    assert cell_at(look, output, (63.9, 0)) == (0, 7)
    assert cell_at(look, output, (64, 64)) == (7, 7)
    theory, effective = fields_of(look, output, (3, 4))
    assert theory == (23, 15, 50, 42) or theory.size == (19, 19)
    assert effective == (40, 24, 41, 25)  # one pixel alone: the right neighbour's red


def test_filters_are_grey_where_they_are_zero():
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[0, 0, :, 1] = [2, -2, 0]
    assert filter_pictures(kernel)[0, 0, 0].tolist() == [1, 0, 0.5]
    assert (filter_pictures(kernel)[1] == 0.5).all()


def test_explanations_of_a_calibrated_detector_are_its_detections():
    """Scores, thresholds and order are those that `detect` gives, although suppression knows raw scores alone."""
    network = noisy_detector(["a", "b"], size=SIDE)
    halved = Calibration("isotonic", (((0.0, 0.0), (1.0, 0.5)), ((0.0, 0.0), (1.0, 0.9))), ((0,), (1,)))
    network.score_rules = ScoreRules(calibration=halved)
    (picture,) = pictures(1)
    found = network.detect(picture, conf=0.05)
    look = look_at(network, picture, replace(network.nms, conf=0.05))
    assert len(found) > 3
    assert set(found.labels.tolist()) == {0, 1}
    np.testing.assert_allclose(look.detections.scores, found.scores, atol=1e-4)
    np.testing.assert_allclose(look.detections.boxes, found.boxes, atol=0.01)
