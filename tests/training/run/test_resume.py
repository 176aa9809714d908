"""A run that is stopped and goes on ends as one that was not: weights bit for bit, and the same history."""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import asdict

import keras
import numpy as np
import pytest
from cfg_texts import STAGED
from runs import OPTIONS, begin_or_go_on, killed_after, killed_inside_a_save, processes

import yolo
from yolo.config import AugmentConfig, TrainConfig
from yolo.datasets.digits import make_digits
from yolo.errors import ConfigError
from yolo.files.atomic import TEMPORARY
from yolo.model.detector import Detector
from yolo.training.run.checkpoint import Checkpoints
from yolo.training.trainer import train

TIMES = {"images_per_second", "data_wait", "train_seconds", "evaluation_seconds", "memory_gb"}
"""Columns of the history that no two runs have in common."""


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return make_digits(tmp_path_factory.mktemp("digits"), train=8, val=4, size=64, seed=3)


def in_a_process(target, *arguments) -> int:
    """Run it in a process of its own; its exit code."""
    process = processes().Process(target=target, args=arguments)
    process.start()
    process.join()
    return process.exitcode


@pytest.fixture(scope="module")
def unbroken(digits, tmp_path_factory):
    """The last checkpoint of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("unbroken")
    assert in_a_process(begin_or_go_on, folder, digits) == 0
    return Checkpoints(folder).latest()


def assert_same_end(found, expected):
    """All variables bit for bit, and all of the history but the times."""
    assert found.step == expected.step
    assert set(found.arrays) == set(expected.arrays)
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array, err_msg=name)
    one, other = (
        [{key: value for key, value in row.items() if key not in TIMES} for row in each.meta["state"]["history"]]
        for each in (found, expected)
    )
    assert one == other
    assert len(one) == OPTIONS["epochs"]
    assert found.meta["state"]["best_epoch"] == expected.meta["state"]["best_epoch"]
    one, other = (dict(each.meta["detector"]) for each in (found, expected))
    rules, others = (dict(each.pop("score_rules")) for each in (one, other))
    assert one == other
    about, abouts = (each.pop("about") for each in (rules, others))
    assert rules == others
    assert {**about, "data": None} == {**abouts, "data": None}  # the name of a folder, which may be another one


@pytest.mark.slow
def test_killed_six_times_the_run_ends_as_if_it_had_not_been(digits, unbroken, tmp_path):
    """Half of the deaths come at random moments, half inside a save."""
    draw, deaths = random.Random(0), 0
    for number in range(6):
        if number % 2:
            code = in_a_process(killed_inside_a_save, draw.randrange(1, 3), draw.random(), tmp_path, digits)
        else:
            code = in_a_process(killed_after, draw.uniform(0, 0.6), tmp_path, digits)
        assert code in (0, -signal.SIGKILL)
        deaths += code != 0
    assert deaths >= 4  # the run may have been done before the last
    assert in_a_process(begin_or_go_on, tmp_path, digits) == 0
    assert_same_end(Checkpoints(tmp_path).latest(), unbroken)
    assert {path.name for path in tmp_path.iterdir()} >= {"best.keras", "last.keras", "history.csv", "metrics.json"}
    assert not [path for path in tmp_path.rglob("*") if TEMPORARY.fullmatch(path.name)]


@pytest.mark.parametrize("again", [True, False])
def test_what_a_killed_run_left_half_written_goes(digits, tmp_path, again):
    """When it is resumed, and when another one is begun in its folder."""
    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    options = {"validation": validation, "out": tmp_path, "epochs": 1, "batch": 8, "keep_checkpoints": True}
    train(Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0), dataset, **options)
    left = tmp_path / ".1-7f00.keras", tmp_path / "checkpoints" / ".1-7f00.npz"
    for path in left:
        path.write_bytes(b"half")
    if again:
        sorted((tmp_path / "checkpoints").glob("*.npz"))[-1].unlink()
        yolo.resume(tmp_path, dataset, validation=validation)
    else:
        train(Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0), dataset, **options)
    assert not any(path.exists() for path in left)


class Leave(keras.callbacks.Callback):
    """Sends this process a signal at the end of a step; or at the end of its epoch, after the validation."""

    def __init__(self, step, number, *, late=False):
        super().__init__()
        self.left, self.number, self.late = step, number, late

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002 - Keras' signature
        self.left -= 1
        if not self.left and not self.late:
            os.kill(os.getpid(), self.number)

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
        if not self.left and self.late:
            os.kill(os.getpid(), self.number)


LAST = 3 * OPTIONS["epochs"]


@pytest.mark.parametrize(
    "leaving",
    [
        (5, signal.SIGINT, KeyboardInterrupt, 1),
        (6, signal.SIGTERM, SystemExit, 1),
        (LAST, signal.SIGINT, KeyboardInterrupt, OPTIONS["epochs"] - 1),
    ],
)
def test_signals_save_and_leave(digits, unbroken, tmp_path, caplog, leaving):
    """In the middle of an epoch at once; at its end (steps 6 and 24) in the validation, which is done again."""
    step, number, ends, rows = leaving
    before = signal.getsignal(number)
    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
    with caplog.at_level(logging.INFO), pytest.raises(ends) as caught:
        train(detector, dataset, validation=validation, out=tmp_path, callbacks=[Leave(step, number)], **OPTIONS)
    if ends is SystemExit:
        assert caught.value.code == 143
    assert f"stopped at step {step}; go on with: yolov3 train --resume {tmp_path}" in caplog.text
    assert signal.getsignal(number) is before
    left = Checkpoints(tmp_path).latest()
    assert left.step == step
    assert len(left.meta["state"]["history"]) == rows
    yolo.resume(tmp_path, dataset, validation=validation, workers=1, keep_checkpoints=True)
    found = Checkpoints(tmp_path).latest()
    found.meta["config"]["workers"] = 0
    found.meta["detector"]["origin"]["config"]["workers"] = 0
    assert_same_end(found, unbroken)


def test_a_signal_after_a_validation_leaves_it_done(digits, tmp_path):
    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
    late = Leave(3, signal.SIGTERM, late=True)
    with pytest.raises(SystemExit):
        train(detector, dataset, validation=validation, out=tmp_path, callbacks=[late], epochs=2, batch=3)
    left = Checkpoints(tmp_path).latest()
    assert left.step == 3
    assert [row["epoch"] for row in left.meta["state"]["history"]] == [1]


def pretrained(dataset):
    """A detector whose weights are not those that its seed would give it."""
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
    draw = np.random.default_rng(5)
    detector.set_weights([weight + draw.uniform(0, 0.3, weight.shape) for weight in detector.get_weights()])
    return detector


def test_layers_that_thaw_right_after_a_resume(digits, tmp_path):
    """Their running averages begin at the checkpoint's weights, as in a run that was never stopped."""
    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    options = {"epochs": 2, "batch": 4, "freeze": "1", "unfreeze_at": 1, "keep_checkpoints": True}
    options["validation"] = validation
    train(pretrained(dataset), dataset, out=tmp_path / "unbroken", **options)
    late = Leave(2, signal.SIGTERM, late=True)
    with pytest.raises(SystemExit):
        train(pretrained(dataset), dataset, out=tmp_path / "stopped", callbacks=[late], **options)
    yolo.resume(tmp_path / "stopped", dataset, validation=validation, keep_checkpoints=True)
    found, expected = (Checkpoints(tmp_path / name).latest().arrays for name in ("stopped", "unbroken"))
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_the_loss_scale_goes_on(digits, tmp_path, monkeypatch):
    """In float16; here it doubles after every two steps, through the border of two stages and a stop in an epoch."""
    monkeypatch.setattr("yolo.training.optimizer.update_rules.GROWTH_STEPS", 2)
    keras.config.set_dtype_policy("mixed_float16")
    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    options = {**OPTIONS, "epochs": 3, "unfreeze_at": 1, "validation": validation}
    for name in ("unbroken", "stopped"):
        detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
        if name == "unbroken":
            train(detector, dataset, out=tmp_path / name, **options)
            continue
        with pytest.raises(SystemExit):
            train(detector, dataset, out=tmp_path / name, callbacks=[Leave(4, signal.SIGTERM)], **options)
    yolo.resume(tmp_path / "stopped", dataset, validation=validation, keep_checkpoints=True)
    found, expected = (Checkpoints(tmp_path / name).latest().arrays for name in ("stopped", "unbroken"))
    assert expected["optimizer/adamw/loss_scale"] > 2**16
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


class Enough(keras.callbacks.Callback):
    """Ends a run after its first epoch."""

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
        self.model.stop_training = True


def test_a_run_that_ended_with_frozen_layers_stays_as_it_is(digits, tmp_path):
    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    detector = pretrained(dataset)
    options = {"epochs": 3, "batch": 4, "freeze": "1", "unfreeze_at": 2, "callbacks": [Enough()]}
    train(detector, dataset, validation=validation, out=tmp_path, **options)
    again, _ = yolo.resume(tmp_path, dataset, validation=validation)
    for one, other in zip(detector.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def stopped(digits, tmp_path_factory):
    """A run that was stopped in its first epoch."""
    folder = tmp_path_factory.mktemp("stopped")
    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
    options = {**OPTIONS, "callbacks": [Leave(1, signal.SIGINT)]}
    with pytest.raises(KeyboardInterrupt):
        train(detector, dataset, validation=validation, out=folder, **options)
    return folder


def test_other_pictures_are_named(digits, stopped):
    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    with pytest.raises(ConfigError, match=r"has changed: dataset\.boxes: \d+ -> \d+; dataset\.fingerprint: .* -> "):
        yolo.resume(stopped, dataset.subset(range(7)), validation=validation)
    moved = dataset.subset(range(8))
    moved.boxes[0, 0] += 1
    with pytest.raises(ConfigError, match=r"has changed: dataset\.fingerprint: \w+ -> \w+\. Undo that"):
        yolo.resume(stopped, moved, validation=validation)


def test_other_options_are_named(digits, stopped):
    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    with pytest.raises(ConfigError, match=r"has changed: config\.batch: 3 -> 4; config\.epochs: 8 -> 9\."):
        yolo.resume(stopped, dataset, validation=validation, epochs=9, batch=4)


def test_a_renamed_folder_is_the_same_pictures(digits, unbroken, stopped, tmp_path):
    """And a run that was left within its first epoch ends as one that was not."""
    folder, renamed = (tmp_path / name for name in ("run", "renamed"))
    shutil.copytree(stopped, folder)
    shutil.copytree(digits, renamed)
    dataset, validation = (yolo.load_dataset(renamed, split) for split in ("train", "val"))
    assert dataset.name == "renamed"
    yolo.resume(folder, dataset, validation=validation, keep_checkpoints=True)
    assert_same_end(Checkpoints(folder).latest(), unbroken)


def test_the_albumentations_file_is_part_of_the_run(digits, tmp_path, monkeypatch):
    """Its path counts from where the run began; its text must not change, its place may."""
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "mine.yaml"
    mine.write_text("- HueSaturationValue: {p: 1.0}\n")
    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
    augment = AugmentConfig(albumentations="mine.yaml")
    options = {"validation": validation, "epochs": 2, "batch": 3, "callbacks": [Leave(1, signal.SIGINT)]}
    with pytest.raises(KeyboardInterrupt):
        train(detector, dataset, out="run", augment=augment, **options)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    mine.write_text("- HueSaturationValue: {p: 0.5}\n")
    with pytest.raises(ConfigError, match=r"has changed: file of augment\.albumentations: \w+ -> \w+\. Undo that"):
        yolo.resume("../run", dataset, validation=validation)
    mine.unlink()
    with pytest.raises(ConfigError, match=r"--augment\.albumentations .*mine\.yaml: cannot be read .*where it is now"):
        yolo.resume("../run", dataset, validation=validation)
    (tmp_path / "moved.yaml").write_text("- HueSaturationValue: {p: 1.0}\n")
    yolo.resume("../run", dataset, validation=validation, augment=AugmentConfig(albumentations="../moved.yaml"))
    left = Checkpoints(tmp_path / "run").latest()
    assert left.step == 6
    assert left.meta["config"]["augment"]["albumentations"] == str(tmp_path / "moved.yaml")


def test_layers_that_the_caller_froze_stay_frozen(digits, tmp_path):
    """Beyond those of --freeze, whose stage ends on the way."""
    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    for folder, callbacks in (("unbroken", []), ("stopped", [Leave(1, signal.SIGINT)])):
        detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
        detector.convolutions[1].trainable = False
        options = {"epochs": 3, "batch": 3, "freeze": "1", "unfreeze_at": 2, "callbacks": callbacks}
        options["keep_checkpoints"] = True
        with pytest.raises(KeyboardInterrupt) if callbacks else nullcontext():
            train(detector, dataset, validation=validation, out=tmp_path / folder, **options)
    resumed, _ = yolo.resume(tmp_path / "stopped", dataset, validation=validation, keep_checkpoints=True)
    assert [layer.trainable for layer in resumed.convolutions] == [True, False, True, True]
    ends = [Checkpoints(tmp_path / folder).latest().arrays for folder in ("unbroken", "stopped")]
    assert set(ends[0]) == set(ends[1])
    for name, array in ends[0].items():
        np.testing.assert_array_equal(ends[1][name], array, err_msg=name)


def test_a_folder_without_checkpoints_is_named(digits, tmp_path):
    with pytest.raises(ConfigError, match="holds no checkpoint to go on from"):
        yolo.resume(tmp_path, yolo.load_dataset(digits, "train"))


@pytest.mark.parametrize("kept", [True, False])
def test_a_finished_run_stays_as_it_is(digits, tmp_path, caplog, kept):
    """Its checkpoints are dropped unless they are to be kept; a resume gives back the same either way."""
    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
    options = {"validation": validation, "keep_checkpoints": kept}
    result = train(detector, dataset, out=tmp_path, epochs=2, batch=4, **options)
    files = sorted((tmp_path / "checkpoints").iterdir())
    assert [path.name for path in files] == ["step-000000002.npz", "step-000000004.npz"][0 if kept else 1 :]
    assert (files[-1].stat().st_size < 20_000) != kept
    last = Checkpoints(tmp_path).latest()
    assert bool(last.arrays) == kept
    with caplog.at_level(logging.INFO):
        again, same = yolo.resume(tmp_path, dataset, **options)
    assert (
        f"{tmp_path}: this run is finished, after 2 epochs; to train further, begin a new run from its weights: "
        f"yolov3 train DATA --weights {tmp_path}/last.keras"
    ) in caplog.messages
    assert repr(asdict(same)) == repr(asdict(result))  # some metrics are not a number
    assert Checkpoints(tmp_path).latest().meta == last.meta
    for one, other in zip(detector.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_finished_run_needs_its_last_model(digits, tmp_path):
    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
    train(detector, dataset, validation=validation, out=tmp_path, epochs=1, batch=8)
    (tmp_path / "last.keras").unlink()
    with pytest.raises(ConfigError, match=r"last\.keras: gone, and the checkpoints of this finished run were dropped"):
        yolo.resume(tmp_path, dataset, validation=validation)


def test_a_disk_that_is_full_at_the_end_leaves_the_checkpoints(digits, tmp_path, monkeypatch, caplog):
    """The run has ended well nevertheless."""
    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
    save = Checkpoints.save

    def full(self, step, arrays, meta, **options):
        if not arrays:
            raise ConfigError("checkpoints: cannot be written (no space left)")
        return save(self, step, arrays, meta, **options)

    monkeypatch.setattr(Checkpoints, "save", full)
    train(detector, dataset, validation=validation, out=tmp_path, epochs=1, batch=8)
    assert "checkpoints: cannot be written (no space left); the checkpoints are kept" in caplog.messages
    assert Checkpoints(tmp_path).latest().arrays


def test_a_new_run_in_an_old_folder_begins_anew(digits, tmp_path):
    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    for epochs in (2, 1):
        detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
        train(detector, dataset, validation=validation, out=tmp_path, epochs=epochs, batch=4)
    assert Checkpoints(tmp_path).latest().meta["config"] == asdict(TrainConfig(epochs=1, batch=4))


def run_in(folder, *command):
    """A command in a folder."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_command_goes_on(digits, tmp_path):
    """Killed by the shell's timeout and taken up again, as docs say it."""
    command = [sys.executable, "-m", "yolo", "train"]
    (tmp_path / "net.cfg").write_text(STAGED)
    options = ["--model", "net.cfg", "--size", "64", "--epochs", "2", "--batch", "3", "--out", "run", "--anchors"]
    first = run_in(tmp_path, *command, str(digits), *options, "auto", "--save-every", "1", "--keep-checkpoints")
    assert first.returncode == 0, first.stderr
    folder = Checkpoints(tmp_path / "run")
    end = folder.latest()
    for path in sorted(folder.path.iterdir())[1:]:  # as if it had been killed before the last step's end
        path.unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    again = run_in(elsewhere, *command, "--resume", "../run")
    assert again.returncode == 0, again.stderr
    assert again.stdout.split()[1:] == first.stdout.split()[1:]
    assert "going on from step 5 of 6" in again.stderr
    found = folder.latest()
    for name, array in end.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array, err_msg=name)
    wrong = run_in(tmp_path, *command, "--resume", "run", "--epochs", "9")
    assert wrong.returncode == 2
    assert wrong.stderr.strip().endswith(
        "--epochs 9: the run began with 2; a run goes on as it began (to train further, begin a new run from its "
        "weights: yolov3 train DATA --weights run/last.keras)"
    )
