"""Options given anew with --resume: which apply, which may be repeated, and which are refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from cfg_texts import STAGED
from step_by_step import training_step_by_step

from yolo.cli import train
from yolo.cli.main import main
from yolo.cli.options import parse
from yolo.cli.resume_options import check_given, describe_command
from yolo.config import AugmentConfig, TrainConfig
from yolo.datasets.digits import make_digits
from yolo.errors import ConfigError
from yolo.training.run.checkpoint import Checkpoints

BEGAN = TrainConfig(
    epochs=60, batch=24, cache="ram", workers=3, save_every=7, augment=AugmentConfig(mosaic=0.5, mixup=0.1)
)


def parsed(*words):
    return parse("train", "", train.add_arguments, list(words))


@pytest.fixture
def meta(tmp_path, monkeypatch):
    """Of a run that began with --batch auto in the folder run."""
    monkeypatch.chdir(tmp_path)
    Path("data.json").write_text("{}")
    command = describe_command(parsed("data.json", "--batch", "auto", "--names", "a.names"), "mixed_bfloat16")
    detector = {"model": "yolov3-tiny", "size": [416, 320], "letterbox": "letterbox"}
    return json.loads(json.dumps({"command": command, "detector": detector, "config": asdict(BEGAN)}))


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ([], {}),
        (["--augment.mosaic", "0.5", "--epochs", "60"], {}),  # as it began
        (["--batch", "auto"], {}),
        (["--batch", "24"], {}),
        (["--size", "416x320", "--model", "yolov3-tiny", "--letterbox", "letterbox", "--names", "a.names"], {}),
        (["--precision", "auto"], {}),
        (["--precision", "mixed_bfloat16"], {}),
        (["--out", "../" + "{folder}/run", "--force", "--offline"], {}),
        (["--cache", "none"], {"cache": "none"}),  # what is the default is given too
        (["--workers", "0", "--save-every", "0"], {"workers": 0, "save_every": 0}),
        (["--config", "some.yaml"], {"cache": "disk"}),
        (["--val", "elsewhere", "--images", "elsewhere", "--devices", "cpu"], {}),
    ],
)
def test_what_may_be_given(meta, tmp_path, words, changes):
    Path("some.yaml").write_text("cache: disk\naugment:\n  mixup: 0.1\nweights: null\n")
    words = [word.format(folder=tmp_path.name) for word in words]
    found = check_given(parsed("--resume", "run", *words).given, meta, Path("run"))
    assert asdict(found) == {**asdict(BEGAN), **changes}


def test_the_albumentations_file_may_have_moved(meta):
    found = check_given(parsed("--augment.albumentations", "new.yaml").given, meta, Path("run"))
    assert found.augment == AugmentConfig(mosaic=0.5, mixup=0.1, albumentations="new.yaml")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "100"], "--epochs 100: the run began with 60; a run goes on"),  # the default
        (["--batch", "8"], "--batch 8: the run began with auto (24);"),
        (["--augment.mixup", "0"], "--augment.mixup 0.0: the run began with 0.1;"),
        (["--loss.box", "ciou"], "--loss.box ciou: the run began with giou;"),
        (["--learning-rate", "0.1"], "--learning-rate 0.1: the run began without;"),
        (["--size", "416"], "--size 416: the run began with 416x320;"),
        (["--model", "yolov3"], "--model yolov3: the run began with yolov3-tiny;"),
        (["--weights", "a.keras"], "--weights a.keras: the run began without;"),
        (["--anchors", "auto"], "--anchors auto: the run began without;"),
        (["--new", "sampled"], "--new sampled: the run began with fresh;"),
        (["--names", "b.names"], "--names b.names: the run began with a.names;"),
        (["--precision", "float32"], "--precision float32: the run began with auto (mixed_bfloat16);"),
        (["--letterbox", "stretch"], "--letterbox stretch: the run began with letterbox;"),
        (["--out", "other"], "--out other: the run began with "),
        (["--config", "some.yaml"], "--epochs 61: the run began with 60; --size 64: the run began with 416x320; a run"),
    ],
)
def test_what_is_refused_by_name(meta, words, message):
    Path("some.yaml").write_text("epochs: 61\nsize: '64'\n")
    with pytest.raises(ConfigError) as caught:
        check_given(parsed("--resume", "run", *words).given, meta, Path("run"))
    assert message in str(caught.value)


def test_more_epochs_are_a_new_run_from_its_weights(meta):
    """The rate of the run was scheduled for its own epochs: the refusal says what to do instead."""
    advice = "(to train further, begin a new run from its weights: yolov3 train DATA --weights runs/train-1/last.keras)"
    with pytest.raises(ConfigError) as caught:
        check_given(parsed("--epochs", "100").given, meta, Path("runs/train-1"))
    assert str(caught.value) == f"--epochs 100: the run began with 60; a run goes on as it began {advice}"
    with pytest.raises(ConfigError) as caught:
        check_given(parsed("--epochs", "60", "--batch", "8").given, meta, Path("runs/train-1"))
    assert advice not in str(caught.value)


def gone_on(*options):
    """Go on as if the run had been killed before its last checkpoint; the exit code."""
    for path in sorted(Checkpoints("run").path.iterdir())[1:]:
        path.unlink()
    Path("log.csv").unlink(missing_ok=True)
    shutil.rmtree("run/tensorboard", ignore_errors=True)
    return main(["train", "--resume", "run", *options])


@pytest.fixture
def _step_by_step():
    with training_step_by_step():
        yield


@pytest.mark.usefixtures("_step_by_step")
def test_the_data_may_have_moved_and_who_watches_is_remembered(tmp_path, monkeypatch, capsys):
    """Into another folder, and into shards: the run ends bit for bit the same."""
    monkeypatch.chdir(tmp_path)
    make_digits(tmp_path / "old", train=6, val=2, size=64, seed=3)
    shutil.copytree("old", "seen")
    Path("net.cfg").write_text(STAGED)
    options = ["--model", "net.cfg", "--epochs", "2", "--batch", "3", "--out", "run", "--save-every", "1"]
    watchers = ["--tensorboard", "--callbacks", "[{keras.callbacks.CSVLogger: {filename: log.csv}}]"]
    watchers += ["--keep-checkpoints"]
    assert main(["train", "old", "--val", "seen", *options, *watchers]) == 0
    end = Checkpoints("run").latest()
    Path("old").rename("new")
    Path("seen").rename("new val")
    assert main(["data", "convert", "new", "shards", "--to", "tfrecord"]) == 0
    assert gone_on() == 2
    assert "old: no such file or folder" in capsys.readouterr().err
    for moved in ("new", "shards"):
        assert gone_on(moved, "--val", "new val") == 0, capsys.readouterr().err
        found = Checkpoints("run").latest()
        for name, array in end.arrays.items():
            np.testing.assert_array_equal(found.arrays[name], array, err_msg=name)
        assert found.meta["command"]["data"]["data"] == str(tmp_path / moved)
        assert len(Path("log.csv").read_text().splitlines()) == 2  # the last epoch
        assert any(Path("run/tensorboard").rglob("*tfevents*"))
    assert gone_on(moved, "--val", "new val", "--callbacks", "") == 0  # others: none
    assert not Path("log.csv").exists()
