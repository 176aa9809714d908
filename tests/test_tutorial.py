"""The commands and the code of the tutorial are run as shown, on less data and with a narrow network."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from runtime_models import narrow_detector

from yolo.cli.main import main
from yolo.weights.cfg_writer import to_cfg

ROOT = Path(__file__).parents[1]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
SMALLER = {"600": "24", "100": "16", "128": "64", "15": "1", "5": "1", "16": "8", "6": "6", "yolov3-tiny": "net.cfg"}
"""Figures and network of the tutorial, cut to what a test has time for."""
PENDING: tuple[str, ...] = ()
"""Commands, options and values that are not there yet."""
MADE = (
    "clean/changes.csv",
    "sheet.jpg",
    "anchors.txt",
    "runs/digits/best.keras",
    "evaluated/metrics.json",
    "seen/cvat/annotations.xml",
    "digits.onnx",
    "seen-onnx/detections.json",
    "drawn.png",
)


def blocks() -> list[tuple[str, str]]:
    """Language and content of all that runs, in order."""
    return re.findall(r"^```(sh|python)\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)


def smaller(line: str) -> list[str]:
    program, *arguments = shlex.split(line)
    assert program == "yolov3"
    return [SMALLER.get(each, each) for each in arguments]


def run_or_pass_over(arguments: list[str]) -> None:
    """Run a command, less what is pending of it."""
    pending = set(PENDING) & set(arguments)
    if pending == {"auto"}:
        place = arguments.index("auto")
        del arguments[place - 1 : place + 1]
    elif pending:
        if "calibrate" in pending:
            shutil.copy("runs/digits/best.keras", "digits.keras")
        return
    # The doctor's exit code says that there are errors, as the tutorial does.
    assert main(arguments) == (3 if "check" in arguments else 0), arguments


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("net.cfg").write_text(to_cfg(narrow_detector([str(number) for number in range(10)])))
    names: dict[str, object] = {}
    for language, content in blocks():
        if language == "python":
            exec(content, names)  # noqa: S102 - it is ours
            continue
        for line in content.splitlines():
            run_or_pass_over(smaller(line))
    capsys.readouterr()
    for made in MADE:
        assert Path(made).is_file(), made


def test_its_outputs_stand_behind_commands():
    assert not re.search(r"@@|\bTODO\b", TUTORIAL)
    assert {language for language, _ in blocks()} == {"sh", "python"}


def test_no_paragraph_of_it_is_long():
    texts = re.sub(r"^```.*?^```$", "", TUTORIAL, flags=re.MULTILINE | re.DOTALL).split("\n\n")
    assert max(len(text.split()) for text in texts if not text.lstrip().startswith("|")) <= 70
