"""The whole analysis of a few detections: its parts agree with each other."""

from __future__ import annotations

import numpy as np
import pytest
from report_cases import NOTHING, three_pictures

from yolo.analysis.analysis import FALLBACK, analyse
from yolo.evaluation.results import DetectionColumns


def test_all_parts_count_the_same(tmp_path):
    analysis = analyse(*three_pictures(tmp_path), resamples=20)
    # F1 by falling score: 2/5, 2/6, 4/7, 4/8, 6/9 = 2/3 at 0.4, then 6/10.
    assert analysis.threshold == 0.4
    assert (analysis.pictures.right.sum(), analysis.pictures.wrong.sum()) == (3, 2)
    assert [(each.right, each.wrong, each.missed) for each in analysis.counts] == [(2, 1, 0), (1, 1, 1)]
    assert np.diag(analysis.confusion.counts).tolist() == [2, 1, 0]
    assert analysis.metrics.images == 3
    low, high = analysis.metrics["intervals"]["AP50"]
    assert low <= analysis.metrics.ap50 <= high
    assert set(analysis.thresholds) == set(analysis.dataset.classes)
    assert sum(row.count for row in analysis.errors.rows) >= 3


def test_a_threshold_of_whole_hundredths(tmp_path):
    dataset, found = three_pictures(tmp_path)
    kept = found.scores > 0.41
    best = DetectionColumns(found.pictures[kept], found.labels[kept], found.scores[kept], found.boxes[kept])
    assert analyse(dataset, best, resamples=0).threshold == 0.61  # of 0.615, which 0.62 would lose


def test_calibration_of_the_detections_in_use(tmp_path):
    """Of the scores 0.9, 0.8, ... those from the threshold up have the error that they have by hand."""
    analysis = analyse(*three_pictures(tmp_path), resamples=0)
    matches, at = analysis.matches, analysis.threshold
    kept = (matches.scores >= at) & (matches.true_counts > 0)[matches.labels]
    bins = np.ceil(matches.scores[kept] * 25)
    right = matches.right[0][kept]
    gaps = [abs((matches.scores[kept] - right)[bins == each].sum()) for each in np.unique(bins)]
    assert kept.sum() < len(matches)
    assert analysis.reliability_in_use.counts.sum() == kept.sum()
    assert analysis.reliability_in_use.ece == pytest.approx(sum(gaps) / kept.sum())


def test_metrics_that_are_known_are_kept(tmp_path):
    dataset, found = three_pictures(tmp_path)
    known = {**analyse(dataset, found, resamples=0).metrics, "images": 7}
    assert analyse(dataset, found, metrics=known, resamples=0).metrics.images == 7
    assert "intervals" not in known
    assert "intervals" in analyse(dataset, found, metrics=known, resamples=5).metrics


def test_without_detections(tmp_path):
    analysis = analyse(three_pictures(tmp_path)[0], NOTHING, resamples=5)
    assert analysis.threshold == FALLBACK
    assert analysis.pictures.missed.tolist() == [2, 2, 0]
    assert analysis.metrics.ap50 == pytest.approx(0)
