"""The search: what it may try, that it goes on after it was killed, and what it leaves behind.

Training itself is replaced by a formula of the options, but for one run of the whole command.
"""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace

import keras
import pytest
import yaml
from cfg_texts import STAGED
from hypothesis import given
from hypothesis import strategies as st
from processes import holding
from short_files import no_file_longer_than
from tables import make_dataset

from yolo.config import LossConfig, TrainConfig
from yolo.errors import AnnotationError, ConfigError
from yolo.images import plots
from yolo.training.optimizer.learning_rate import peak_rate
from yolo.training.result import TrainResult
from yolo.training.run.state import NotFiniteError
from yolo.training.search.space import Range, changed, present_values, read_space

optuna = pytest.importorskip("optuna")

from yolo.training.search import study, tuning  # noqa: E402 - only where Optuna is
from yolo.training.search.study import best_trial, finished, opened  # noqa: E402
from yolo.training.search.tuning import Search, tune  # noqa: E402

SPACE = {
    "learning_rate": Range("log", 0.0001, 0.1),
    "loss.assign_iou": Range("choice", values=(None, 0.25, 0.5)),
    "warmup_epochs": Range("float", 0.0, 5.0),
    "accumulate": Range("int", 1, 4),
}
BASE = TrainConfig(
    epochs=4, batch=16, accumulate=1, warmup_epochs=3.0, learning_rate=None, seed=3, loss=LossConfig(assign_iou=0.25)
)
DATASET = make_dataset([(index, 0, 0, 0, 9, 9, 0) for index in range(4)], 4)


# The space


@given(st.floats(0.0002, 0.01), st.integers(1, 8), st.sampled_from([None, 0.2, 0.4]))
def test_changed_options_are_those_and_no_others(rate, accumulate, assign):
    base = TrainConfig(momentum=0.5, loss=LossConfig(box_weight=3.0))
    values = {"learning_rate": rate, "accumulate": accumulate, "loss.assign_iou": assign}
    expected = replace(
        base, learning_rate=rate, accumulate=accumulate, loss=LossConfig(box_weight=3.0, assign_iou=assign)
    )
    assert changed(base, values) == expected


def test_present_values_are_those_within_the_space():
    assert present_values(BASE, SPACE) == {
        "learning_rate": peak_rate(BASE, 16),  # what unset means
        "loss.assign_iou": 0.25,
        "warmup_epochs": 3.0,
        "accumulate": 1,
    }
    outside = replace(BASE, learning_rate=0.5, loss=LossConfig(assign_iou=0.3))
    assert present_values(outside, SPACE) == {"warmup_epochs": 3.0, "accumulate": 1}
    # What unset means is not known before the batch is.
    assert "learning_rate" not in present_values(replace(BASE, batch="auto"), SPACE)


def write_space(tmp_path, text):
    path = tmp_path / "space.yaml"
    path.write_text(text)
    return path


def test_a_space_is_read(tmp_path):
    text = """
    learning_rate: {kind: log, low: 0.0001, high: 0.1}
    loss.assign_iou: {kind: choice, values: [null, 0.25, 0.5]}
    warmup_epochs: {kind: float, low: 0.0, high: 5.0}
    accumulate: {kind: int, low: 1, high: 4}
    """
    assert read_space(write_space(tmp_path, text), TrainConfig()) == SPACE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate: {kind: log, low: 0.1, high: 1}", "rate: train has no such option"),
        ("loss: {kind: log, low: 0.1, high: 1}", "loss: train has no such option"),
        ("loss.box.x: {kind: log, low: 0.1, high: 1}", "loss.box.x: train has no such option"),
        ("momentum: {kind: float, low: 0.5, high: 1.0}", r"momentum must be in \[0, 1\)"),
        ("loss.box_weight: {kind: float, low: -1, high: 1}", "loss.box_weight must be >= 0"),
        ("momentum: {kind: gauss, low: 0.5, high: 0.9}", "momentum: kind must be one of float, log, int, choice"),
        ("momentum: {kind: float, low: 0.5}", "momentum must be given by high, kind, low"),
        ("momentum: {kind: float, low: 0.9, high: 0.5}", "momentum must be a range that rises"),
        ("weight_decay: {kind: log, low: 0, high: 0.5}", "weight_decay must be a range that rises"),
        ("momentum: {kind: float, low: 0.5, high: .inf}", "momentum must be a range that rises"),
        ("accumulate: {kind: int, low: 1.5, high: 3}", "accumulate must be between two, each a whole number"),
        ("accumulate: {kind: int, low: true, high: 3}", "accumulate must be between two, each a whole number"),
        ("accumulate: {kind: float, low: 1, high: 3}", "accumulate must be a whole number, got 1.0"),
        ("momentum: {kind: float, low: a, high: b}", "momentum must be between two, each a number"),
        ("loss.box: {kind: choice, values: [giou, eiou]}", "loss.box must be one of giou, diou, ciou, squared"),
        ("optimizer: {kind: choice, values: [adam]}", "optimizer must be one of adamw, sgd"),
        ("momentum: {kind: choice, values: [[0.5]]}", r"momentum must be a number, got \[0.5\]"),
        ("unfreeze_at: {kind: int, low: 1, high: 3}", "unfreeze_at must be given with freeze"),
        ("momentum: {kind: choice, values: 0.5}", "momentum: values must be a list"),
        ("momentum: 0.5", "momentum must be a range such as"),
        ("epochs: {kind: int, low: 1, high: 3}", "epochs must be the same in all trials"),
        ("- momentum", "expected options with their ranges"),
        ("", "expected options with their ranges"),
        ("{", "not valid YAML"),
    ],
)
def test_faults_of_a_space_name_the_file_and_the_option(tmp_path, text, message):
    with pytest.raises(ConfigError, match=rf"space\.yaml:.* {message}"):
        read_space(write_space(tmp_path, text), TrainConfig())


def test_numbers_may_be_written_as_in_a_config_file(tmp_path):
    """PyYAML reads 1e-4 as text, and 1.0e-4 as a number."""
    text = """
    learning_rate: {kind: log, low: 1e-4, high: 1E-1}
    weight_decay: {kind: choice, values: [0, .5e-3, 1.0e-3]}
    freeze: {kind: choice, values: [null, "10", backbone]}
    """
    space = read_space(write_space(tmp_path, text), TrainConfig())
    assert space["learning_rate"] == SPACE["learning_rate"]
    assert space["weight_decay"].values == (0, 0.0005, 0.001)
    assert space["freeze"].values == (None, "10", "backbone")


def test_values_are_tried_with_the_options_of_the_run(tmp_path):
    path = write_space(tmp_path, "unfreeze_at: {kind: int, low: 1, high: 3}")
    assert read_space(path, TrainConfig(freeze="backbone")) == {"unfreeze_at": Range("int", 1, 3)}


def test_a_space_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        read_space(tmp_path / "none.yaml", TrainConfig())


@given(st.sampled_from(sorted(SPACE)), st.one_of(st.none(), st.floats(), st.integers(), st.booleans(), st.text()))
def test_a_range_contains_what_its_distribution_does(name, value):
    allowed, distribution = SPACE[name], SPACE[name].distribution()
    if value in allowed:
        assert distribution._contains(distribution.to_internal_repr(value))


# The search


def quality(config: TrainConfig) -> float:
    """Best at a rate of 0.01; in 0..1."""
    return 1.0 / (1.0 + abs(math.log10(config.learning_rate / 0.01)) + 0.1 * config.warmup_epochs)


class Runs:
    """Stands for training: notes the options, and reports AP that rises to the formula's value."""

    def __init__(self):
        self.configs = []
        self.error = None

    def __call__(self, *_, config, callbacks, **options):
        assert set(options) == {"validation", "live", "devices", "out"}
        assert options["out"] is None  # nothing is written
        self.configs.append(config)
        if self.error is not None:
            self.error(len(self.configs))
        model = SimpleNamespace(stop_training=False)
        callbacks[0].set_model(model)
        history = []
        for epoch in range(config.epochs):
            ap = quality(config) * (epoch + 1) / config.epochs
            history.append({"epoch": epoch + 1, "AP": ap})
            callbacks[0].on_epoch_end(epoch, history[-1])
            if model.stop_training:
                break
        return TrainResult(history)


@pytest.fixture
def runs(monkeypatch):
    """The stand-in for training; the sampler learns early, and what takes time in vain is left out."""
    runs = Runs()
    monkeypatch.setattr(tuning, "train", runs)
    monkeypatch.setattr(keras.utils, "clear_session", lambda: None)
    monkeypatch.setattr(plots, "plot_trials", lambda *_: None)
    monkeypatch.setattr(study, "RANDOM_TRIALS", 3)
    monkeypatch.setattr(study, "COMPARED", 2)
    return runs


def make_search(folder, **options):
    fields = {
        "make": lambda: None,
        "dataset": DATASET,
        "validation": None,
        "config": BASE,
        "space": SPACE,
        "folder": folder,
        "about": {"model": "yolov3-tiny", "size": "96x96"},
    }
    return Search(**{**fields, **options})


def test_the_first_trial_has_the_options_as_they_are_and_the_best_is_found(runs, tmp_path):
    best = tune(make_search(tmp_path), trials=6)
    first = runs.configs[0]
    assert first == replace(BASE, learning_rate=peak_rate(BASE, 16))
    assert len(runs.configs) == 6
    values = [quality(config) for config in runs.configs]
    assert best.value == pytest.approx(max(values))
    assert best.value > values[0]
    assert len({config.learning_rate for config in runs.configs}) == 6


def test_what_is_left_behind(runs, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(plots, "plot_trials", lambda *arguments: shown.append(arguments))
    tune(make_search(tmp_path), trials=5)
    values = [quality(config) for config in runs.configs]
    best = runs.configs[values.index(max(values))]
    options = yaml.safe_load((tmp_path / "best.yaml").read_text())
    assert options["model"] == "yolov3-tiny"
    assert options["learning_rate"] == best.learning_rate
    assert options["loss"]["assign_iou"] == best.loss.assign_iou
    assert "epochs" not in options  # the user says how long
    rows = list(csv.DictReader((tmp_path / "trials.csv").read_text().splitlines()))
    assert [row["trial"] for row in rows] == [str(number) for number in range(1, 6)]
    for row, config, value in zip(rows, runs.configs, values, strict=True):
        assert float(row["learning_rate"]) == config.learning_rate
        if row["state"] == "complete":
            assert (float(row["AP"]), row["epochs"]) == (pytest.approx(value, rel=1e-5), "4")
    whole, cut, path = shown[-1]
    assert path == tmp_path / "trials.png"
    ended = [row["state"] == "complete" for row in rows]
    assert [value for value, own in zip(whole, ended, strict=True) if own] == pytest.approx(
        [value for value, own in zip(values, ended, strict=True) if own]
    )
    assert all(math.isnan(value) != own for value, own in zip(whole, ended, strict=True))
    assert all(0 < value <= 1 for value in cut)


def test_the_hopeless_are_cut_short_and_are_not_the_best(runs, tmp_path):
    tune(make_search(tmp_path, config=replace(BASE, epochs=12)), trials=8)
    with opened(tmp_path, make_search(tmp_path, config=replace(BASE, epochs=12)).conditions(), epochs=12) as found:
        trials = finished(found)
        cut = [trial for trial in trials if trial.state.name == "PRUNED"]
        assert cut
        assert all(3 < len(trial.intermediate_values) < 12 for trial in cut)
        values = [quality(config) for config in runs.configs]
        whole = [value for value, trial in zip(values, trials, strict=True) if trial not in cut]
        assert all(quality(runs.configs[trials.index(trial)]) < max(whole) for trial in cut)
        assert best_trial(found).value == pytest.approx(max(whole))


def test_the_same_command_again_goes_on_as_if_nothing_had_been(runs, tmp_path):
    tune(make_search(tmp_path / "whole"), trials=6)
    whole, runs.configs = runs.configs, []
    for trials in (3, 3, 6):
        tune(make_search(tmp_path / "parts"), trials=trials)
    assert runs.configs == whole


def test_a_trial_that_ended_with_the_program_is_repeated(runs, tmp_path):
    tune(make_search(tmp_path / "whole"), trials=5)
    whole, runs.configs = runs.configs, []

    def die(count):
        if count == 3:
            raise KeyboardInterrupt

    runs.error = die
    with pytest.raises(KeyboardInterrupt):
        tune(make_search(tmp_path / "parts"), trials=5)
    runs.error = None
    tune(make_search(tmp_path / "parts"), trials=5)
    assert runs.configs == [*whole[:3], *whole[2:]]


def test_a_trial_that_always_ends_the_program_is_given_up(runs, tmp_path):
    def die(_):
        raise KeyboardInterrupt

    runs.error = die
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            tune(make_search(tmp_path), trials=2)
    rates = [config.learning_rate for config in runs.configs]
    assert len(set(rates[:3])) == 1
    assert rates[3] != rates[0]


def test_a_run_that_diverges_is_worth_nothing_and_the_search_goes_on(runs, tmp_path):
    def diverge(count):
        if count == 2:
            try:
                raise NotFiniteError
            except NotFiniteError:
                raise ConfigError("the loss is no longer finite") from None

    runs.error = diverge
    tune(make_search(tmp_path), trials=3)
    rows = list(csv.DictReader((tmp_path / "trials.csv").read_text().splitlines()))
    assert len(rows) == 3
    assert [row["state"] for row in rows[:2]] == ["complete"] * 2
    assert (rows[1]["AP"], rows[1]["reason"]) == ("0", "the loss is no longer finite")


def test_options_that_never_work_are_reported(runs, tmp_path):
    def refuse(_):
        raise ConfigError("freeze must be less")

    runs.error = refuse
    with pytest.raises(ConfigError, match="no trial came to its end: freeze must be less"):
        tune(make_search(tmp_path), trials=3)
    assert not (tmp_path / "best.yaml").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": replace(BASE, epochs=5)}, "config.epochs: 4 -> 5"),
        ({"space": {"accumulate": SPACE["accumulate"]}}, r"space\.learning_rate"),
        ({"about": {"model": "yolov3", "size": "96x96"}}, "about.model: yolov3-tiny -> yolov3"),
        ({"dataset": make_dataset([(0, 0, 0, 0, 9, 9, 0)], 1)}, r"dataset\.images: 4 -> 1"),
    ],
)
def test_another_search_is_not_mixed_in(runs, tmp_path, change, message):
    tune(make_search(tmp_path), trials=1)
    with pytest.raises(ConfigError, match=rf"holds a search that began otherwise \(.*{message}.*give another --out"):
        tune(make_search(tmp_path, **change), trials=2)
    # What changes nothing of what is learned may be another.
    tune(make_search(tmp_path, config=replace(BASE, workers=2, cache="ram")), trials=2)
    assert len(runs.configs) == 2


def test_undefined_ap_is_an_error(monkeypatch, tmp_path):
    def train(*_, callbacks, **__):
        callbacks[0].on_epoch_end(0, {"AP": math.nan})

    monkeypatch.setattr(tuning, "train", train)
    with pytest.raises(AnnotationError, match="AP is undefined"):
        tune(make_search(tmp_path), trials=1)


@pytest.mark.usefixtures("runs")
def test_two_at_once_are_refused(tmp_path):
    with (
        holding(tmp_path / ".lock") as process,
        pytest.raises(
            ConfigError, match=rf"^a run is going on in {tmp_path} \(process {process.pid} on .*another --out$"
        ),
    ):
        tune(make_search(tmp_path), trials=1)
    tune(make_search(tmp_path), trials=1)


@pytest.mark.parametrize("ends", [KeyboardInterrupt, SystemExit])
def test_a_search_that_is_stopped_tells_the_best_so_far(runs, tmp_path, caplog, ends):
    def stop(count):
        if count == last:
            raise ends

    runs.error, told = stop, []
    last = 1
    with pytest.raises(ends):
        tune(make_search(tmp_path), trials=5, broken_off=told.append)
    assert told == []  # nothing is known
    last = 4
    with caplog.at_level(logging.INFO), pytest.raises(ends):
        tune(make_search(tmp_path), trials=5, broken_off=told.append)
    assert "stopped after 2 of 5 trials; repeat the command to resume" in caplog.messages
    values = [quality(config) for config in runs.configs[1:3]]
    assert [best.value for best in told] == [pytest.approx(max(values))]
    assert f"AP {max(values):.4f}" in (tmp_path / "best.yaml").read_text()


def test_a_store_that_cannot_grow_is_one_line(runs, tmp_path):
    tune(make_search(tmp_path), trials=1)
    with ExitStack() as stack:
        runs.error = lambda _: stack.enter_context(no_file_longer_than(100))
        with pytest.raises(ConfigError, match=rf"^{tmp_path}/study\.db: cannot be read or written \([a-z/ IO]+\)$"):
            tune(make_search(tmp_path), trials=2)


def test_without_optuna_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"pip install 'yolov3-keras\[tune\]'"):
        tune(make_search(tmp_path), trials=1)


@pytest.mark.usefixtures("runs")
def test_folders_with_odd_names(tmp_path):
    folder = tmp_path / "50% of a?b#c"
    tune(make_search(folder), trials=1)
    assert (folder / "study.db").is_file()


# The command


@pytest.fixture
def digits(tmp_path):
    from yolo.datasets.digits import make_digits

    (tmp_path / "net.cfg").write_text(STAGED)
    return make_digits(tmp_path / "digits", train=6, val=3, size=96, seed=3)


@pytest.mark.slow
def test_the_command_searches_and_its_result_trains(digits, tmp_path, capsys, monkeypatch):
    from yolo.cli.main import main

    monkeypatch.chdir(tmp_path)
    space = write_space(tmp_path, "learning_rate: {kind: log, low: 0.0001, high: 0.01}")
    options = [str(digits), "--model", "net.cfg", "--batch", "3", "--epochs", "1", "--space", str(space)]
    assert main(["tune", *options, "--trials", "2", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["options"]) == {"learning_rate"}
    assert (tmp_path / "runs" / "tune" / "trials.csv").read_text().count("\n") == 3
    assert main(["tune", *options, "--trials", "2"]) == 0  # there is nothing left to do
    assert "best.yaml: AP" in capsys.readouterr().out
    assert main(["train", str(digits), "--config", result["config"], "--epochs", "1", "--out", "run"]) == 0
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["learning_rate"] == pytest.approx(
        result["options"]["learning_rate"]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "name the DATA"),
        (["DATA", "--resume", "x"], "to continue a search, repeat its command"),
        (["DATA", "--trials", "0"], "trials must be > 0"),
        (["DATA", "--hosts", "a:9000", "--rank", "0", "--world", "2"], "leave out --hosts, --rank and --world"),
        (["DATA", "--rank", "0"], "leave out --hosts, --rank and --world"),
        (["DATA", "--world", "1"], "leave out --hosts, --rank and --world"),
        (["DATA", "--tensorboard"], "leave out --tensorboard, --callbacks and --keep-checkpoints"),
        (["DATA", "--callbacks", "wandb"], "leave out --tensorboard, --callbacks and --keep-checkpoints"),
        (["DATA", "--out", "."], "exists; give another --out"),
        (["DATA", "--out", "new", "--space", "none.yaml"], "none.yaml: cannot be read"),
    ],
)
def test_faults_of_the_command_are_one_line(digits, capsys, monkeypatch, options, message):
    from yolo.cli.main import main

    monkeypatch.chdir(digits.parent)
    assert main(["tune", *(str(digits) if option == "DATA" else option for option in options)]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_the_devices_arrive(digits, capsys, monkeypatch):
    from yolo.cli.main import main

    monkeypatch.chdir(digits.parent)
    searches = []

    def stand_in(search, *, trials, broken_off):
        assert callable(broken_off)
        searches.append((search, trials))
        return SimpleNamespace(value=0.5, params={})

    monkeypatch.setattr(tuning, "tune", stand_in)
    options = ["--model", "net.cfg", "--freeze", "2", "--devices", "cpu:0", "--hosts", "none", "--trials", "3"]
    space = write_space(digits.parent, "unfreeze_at: {kind: int, low: 1, high: 3}")
    assert main(["tune", str(digits), *options, "--space", str(space)]) == 0
    ((search, trials),) = searches
    assert (search.devices, trials) == ("cpu:0", 3)
    assert search.space == {"unfreeze_at": Range("int", 1, 3)}
    assert "best.yaml: AP 0.5" in capsys.readouterr().out


KILL = """
import os, signal, sys
sys.path[:0] = ["tests/training/search", "tests/helpers"]
from pathlib import Path
from test_tuning import Runs, make_search, tune, tuning
runs = Runs()
def die(count):
    if count == 3:
        os.kill(os.getpid(), signal.SIGKILL)
runs.error = die
tuning.train = runs
tune(make_search(Path(sys.argv[1])), trials=5)
"""


@pytest.mark.slow
def test_killed_with_9_it_goes_on(runs, tmp_path):
    tune(make_search(tmp_path / "whole"), trials=5)
    whole, runs.configs = runs.configs, []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["tests", os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", KILL, str(tmp_path / "parts")]
    assert subprocess.run(command, check=False, env=environment, capture_output=True).returncode == -9
    tune(make_search(tmp_path / "parts"), trials=5)
    assert runs.configs == whole[2:]
