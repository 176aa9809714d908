"""Comparisons of runs: options that differ, differences, and what they are worth."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from yolo.evaluation.comparison import Comparison, Difference
from yolo.evaluation.intervals import Interval
from yolo.evaluation.metrics import Metrics
from yolo.report.comparison import Runs, Side, curve_figures, metric_lines, render_comparison, to_text, verdict

METRICS = {
    "coco": {"AP": 0.2, "AP50": 0.4, "AP75": None},
    "voc07": {"mAP": 0.4},
    "voc12": {"mAP": 0.4},
    "classes": {"<cat>": {"AP": 0.2, "AP50": 0.4, "instances": 3}},
    "images": 7,
}


def compared(low, high, difference=0.1):
    each = Difference(0.4, 0.4 + difference, Interval(low, high), 0.03)
    return Comparison(("<cat>",), 7, 0.95, 1000, each, each, (each,), (each,), ())


def two(**options):
    a = Side(name="runs/a", metrics=Metrics(METRICS), history={"epoch": [1, 2], "AP50": [0.1, 0.4]}, options={"x": "1"})
    b = Side(name="runs/b", metrics=Metrics(METRICS), options={"x": "2", "y": "<b>"})
    return Runs([a, b], **options)


def test_options_that_differ():
    assert two().differing() == {"x": ["1", "2"], "y": ["-", "<b>"]}
    same = Side(name="c", metrics=Metrics(METRICS), options={"x": "1"})
    assert Runs([same, same]).differing() == {}
    assert to_text(Runs([same, same])).endswith("no options differ")


def test_the_text_has_a_column_for_each_run():
    lines = to_text(two(paired={1: compared(0.02, 0.18)})).splitlines()
    assert lines[0].split() == ["runs/a", "runs/b"]
    assert lines[1].split() == ["AP", "0.2000", "0.2000"]
    assert ["AP75", "-", "-"] in [line.split() for line in lines]
    assert ["AP50", "+0.1000", "+0.020", "to", "+0.180", "0.030"] in [line.split() for line in lines]
    assert ["x", "1", "2"] in [line.split() for line in lines]


@pytest.mark.parametrize(
    ("low", "high", "difference", "expected"),
    [
        (0.02, 0.18, 0.1, "b is better than a"),
        (-0.18, -0.02, -0.1, "a is better than b"),
        (-0.02, 0.18, 0.1, "b and a cannot be told apart"),
        (math.nan, math.nan, math.nan, "cannot be compared"),
    ],
)
def test_verdicts(low, high, difference, expected):
    assert expected in verdict("a", "b", compared(low, high, difference))


def test_the_page_escapes_and_leaves_out():
    page = render_comparison(two(paired={1: compared(0.02, 0.18)}))
    assert "<cat>" not in page
    assert "<b>" not in page
    assert "&lt;cat&gt;" in page
    assert 'id="differences"' in page
    assert 'id="differences"' not in render_comparison(two())


def test_runs_that_are_not_compared_are_said_to_be_so():
    said = "runs/b is not compared with runs/a by picture: their metrics may differ because the pictures do."
    assert said in to_text(two())
    assert said in render_comparison(two())
    both = two(paired={1: compared(0.02, 0.18)})
    assert "is not compared" not in to_text(both) + render_comparison(both)


def test_an_evaluation_has_no_epochs():
    trained, evaluated = two().sides[0], replace(two().sides[1], history={})
    rows = {row[0]: row[1:] for row in metric_lines([trained, evaluated])}
    assert rows["epochs"] == ["2", "-"]


def test_the_only_run_with_curves_has_its_name_beside_them():
    (found,) = curve_figures(two().sides)
    assert found.legend == (("c0", "runs/a"),)


def test_plain_data():
    plain = two(paired={1: compared(0.02, 0.18)}).to_dict()
    assert [each["name"] for each in plain["runs"]] == ["runs/a", "runs/b"]
    assert plain["runs"][0]["epochs"] == 2
    assert plain["paired"][0]["AP50"]["difference"] == pytest.approx(0.1)
    assert plain["paired"][0]["b"] == "runs/b"
