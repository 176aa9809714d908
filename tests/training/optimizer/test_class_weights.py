"""Weights against an imbalance of the classes: numbers by hand, and what a run makes of the word."""

from __future__ import annotations

import numpy as np
import pytest
from cfg_texts import STAGED
from tables import make_dataset

import yolo
from yolo.config import LossConfig
from yolo.datasets.digits import make_digits
from yolo.errors import ConfigError
from yolo.model.detector import Detector
from yolo.training.optimizer.class_weights import with_class_weights

BALANCED = LossConfig(class_weights="balanced", box_weight=3.0)


def dataset_of(labels, *, ignored=(), classes=("a", "b", "c", "d")):
    """One picture with a box of each of these labels, and some that are ignored."""
    rows = [(0, label, 1, 2, 5, 8, False) for label in labels] + [(0, label, 1, 2, 5, 8, True) for label in ignored]
    return make_dataset(rows, 1, classes)


def test_balanced_by_hand():
    """40 boxes and 4 classes: 10 / 24, 10 / 15, 10 / 1; the one without boxes has 1."""
    found = with_class_weights(BALANCED, dataset_of([0] * 24 + [1] * 15 + [2]))
    assert found.class_weights == [0.4167, 0.6667, 10.0, 1.0]
    assert found.box_weight == 3.0


def test_the_rarest_count_no_more_than_ten_times():
    """200 / (4 x 1) would be 50."""
    assert with_class_weights(BALANCED, dataset_of([0] * 199 + [2])).class_weights == [0.2513, 1.0, 10.0, 1.0]


def test_ignored_boxes_do_not_count():
    dataset = dataset_of([0, 0, 1, 1], ignored=[0, 2, 2, 2], classes=("a", "b", "c"))
    assert with_class_weights(BALANCED, dataset).class_weights == [0.6667, 0.6667, 1.0]


def test_numbers_stay_and_have_to_be_as_many_as_classes():
    dataset = dataset_of([0, 1])
    for weights in (None, [1.0, 2.0, 3.0, 0.0]):
        loss = LossConfig(class_weights=weights)
        assert with_class_weights(loss, dataset) is loss
    with pytest.raises(ConfigError, match=r"loss.class_weights: 2 numbers for 4 classes"):
        with_class_weights(LossConfig(class_weights=[1.0, 2.0]), dataset)


def test_a_run_makes_numbers_of_the_word(tmp_path):
    """The word stays among its options; what it learns with are scikit-learn's numbers of its boxes."""
    dataset = yolo.load_dataset(make_digits(tmp_path / "digits", train=8, val=2, size=64, seed=3), "train")
    counts = np.bincount(dataset.labels, minlength=10)
    expected = np.where(counts, np.minimum(counts.sum() / (10 * np.maximum(counts, 1)), 10), 1)
    assert len(set(expected)) > 2
    histories = []
    for loss in (LossConfig(), LossConfig(class_weights="balanced"), LossConfig(class_weights=expected.tolist())):
        detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
        result = yolo.train(detector, dataset, validation=dataset, out=None, epochs=1, batch=8, seed=1, loss=loss)
        histories.append(result.history[0])
        if loss.class_weights == "balanced":
            np.testing.assert_allclose(detector.loss_config.class_weights, expected, atol=5e-5)
            assert detector.origin["config"]["loss"]["class_weights"] == "balanced"
    plain, balanced, given = (row["class_loss"] for row in histories)
    assert balanced == pytest.approx(given, rel=1e-3)
    assert abs(balanced - plain) > 0.01 * plain
