"""Callbacks by name: specifications, errors, and the fits of a run seen as one."""

from __future__ import annotations

import sys
import types
from dataclasses import asdict

import keras
import numpy as np
import pytest
from tables import make_dataset

from yolo.cli import train as train_command
from yolo.cli.main import main
from yolo.config import TrainConfig
from yolo.distributed.hosts import Hosts
from yolo.errors import ConfigError
from yolo.training.callbacks import user_callbacks as hooks
from yolo.training.callbacks.user_callbacks import OneFit, entries, load_callbacks, load_for_host


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("a.B, wandb", [("a.B", {}), ("wandb", {})]),
        ("", []),
        (["a.B", {"c.D": {"x": 1}}, "e.F,g.H"], [("a.B", {}), ("c.D", {"x": 1}), ("e.F", {}), ("g.H", {})]),
        ([{"a.B": None}], [("a.B", {})]),  # "a.B:" in YAML
        ({"a.B": {"x": 1}, "c.D": {}}, [("a.B", {"x": 1}), ("c.D", {})]),
    ],
)
def test_specifications(spec, expected):
    assert list(entries(spec)) == expected


def test_callbacks_come_in_order_with_their_arguments(tmp_path):
    spec = [{"keras.callbacks.CSVLogger": {"filename": str(tmp_path / "x.csv"), "separator": ";"}}]
    csv, stop = load_callbacks([*spec, "keras.callbacks.TerminateOnNaN"])
    assert isinstance(csv, keras.callbacks.CSVLogger)
    assert csv.sep == ";"
    assert isinstance(stop, keras.callbacks.TerminateOnNaN)
    assert load_callbacks(None) == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("no_such_package_xyz.Callback", r"pip install no_such_package_xyz \(or, if it is a module of your own"),
        ("keras.no_such_module.Callback", r"keras\.no_such_module\.Callback cannot be imported"),
        ("keras.callbacks.Nothing", r"keras\.callbacks has no Nothing"),
        ("keras.layers.Dense", r"keras\.layers\.Dense is not a Keras callback class"),
        ("math.pi", r"math\.pi is not a Keras callback class"),
        ("Callback", "'Callback' is neither an import path such as .* nor one of wandb, mlflow"),
        ("a..b", "is neither an import path"),
        ("../x.Y", "is neither an import path"),
        ([{"keras.callbacks.CSVLogger": {"file": "x"}}], "CSVLogger cannot be made with {'file': 'x'}"),
        ([{"keras.callbacks.CSVLogger": 3}], "the arguments of keras.callbacks.CSVLogger must be names and values"),
        ([3], "must be names, or names with their arguments, got 3"),
    ],
)
def test_faults(spec, message):
    with pytest.raises(ConfigError, match=message):
        load_callbacks(spec)


def test_only_what_is_named_is_imported():
    load_callbacks("keras.callbacks.TerminateOnNaN")
    assert "wandb" not in sys.modules
    assert "mlflow" not in sys.modules


def test_of_several_hosts_the_first_alone_makes_them():
    """Not even an import happens on the others."""
    assert load_for_host("no_such_package_xyz.Callback", Hosts(1, 2)) == []
    for hosts in (Hosts(0, 2), Hosts()):
        assert [type(each).__name__ for each in load_for_host("keras.callbacks.History", hosts)] == ["History"]


def test_a_callback_that_steers_is_refused_on_several_hosts():
    """The others would go on and wait for ever, or part in their weights."""
    spec = [{"keras.callbacks.EarlyStopping": {"monitor": "AP"}}]
    with pytest.raises(ConfigError, match=r"EarlyStopping cannot steer the run; leave it out \(--patience"):
        load_for_host(spec, Hosts(0, 2))
    assert len(load_for_host(spec, Hosts())) == 1


class Second(Hosts):
    """The second of two hosts, without the first."""

    def broadcast_text(self, text: str) -> str:  # noqa: ARG002
        return "run"


@pytest.fixture
def second_host(monkeypatch, tmp_path):
    """The command line there, with the options that reach training: a dictionary."""
    from yolo.distributed import hosts
    from yolo.training import trainer

    given = {}
    command = {"precision": "float32", "data": {"data": None}, "watchers": {"tensorboard": False}, "typed": {}}
    detector = {"model": "net.cfg", "size": [64, 64], "letterbox": "stretch"}
    began = {"command": command, "config": asdict(TrainConfig()), "detector": detector}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    monkeypatch.setattr(hosts, "_present", Second(1, 2))
    monkeypatch.setattr(trainer, "train", lambda *_, **options: given.update(options))
    monkeypatch.setattr(trainer, "resume", lambda *_, **options: (None, given.update(options)))
    monkeypatch.setattr(trainer, "last_checkpoint", lambda _: types.SimpleNamespace(meta=began))
    monkeypatch.setattr(train_command, "load_both", lambda _: (make_dataset([(0, 0, 0, 0, 9, 9, 0)], 1), None))
    monkeypatch.setattr(train_command, "make_detector", lambda *_: None)
    return given


@pytest.mark.parametrize("beginning", [["DATA"], ["--resume", "run"]])
def test_the_command_makes_none_on_the_second_host(second_host, beginning):
    assert main(["train", *beginning, "--callbacks", "no_such_package_xyz.Callback"]) == 0
    assert second_host["callbacks"] == []


class Recorder(keras.callbacks.Callback):
    """Stands for a service's callback."""

    def __init__(self):
        super().__init__()
        self.events: list[object] = []

    def on_train_begin(self, logs=None):  # noqa: ARG002
        self.events.append("begin")

    def on_train_end(self, logs=None):  # noqa: ARG002
        self.events.append("end")

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
        self.events.append(epoch)


def fake_module(monkeypatch, name, **values):
    module = types.ModuleType(name)
    vars(module).update(values)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def test_wandb_begins_a_run_unless_there_is_one(monkeypatch):
    calls = []
    wandb = fake_module(monkeypatch, "wandb", run=None, init=lambda **options: calls.append(options))
    fake_module(monkeypatch, "wandb.integration")
    fake_module(monkeypatch, "wandb.integration.keras", WandbMetricsLogger=Recorder)
    assert isinstance(load_callbacks("wandb")[0], Recorder)
    load_callbacks([{"wandb": {"project": "mine", "name": "x"}}])
    wandb.run = "one"
    load_callbacks("wandb")
    assert calls == [{"project": "yolov3"}, {"project": "mine", "name": "x"}]


def test_mlflow_begins_a_run_where_it_is_told(monkeypatch):
    calls = []
    functions = {
        name: lambda *arguments, name=name, **options: calls.append((name, *arguments, options))
        for name in ("set_tracking_uri", "set_experiment", "start_run")
    }
    mlflow = fake_module(monkeypatch, "mlflow", active_run=lambda: None, **functions)
    fake_module(monkeypatch, "mlflow.keras", MlflowCallback=Recorder)
    load_callbacks([{"mlflow": {"tracking_uri": "sqlite:///x.db", "experiment": "e", "run_name": "r"}}])
    assert calls == [
        ("set_tracking_uri", "sqlite:///x.db", {}),
        ("set_experiment", "e", {}),
        ("start_run", {"run_name": "r"}),
    ]
    mlflow.active_run = lambda: "one"
    load_callbacks("mlflow")
    assert len(calls) == 3


def test_a_service_that_refuses_is_a_fault_of_the_options(monkeypatch):
    def refuse(**_):
        raise RuntimeError("not logged in")

    fake_module(monkeypatch, "wandb", run=None, init=refuse)
    fake_module(monkeypatch, "wandb.integration")
    fake_module(monkeypatch, "wandb.integration.keras", WandbMetricsLogger=Recorder)
    with pytest.raises(ConfigError, match=r"wandb cannot be made with .*not logged in"):
        load_callbacks("wandb")


def test_every_short_name_has_an_import_path():
    assert all(service.callback.startswith(f"{name}.") for name, service in hooks.SERVICES.items())


def test_several_fits_are_seen_as_one(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    inputs, outputs = np.ones((4, 2)), np.ones((4, 1))
    recorder, table = Recorder(), keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    epoch = 0
    together = OneFit([recorder, table], finished=lambda: epoch == 3)
    for epoch in (1, 3):
        first = len([each for each in recorder.events if isinstance(each, int)])
        model.fit(inputs, outputs, initial_epoch=first, epochs=epoch, verbose=0, callbacks=[together])
    assert recorder.events == ["begin", 0, 1, 2, "end"]
    assert recorder.model is model
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "0", "1", "2"]
