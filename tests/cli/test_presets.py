"""The packaged options: presets that the command takes as they are, and the space of a search."""

from __future__ import annotations

import re

import pytest
import yaml

from yolo.cli import train as train_command
from yolo.cli.common import parse_size
from yolo.cli.main import main
from yolo.cli.options import make_config, parse
from yolo.cli.presets import files_first
from yolo.config import TrainConfig, canvas_size
from yolo.datasets.pipeline.multi_scale import canvases
from yolo.errors import ConfigError
from yolo.files.shipped import default_space_path, preset_path, presets
from yolo.training.search.space import read_space


def read_config(name, *options):
    arguments = parse("train", "", train_command.add_arguments, ["DATA", "--config", str(preset_path(name)), *options])
    return arguments, make_config(TrainConfig, arguments)


def test_there_are_three():
    assert presets() == ["paper", "quick", "standard"]
    with pytest.raises(ConfigError, match="preset must be one of paper, quick, standard, got fast"):
        preset_path("fast")
    with pytest.raises(ConfigError, match="preset must be one of"):
        preset_path("../spaces/default")


@pytest.mark.parametrize("name", ["paper", "quick", "standard"])
def test_the_command_takes_each_and_every_option_in_it_counts(name):
    arguments, config = read_config(name)
    for key, value in yaml.safe_load(preset_path(name).read_text()).items():
        if isinstance(value, dict):
            assert {option: getattr(getattr(config, key), option) for option in value} == value
        elif key in TrainConfig.__dataclass_fields__:
            assert getattr(config, key) == value
        else:
            assert arguments[key] == value
    if arguments.size is not None:
        parse_size(arguments.size)


@pytest.mark.parametrize("name", ["paper", "quick", "standard"])
def test_each_says_what_it_is_for_and_what_to_expect(name):
    comments = [line for line in preset_path(name).read_text().splitlines() if line.startswith("#")]
    assert comments[0].startswith(f"# {name}: ")
    assert any(line.startswith("# Expect: ") for line in comments)


def test_standard_is_the_defaults():
    assert read_config("standard")[1] == TrainConfig()


def test_quick_is_quick_and_can_be_changed():
    config = read_config("quick", "--epochs", "3")[1]
    assert config.epochs == 3
    assert read_config("quick")[1].epochs < 20


def test_paper_is_darknets_cfg():
    """yolov3.cfg: batch 64 of 4 subdivisions, 500,200 updates, steps at 400,000 and 450,000, burn-in of 1,000."""
    arguments, config = read_config("paper")
    assert config.batch * config.accumulate == 64
    updates = 117_264 / 64 * config.epochs
    assert updates == pytest.approx(500_200, rel=0.001)
    assert config.warmup_epochs * 117_264 / 64 == pytest.approx(1000, rel=0.01)
    assert [share * updates for share in config.step_at] == pytest.approx([400_000, 450_000], rel=0.001)
    # Through the momentum, Darknet's decay of 0.0005 is that of the geometric series.
    assert config.weight_decay * (1 - config.momentum) == pytest.approx(0.0005)
    # Its gradient on the boxes is that of half the squared error.
    assert (config.loss.box, config.loss.box_weight) == ("squared", 0.5)
    assert config.loss.assign_iou is None
    # Darknet's random = 1 is 320 to 608 px, which no share of 416 gives; the file says what it is here.
    low, *_, high = canvases(canvas_size(int(arguments.size)), config.multi_scale)
    assert (low, high) == ((320, 320), (512, 512))
    text = preset_path("paper").read_text()
    assert re.search(r"multi_scale: .*# .*320 to 512 px", text)
    assert "608" in text.partition("model:")[0]


@pytest.mark.parametrize("option", [["--preset", "quick"], ["--preset=quick"]])
def test_what_is_given_overrides_a_preset_wherever_it_stands(option):
    quick = ["--config", str(preset_path("quick"))]
    assert files_first(["DATA", "--epochs", "3", *option, "--json"]) == [*quick, "DATA", "--epochs", "3", "--json"]
    arguments = parse("train", "", train_command.add_arguments, ["DATA", "--epochs", "3", *option])
    assert (make_config(TrainConfig, arguments).epochs, arguments.model) == (3, "yolov3-tiny")


def test_later_files_override_earlier_ones_and_presets_come_first():
    paper, quick = (["--config", str(preset_path(name))] for name in ("paper", "quick"))
    assert files_first(["--preset", "paper", "--preset", "quick"]) == [*paper, *quick]
    assert files_first(["--loss", "l", "--config=b", "--preset=quick", "--config", "a", "--augment", "g", "DATA"]) == (
        [*quick, "--config", "b", "--config", "a", "--loss", "l", "--augment", "g", "DATA"]
    )
    assert files_first(["DATA", "--presets", "x"]) == ["DATA", "--presets", "x"]
    assert files_first(["DATA", "--", "--config", "x"]) == ["DATA", "--", "--config", "x"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preset"], "--preset: name one of paper, quick, standard"),
        (["--preset="], "--preset: name one of paper, quick, standard"),
        (["--preset", "none"], "preset must be one of paper, quick, standard, got none"),
        (["--config"], "--config: name a YAML file"),
        (["--config", "--epochs", "3"], "--config: name a YAML file"),
    ],
)
def test_a_file_that_is_not_named_is_a_fault(words, message):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        files_first(words)


@pytest.mark.parametrize("command", ["train", "tune"])
def test_a_preset_in_a_file_is_refused(tmp_path, capsys, command):
    (tmp_path / "mine.yaml").write_text("preset: quick\nepochs: 3\n")
    assert main([command, "DATA", "--config", str(tmp_path / "mine.yaml")]) == 2
    assert capsys.readouterr().err == (
        f"yolov3 {command}: preset: quick has no effect in a --config file; give --preset quick beside it\n"
    )
    (tmp_path / "mine.yaml").write_text("preset: null\nepochs: 3\n")
    parse("train", "", train_command.add_arguments, ["DATA", "--config", str(tmp_path / "mine.yaml")])


def test_the_default_space_holds_the_defaults():
    """A search begins with them, so each of them has to lie within its range."""
    from yolo.training.search.space import present_values

    space = read_space(default_space_path(), TrainConfig())
    assert set(present_values(TrainConfig(), space)) == set(space)
