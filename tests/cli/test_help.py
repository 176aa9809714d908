"""Help texts: short and whole, with ranges and defaults, in plain words; and what they import."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module

import pytest

from yolo.cli.help import EVERYDAY, FIELDS, GENERAL, SECTIONS, name_of, option_names, sections
from yolo.cli.main import COMMANDS, main
from yolo.cli.options import make_parser
from yolo.config import AugmentConfig, LossConfig, NmsConfig, TrainConfig

CALLS = [*([name] for name in COMMANDS), ["data", "convert"]]


@pytest.fixture(autouse=True)
def width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def shown(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    assert caught.value.code == 0
    return capsys.readouterr().out


def parser_of(name):
    return make_parser(name, COMMANDS[name], import_module(f"yolo.cli.{name}").add_arguments)


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h", "--help-all"])
def test_help_is_short_and_without_jargon(capsys, call, option):
    text = shown(capsys, *call, option)
    assert text.startswith(f"usage: yolov3 {' '.join(call)}")
    assert not re.search(r"type:|null,|Literal|SUPPRESS|shtab|NoneType|--\w+_", text)
    assert max(map(len, text.splitlines())) <= 80
    if option != "--help-all":
        assert len(text.splitlines()) <= 56


@pytest.mark.parametrize("name", COMMANDS)
def test_all_options_are_shown_on_demand_each_once(capsys, name):
    lines = shown(capsys, name, "--help-all").splitlines()
    heads = [line.strip().split("  ")[0] for line in lines if line.startswith("  -")]
    for option in option_names(parser_of(name)):
        assert sum(option in re.split(r"[ ,]+", head) for head in heads) == 1, option


@pytest.mark.parametrize("prog", EVERYDAY)
def test_the_everyday_options_are_a_part_of_them(capsys, prog):
    name = prog.split()[1]
    parser = parser_of(name)
    names = {name_of(action) for actions in sections(parser).values() for action in actions}
    assert set(EVERYDAY[prog].split()) < names
    text = shown(capsys, name, "--help")
    assert "--batch N" in text
    assert "--loss.box" not in text
    assert text.endswith(f"`yolov3 {name} --help-all` shows all of them.\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_group_has_its_place(name):
    parser = parser_of(name)
    assert set(sections(parser)) == set(SECTIONS)
    if name == "train":
        assert not sections(parser)["options"]
        for title, rows in FIELDS.items():
            assert set(rows.split()) <= {action.dest for action in sections(parser)[title]}
        assert [name_of(action) for action in sections(parser)["general"] if name_of(action) not in GENERAL] == []


@pytest.mark.parametrize(
    "text",
    [
        "Probability of a horizontal flip (0 to 1; default: 0.5)",
        "Momentum of SGD; ignored by AdamW (0 to <1; default: 0.937)",
        "Update rule (adamw, sgd; default: adamw)",
        "(>0 to <1; default: [0.8,0.9])",
        "Number of passes over the training images (> 0; default: 100)",
        "Peak learning rate (> 0; default: 0.002 for adamw and 0.01 for sgd",
        "Epoch after which the frozen layers are trained too (> 0; default: never)",
        "(letterbox, stretch; default: the model's own, stretch for a .cfg without it)",
        "--step-at [X,...] ",
        "--augment.no-flip [NAME,...] ",
        "--loss FILE YAML file of the options below",
        "--print-config Print all options as YAML, for --config, and exit",
        "--force Write into --out even if it is not empty",
    ],
)
def test_ranges_choices_and_defaults_are_readable(capsys, text):
    assert text in " ".join(shown(capsys, "train", "--help-all").split())


@pytest.mark.parametrize("config", [TrainConfig, LossConfig, AugmentConfig, NmsConfig])
def test_every_field_has_a_help_text_that_stands_by_itself(config):
    from jsonargparse import ArgumentParser

    parser = ArgumentParser()
    parser.add_class_arguments(config)
    texts = {action.dest: action.help for action in parser._actions}
    for name in config.__dataclass_fields__:
        assert texts[name]
        assert not re.match(r"(Of|What|Those|How|The) ", texts[name]), name
        assert texts[name].count(". ") <= 1


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom yolo.cli.main import COMMANDS, main\n"
        "for name in COMMANDS:\n"
        "    try: main([name, '--help'])\n"
        "    except SystemExit: pass\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    heavy = {"tensorflow", "keras", "jax", "torch", "matplotlib", "albumentations", "sklearn", "pycocotools", "optuna"}
    assert not (heavy | {"pandas", "scipy"}) & loaded
