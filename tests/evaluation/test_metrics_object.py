"""The metrics object: plain data with attributes, tables and intervals."""

from __future__ import annotations

import copy
import json
import sys

import numpy as np
import pytest
from tables import make_dataset, make_detections

from yolo.errors import ConfigError
from yolo.evaluation.intervals import bootstrap_intervals
from yolo.evaluation.matching import match
from yolo.evaluation.metrics import Metrics, compute_metrics
from yolo.files.atomic import to_json


@pytest.fixture
def case():
    """Forty cats, every second one found; no dogs."""
    truth = [(at, 0, 0, 0, 10, 10, False) for at in range(40)]
    found = [(at, 0, 0, 0, 10, 10, 0.9) for at in range(0, 40, 2)]
    return make_dataset(truth, pictures=40), make_detections(found)


@pytest.fixture
def measured(case):
    return compute_metrics(*case, resamples=60, seed=3)


def test_attributes_are_the_plain_data(measured):
    assert measured.ap == measured["coco"]["AP"] == pytest.approx(51 / 101)
    assert measured.ap50 == measured.coco["AP50"]
    assert (measured.voc12, measured.voc07) == (0.5, measured["voc07"]["mAP"])
    assert measured.images == 40
    assert measured.classes["cat"].ap == measured["classes"]["cat"]["AP"]
    assert measured.classes["cat"].instances == 40
    assert np.isnan(measured.classes["dog"].ap)
    assert isinstance(measured, dict)


def test_intervals_are_those_of_the_bootstrap(case, measured):
    wanted = bootstrap_intervals(match(*case), resamples=60, seed=3)
    found = measured.intervals
    assert (found.level, found.resamples, found.ap, found.ap50) == (0.95, 60, wanted.ap, wanted.ap50)
    assert measured.classes["cat"].ap_interval == wanted.class_ap[0]
    assert np.isnan(measured.classes["dog"].ap50_interval).all()


def test_without_resamples_the_data_are_as_ever(case):
    metrics = compute_metrics(*case)
    assert list(metrics) == ["coco", "voc07", "voc12", "classes", "images"]
    assert metrics.intervals is None
    assert metrics.classes["cat"].ap_interval is None


def test_metrics_read_from_json_are_the_same(measured):
    """NaN is null there."""
    back = Metrics(json.loads(to_json(measured)))
    assert str(back) == str(measured)
    assert back.intervals.ap == measured.intervals.ap
    assert np.isnan(back.coco["APl"])
    assert np.isnan(back.classes["dog"].ap50)
    assert to_json(copy.deepcopy(measured)) == to_json(measured)


def test_table_in_text(measured):
    lines = str(measured).splitlines()
    assert lines[0] == "40 pictures; 95 % intervals of 60 resamples of them"
    assert lines[2].split()[:2] == ["AP", "0.5050"]
    low, high = measured.intervals.ap
    assert lines[2].split()[2] == f"{low:.3f}-{high:.3f}"
    assert lines[-1].split() == ["dog", "-", "-", "-", "-", "0"]
    assert repr(measured) == "<Metrics: AP 0.5050, AP50 0.5050 on 40 images>"


def test_table_in_a_notebook():
    named = make_dataset([(0, 0, 0, 0, 9, 9, False)], pictures=1, classes=("<b>",))
    page = compute_metrics(named, make_detections([]))._repr_html_()
    assert "<td>&lt;b&gt;</td><td>0.0000</td>" in page
    assert page.count("<table>") == page.count("</table>") == 2
    assert "<p>1 picture</p>" in page


def test_to_pandas_needs_pandas(measured, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match=r"to_pandas needs pandas .*; pip install pandas"):
        measured.to_pandas()


def test_to_pandas(measured):
    pytest.importorskip("pandas")
    frame = measured.to_pandas()
    assert frame.index.tolist() == ["cat", "dog"]
    columns = ["AP", "AP50", "instances", "AP low", "AP high", "AP50 low", "AP50 high"]
    assert list(frame) == columns
    assert frame.loc["cat", "AP"] == measured.classes["cat"].ap
    assert frame.loc["cat", "AP high"] == measured.intervals.class_ap[0].high
    assert np.isnan(frame.loc["dog", "AP50"])
