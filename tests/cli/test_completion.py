"""Completion scripts: the one for bash is sourced and asked in a real bash."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from yolo.cli.main import main

ASK = """
source ./completion
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); COMPREPLY=()
$(complete -p yolov3 | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the script and some files."""
    folder = tmp_path_factory.mktemp("completion")
    with pytest.MonkeyPatch.context() as patch, (folder / "completion").open("w") as file:
        patch.setattr("sys.stdout", file)
        assert main(["--completion", "bash"]) == 0
    (folder / "mine.yaml").touch()
    (folder / "minor").mkdir()
    return folder


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tr"], ["train"]),
        (["--com"], ["--completion"]),
        (["--completion", ""], ["bash", "zsh"]),
        (["train", "--learn"], ["--learning-rate"]),
        (["train", "--loss.cl"], ["--loss.class-weight", "--loss.class-weights"]),
        (["train", "DATA", "--epochs", "3", "--augment.mo"], ["--augment.mosaic"]),
        (["train", "--optimizer", ""], ["adamw", "sgd"]),
        (["train", "DATA", "--preset", "q"], ["quick"]),
        (["train", "mi"], ["mine.yaml", "minor"]),
        (["train", "DATA", "--config", "mi"], ["mine.yaml", "minor"]),
        (["train", "DATA", "--out", "mi"], ["minor"]),
        (["data", "con"], ["convert"]),
        (["data", "convert", "--sh"], ["--shards"]),
        (["detect", "mine.yaml", "mi"], ["mine.yaml", "minor"]),
    ],
)
def test_bash_completes(folder, words, expected):
    command = ["bash", "--norc", "-c", ASK, "bash", "yolov3", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == expected


def test_zsh_describes_the_options(capsys):
    assert main(["--completion=zsh"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("#compdef yolov3")
    assert '"--optimizer[Update rule.]:optimizer:(adamw sgd)"' in text
    if shutil.which("zsh"):
        subprocess.run(["zsh", "-n"], input=text, text=True, check=True)
