"""`yolov3 report` and the reports that train and eval write."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from cfg_texts import two_scales

from yolo.cli.main import main
from yolo.datasets.digits import make_digits


def write_set(folder: Path, *, shift: int = 0) -> tuple[Path, Path]:
    """COCO file of one class with four pictures, and results that find three of the four boxes, ``shift`` px off."""
    folder.mkdir(parents=True)
    images, annotations, results = [], [], []
    for number in range(1, 5):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((90, 120, 3), 40 * number, np.uint8))
        images.append({"id": number, "file_name": f"{number}.png", "height": 90, "width": 120})
        box = [10 * number, 10, 40, 50]
        annotations.append(
            {"id": number, "image_id": number, "category_id": 7, "iscrowd": 0, "area": 2000, "bbox": box}
        )
        moved = [box[0] + shift, *box[1:]]
        if number < 4:
            results.append({"image_id": number, "category_id": 7, "score": 0.5 + number / 10, "bbox": moved})
    truth = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "thing"}]}
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "results.json").write_text(json.dumps(results))
    return folder / "truth.json", folder / "results.json"


@pytest.fixture
def evaluated(tmp_path):
    """Folder of `eval --detections ... --out`."""
    truth, results = write_set(tmp_path / "set")
    assert main(["eval", "--detections", str(results), str(truth), "--out", str(tmp_path / "e")]) == 0
    return tmp_path / "e"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Folder of a short run on twelve pictures, of which one is held out."""
    folder = tmp_path_factory.mktemp("run")
    data = make_digits(folder / "digits", train=12, val=4, size=64, seed=3)
    (folder / "net.cfg").write_text(two_scales(side=64))
    words = ["--model", str(folder / "net.cfg"), "--size", "64", "--batch", "3", "--epochs", "1"]
    assert main(["train", str(data), *words, "--out", str(folder / "run"), "--json"]) == 0
    keras.config.set_dtype_policy("float32")
    return folder / "run"


def test_eval_writes_a_report(evaluated, capsys):
    page = (evaluated / "report.html").read_text(encoding="utf-8")
    assert "results on truth" in page
    assert 'id="pictures"' in page
    assert json.loads((evaluated / "about.json").read_text())["eval"]["detections"].endswith("results.json")
    (evaluated / "report.html").unlink()
    capsys.readouterr()
    assert main(["report", str(evaluated), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": str(evaluated / "report.html")}
    assert 'id="pictures"' in (evaluated / "report.html").read_text(encoding="utf-8")


def test_a_report_that_nobody_wants(tmp_path):
    truth, results = write_set(tmp_path / "set")
    words = ["eval", "--detections", str(results), str(truth), "--out", str(tmp_path / "e"), "--no-report"]
    assert main(words) == 0
    assert not (tmp_path / "e" / "report.html").exists()
    assert (tmp_path / "e" / "metrics.json").exists()


def test_pictures_that_are_not_there_leave_a_report_without_them(tmp_path):
    truth, results = write_set(tmp_path / "set")
    for path in (tmp_path / "set").glob("*.png"):
        path.unlink()
    assert main(["eval", "--detections", str(results), str(truth), "--out", str(tmp_path / "e")]) == 0
    page = (tmp_path / "e" / "report.html").read_text(encoding="utf-8")
    assert 'id="pictures"' not in page
    assert 'id="curves"' in page


def test_a_fault_of_the_page_does_not_lose_the_metrics(tmp_path, monkeypatch, caplog, capsys):
    def broken(*_):
        raise RuntimeError("no page today")

    monkeypatch.setattr("yolo.cli.eval_report.write_report", broken)
    truth, results = write_set(tmp_path / "set")
    assert main(["eval", "--detections", str(results), str(truth), "--out", str(tmp_path / "e"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 4
    assert "the report could not be made (no page today)" in caplog.text


def test_training_writes_a_report(run, capsys):
    page = (run / "report.html").read_text(encoding="utf-8")
    for section in ("pictures", "learning", "data", "about"):
        assert f'id="{section}"' in page
    capsys.readouterr()
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out.strip() == str(run / "report.html")
    again = (run / "report.html").read_text(encoding="utf-8")
    assert again == page


def test_a_run_without_detections_is_evaluated_once_more(run, caplog):
    before = json.loads((run / "results.json").read_text())
    (run / "results.json").unlink()
    with caplog.at_level(logging.INFO):
        assert main(["report", str(run)]) == 0
    assert "evaluating once more" in caplog.text
    after = json.loads((run / "results.json").read_text())
    assert len(after) == len(before)
    assert [each["score"] for each in after] == pytest.approx([each["score"] for each in before], abs=1e-3)


def test_a_run_whose_data_are_gone_has_a_report_without_pictures(run, tmp_path, caplog):
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in run.iterdir():
        if path.is_file():
            (moved / path.name).write_bytes(path.read_bytes())
    (moved / "data.json").unlink()
    assert main(["report", str(moved)]) == 0
    assert "without pictures" in caplog.text
    page = (moved / "report.html").read_text(encoding="utf-8")
    assert 'id="learning"' in page
    assert 'id="pictures"' not in page


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (None, "no such folder; give the folder of a run"),
        ({}, "holds no metrics.json; give the folder of a run"),
        ({"history.csv": "epoch"}, "holds no metrics.json; train on, or evaluate its model"),
        ({"metrics.json": "{"}, "metrics.json: not the metrics of an evaluation"),
        ({"metrics.json": "[]"}, "metrics.json: not the metrics of an evaluation"),
        ({"metrics.json": '{"coco": {}}'}, "metrics.json: not the metrics of an evaluation"),
    ],
)
@pytest.mark.parametrize("command", ["report", "compare"])
def test_folders_of_nothing(made, message, command, evaluated, capsys):
    folder = evaluated.parent / "other"
    if made is not None:
        folder.mkdir()
        for name, text in made.items():
            (folder / name).write_text(text)
    words = [str(folder)] if command == "report" else [str(evaluated), str(folder)]
    capsys.readouterr()
    assert main([command, *words]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert message in streams.err
    assert len(streams.err.splitlines()) == 1
    assert not (folder / "report.html").exists()


def test_data_that_have_gone_are_named(evaluated, tmp_path, capsys):
    (tmp_path / "set").rename(tmp_path / "elsewhere")
    capsys.readouterr()
    assert main(["report", str(evaluated)]) == 2
    assert "truth.json: no such file or folder, on which" in capsys.readouterr().err
