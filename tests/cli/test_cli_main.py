"""The command line as a whole: help, unknown commands, exit codes."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

import yolo
from yolo.cli import main as cli
from yolo.cli.common import prepare_output
from yolo.cli.data import ACTIONS
from yolo.cli.options import parse, underscored
from yolo.distributed.supervisor import BACKEND_LOG
from yolo.errors import MediaError

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "yolo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_help_lists_the_commands():
    done = run("--help")
    assert done.returncode == 0
    assert all(f"  {name} " in done.stdout for name in cli.COMMANDS)
    assert done.stderr == ""


def test_version():
    assert run("--version").stdout.strip() == yolo.__version__


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), ""),
        (("sing",), "yolov3: no command 'sing'; there are demo, data, anchors, train"),
        (("trian",), "yolov3: no command 'trian'; did you mean train? There are demo"),
        (("predict",), "yolov3: no command 'predict'; did you mean detect? There are demo"),
        (("--completion", "fish"), "yolov3: --completion fish: give one of bash, zsh"),
    ],
)
def test_no_command_or_an_unknown_one_is_exit_code_2(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_every_command_has_its_file():
    helpers = {"__init__", "main", "common", "resume_options", "presets", "hosts", "data_options"}
    helpers |= {"options", "help", "suggestions", "completion", "config_file"}
    helpers |= {"eval_model", "eval_compare", "eval_extras", "eval_report", "error_table", "label_errors"}
    files = {path.stem for path in (ROOT / "yolo" / "cli").glob("*.py")}
    assert files == set(cli.COMMANDS) | helpers | {f"data_{name}" for name in ACTIONS}


def test_a_fault_is_one_line_and_a_defect_is_a_traceback(monkeypatch, capsys):
    class Command:
        error: Exception = MediaError("a.jpg: broken\n  in two lines")

        @staticmethod
        def add_arguments(parser):
            pass

        @classmethod
        def run(cls, _):
            raise cls.error

    monkeypatch.setattr(cli, "import_module", lambda _: Command)
    assert cli.main(["detect"]) == 2
    assert capsys.readouterr().err == "yolov3 detect: a.jpg: broken in two lines\n"
    Command.error = KeyboardInterrupt()
    assert cli.main(["detect"]) == 130
    Command.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        cli.main(["detect"])


class Command:
    """A command that does what a test says, while it holds an output folder."""

    def __init__(self, monkeypatch, folder, work):
        self.folder, self.work = folder, work
        monkeypatch.setattr(cli, "import_module", lambda _: self)

    def add_arguments(self, _):
        """Take none."""

    def run(self, _):
        prepare_output(self.folder, force=False)
        assert (self.folder / ".lock").exists()
        self.work()


def test_sigterm_ends_a_command_as_an_exception_does(monkeypatch, tmp_path):
    """So that what is temporary goes, the lock included."""
    before = signal.getsignal(signal.SIGTERM)
    Command(monkeypatch, tmp_path / "out", lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit) as caught:
        cli.main(["detect"])
    assert caught.value.code == 143
    assert list((tmp_path / "out").iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before


def test_one_of_several_hosts_leaves_sigterm_to_the_system(monkeypatch, tmp_path):
    """Hung in a collective operation it would never see it."""
    before, seen = signal.getsignal(signal.SIGTERM), []
    monkeypatch.setenv(BACKEND_LOG, "somewhere")
    Command(monkeypatch, tmp_path / "out", lambda: seen.append(signal.getsignal(signal.SIGTERM)))
    assert cli.main(["train"]) == 0
    assert seen == [before]


def test_a_full_disk_is_one_line(monkeypatch, tmp_path, capsys):
    def fill():
        raise OSError(errno.ENOSPC, "No space left on device", "out/model.h5")

    command = Command(monkeypatch, tmp_path / "out", fill)
    assert cli.main(["convert"]) == 2
    expected = "yolov3 convert: out/model.h5: cannot be written (No space left on device)\n"
    assert capsys.readouterr().err == expected
    assert list((tmp_path / "out").iterdir()) == []
    command.work = Path("/nowhere").read_bytes
    with pytest.raises(FileNotFoundError):
        cli.main(["convert"])


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("--warmup-epochs", "--warmup_epochs"),
        ("--loss.box-weight=2-3", "--loss.box_weight=2-3"),  # the value is left alone
        ("--no-rect", "--no-rect"),
        ("--no_rect", "--no-rect"),
        ("a-b", "a-b"),
        ("-x-y", "-x-y"),
    ],
)
def test_dashes_in_options(given, meant):
    assert underscored(given) == meant


def test_every_command_takes_json():
    assert parse("x", "does x", lambda _: None, ["--json"]).json is True


def test_the_metadata_agree():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "yolo").rglob("*.py")}
    packages = set(setup["options"]["packages"].split())
    assert {name for name in packages if not name.startswith("yolo.shipped")} == folders
    assert setup["options.entry_points"]["console_scripts"].split() == ["yolov3", "=", "yolo.cli.main:main"]
    assert set(tomllib.loads((ROOT / "pyproject.toml").read_text())) == {"build-system", "tool"}
