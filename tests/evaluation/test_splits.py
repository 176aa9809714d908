"""Whether a model is measured on what it was trained on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tables import make_dataset

from yolo.datasets import overlap
from yolo.datasets.overlap import shared_fraction, sketch
from yolo.evaluation.splits import trained_fraction, warn_if_trained_on


def pictures(first, last):
    """Each with a box of its own."""
    rows = [(index, 0, 0, 0, 9, 10 + first + index, 0) for index in range(last - first)]
    made = make_dataset(rows, last - first)
    return replace(made, files=[f"{first + index}.png" for index in range(last - first)])


def test_the_fraction_is_exact_for_small_datasets():
    assert shared_fraction(sketch(pictures(0, 30)), pictures(20, 40)) == 0.5
    assert shared_fraction(sketch(pictures(0, 30)), pictures(30, 40)) == 0.0
    assert shared_fraction("", pictures(30, 40)) == 0.0


def test_other_suffixes_and_folders_are_the_same_images(tmp_path):
    moved = pictures(0, 10)
    moved = replace(moved, files=[file.replace(".png", ".jpg") for file in moved.files], folder=tmp_path)
    assert shared_fraction(sketch(pictures(0, 10)), moved) == 1.0


def test_an_image_of_the_same_name_with_other_boxes_is_another_one():
    other = replace(pictures(0, 10), boxes=pictures(0, 10).boxes + 1)
    assert shared_fraction(sketch(pictures(0, 10)), other) == 0.0


def test_images_without_boxes_tell_nothing():
    empty = make_dataset([], 5)
    assert sketch(empty) == ""
    assert shared_fraction(sketch(pictures(0, 5)), empty) == 0.0


def test_large_datasets_are_sampled(monkeypatch):
    monkeypatch.setattr(overlap, "SKETCH_SIZE", 200)
    stored = sketch(pictures(0, 1000))
    assert len(stored) == 200 * overlap.DIGITS
    assert shared_fraction(stored, pictures(500, 1500)) == pytest.approx(0.5, abs=0.1)
    assert shared_fraction(stored, pictures(0, 1000)) == 1.0
    assert shared_fraction(stored, pictures(1000, 2000)) == 0.0


def test_the_trainings_before_count_too():
    origin = {"sketch": sketch(pictures(0, 10)), "start": {"sketch": sketch(pictures(10, 20))}}
    assert trained_fraction(origin, pictures(10, 20)) == 1.0
    assert trained_fraction({"fingerprint": pictures(0, 4).fingerprint}, pictures(0, 4)) == 1.0  # of before the sketch
    assert trained_fraction({"start": "a.weights"}, pictures(0, 4)) == 0.0


def test_it_is_said_in_one_line(caplog):
    warn_if_trained_on({"sketch": sketch(pictures(0, 10))}, pictures(10, 20))
    assert caplog.text == ""
    warn_if_trained_on({"sketch": sketch(pictures(0, 10))}, pictures(0, 10))
    warn_if_trained_on({"sketch": sketch(pictures(0, 10))}, pictures(9, 13))
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "the model was trained on these images: the figures flatter it",
        "the model was trained on 25 % of these images: the figures flatter it",
    ]
