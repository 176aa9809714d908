"""What the README shows is run, on a small dataset under the names it uses."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from runtime_models import narrow_detector

from yolo.bench.candidates import KINDS
from yolo.cli.main import COMMANDS, main
from yolo.darknet.names import write_names
from yolo.datasets.digits import make_digits
from yolo.model.detector import Detector
from yolo.weights.cfg_writer import to_cfg
from yolo.weights.darknet_files import save_darknet_weights

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SMALLER = {"416": "64", "50": "1", "16": "4", "=50": "=1", "yolov3-tiny": "net.cfg"}
"""The README's figures and network, cut to what a test has time for."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    make_digits(folder / "mydata", train=8, val=4, size=96)
    pictures = sorted((folder / "mydata" / "JPEGImages").iterdir())
    (folder / "pictures").mkdir()
    shutil.copy(pictures[0], folder / "pictures")
    shutil.copy(pictures[0], folder / "street.jpg")
    detector = narrow_detector(["cat", "dog", "3"])
    save_darknet_weights(detector, folder / "net.weights")
    (folder / "net.cfg").write_text(to_cfg(detector))
    write_names(folder / "net.names", detector.classes)
    published = Detector("yolov3-tiny", classes=[str(number) for number in range(80)], size=96)
    save_darknet_weights(published, folder / "published.weights")
    return folder


@pytest.mark.slow
def test_the_commands_run_as_shown(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    monkeypatch.setattr("yolo.bench.candidates.KINDS", KINDS[:1])
    monkeypatch.setattr("yolo.weights.locate.published_file", lambda *_, **__: workplace / "published.weights")
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) == 26
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "yolov3"
        assert main([SMALLER.get(each, each) for each in arguments]) == 0, line
    capsys.readouterr()
    for made in (
        "detected/detections.json",
        "anchors.txt",
        "runs/mine/best.keras",
        "evaluated/metrics.json",
        "evaluated/report.html",
        "doubtful/metrics.json",
        "compared.html",
        "why/explanation.json",
        "seen/detections.json",
        "suggested/cvat/annotations.xml",
        "speed/bench.png",
        "mine.onnx",
        "mine.weights",
    ):
        assert (workplace / made).is_file()


@pytest.mark.slow
def test_the_python_runs_as_shown(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    (code,) = blocks("python")
    exec(re.sub(r"\b(416|50)\b", lambda match: SMALLER[match[0]], code), {})  # noqa: S102 - it is ours
    assert 0 <= float(capsys.readouterr().out.splitlines()[-1]) <= 1
    assert (workplace / "out.jpg").is_file()


def test_what_it_links_to_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target


def test_the_first_twenty_lines_hold_the_two_commands_and_a_detection():
    first = README.splitlines()[:20]
    places = [
        next(number for number, line in enumerate(first) if line.lstrip().startswith(command))
        for command in ("make demo", "make test", "yolov3 detect")
    ]
    assert places == sorted(places)


def test_no_paragraph_is_long():
    texts = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL).split("\n\n")
    paragraphs = [each for text in texts if not text.lstrip().startswith("|") for each in re.split(r"\n(?=- )", text)]
    assert max(len(paragraph.split()) for paragraph in paragraphs) <= 55


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"yolov3 {command}" in capsys.readouterr().out
