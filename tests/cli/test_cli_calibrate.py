"""`yolov3 calibrate`: what it measures, writes and prints; and what the other commands do with the file."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from cfg_texts import STAGED
from PIL import Image

import yolo
from yolo.cli.main import main
from yolo.config import NmsConfig
from yolo.evaluation.results import DetectionColumns
from yolo.scores import NO_RULES, ScoreRules

COUNT = 120


def found_in(dataset, seed=0):
    """Each true box is found with a score s, well placed in s^2 of the cases; class b is found once."""
    rng = np.random.default_rng(seed)
    scores = rng.random(len(dataset.boxes))
    right = rng.random(len(scores)) < scores**2
    boxes = dataset.boxes + np.where(right, 0, 15)[:, None].astype(np.float32)
    kept = (dataset.labels == 0) | (np.cumsum(dataset.labels == 1) == 1)
    columns = (dataset.box_pictures, dataset.labels, scores, boxes)
    return DetectionColumns(*(each[kept] for each in columns))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of classes a and b, and pictures with a box of a each, and of b in some."""
    path = tmp_path_factory.mktemp("calibrate")
    yolo.Detector("net.cfg", cfg=STAGED, classes=["a", "b"]).save(path / "m.keras")
    rows = []
    for number in range(COUNT):
        Image.new("RGB", (64, 64)).save(path / f"{number}.png")
        rows.append(f"{number}.png,5,5,25,25,a\n")
        rows += [f"{number}.png,30,30,50,50,b\n"] if number % 8 == 0 else []
    (path / "d.csv").write_text("".join(rows))
    return path


@pytest.fixture
def standing_in(monkeypatch):
    """Detections in place of those of the network, which has learned nothing."""
    monkeypatch.setattr("yolo.analysis.calibrate.find_all", lambda _, dataset, **__: found_in(dataset))


def calibrate(folder, out, *options):
    return main(["calibrate", str(folder / "m.keras"), str(folder / "d.csv"), "--out", str(out), *options])


@pytest.mark.usefixtures("standing_in")
def test_figures_and_file(folder, tmp_path, capsys, caplog):
    out = tmp_path / "new.keras"
    assert calibrate(folder, out, "--method", "platt", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    rules = yolo.load(out).score_rules
    assert result["file"] == str(out)
    assert (result["pictures"], result["parts"]) == (COUNT, 5)
    assert result["after"]["d_ece"] < result["before"]["d_ece"]
    assert result["after"]["ap"] == pytest.approx(result["before"]["ap"])
    assert rules.calibration.method == "platt"
    assert rules.about == {"data": "d", "split": None, "pictures": COUNT, "thresholds": "best F1"}
    assert [result["thresholds"][name]["value"] for name in "ab"] == list(rules.thresholds)
    assert [result["thresholds"][name]["own"] for name in "ab"] == [True, False]
    assert "that of all classes is taken: b" in caplog.text


@pytest.mark.usefixtures("standing_in")
def test_tables(folder, tmp_path, capsys):
    assert calibrate(folder, tmp_path / "new.keras", "--method", "none") == 0
    text = capsys.readouterr().out
    assert "no calibration, measured on 120 pictures" in text
    assert "calibrated by what the others say" not in text
    assert [line.split()[0] for line in text.splitlines()[-2:]] == ["a", "b"]
    rules = yolo.load(tmp_path / "new.keras").score_rules
    assert rules.calibration is None
    assert len(rules.thresholds) == 2


@pytest.mark.usefixtures("standing_in")
def test_wished_for_precision_and_recall(folder, tmp_path, capsys, caplog):
    """The threshold of a keeps what is wished for; a recall of 0.99 cannot be reached, and is said."""
    dataset = replace(yolo.load_dataset(folder / "d.csv"), classes=("a", "b"))
    detections = found_in(dataset)
    right = (detections.boxes[:, 0] == 5) & (detections.labels == 0)
    assert calibrate(folder, tmp_path / "p.keras", "--method", "none", "--precision", "0.8") == 0
    kept = (detections.scores >= yolo.load(tmp_path / "p.keras").score_rules.thresholds[0]) & (detections.labels == 0)
    assert right[kept].mean() >= 0.8
    capsys.readouterr()
    assert calibrate(folder, tmp_path / "r.keras", "--method", "none", "--recall", "0.99") == 0
    assert "recall 0.99 not reached, the closest threshold is taken (precision, recall): a (" in caplog.text
    assert yolo.load(tmp_path / "r.keras").score_rules.about["thresholds"] == "recall 0.99"


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--precision", "0"], "precision must be in (0, 1], got 0.0"),
        (["--recall", "1.5"], "recall must be in (0, 1], got 1.5"),
        (["--precision", "0.5", "--recall", "0.5"], "recall must be left out with --precision"),
        (["--method", "none", "--by-size"], "by-size must be left out with --method none"),
        (["--method", "guess"], "method"),
        (["--batch", "0"], "batch must be > 0"),
        (["--out", "x.onnx"], "give a name that ends in .keras"),
        (["--out", "{folder}/m.keras"], "is read from and would be written to"),
        (["--out", "{folder}/0.keras"], "exists; give another --out, or --force"),
        (["--out", "{folder}/none/x.keras"], "there is no folder"),
    ],
)
def test_bad_options_are_one_line(folder, tmp_path, capsys, options, fault):
    (folder / "0.keras").touch()
    options = [each.format(folder=folder) for each in options]
    assert calibrate(folder, tmp_path / "x.keras", *options) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("yolov3 calibrate: ")
    assert fault in message


def test_data_that_say_nothing_are_refused(folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "none.json").write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": str(folder / "0.png"), "height": 64, "width": 64}],
                "annotations": [],
                "categories": [{"id": 1, "name": "a"}],
            }
        )
    )
    command = ["calibrate", str(folder / "m.keras"), "--out", str(tmp_path / "x.keras")]
    assert main([*command, str(tmp_path / "none.json")]) == 2
    assert "none: its 1 pictures have no box to find; nothing can be measured" in capsys.readouterr().err
    nothing = DetectionColumns(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0), np.zeros((0, 4), np.float32))
    monkeypatch.setattr("yolo.analysis.calibrate.find_all", lambda *_, **__: nothing)
    for method, fault in [("none", "no detection is right at IoU 0.5; there is no threshold"), ("platt", "is right")]:
        assert main([*command, str(folder / "d.csv"), "--method", method]) == 2
        assert fault in capsys.readouterr().err
    assert not (tmp_path / "x.keras").exists()
    (tmp_path / "x.onnx").write_bytes(b"x")
    assert main(["calibrate", str(tmp_path / "x.onnx"), str(folder / "d.csv"), "--out", str(tmp_path / "x.keras")]) == 2
    assert "is an exported file; calibrate the .keras file, then export it" in capsys.readouterr().err


def test_a_failed_measurement_leaves_the_detector_as_it_was(folder, monkeypatch):
    from yolo.analysis.calibrate import calibrate as measure

    detector = yolo.load(folder / "m.keras")
    detector.score_rules = ScoreRules((0.5, 0.5))

    def fail(one, *_, **__):
        assert one.score_rules == NO_RULES  # what is measured is raw
        raise KeyboardInterrupt

    monkeypatch.setattr("yolo.analysis.calibrate.find_all", fail)
    with pytest.raises(KeyboardInterrupt):
        measure(detector, replace(yolo.load_dataset(folder / "d.csv"), classes=("a", "b")))
    assert detector.score_rules == ScoreRules((0.5, 0.5))


@pytest.mark.usefixtures("standing_in")
def test_info_shows_the_rules(folder, tmp_path, capsys):
    assert calibrate(folder, tmp_path / "new.keras", "--by-size") == 0
    capsys.readouterr()
    assert main(["info", str(tmp_path / "new.keras")]) == 0
    text = capsys.readouterr().out
    rules = yolo.load(tmp_path / "new.keras").score_rules
    assert f"conf auto    a {rules.thresholds[0]:.3f}, b {rules.thresholds[1]:.3f}\n" in text
    assert "by size of box (borders 32, 96 px)" in text
    assert "thresholds best F1" in text
    assert main(["info", str(tmp_path / "new.keras"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["score_rules"]["thresholds"] == dict(
        zip("ab", rules.thresholds, strict=True)
    )


@pytest.mark.parametrize("word", ["automatic", "high"])
def test_other_words_for_conf_are_refused(folder, capsys, word):
    assert main(["detect", str(folder / "m.keras"), str(folder / "0.png"), "--conf", word]) == 2
    message = capsys.readouterr().err.strip()
    assert "--conf" in message
    assert word in message
    assert "\n" not in message


def test_conf_auto(folder, tmp_path, capsys):
    detector = yolo.load(folder / "m.keras")
    picture, command = str(folder / "0.png"), ["--runtime", "keras", "--json"]
    assert main(["detect", str(folder / "m.keras"), picture, "--conf", "auto", *command]) == 2
    fault = "--conf auto: the model holds no thresholds of its classes; measure them with yolov3 calibrate, or give"
    assert fault in capsys.readouterr().err
    found = detector.detect(picture, conf=0.0)
    middle = float(np.median(found.scores[found.labels == 0]))
    detector.score_rules = ScoreRules((middle, 1.0))
    detector.nms = NmsConfig(conf=0.9)
    detector.save(tmp_path / "auto.keras")
    assert main(["detect", str(tmp_path / "auto.keras"), picture, "--conf", "auto", *command]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["detections"]
    assert {each["class"] for each in record["detections"]} == {"a"}
    assert all(each["score"] >= round(middle, 4) for each in record["detections"])


def test_converting_says_what_is_left_out(folder, tmp_path, caplog):
    detector = yolo.load(folder / "m.keras")
    detector.score_rules = ScoreRules((0.4, 0.6))
    detector.save(tmp_path / "x.keras")
    assert main(["convert", str(tmp_path / "x.keras"), str(tmp_path / "x.weights")]) == 0
    assert "Darknet's files hold no thresholds of classes and no calibration" in caplog.text
    assert main(["convert", str(tmp_path / "x.keras"), str(tmp_path / "new.keras"), "--classes", "b,c"]) == 0
    assert "thresholds and calibration of the scores are left out" in caplog.text
    assert not yolo.load(tmp_path / "new.keras").score_rules
