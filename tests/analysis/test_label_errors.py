"""Probable label errors: planted faults come first, with the right kind and place, and files say so."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tables import make_dataset, make_detections

from yolo.analysis.label_error_files import COLUMNS, to_text, write_lists
from yolo.analysis.label_error_views import error_tiles, frame_around
from yolo.analysis.label_errors import KINDS, find_label_errors, overlap_density, posterior, rates, uncovered
from yolo.datasets.load import load_dataset

PICTURES = 60
SIDE = 60


def good_case(seed=0):
    """Labels that are right, three a picture, and detections with scores from 0.5, and weak ones of other things."""
    rng = np.random.default_rng(seed)
    boxes, found = [], []
    for picture in range(PICTURES):
        for place in range(3):
            x, y = 20 + 90 * place, float(rng.integers(10, 200))
            label = int(rng.integers(2))
            box = (x, y, x + SIDE, y + SIDE)
            boxes.append((picture, label, *box, False))
            moved = np.asarray(box) + rng.normal(0, 2.5, 4)
            found.append((picture, label, *moved, float(rng.uniform(0.5, 1))))
            if rng.random() < 0.3:  # the other class at the same place, and something on the ground
                found.append((picture, 1 - label, *np.asarray(box) + 1, float(rng.uniform(0.01, 0.3))))
            if rng.random() < 0.3:
                found.append((picture, label, x, 280, x + 20, 299, float(rng.uniform(0.01, 0.4))))
    return boxes, found


def plant_by_hand():
    """Four faults in the labels of pictures 0 to 3, whose detections are sure."""
    boxes, found = good_case()
    found = [row for row in found if row[0] > 3]
    for row in boxes[:12]:
        found.append((row[0], row[1], *row[2:6], 0.97))
    relabelled, shifted = boxes[0], boxes[3]
    boxes[0] = (0, 1 - relabelled[1], *relabelled[2:])
    boxes[3] = (1, shifted[1], shifted[2] + 25, shifted[3] + 10, shifted[4] + 25, shifted[5] + 10, False)
    boxes[6] = (2, 0, 220, 215, 285, 275, False)  # where nothing is; the box that was here is missing
    return make_dataset(boxes, pictures=PICTURES), make_detections(found)


def test_planted_faults_come_first():
    dataset, detections = plant_by_hand()
    errors = find_label_errors(dataset, detections)
    first = {(error.kind, error.picture, error.true) for error in errors[:4]}
    assert first == {("relabelled", 0, 0), ("shifted", 1, 3), ("spurious", 2, 6), ("missing", 2, None)}
    assert all(error.kind in KINDS for error in errors)
    assert [error.score for error in errors] == sorted((error.score for error in errors), reverse=True)
    assert errors[3].score > 2 * errors[4].score
    (missing,) = [error for error in errors[:4] if error.kind == "missing"]
    assert detections.boxes[missing.row].tolist()[0] == 20
    for name in ("true", "row"):
        listed = [value for error in errors if (value := getattr(error, name)) is not None]
        assert len(listed) == len(set(listed))


def test_right_labels_give_nothing_probable():
    boxes, found = good_case()
    errors = find_label_errors(make_dataset(boxes, pictures=PICTURES), make_detections(found))
    assert max((error.score for error in errors), default=0) < 0.15


def test_ignored_boxes_are_never_in_question_and_hide_what_is_missing():
    dataset, detections = plant_by_hand()
    ignore = dataset.ignore.copy()
    ignore[[0, 3, 6]] = True
    boxes = dataset.boxes.copy()
    boxes[6] = (0, 0, 300, 300)
    errors = find_label_errors(replace(dataset, ignore=ignore, boxes=boxes), detections)
    assert not {error.true for error in errors} & {0, 3, 6}
    assert not [error for error in errors if error.kind == "missing" and error.picture == 2]


def test_label_errors_of_nothing():
    empty = make_dataset([], pictures=2)
    assert find_label_errors(empty, make_detections([])) == []
    assert find_label_errors(empty, make_detections([(0, 0, 0, 0, 9, 9, 0.9)])) == []  # no label says what scores mean
    alone = find_label_errors(make_dataset([(0, 0, 0, 0, 9, 9, False)], pictures=1), make_detections([]))
    assert [(error.kind, error.true, round(error.score, 4)) for error in alone] == [
        ("spurious", 0, 0.0123)
    ]  # the prior


def test_uncovered_is_greedy_suppression_across_classes():
    rng = np.random.default_rng(0)
    rows = []
    for picture in range(250):
        for score in -np.sort(-rng.random(6)):
            x = float(rng.integers(0, 30))
            rows.append((picture, int(rng.integers(2)), x, 0, x + 20, 20, float(score)))
    detections = make_detections(rows)
    expected = []
    for picture in range(250):
        kept: list[float] = []
        for x in (row[2] for row in rows if row[0] == picture):
            gaps = [abs(x - other) for other in kept]
            fits = all((20 - gap) / (20 + gap) < 0.5 for gap in gaps)
            expected.append(fits)
            if fits:
                kept.append(x)
    assert uncovered(detections).tolist() == expected


def test_rates_follow_the_frequencies():
    scores = np.repeat([0.1, 0.9], 1000)
    happened = np.arange(2000) % 10 < np.repeat([2, 8], 1000)
    assert rates(scores, happened, np.ones(2000, bool), rising=True)[[0, -1]] == pytest.approx([0.2, 0.8], abs=0.01)
    assert rates(scores, happened, np.ones(2000, bool), rising=False).tolist() == [0.5] * 2000  # it does not fall
    counted = np.arange(2000) < 1000
    assert rates(scores, happened & ~counted, counted, rising=True).tolist() == [0] * 2000


def test_posterior_by_hand():
    """Ten times as likely with a wrong label: odds of 0.0125 x 10; a rate of 0 counts as 0.005."""
    found = posterior(np.array([0.5, 0.4]), np.array([0.05, 0.0]))
    assert found == pytest.approx([0.125 / 1.125, 1 / 2])


def test_density_falls_towards_bad_overlaps():
    overlaps = np.array([0.3, 0.35, *np.full(60, 0.9), *np.full(30, 0.8)])
    density = overlap_density(overlaps, np.linspace(0, 1, len(overlaps)))
    assert density[0] <= density[1] < density[-1] < density[2]


def test_lists_open_again(tmp_path):
    dataset, detections = plant_by_hand()
    for number in range(3):
        Image.new("RGB", (300, 300)).save(tmp_path / f"{number}.jpg")
    dataset = replace(dataset, folder=tmp_path, classes=("cat", "dog, small"))
    errors = find_label_errors(dataset, detections)[:4]
    write_lists(tmp_path, dataset, detections, errors)
    document = json.loads((tmp_path / "label-errors.json").read_text())
    assert [entry["attributes"]["kind"] for entry in document["annotations"]] == [error.kind for error in errors]
    assert [entry["score"] for entry in document["annotations"]] == [round(error.score, 4) for error in errors]
    read = load_dataset(tmp_path / "label-errors.json", images=tmp_path)
    assert sorted(map(str, read.files)) == ["0.jpg", "1.jpg", "2.jpg"]
    assert len(read.boxes) == 4
    at = {error.kind: rank for rank, error in enumerate(errors)}
    mended = document["annotations"][at["shifted"]]
    assert mended["bbox"] == [20, mended["bbox"][1], SIDE, SIDE]  # where the detection is, not the label
    renamed = document["annotations"][at["relabelled"]]
    assert renamed["category_id"] == dataset.category_ids[1 - dataset.labels[0]]
    rows = list(csv.reader((tmp_path / "label-errors.csv").read_text(encoding="utf-8").splitlines()))
    assert tuple(rows[0]) == COLUMNS
    assert [row[1] for row in rows[1:]] == [error.kind for error in errors]
    lines = (tmp_path / "yolo" / "0.txt").read_text().split()
    assert lines[0] == str(1 - dataset.labels[0])
    assert float(lines[5]) == pytest.approx(errors[at["relabelled"]].score, abs=1e-6)
    assert [float(each) * 300 for each in lines[3:5]] == pytest.approx([SIDE, SIDE], abs=0.01)
    assert (tmp_path / "yolo" / "classes.txt").read_text() == "cat\ndog, small\n"


def test_text_says_what_and_where():
    dataset, detections = plant_by_hand()
    errors = find_label_errors(dataset, detections)[:4]
    text = to_text(dataset, detections, errors, most=4)
    head, *lines = text.splitlines()
    assert head == "4 probable label errors in 3 of 60 pictures: 1 missing, 1 shifted, 1 relabelled, 1 spurious"
    names = [dataset.classes[label] for label in (1 - dataset.labels[0], dataset.labels[0])]
    assert any(f"0.jpg: relabelled: {names[1]} at " in line and f"looks like {names[0]} 0.97" in line for line in lines)
    assert any("2.jpg: spurious: nothing finds the cat at (220, 215, 285, 275)" in line for line in lines)


def test_tiles_show_the_place(tmp_path):
    dataset, detections = plant_by_hand()
    for number in range(2):
        Image.new("RGB", (300, 300), "white").save(tmp_path / f"{number}.jpg")
    dataset = replace(dataset, folder=tmp_path)
    errors = find_label_errors(dataset, detections)[:4]
    tiles = list(error_tiles(dataset, detections, errors, side=200))
    assert len(tiles) == 4
    for error, tile in zip(errors, tiles, strict=True):
        pixels = np.asarray(tile).reshape(-1, 3)
        colours = {tuple(each) for each in np.unique(pixels, axis=0).tolist()}
        drawn = bool(colours & {(242, 61, 36), (36, 74, 242)}) or any(max(c) - min(c) > 100 for c in colours)
        assert drawn == (error.picture < 2)  # the file of picture 2 is missing: a grey tile


def test_the_frame_lies_in_the_image_and_holds_the_boxes():
    boxes = [np.array([0, 0, 10, 20], np.float32), np.array([5, 5, 30, 30], np.float32)]
    x1, y1, x2, y2 = frame_around(boxes, (100, 400))
    assert (x1, y1) == (0, 0)
    assert 140 <= x2 <= 400
    assert 35 <= y2 <= 100
    assert frame_around([np.array([-5, -5, 500, 500], np.float32)], (100, 400)) == (0, 0, 400, 100)
