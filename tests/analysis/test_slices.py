"""Slices by size are COCO's, those by crowding by hand."""

from __future__ import annotations

import numpy as np
import pytest
from detection_cases import random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import coco_file, make_dataset, make_detections

from yolo.analysis.slices import neighbour_overlaps, slices
from yolo.evaluation.coco import coco_metrics
from yolo.evaluation.results import read_results
from yolo.ops.boxes import pairwise_iou


def test_sizes_are_cocos(shared):
    folder = shared / "data/cocoeval"
    dataset = coco_file(folder / "instances_val2014_100.json")
    detections = read_results(folder / "instances_val2014_fakebbox100_results.json", dataset)
    summary = coco_metrics(dataset, detections).summary
    found = slices(dataset, detections)
    assert [each.ap for each in found[:3]] == pytest.approx([summary[key] for key in ("APs", "APm", "APl")], abs=1e-9)
    counted = int((~dataset.ignore).sum())
    assert sum(each.instances for each in found[:3]) == sum(each.instances for each in found[3:]) == counted


def test_crowding_by_hand():
    """A lone cat that is found; two dogs, IoU 1/3, of which one is found, and a wrong detection beside each picture."""
    truth = [(0, 0, 0, 0, 10, 10, False), (1, 1, 0, 0, 10, 10, False), (1, 1, 5, 0, 15, 10, False)]
    found = [(0, 0, 0, 0, 10, 10, 0.9), (1, 1, 0, 0, 10, 10, 0.8)]
    found += [(1, 1, 50, 50, 60, 60, 0.7), (1, 1, 70, 50, 80, 60, 0.1), (2, 0, 50, 50, 60, 60, 0.7)]
    alone, touched, crowded = slices(make_dataset(truth, pictures=3), make_detections(found), conf=0.5)[3:]
    assert (alone.kind, alone.name, alone.images, alone.instances) == ("crowding", "alone", 1, 1)
    assert (alone.ap, alone.recall, alone.false_positives_per_image) == (pytest.approx(1), 1, 0)
    assert (touched.images, touched.instances) == (0, 0)
    assert np.isnan([touched.ap, touched.recall, touched.false_positives_per_image]).all()
    assert (crowded.images, crowded.instances, crowded.recall) == (1, 2, 0.5)
    assert crowded.ap50 == pytest.approx(51 / 101)
    assert crowded.false_positives_per_image == 1  # the other one is below the score


def test_boxes_of_other_slices_count_neither_way():
    """A touched box that is found is no wrong detection among the lone ones of its picture."""
    truth = [(0, 0, 0, 0, 10, 10, False), (0, 0, 9, 0, 19, 10, False), (0, 0, 50, 0, 60, 10, False)]
    found = [(0, 0, 0, 0, 10, 10, 0.9), (0, 0, 9, 0, 19, 10, 0.8), (0, 0, 50, 0, 60, 10, 0.7)]
    alone, touched, _ = slices(make_dataset(truth, pictures=1), make_detections(found))[3:]
    assert alone.ap == touched.ap == pytest.approx(1)
    assert (alone.instances, touched.instances) == (1, 2)
    assert alone.false_positives_per_image == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**9))
def test_neighbours_are_those_of_plain_loops(seed):
    dataset, _ = random_case(seed)
    overlaps = np.array(pairwise_iou(dataset.boxes, dataset.boxes), float)
    allowed = (dataset.box_pictures[:, None] == dataset.box_pictures) & ~dataset.ignore
    allowed &= ~np.eye(len(dataset.boxes), dtype=bool)
    wanted = np.where(allowed, overlaps, 0).max(axis=1, initial=0)
    assert neighbour_overlaps(dataset) == pytest.approx(wanted, abs=1e-5)
