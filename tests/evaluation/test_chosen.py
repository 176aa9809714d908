"""Metrics by chosen rules are pycocotools' with those parameters."""

from __future__ import annotations

import numpy as np
import pytest
from tables import coco_file, make_dataset, make_detections

from yolo.errors import ConfigError
from yolo.evaluation.chosen import Rules, measure_by
from yolo.evaluation.coco import coco_metrics
from yolo.evaluation.results import read_results


@pytest.fixture(scope="module")
def official(shared):
    folder = shared / "data/cocoeval"
    dataset = coco_file(folder / "instances_val2014_100.json")
    return dataset, read_results(folder / "instances_val2014_fakebbox100_results.json", dataset)


def test_usual_rules_give_the_usual_figures(official):
    rows = measure_by(*official, Rules(areas=(0, 1024, 9216)))["rows"]
    usual = coco_metrics(*official)
    assert [row["area"] for row in rows] == ["all", "0-1024", "1024-9216", "9216 and more"]
    wanted = [usual.summary[name] for name in ("AP", "APs", "APm", "APl")]
    assert [row["AP"] for row in rows] == pytest.approx(wanted, abs=1e-9)
    assert rows[0]["AR"] == pytest.approx(usual.summary["AR100"], abs=1e-9)
    assert rows[0]["by_iou"][0] == pytest.approx(usual.summary["AP50"], abs=1e-9)
    assert list(rows[0]["classes"].values()) == pytest.approx(usual.ap.tolist(), abs=1e-9, nan_ok=True)
    assert sum(row["instances"] for row in rows[1:]) == rows[0]["instances"]


def test_fewer_detections_give_the_recall_of_fewer(official):
    usual = coco_metrics(*official).summary
    for most in (1, 10):
        row = measure_by(*official, Rules(max_detections=most))["rows"][0]
        assert row["AR"] == pytest.approx(usual[f"AR{most}"], abs=1e-9)


def test_other_ious_by_hand():
    """Boxes of IoU 0.6 and 0.3, of two true ones."""
    dataset = make_dataset([(0, 0, 0, 0, 10, 10, False), (0, 0, 20, 0, 30, 10, False)], pictures=1)
    found = make_detections([(0, 0, 0, 0, 10, 6, 0.9), (0, 0, 20, 0, 30, 3, 0.8)])
    measured = measure_by(dataset, found, Rules(ious=(0.25, 0.5, 0.75)))
    (row,) = measured["rows"]
    assert row["by_iou"] == pytest.approx([1, 51 / 101, 0])
    assert row["AR"] == pytest.approx(0.5)
    assert np.isnan(row["classes"]["dog"])
    assert (measured["ious"], measured["max_dets"]) == ([0.25, 0.5, 0.75], 100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ious": (0.5, 1.5)}, r"ious must be in \(0, 1\]"),
        ({"ious": ()}, "ious must be"),
        ({"max_detections": 0}, "max_dets must be >= 1"),
        ({"areas": (1024, 0)}, "areas must be borders that rise"),
        ({"areas": (-1, 5)}, "areas must be borders that rise"),
    ],
)
def test_rules_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        Rules(**options)
