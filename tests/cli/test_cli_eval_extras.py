"""Further metrics of `yolov3 eval`: intervals, chosen rules, slices, counts, curves; and what cannot be measured."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tables import coco_file

from yolo.analysis.curves import class_curves
from yolo.cli.main import main
from yolo.evaluation.intervals import bootstrap_intervals
from yolo.evaluation.matching import match
from yolo.evaluation.results import read_results


@pytest.fixture(scope="module")
def official(shared):
    folder = shared / "data/cocoeval"
    return folder / "instances_val2014_fakebbox100_results.json", folder / "instances_val2014_100.json"


def measure(capsys, official, *options: str) -> dict[str, Any]:
    results, truth = map(str, official)
    assert main(["eval", "--detections", results, truth, "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_intervals_are_printed_by_default_and_repeat(official, capsys):
    dataset = coco_file(official[1])
    matches = match(dataset, read_results(official[0], dataset))
    found = measure(capsys, official)["intervals"]
    wanted = bootstrap_intervals(matches)
    assert (found["level"], found["resamples"]) == (0.95, 1000)
    assert found["AP"] == pytest.approx(wanted.ap)
    other = measure(capsys, official, "--resamples", "40", "--seed", "5")["intervals"]
    assert other["AP50"] == pytest.approx(bootstrap_intervals(matches, resamples=40, seed=5).ap50)
    assert "intervals" not in measure(capsys, official, "--resamples", "0")


def test_everything_on_request(official, tmp_path, capsys):
    options = ["--ious", "0.5,0.75", "--areas", "0,1024,9216", "--max-dets", "10", "--slices", "--counts", "best"]
    found = measure(capsys, official, *options, "--resamples", "0", "--out", str(tmp_path / "e"))
    rows = found["chosen"]["rows"]  # a little below AP50 and AP75, which look at more detections
    assert rows[0]["by_iou"] == pytest.approx([found["coco"]["AP50"], found["coco"]["AP75"]], abs=5e-3)
    assert found["chosen"]["max_dets"] == 10
    assert [row["area"] for row in rows][1:] == ["0-1024", "1024-9216", "9216 and more"]
    assert [row["AP"] for row in found["slices"]["rows"][:3]] == pytest.approx(
        [found["coco"][key] for key in ("APs", "APm", "APl")]
    )
    person = found["counts"]["rows"][0]
    assert (person["class"], person["right"] + person["missed"]) == ("person", 250)
    assert json.loads((tmp_path / "e/metrics.json").read_text()) == found


def test_counts_at_one_score_and_their_table(official, capsys):
    results, truth = map(str, official)
    words = ["eval", "--detections", results, truth, "--resamples", "0"]
    assert main([*words, "--counts", "0.5", "--slices", "--ious", "0.3"]) == 0
    text = capsys.readouterr().out
    assert "counts at the score of each class, IoU 0.5" in text
    assert "recall and false positives a picture at a score of 0.5, IoU 0.5" in text
    assert "AP and AR over 1 IoUs" in text
    line = next(line for line in text.splitlines() if line.startswith("person") and "0.500" in line)
    assert line.split()[1] == "0.500"


def test_curves_are_written(official, tmp_path, capsys):
    measure(capsys, official, "--out", str(tmp_path / "e"), "--resamples", "0")
    found = json.loads((tmp_path / "e/curves.json").read_text())
    dataset = coco_file(official[1])
    whole = class_curves(match(dataset, read_results(official[0], dataset)))
    assert [each["name"] for each in found["curves"]] == ["all classes", *dataset.classes]
    assert found["curves"][1]["true_count"] == whole[0].true_count
    assert found["curves"][1]["right"][-1] == whole[0].right[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resamples", "-1"], "--resamples must be >= 0, got -1"),
        (["--seed", "-1"], "--seed must be >= 0, got -1"),
        (["--ious", "0.5,high"], "ious 0.5,high: expected numbers separated by commas"),
        (["--ious", "2"], "--ious must be in (0, 1], got [2.0]"),
        (["--areas", "9,4"], "--areas must be borders that rise from 0 or more, got [9.0, 4.0]"),
        (["--max-dets", "0"], "--max-dets must be >= 1, got 0"),
        (["--counts", "1.5"], "--counts must be a score in 0..1, or best, got 1.5"),
        (["--counts", "0.1,0.2"], "--counts must be a score in 0..1, or best, got 0.1,0.2"),
        (["--counts", "worst"], "counts worst: expected numbers"),
    ],
)
def test_wrong_options_of_metrics(official, capsys, options, message):
    results, truth = map(str, official)
    assert main(["eval", "--detections", results, truth, *options]) == 2
    streams = capsys.readouterr()
    assert (streams.out, len(streams.err.splitlines())) == ("", 1)
    assert message in streams.err


def test_nothing_detected_and_nothing_to_detect(official, tmp_path, capsys):
    (tmp_path / "empty.json").write_text("[]")
    source = json.loads(official[1].read_text())
    (tmp_path / "bare.json").write_text(json.dumps({**source, "annotations": []}))
    assert main(["eval", "--detections", str(tmp_path / "empty.json"), str(official[1])]) == 2
    assert "empty.json: an empty list: it holds no detections to measure" in capsys.readouterr().err
    assert main(["eval", "--detections", str(official[0]), str(tmp_path / "bare.json")]) == 2
    error = capsys.readouterr().err
    assert "no true boxes in 100 pictures: neither precision over recall nor recall can be measured" in error
    assert len(error.splitlines()) == 1
