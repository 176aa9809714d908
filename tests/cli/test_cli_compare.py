"""`yolov3 compare`: evaluations and runs side by side."""

from __future__ import annotations

import json

import pytest
from test_cli_report import write_set

from yolo.cli.compare import flattened
from yolo.cli.main import main


@pytest.fixture
def two(tmp_path):
    """Evaluations of the same pictures: exact boxes, and boxes so far off that IoU is below 0.5."""
    truth, results = write_set(tmp_path / "set")
    _, others = write_set(tmp_path / "off", shift=20)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, found in zip(folders, (results, others), strict=True):
        words = ["eval", "--detections", str(found), str(truth), "--out", str(folder), "--resamples", "50"]
        assert main([*words, "--no-report"]) == 0
    return folders


def test_the_same_pictures_are_compared_in_pairs(tmp_path, capsys):
    truth, results = write_set(tmp_path / "set")
    _, others = write_set(tmp_path / "off", shift=20)
    for name, found in (("a", results), ("b", others)):
        words = ["eval", "--detections", str(found), str(truth), "--out", str(tmp_path / name), "--resamples", "50"]
        assert main(words) == 0
    capsys.readouterr()
    words = ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--resamples", "50"]
    assert main([*words, "--json", "--out", str(tmp_path / "c.html")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["metrics"]["coco"]["AP50"] for each in found["runs"]] == pytest.approx([76 / 101, 0])
    paired = found["paired"][0]["AP50"]
    assert paired["difference"] == pytest.approx(-76 / 101)
    assert paired["interval"][1] < 0
    assert "is better than" in (tmp_path / "c.html").read_text(encoding="utf-8")
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert any(line.split()[:2] == ["AP50", f"{-76 / 101:+.4f}"] for line in lines)


def test_other_pictures_are_not_paired(tmp_path, capsys, caplog):
    for name in ("a", "b"):
        truth, results = write_set(tmp_path / f"set-{name}")
        if name == "b":
            source = json.loads(truth.read_text())
            source["images"] = source["images"][:3]
            source["annotations"] = source["annotations"][:3]
            truth.write_text(json.dumps(source))
        assert main(["eval", "--detections", str(results), str(truth), "--out", str(tmp_path / name)]) == 0
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["paired"] == []
    assert "measured on different pictures" in caplog.text


def test_an_existing_page_is_kept(two, tmp_path, capsys):
    (tmp_path / "c.html").write_text("mine")
    words = ["compare", *map(str, two), "--out", str(tmp_path / "c.html")]
    assert main(words) == 2
    assert "exists; give another --out, or --force" in capsys.readouterr().err
    assert (tmp_path / "c.html").read_text() == "mine"
    assert main([*words, "--force"]) == 0
    assert "Comparison of 2 runs" in (tmp_path / "c.html").read_text(encoding="utf-8")


def test_one_run_is_too_few(two, capsys):
    assert main(["compare", str(two[0])]) == 2
    assert "runs must be two or more folders" in capsys.readouterr().err


def test_options_of_groups_have_whole_names():
    values = {"epochs": 3, "augment": {"flip": 0.5, "no_flip": []}, "anchors": None, "loss": {}}
    expected = [
        ("epochs", "3"),
        ("augment.flip", "0.5"),
        ("augment.no_flip", "[]"),
        ("anchors", "none"),
        ("loss", "{}"),
    ]
    assert flattened(values) == expected
