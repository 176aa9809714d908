"""`yolov3 eval --label-errors`: the files it writes, folds, and what it refuses."""

from __future__ import annotations

import json
import logging

import keras
import numpy as np
import pytest
from cfg_texts import two_scales
from jsonargparse import Namespace
from PIL import Image

import yolo
from yolo.cli import label_errors
from yolo.cli.main import main
from yolo.config import NmsConfig, TrainConfig
from yolo.datasets.digits import make_digits
from yolo.datasets.load import load_dataset
from yolo.evaluation.results import DetectionColumns

SIDE = 200


@pytest.fixture
def truth(tmp_path):
    """Thirty pictures of two things each, and their detections; one box of picture 1 is missing."""
    folder = tmp_path / "set"
    folder.mkdir()
    images, boxes, found = [], [], []
    for number in range(1, 31):
        Image.new("RGB", (SIDE, SIDE), (0, 8 * number, 0)).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "height": SIDE, "width": SIDE})
        for place in range(2):
            entry = {"image_id": number, "category_id": 1 + place, "bbox": [10 + 90 * place, 3 * number, 60, 60]}
            found.append({**entry, "score": 0.6 + 0.01 * number if number > 1 else 0.95})
            if (number, place) != (1, 1):
                boxes.append({**entry, "id": len(boxes) + 1, "area": 3600, "iscrowd": 0})
    classes = [{"id": 1, "name": "cup"}, {"id": 2, "name": "plate"}]
    (folder / "truth.json").write_text(json.dumps({"images": images, "annotations": boxes, "categories": classes}))
    (tmp_path / "found.json").write_text(json.dumps(found))
    return folder / "truth.json"


def refused(capsys, *words):
    capsys.readouterr()
    assert main(["eval", *map(str, words)]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    return line


@pytest.mark.parametrize("option", ["--label-errors", "--label_errors"])
def test_lists_pictures_and_text(truth, tmp_path, capsys, option):
    words = ["eval", "--detections", str(tmp_path / "found.json"), str(truth), option, "--out", str(tmp_path / "le")]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "1 probable label errors in 1 of 30 pictures: 1 missing, 0 shifted, 0 relabelled, 0 spurious" in text
    assert "1.png: missing: plate 0.95 at (100, 3, 160, 63) has no box" in text
    names = {path.name for path in (tmp_path / "le").iterdir()}
    lists = {"label-errors.json", "label-errors.csv", "label-errors.txt", "label-errors.jpg", "yolo"}
    assert names == {*lists, "metrics.json", "curves.json", "about.json", "report.html"}
    proposed = load_dataset(tmp_path / "le" / "label-errors.json", images=truth.parent)
    assert proposed.boxes.tolist() == [[100, 3, 160, 63]]
    with Image.open(tmp_path / "le" / "label-errors.jpg") as sheet:
        assert sheet.width > 300
    errors = json.loads((tmp_path / "le" / "metrics.json").read_text())["errors"]
    assert errors["kinds"]["background"]["count"] == 1
    assert main([*words, "--force", "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)["label_errors"]
    assert counts == {"count": 1, "missing": 1, "shifted": 0, "relabelled": 0, "spurious": 0, "images": 1, "of": 30}


def test_errors_by_kind_are_printed_below_the_metrics(truth, tmp_path, capsys):
    assert main(["eval", "--detections", str(tmp_path / "found.json"), str(truth)]) == 0
    text = capsys.readouterr().out
    # The plate without a box scores best: the others reach 29/30 at last, which counts at every recall; cups have 1.
    lines = [line.split() for line in text.splitlines()]
    assert ["errors", "(TIDE)", "number", "AP50", "if", "mended"] in lines
    assert ["background", "1", "+0.0167"] in lines
    assert ["class", "0", "+0.0000"] in lines


def test_options_that_do_not_fit(truth, tmp_path, capsys):
    found = ("--detections", tmp_path / "found.json")
    assert "--label-errors writes lists and pictures; give --out DIR" in refused(
        capsys, *found, truth, "--label-errors"
    )
    out = ("--label-errors", "--out", tmp_path / "le")
    assert "holds detections; give WEIGHTS instead" in refused(capsys, *found, truth, *out, "--folds", 2)
    assert "folds must be given with --label-errors" in refused(capsys, *found, truth, "--folds", 2)
    assert "epochs must be given with --folds" in refused(capsys, *found, truth, "--epochs", 2)
    model = tmp_path / "m.keras"
    model.touch()
    assert "folds must be >= 2, got 1" in refused(capsys, model, truth, *out, "--folds", 1)
    assert "epochs must be > 0, got 0" in refused(capsys, model, truth, *out, "--folds", 2, "--epochs", 0)
    exported = tmp_path / "m.onnx"
    exported.touch()
    line = refused(capsys, exported, truth, *out, "--folds", 2)
    assert "m.onnx is made for another program; give the .keras file or the run's folder" in line
    assert not (tmp_path / "le").exists()


def test_no_boxes_to_judge(truth, tmp_path, capsys):
    content = json.loads(truth.read_text())
    truth.write_text(json.dumps({**content, "annotations": []}))
    words = ("--detections", tmp_path / "found.json", truth, "--label-errors", "--out", tmp_path / "le")
    assert "truth: no true boxes in 30 pictures: " in refused(capsys, *words)
    assert not (tmp_path / "le").exists()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_digits(tmp_path_factory.mktemp("digits"), train=8, val=2, size=64, seed=3)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    (folder / "net.cfg").write_text(two_scales(side=64))
    options = ["--model", str(folder / "net.cfg"), "--size", "64", "--batch", "4", "--epochs", "3"]
    assert main(["train", str(data), *options, "--precision", "float32", "--out", str(folder / "run")]) == 0
    keras.config.set_dtype_policy("float32")
    return folder / "run"


def test_a_model_that_learned_the_labels_is_warned_of(run, data, tmp_path, caplog):
    assert main(["eval", str(run), str(data), "--split", "train", "--label-errors", "--out", str(tmp_path / "le")]) == 0
    assert "a model overlooks errors in labels that it has learned; --folds 5 judges" in caplog.text


def test_folds_train_as_the_run_was(run, data, tmp_path, caplog, capsys):
    words = ["eval", run, data, "--split", "train", "--label-errors", "--folds", 2, "--epochs", 1]
    with caplog.at_level(logging.INFO):
        assert main([*map(str, words), "--out", str(tmp_path / "le"), "--json"]) == 0
    assert caplog.text.count("training on 4 pictures") == 2
    assert "has learned" not in caplog.text
    assert "was trained on" not in caplog.text
    assert json.loads(capsys.readouterr().out)["images"] == 8
    assert refused(capsys, *words[1:7], 9, "--out", tmp_path / "other").endswith(
        "folds must be at most the number of pictures, 8, got 9"
    )


def test_what_the_folds_are_made_of(run, data, tmp_path, monkeypatch):
    """The run's network and options; elsewhere the weights, or their network if they have learned these pictures."""
    made = []
    monkeypatch.setattr("yolo.training.setup.make_detector", lambda _, **options: made.append(options))
    detector = yolo.load(run)
    dataset, other = load_dataset(data, "train"), load_dataset(data, "val")

    def training(path, part):
        arguments = Namespace(weights=str(path), cfg=None, names=None)
        make, config = label_errors.training_of(arguments, detector, part)
        return make(part), config

    _, config = training(run / "best.keras", dataset)
    assert made.pop()["model"] == str(run.parent / "net.cfg")
    assert (config.epochs, config.batch) == (3, 4)
    (tmp_path / "alone.keras").write_bytes((run / "best.keras").read_bytes())
    fresh, config = training(tmp_path / "alone.keras", dataset)
    assert config.epochs == 3
    assert not made
    assert (fresh.canvas, fresh.classes) == (detector.canvas, detector.classes)
    assert np.abs(fresh.heads[0].convolution.kernel - detector.heads[0].convolution.kernel).max() > 0
    training(tmp_path / "alone.keras", other)
    assert made.pop()["weights"] == str(tmp_path / "alone.keras")


def test_epochs_are_passed_on(run, data, monkeypatch):
    given = {}

    def fake(_, __, **options):
        given.update(options)
        return DetectionColumns(np.zeros(0, int), np.zeros(0, np.int32), np.zeros(0), np.zeros((0, 4), np.float32))

    monkeypatch.setattr("yolo.training.folds.find_out_of_fold", fake)
    arguments = Namespace(weights=str(run), cfg=None, names=None, folds=3, epochs=7)
    dataset, nms = load_dataset(data, "train"), NmsConfig()
    label_errors.detect_out_of_fold(arguments, yolo.load(run), dataset, batch=5, nms=nms)
    assert (given["folds"], given["batch"], given["nms"]) == (3, 5, nms)
    assert given["config"] == TrainConfig(epochs=7, batch=4)
