"""Paired comparison: the same resamples for both, p-values, and the pictures that differ most."""

from __future__ import annotations

import json
from statistics import NormalDist

import hotcoco
import numpy as np
import pytest
from tables import coco_file, make_dataset, make_detections

from yolo.errors import ConfigError
from yolo.evaluation.comparison import compare_detections, difference_of, p_value
from yolo.evaluation.intervals import interval_of
from yolo.evaluation.matching import match
from yolo.evaluation.resampling import resample
from yolo.evaluation.results import read_results

NORMAL = NormalDist()
CAT = (0, 0, 10, 10)


def cats(pictures):
    """One cat a picture."""
    return make_dataset([(at, 0, *CAT, False) for at in range(pictures)], pictures=pictures)


def found(pictures):
    return make_detections([(at, 0, *CAT, 0.9) for at in pictures])


def test_the_same_detections_do_not_differ():
    same = compare_detections(cats(20), found(range(12)), found(range(12)), resamples=50)
    assert same.ap.difference == 0
    assert same.ap.interval == (0, 0)
    assert same.ap.p == same.class_ap[0].p == 1
    assert same.pictures == ()


def test_what_is_hard_for_both_does_not_widen_the_interval():
    """A finds half of the cats, B the same ones and one in ten more: of the difference, 0.1 of 400 pictures decide."""
    a = [at for at in range(400) if at % 10 < 5]
    b = [at for at in range(400) if at % 10 < 6]
    compared = compare_detections(cats(400), found(a), found(b), resamples=500, seed=2)
    deviation = np.sqrt(0.1 * 0.9 / 400)
    assert compared.ap50.a == pytest.approx(0.5, abs=0.01)
    assert compared.ap50.difference == pytest.approx(0.1, abs=0.011)  # recall is sampled in steps of 1/101
    low, high = compared.ap50.interval
    assert (high - low) / (2 * 1.96) == pytest.approx(deviation, rel=0.2)
    assert compared.ap50.p == pytest.approx(1 / 501)
    assert np.isnan(compared.class_ap[1].p)  # no dog anywhere


def test_p_is_that_of_a_normal_difference():
    """Differences around 1 with deviation 0.5: two deviations from 0."""
    draws = np.array([NORMAL.inv_cdf((at + 0.5) / 4000) for at in range(4000)]) / 2 + 1
    assert p_value(draws, 1.0, pictures=10**6) == pytest.approx(2 * NORMAL.cdf(-2), rel=0.02)
    assert p_value(-draws, -1.0, pictures=10**6) == pytest.approx(2 * NORMAL.cdf(-2), rel=0.02)
    assert p_value(draws, 1.0, pictures=5) == pytest.approx(0.1475, abs=2e-3)  # t with 4 degrees: 2 / sqrt(5/4)


@pytest.mark.parametrize(("shift", "pictures"), [(0.8, 40), (1.1, 12), (0.3, 1000)])
def test_p_is_the_level_whose_interval_ends_at_no_difference(shift, pictures):
    draws = np.random.default_rng(0).normal(shift, 0.5, 4000) + 0.02
    p = p_value(draws, shift, pictures=pictures)
    low, high = interval_of(draws, shift, pictures=pictures, level=1 - p)
    assert 0.003 < p < 1
    assert low == pytest.approx(0, abs=0.02)
    assert high > 0.1


def test_swapping_turns_the_signs():
    a, b = found(range(0, 30, 2)), found(range(0, 30, 3))
    there, back = (compare_detections(cats(30), *each, resamples=99) for each in ((a, b), (b, a)))
    assert there.ap.difference == -back.ap.difference
    assert there.ap.interval == pytest.approx([-end for end in reversed(back.ap.interval)], abs=1e-12)
    assert there.ap.p == pytest.approx(back.ap.p)
    assert [each.difference for each in there.pictures] == [-each.difference for each in back.pictures]


def test_pictures_that_differ_are_listed_largest_first():
    a = make_detections([(0, 0, *CAT, 0.9), (1, 0, 0, 0, 10, 6, 0.9), (2, 0, *CAT, 0.9)])
    b = make_detections([(1, 0, *CAT, 0.9), (2, 0, *CAT, 0.1)])
    listed = compare_detections(cats(3), a, b, resamples=5).pictures
    # IoU 0.6 is enough for three of the ten thresholds.
    assert [(each.picture, each.a, each.b) for each in listed] == [(0, 1, 0), (1, pytest.approx(0.3), 1)]
    assert len(compare_detections(cats(3), a, b, resamples=5, listed=1).pictures) == 1


def test_plain_data_of_a_comparison():
    data = compare_detections(cats(3), found([0]), found([0, 1]), resamples=9).to_dict({1: "one.jpg"})
    assert list(data) == ["images", "level", "resamples", "AP", "AP50", "classes", "pictures"]
    assert list(data["AP"]) == ["a", "b", "difference", "interval", "p"]
    assert data["pictures"] == [{"picture": "one.jpg", "a": 0, "b": 1, "difference": 1}]
    assert list(data["classes"]) == ["cat", "dog"]


def test_differences_vary_as_in_hotcocos_comparison(shared, tmp_path):
    """On COCO's own example, against the example with boxes left out and moved; deviations of 1,000 resamples."""
    folder = shared / "data/cocoeval"
    truth, results = folder / "instances_val2014_100.json", folder / "instances_val2014_fakebbox100_results.json"
    rng = np.random.default_rng(0)
    other = [entry for entry in json.loads(results.read_text()) if rng.random() < 0.95]
    for entry in other:
        entry["bbox"][0] += entry["bbox"][2] * rng.uniform(0, 0.1)
    (tmp_path / "other.json").write_text(json.dumps(other))
    source = hotcoco.COCO(str(truth))
    both = [hotcoco.COCOeval(source, source.loadRes(str(path)), "bbox") for path in (results, tmp_path / "other.json")]
    for evaluation in both:
        evaluation.evaluate()
    wanted = hotcoco.compare(*both, n_bootstrap=1000, seed=1)
    dataset = coco_file(truth)
    matches = [match(dataset, read_results(path, dataset)) for path in (results, tmp_path / "other.json")]
    a, b = (resample(each, resamples=1000, seed=1) for each in matches)
    for key, values in (("AP", b.ap - a.ap), ("AP50", b.ap50 - a.ap50)):
        assert values.std() == pytest.approx(wanted["ci"][key]["std_err"], rel=0.12)
        ends = (wanted["ci"][key]["lower"], wanted["ci"][key]["upper"])
        assert np.quantile(values, [0.025, 0.975]) == pytest.approx(ends, abs=0.3 * values.std())


def test_resamples_out_of_range():
    with pytest.raises(ConfigError, match="resamples must be"):
        compare_detections(cats(2), found([0]), found([1]), resamples=0)
    assert np.isnan(difference_of(0.1, 0.2, np.array([0.1]), pictures=1, level=0.95).p)
