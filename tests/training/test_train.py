"""Training: the schedule, what a run leaves behind, and that it repeats and learns."""

from __future__ import annotations

import csv
import json
import logging
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml
from cfg_texts import STAGED, one_layer, two_scales
from tables import make_dataset, make_detections

import yolo
from yolo.cli.train import report
from yolo.config import AugmentConfig, LossConfig, TrainConfig
from yolo.datasets.digits import make_digits
from yolo.errors import AnnotationError, ConfigError, MediaError
from yolo.model.detector import Detector
from yolo.scores import NO_RULES, ScoreRules
from yolo.training.callbacks.validation import rules_of
from yolo.training.optimizer.optimizer import make_optimizer
from yolo.training.result import TrainResult
from yolo.training.run.checkpoint import Checkpoints
from yolo.training.run.folder import RunFolder
from yolo.training.trainer import make_run, train

PLAIN = AugmentConfig(flip=0, hue=0, saturation=0, brightness=0, scale=0, translate=0)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return make_digits(tmp_path_factory.mktemp("digits"), train=8, val=4, size=96, seed=3)


@pytest.fixture
def net(tmp_path):
    """The file of a network that is compiled within seconds."""
    path = tmp_path / "small.cfg"
    path.write_text(STAGED)
    return str(path)


def make_detector(dataset, **options):
    return Detector("net.cfg", cfg=STAGED, classes=dataset.classes, **options)


# The rate over a run


def test_only_kernels_decay():
    detector = Detector("net.cfg", cfg=STAGED, classes=["a"])
    optimizer = make_optimizer(TrainConfig(), detector, steps_per_epoch=1)
    decayed = [each.path for each in detector.trainable_variables if optimizer._use_weight_decay(each)]
    assert len(decayed) == 4
    assert all(path.endswith("convolution/kernel") for path in decayed)


# A run's folder


@pytest.mark.draws
def test_history_is_a_table_of_the_epochs_and_now_and_then_curves(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path / "run")
    folder.write_history([{"epoch": 1, "loss": 2.5, "AP": math.nan, "more": 1}])
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines()))
    assert rows[0]["loss"] == "2.5"
    assert rows[0]["AP"] == "nan"
    assert rows[0]["box_loss"] == ""
    assert "more" not in rows[0]
    assert not (tmp_path / "run" / "curves.png").exists()
    monkeypatch.setattr("yolo.training.run.folder.PLOT_SECONDS", -1)
    folder.write_history([{"epoch": 1, "loss": 2.5}])
    assert (tmp_path / "run" / "curves.png").stat().st_size > 1000


def test_what_cannot_be_written_is_an_error_and_leaves_the_old_file(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_metrics({"AP": math.nan})
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"AP": None}
    (tmp_path / "config.yaml").mkdir()  # in the way
    with pytest.raises(ConfigError, match=r"config\.yaml: cannot be written"):
        folder.write_config({"a": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "metrics.json"]


# Whole runs


@pytest.mark.draws
def test_a_run_writes_its_files_and_equal_seeds_alone_give_equal_weights(digits, tmp_path):
    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    options = {"validation": validation, "epochs": 2, "batch": 4, "seed": 5}
    detectors = [make_detector(dataset) for _ in range(3)]
    result = train(detectors[0], dataset, out=tmp_path / "a", workers=1, **options)
    train(detectors[1], dataset, out=None, workers=4, **options)
    for one, other in zip(detectors[0].get_weights(), detectors[1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    train(detectors[2], dataset, out=None, **{**options, "seed": 6})
    assert not np.array_equal(detectors[0].get_weights()[0], detectors[2].get_weights()[0])
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert names == {
        "best.keras",
        "last.keras",
        "history.csv",
        "metrics.json",
        "curves.png",
        "checkpoints",
        "batches.jpg",
        "about.json",
        "results.json",
        "report.html",
    }
    assert [row["epoch"] for row in result.history] == [1, 2]
    row = result.history[-1]
    assert row["loss"] == pytest.approx(row["box_loss"] + row["objectness_loss"] + row["class_loss"], rel=1e-4)
    assert 0 <= row["data_wait"] <= 1
    last = yolo.load(tmp_path / "a" / "last.keras")
    for one, other in zip(detectors[0].get_weights(), last.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert last.origin["fingerprint"] == dataset.fingerprint
    assert last.origin["config"]["seed"] == 5


def test_by_default_a_run_has_the_next_folder_and_its_result_says_where(digits, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "train-1").mkdir(parents=True)
    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    result = train(make_detector(dataset), dataset, validation=validation, epochs=1, batch=8)
    assert (result.folder, result.best, result.last) == (
        Path("runs/train-2"),
        Path("runs/train-2/best.keras"),
        Path("runs/train-2/last.keras"),
    )
    assert result.best.is_file()
    assert result.last.is_file()
    unwritten = train(make_detector(dataset), dataset, validation=dataset, out=None, epochs=1, batch=8)
    assert (unwritten.folder, unwritten.best, unwritten.last) == (None, None, None)
    assert [path.name for path in Path("runs").iterdir()] == ["train-1", "train-2"]
    assert "8 of the 8 validation pictures are trained on too: the metrics flatter" in caplog.messages
    with pytest.raises(ConfigError, match="train has no option 'epoch'"):
        train(make_detector(dataset), dataset, epoch=3)
    assert len(list(Path("runs").iterdir())) == 2  # a refused run leaves none


def test_a_result_prints_as_one_line_and_makes_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{"train_seconds": 60.0, "evaluation_seconds": 12.0}, {"train_seconds": 48.0}]  # the second one of old
    result = TrainResult(rows, {"coco": {"AP": 0.25, "AP50": 0.5}}, 2, Path("runs/train-3"))
    assert result.minutes == pytest.approx(2.0)
    assert str(result) == "best epoch 2 of 2: AP 0.2500, AP50 0.5000; 2.0 minutes; runs/train-3/best.keras"
    assert repr(TrainResult()) == "best epoch 0 of 0: AP nan, AP50 nan; 0.0 minutes"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_four_pictures_can_be_learned_by_heart(digits):
    dataset = yolo.load_dataset(digits, "train").subset([0, 1, 2, 3])
    anchors = yolo.fit_anchors(dataset, 6, 96)
    detector = Detector("net.cfg", cfg=two_scales(), classes=dataset.classes, anchors=anchors)
    config = TrainConfig(epochs=60, batch=4, learning_rate=0.002, augment=PLAIN, loss=LossConfig(assign_iou=0.4))
    # An epoch is a single step: validating each of them would take longer than training.
    every = dataset.subset([0] * 1)
    train(detector, dataset.subset([0, 1, 2, 3] * 4), validation=every, out=None, config=config)
    metrics = yolo.evaluate(detector, dataset)
    assert metrics["coco"]["AP50"] > 0.95


# Faults


def test_other_classes_are_refused(digits):
    dataset = yolo.load_dataset(digits, "train")
    detector = Detector("net.cfg", cfg=STAGED, classes=["a"])
    with pytest.raises(AnnotationError, match="are not the detector's"):
        train(detector, dataset, out=None)
    with pytest.raises(AnnotationError, match=r"none of its classes \(0, 1, .*\) is known to the model \(a\)"):
        yolo.evaluate(detector, dataset)


def test_unknown_options_are_refused(digits):
    dataset = yolo.load_dataset(digits, "train")
    with pytest.raises(ConfigError, match="no option 'epoch'; there are epochs"):
        train(make_detector(dataset), dataset, out=None, epoch=3)


def with_bad_pictures(dataset, folder, count):
    """A dataset whose first pictures cannot be read."""
    broken = dataset.subset(range(len(dataset)))
    for index in range(count):
        (folder / f"bad{index}.jpg").write_bytes(b"no picture")
        broken.files[index] = str(folder / f"bad{index}.jpg")
    return broken


def test_a_corrupt_picture_is_replaced_and_listed(digits, tmp_path, caplog):
    dataset = yolo.load_dataset(digits, "train")
    broken, out = with_bad_pictures(dataset, tmp_path, 1), tmp_path / "run"
    with caplog.at_level(logging.WARNING):
        train(make_detector(dataset), broken, validation=dataset.subset([1]), out=out, epochs=1, batch=4)
    assert f"1 of {len(dataset)} pictures could not be read and were replaced by others" in caplog.text
    with (out / "quarantine.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["file"]).name for row in rows] == ["bad0.jpg"]
    assert "no picture" in rows[0]["reason"] or "bad0.jpg" in rows[0]["reason"]


def test_too_many_corrupt_pictures_end_the_run(digits, tmp_path):
    dataset = yolo.load_dataset(digits, "train")
    broken = with_bad_pictures(dataset, tmp_path, 2)
    with pytest.raises(MediaError, match=rf"2 of {len(dataset)} pictures .* cannot be read, more than 5%.*bad\d\.jpg"):
        train(make_detector(dataset), broken, validation=dataset, out=None, epochs=1, batch=4)


# The command line


def test_the_command_trains_evaluates_and_starts_again_from_its_config(digits, net, tmp_path, capsys):
    from yolo.cli.main import main

    run = tmp_path / "run"
    options = ["--model", net, "--size", "96", "--batch", "4"]
    assert main(["train", str(digits), *options, "--epochs", "1", "--out", str(run), "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["images"] == 4
    assert metrics == json.loads((run / "metrics.json").read_text())
    assert yaml.safe_load((run / "config.yaml").read_text())["model"] == net
    assert main(["train", str(digits), "--config", str(run / "config.yaml"), "--out", str(run)]) == 2
    assert "exists; give another --out, or --force" in capsys.readouterr().err
    smaller = ["--weights", str(run / "best.keras"), "--size", "64", "--epochs", "1", "--out", str(tmp_path / "small")]
    assert main(["train", str(digits), *smaller, "--json"]) == 0
    capsys.readouterr()
    assert yolo.load(tmp_path / "small" / "last.keras").canvas == (64, 64)
    again = [str(digits), "--config", str(run / "config.yaml"), "--out", str(tmp_path / "again"), "--json"]
    assert main(["train", *again]) == 0
    assert json.loads(capsys.readouterr().out)["coco"] == metrics["coco"]
    assert main(["eval", str(run / "best.keras"), str(digits), "--json", "--out", str(tmp_path / "eval")]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    assert evaluated.pop("intervals")["resamples"] == 1000  # those training does not compute
    assert {key: evaluated[key] for key in metrics} == metrics
    assert json.loads((tmp_path / "eval" / "results.json").read_text()) is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "100"], "size must be a multiple of 32 (try 96)"),
        (["--size", "big"], "size: expected a side such as 416"),
        (["--epochs", "0"], "epochs must be > 0"),
        (["--epochs", "x"], "epochs must be a whole number, got x"),
        (["--loss.box", "iou"], "loss.box must be one of giou, diou, ciou, squared, got iou"),
        (["--anchors", "x" * 300], "xxx"),
        (["--val", "nothing"], "neither a split of"),
        (["--split", "nothing"], "there is no split 'nothing'"),
        (["--model", "yolov9"], "model must be one of"),
        (["--anchors", "nothing"], "nothing"),
        (["--weights", "nothing.keras"], "nothing.keras: no such file"),
        (["--bogus", "1"], "unknown option --bogus (see `yolov3 train --help-all`)"),
    ],
)
def test_faults_are_one_line_and_exit_code_2(digits, tmp_path, capsys, options, message):
    from yolo.cli.main import main

    assert main(["train", str(digits), "--out", str(tmp_path / "run"), *options]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert message in lines[-1]
    assert lines[-1].startswith("yolov3 train: ")
    assert not any("Traceback" in line for line in lines)
    assert not (tmp_path / "run").exists()


def test_other_splits_than_train_hold_out_a_tenth(digits, net, tmp_path, caplog):
    """val may be part of them."""
    from yolo.cli.main import main

    lists = digits / "ImageSets" / "Main"
    whole = "".join((lists / f"{name}.txt").read_text().strip() + "\n" for name in ("train", "val"))
    (lists / "trainval.txt").write_text(whole)
    options = [str(digits), "--model", net, "--size", "64", "--epochs", "1", "--split", "trainval"]
    try:
        assert main(["train", *options, "--out", str(tmp_path / "a")]) == 0
        assert "a fixed tenth is held out, 1 of 12" in caplog.text
        assert main(["train", *options, "--val", "val", "--out", str(tmp_path / "b")]) == 0
        assert "4 of the 4 validation pictures are trained on too" in caplog.text
    finally:
        (lists / "trainval.txt").unlink()


def test_weights_of_another_network_are_refused(digits, tmp_path, capsys):
    from yolo.cli.main import main

    dataset = yolo.load_dataset(digits, "train")
    Detector("yolov3-tiny", classes=dataset.classes, size=32).save(tmp_path / "a.keras")
    options = ["train", str(digits), "--weights", str(tmp_path / "a.keras"), "--out", str(tmp_path / "run")]
    assert main([*options, "--model", "yolov3"]) == 2
    assert "layers of yolov3 fit: the weights belong to another network (yolov3-tiny)" in capsys.readouterr().err


NET = one_layer(16, activation="relu")


@pytest.fixture
def darknet(tmp_path, monkeypatch):
    """A small Darknet network that knows the digits 3 and, by another name, something else."""
    from yolo.weights.darknet_files import save_darknet_weights

    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.cfg").write_text(NET)
    (tmp_path / "net.names").write_text("3\ncat\n")
    detector = Detector("net.cfg", classes=["3", "cat"])
    detector.origin = {"darknet": {"major": 0, "minor": 2, "revision": 0, "seen": 1000}}
    save_darknet_weights(detector, "net.weights")
    return detector


def test_training_from_darknet_weights(digits, darknet, caplog):
    from yolo.cli.main import main

    weights = ["--cfg", "net.cfg", "--weights", "net.weights", "--names", "net.names"]
    options = ["train", str(digits), *weights, "--freeze", "backbone", "--epochs", "1", "--batch", "4"]
    assert main([*options, "--out", "run"]) == 0
    assert "classes kept     1 (3)" in caplog.text
    assert "classes new      9 (0, 1, 2, 4, 5, 6, 7, 8, 9)" in caplog.text
    assert "epochs 1 to 1: the first 1 of 2 layers (conv_0 to conv_0) are frozen, statistics too" in caplog.text
    trained = yolo.load("run/last.keras")
    for ours, theirs in zip(darknet.convolutions[0].get_weights(), trained.convolutions[0].get_weights(), strict=True):
        np.testing.assert_array_equal(theirs, ours)
    np.testing.assert_array_equal(trained.anchors, darknet.anchors)
    assert (trained.canvas, trained.letterbox, trained.variant) == ((64, 64), "stretch", "net.cfg")
    assert trained.origin["start"]["weights"] == "net.weights"
    assert trained.origin["darknet"] == {"major": 0, "minor": 2, "revision": 0, "seen": 1008}
    # The run's own options make the same run.
    config = yaml.safe_load(Path("run/config.yaml").read_text())
    assert (config["cfg"], config["weights"], config["freeze"]) == ("net.cfg", "net.weights", "backbone")
    assert main(["train", str(digits), "--config", "run/config.yaml", "--out", "again"]) == 0
    for ours, theirs in zip(trained.get_weights(), yolo.load("again/last.keras").get_weights(), strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-5)


@pytest.mark.usefixtures("darknet")
def test_weights_go_over_into_a_network_file_of_other_classes(digits, caplog):
    """Darknet's own way: a copy of the .cfg with the classes changed by hand; and .keras as the source."""
    from yolo.cli.main import main

    Path("own.cfg").write_text(NET.replace("filters=14", "filters=30").replace("classes=2", "classes=10"))
    options = ["train", str(digits), "--epochs", "1", "--batch", "8", "--model", "own.cfg", "--anchors", "auto"]
    weights = ["--weights", "net.weights", "--cfg", "net.cfg", "--names", "net.names"]
    assert main([*options, *weights, "--out", "run"]) == 0
    assert "layers loaded    2 of 2" in caplog.text
    assert yolo.load("run/last.keras").variant == "own.cfg"
    assert main([*options, "--weights", "run/last.keras", "--out", "again"]) == 0


def test_a_network_file_is_trained_from_nothing(digits, darknet, caplog):
    from yolo.cli.main import main

    options = ["train", str(digits), "--epochs", "1", "--batch", "8"]
    assert main([*options, "--model", "net.cfg", "--size", "96", "--out", "run"]) == 0
    trained = yolo.load("run/last.keras")
    assert trained.canvas == (96, 96)
    assert trained.classes == tuple("0123456789")
    assert not np.array_equal(trained.anchors, darknet.anchors)  # fitted
    assert "anchors fitted to the boxes" in caplog.text
    caplog.clear()
    anchors = ["--weights", "run/last.keras", "--anchors", "auto", "--size", "64"]
    assert main([*options, *anchors, "--out", "other"]) == 0
    assert "the anchors differ from those of the weights" in caplog.text


@pytest.mark.usefixtures("darknet")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--model", "yolov3", "--cfg", "net.cfg"],
            "model yolov3 and cfg net.cfg are given, but no weights: give one",
        ),
        (["--model", "yolov3", "--backbone", "keras:VGG16"], "--model yolov3 and --backbone keras:VGG16: give one"),
        (["--weights", "odd.weights"], "is the size of none of the networks"),
        (["--weights", "run/best.keras", "--force"], "run/best.keras: no such file"),
        (["--weights", "net.weights", "--cfg", "nothing.cfg"], "nothing.cfg: no such file"),
        (["--freeze", "head"], "freeze must be backbone, neck or a number of layers"),
        (["--unfreeze-at", "3"], "--unfreeze-at must be given with freeze"),
        (["--model", "net.cfg", "--freeze", "2"], "freeze must be backbone, neck or a number of layers in 1..1, got 2"),
        (["--model", "net.cfg", "--size", "48"], "size must be a multiple of 32"),
    ],
)
def test_faults_of_transfer_are_one_line(digits, capsys, options, message):
    from yolo.cli.main import main

    shutil.copy("net.weights", "odd.weights")  # beside which there is no .cfg of its name
    assert main(["train", str(digits), "--epochs", "1", "--out", "run", *options]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.usefixtures("net")
def test_training_and_the_demo_as_processes(tmp_path):
    """As a user runs them: exit code 0, results alone on stdout."""

    def run(*arguments):
        command = [sys.executable, "-m", "yolo", *arguments, "--json"]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    demo = run("demo", "--scenes", "8", "--epochs", "1")
    assert demo.returncode == 0, demo.stderr
    assert json.loads(demo.stdout)["images"] == 120
    trained = run("train", "demo/digits", "--model", "small.cfg", "--size", "64", "--epochs", "1")
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["images"] == 120
    assert (tmp_path / "runs" / "train-1" / "best.keras").is_file()
    assert "WARNING" not in trained.stderr


@pytest.mark.parametrize(
    ("found", "epochs"),
    [([0.0] * 8, 3), ([0.2] * 8, 4), ([0.2, 0.3, 0.3, 0.25, 0.3, 0.3], 5), ([math.nan] * 8, 3)],
)
def test_patience_runs_out_while_ap_stays_the_same(digits, tmp_path, monkeypatch, found, epochs):
    """Of equal epochs the last is the best one."""
    figures = iter([{"coco": {"AP": ap, "AP50": ap}, "images": 4} for ap in found])
    monkeypatch.setattr("yolo.training.callbacks.validation.compute_metrics", lambda *_, **__: next(figures))
    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    options = {"epochs": 8, "batch": 8, "patience": 3}
    detector = make_detector(dataset)
    result = train(detector, dataset, validation=validation, out=tmp_path, **options)
    assert (len(result.history), result.best_epoch) == (epochs, epochs)
    assert Checkpoints(tmp_path).latest().meta["state"]["stopped"]


@pytest.mark.parametrize(("name", "epoch"), [("AP", 2), ("AP50", 1)])
def test_best_weights_are_chosen_by_a_metric_that_is_said(digits, monkeypatch, caplog, name, epoch):
    found = [{"coco": {"AP": ap, "AP50": ap50}, "images": 4} for ap, ap50 in [(0.2, 0.9), (0.3, 0.8)]]
    figures, thresholds = iter(found), iter([0.25, 0.5])
    monkeypatch.setattr("yolo.training.callbacks.validation.compute_metrics", lambda *_, **__: next(figures))
    dataset, validation, run = yolo.load_dataset(digits, "train"), yolo.load_dataset(digits, "val"), digits / name
    choose = "yolo.training.callbacks.validation.best_f1_thresholds"
    monkeypatch.setattr(choose, lambda _: dict.fromkeys(dataset.classes, next(thresholds)))
    options = {"epochs": 2, "batch": 8, "best": name.lower()}
    result = train(make_detector(dataset), dataset, validation=validation, out=run, **options)
    with caplog.at_level(logging.INFO):
        report(result, run, as_json=False)
    assert (result.best_epoch, result.best_metric) == (epoch, name)
    assert f"best.keras is of epoch {epoch}, chosen by {name}" in caplog.text
    origin = yolo.load(run / "best.keras").origin
    assert (origin["epoch"], origin["validation"]["best_by"]) == (epoch, name)
    assert {key: origin["validation"][key] for key in ("AP", "AP50")} == found[epoch - 1]["coco"]
    best, last = (yolo.load(run / file).score_rules for file in ("best.keras", "last.keras"))
    assert set(best.thresholds) == {0.25 * epoch}
    assert set(last.thresholds) == {0.5}
    assert last.about == {"data": validation.name, "split": "val", "pictures": len(validation), "thresholds": "best F1"}


def test_patience_needs_boxes_to_find(digits):
    dataset = yolo.load_dataset(digits, "train")
    nothing = yolo.load_dataset(digits, "val").subset([0])
    nothing = replace(nothing, ignore=np.ones_like(nothing.ignore))
    with pytest.raises(ConfigError, match="no validation picture has a box to find; patience needs mAP"):
        train(make_detector(dataset), dataset, validation=nothing, out=None, epochs=1, batch=4, patience=1)


def test_the_last_tenth_is_plain(digits):
    """Of the run's epochs, which are longer than the dataset when the batch does not divide it."""
    dataset = yolo.load_dataset(digits, "train")
    config = TrainConfig(epochs=10, batch=5, augment=AugmentConfig(mosaic=1.0, plain_end=0.3))
    run = make_run(make_detector(dataset), dataset, dataset, config)
    assert run.steps == 2
    assert run.plain_from == 7 * 2 * 5
    assert all(len(files) == 4 for files in run.files_of(run.plain_from - 5))
    assert all(len(files) == 1 for files in run.files_of(run.plain_from))


def test_training_measures_thresholds_anew(digits):
    """Those of other weights are dropped; without a right detection there are none."""
    dataset, validation = yolo.load_dataset(digits, "train"), yolo.load_dataset(digits, "val")
    detector = make_detector(dataset)
    detector.score_rules = ScoreRules((0.5,) * len(dataset.classes))
    seen = []

    class Watcher(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):  # noqa: ARG002
            seen.append(self.model.score_rules)

    train(detector, dataset, validation=validation, epochs=1, batch=8, callbacks=[Watcher()])
    assert seen == [NO_RULES]
    nothing = make_dataset([(0, 0, 0, 0, 9, 9, False)], pictures=1)
    assert rules_of(nothing, make_detections([])) == NO_RULES
    found = [(0, 0, 0, 0, 9, 9, 0.7), (0, 1, 0, 0, 9, 9, 0.4)]
    assert rules_of(nothing, make_detections(found)).thresholds == (0.7, 0.7)
