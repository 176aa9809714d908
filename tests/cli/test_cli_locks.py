"""No command writes into a folder in which another process is writing, and a killed one is in nobody's way."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from cfg_texts import STAGED
from processes import finish, holding, start
from step_by_step import training_step_by_step

from yolo.cli.common import prepare_output, release_outputs
from yolo.cli.main import main
from yolo.datasets.digits import make_digits
from yolo.errors import ConfigError
from yolo.training.run.checkpoint import Checkpoints


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return make_digits(tmp_path_factory.mktemp("digits"), train=8, val=4, size=64, seed=3)


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.cfg").write_text(STAGED)


def snapshot(folder) -> dict[Path, tuple[int, bytes]]:
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in sorted(Path(folder).rglob("*")) if path.is_file()
    }


COMMANDS = {
    "train": ["train", "DATA", "--model", "net.cfg", "--out", "out"],
    "train --force": ["train", "DATA", "--model", "net.cfg", "--out", "out", "--force"],
    "train --resume": ["train", "--resume", "out"],
    "tune": ["tune", "DATA", "--model", "net.cfg", "--out", "out"],
    "demo": ["demo", "--out", "out", "--force"],
    "eval": ["eval", "model.keras", "DATA", "--out", "out", "--force"],
    "detect": ["detect", "model.keras", "DATA", "--out", "out", "--force"],
    "convert": ["data", "convert", "DATA", "out", "--to", "tfrecord", "--force"],
}


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("full", [True, False], ids=["full", "empty"])
def test_every_command_that_writes_a_folder_is_refused(digits, capsys, words, full):
    Path("out").mkdir()
    Path("model.keras").write_text("is not read")
    if full:
        Path("out/.1-7f00.keras").write_text("half a model")
    with holding(Path("out/.lock")) as process:
        before = snapshot("out")
        assert main([str(digits) if word == "DATA" else word for word in words]) == 2
        captured = capsys.readouterr()
        said = captured.err.splitlines()[-1]
        assert said.startswith(f"yolov3 {words[0]}: a run is going on in out (process {process.pid} on ")
        assert said.endswith("; wait for it or " + ("end it" if "--resume" in words else "give another --out"))
        assert captured.out == ""
        assert snapshot("out") == before


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize("take_up", [True, False])
def test_train_and_resume_of_python_are_refused(digits, take_up):
    import yolo
    from yolo.model.detector import Detector

    dataset = yolo.load_dataset(digits, "train")
    detector = Detector("net.cfg", classes=dataset.classes, seed=0)
    Path("out").mkdir()
    (Path("out") / ".1-7f00.keras").write_text("half a model")
    with holding(Path("out/.lock")) as process:
        before = snapshot("out")
        with pytest.raises(ConfigError, match=rf"^a run is going on in out \(process {process.pid} on "):
            yolo.resume("out", dataset) if take_up else yolo.train(detector, dataset, out="out", epochs=1, batch=8)
        assert snapshot("out") == before


TRYING = """
import yolo
from yolo.training.trainer import locked_run
try:
    with locked_run("out"):
        print("both hold it")
except yolo.ConfigError as error:
    print(error)
"""


@pytest.mark.usefixtures("net")
def test_a_run_of_python_keeps_other_processes_out(digits):
    import keras

    import yolo
    from yolo.model.detector import Detector

    said = []

    class Other(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):  # noqa: ARG002
            said.append(finish(start("-c", TRYING)))

    dataset = yolo.load_dataset(digits, "train")
    detector = Detector("net.cfg", classes=dataset.classes, seed=0)
    with training_step_by_step():
        yolo.train(detector, dataset, out="out", epochs=1, batch=8, callbacks=[Other()], live=False)
    ((code, out, err),) = said
    assert code == 0, err
    assert out.startswith(f"a run is going on in out (process {os.getpid()} on ")
    assert not Path("out/.lock").exists()


def test_of_several_hosts_the_first_alone_takes_the_lock(tmp_path, monkeypatch):
    from yolo.distributed.hosts import Hosts
    from yolo.training import trainer

    with holding(tmp_path / ".lock"):
        monkeypatch.setattr(trainer, "present_hosts", lambda: Hosts(1, 2))
        with trainer.locked_run(tmp_path):
            pass
        monkeypatch.setattr(trainer, "present_hosts", lambda: Hosts(0, 2))
        with pytest.raises(ConfigError, match="a run is going on"), trainer.locked_run(tmp_path):
            pass


@pytest.mark.slow
@pytest.mark.usefixtures("net")
def test_a_run_that_is_alive_is_left_alone_and_a_killed_one_goes_on(digits, capsys):
    options = [
        "--model",
        "net.cfg",
        "--epochs",
        "2",
        "--batch",
        "3",
        "--save-every",
        "1",
        "--callbacks",
        "waiting.Wait",
    ]
    process = start("-m", "yolo", "train", digits, *options, "--out", "run", "--anchors", "auto")
    try:
        end = time.monotonic() + 200
        while not Path("waiting").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.05)
        half = Path("run/.1-7f00.keras")  # as if it were writing
        half.write_text("half")
        before = snapshot("run")
        for words in (["--resume", "run"], [str(digits), "--out", "run"], [str(digits), "--out", "run", "--force"]):
            assert main(["train", *words]) == 2
            said = capsys.readouterr().err.splitlines()[-1]
            assert said.startswith(f"yolov3 train: a run is going on in run (process {process.pid} on ")
        assert snapshot("run") == before
    finally:
        process.kill()
        process.communicate()
    assert Path("run/.lock").exists()
    Path("go").touch()
    with training_step_by_step():
        assert main(["train", "--resume", "run"]) == 0
    assert Checkpoints("run").latest().step == 6
    assert not half.exists()
    assert not Path("run/.lock").exists()


def test_a_folder_is_held_until_the_command_ends(tmp_path):
    folder = prepare_output(tmp_path / "out", force=False)
    assert prepare_output(folder, force=False) == folder  # the same command's
    assert [path.name for path in folder.iterdir()] == [".lock"]
    release_outputs()
    assert list(folder.iterdir()) == []
    (folder / ".lock").write_text("of a killed process")
    prepare_output(folder, force=False)
    release_outputs()


def test_who_comes_second_sees_what_the_first_has_written(tmp_path, monkeypatch):
    """Both had seen an empty folder, and the first had ended before the second took the lock."""
    from yolo.cli import common

    hold = common.hold_output

    def late(folder):
        (folder / "detections.json").write_text("[]")
        hold(folder)

    monkeypatch.setattr(common, "hold_output", late)
    try:
        with pytest.raises(ConfigError, match=r"out: exists; give another --out, or --force"):
            prepare_output(tmp_path / "out", force=False)
    finally:
        release_outputs()
