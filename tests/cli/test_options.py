"""Parsing of options: which of several values wins, and messages about those that are wrong."""

from __future__ import annotations

import os
from argparse import SUPPRESS
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

from yolo.cli import suggestions, train
from yolo.cli.common import parse_size
from yolo.cli.help import option_names, positional_names
from yolo.cli.main import COMMANDS, main
from yolo.cli.options import as_option, make_config, make_parser, parse
from yolo.config import TrainConfig
from yolo.errors import ConfigError
from yolo.files.shipped import preset_path


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with some files of options."""
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text("data: FILE\nepochs: 5\naugment:\n  flip: 0.2\n  mosaic: 0.3\n")
    Path("null.yaml").write_text("data: null\nepochs: 6\nworkers: 2\n")
    Path("augment.yaml").write_text("flip: 0.4\n")


def parsed(*words):
    return parse("train", "", train.add_arguments, list(words))


@pytest.mark.parametrize(
    ("words", "data", "epochs", "flip", "mosaic"),
    [
        ("D --epochs 1 --config c.yaml", "D", 1, 0.2, 0.3),
        ("--config c.yaml --epochs 1 D", "D", 1, 0.2, 0.3),
        ("--epochs=1 D --config=c.yaml", "D", 1, 0.2, 0.3),
        ("--config c.yaml", "FILE", 5, 0.2, 0.3),  # no DATA typed
        ("D --config null.yaml", "D", 6, 0.5, 0.0),  # null is no DATA
        ("--config c.yaml --config null.yaml", "FILE", 6, 0.2, 0.3),
        ("--config null.yaml D --config c.yaml", "D", 5, 0.2, 0.3),
        ("D --config c.yaml --preset quick", "D", 5, 0.2, 0.3),  # a preset comes before a file
        ("D --augment.flip 0.1 --augment augment.yaml --config c.yaml", "D", 5, 0.1, 0.3),
        ("D --augment augment.yaml --config c.yaml", "D", 5, 0.4, 0.3),
    ],
)
def test_what_is_typed_wins_over_files_and_files_over_presets(words, data, epochs, flip, mosaic):
    found = parsed(*words.split())
    assert (found.data, found.epochs, found.augment.flip, found.augment.mosaic) == (data, epochs, flip, mosaic)
    assert found.given.data == data


def test_a_preset_still_gives_what_nothing_else_says():
    assert parsed("D", "--config", "c.yaml", "--preset", "quick").model == "yolov3-tiny"
    assert parsed("D", "--config", str(preset_path("quick"))).epochs == 15


@pytest.mark.parametrize("option", ["--print-config", "--print_config"])
@pytest.mark.parametrize("command", ["train", "tune"])
def test_printed_options_are_a_file_of_options(capsys, command, option):
    words = ["--epochs", "7", "--augment.no-flip", "[b, d]", "--preset", "quick", "--warmup-epochs", "2"]
    with pytest.raises(SystemExit) as caught:
        main([command, option, *words])
    assert caught.value.code == 0
    Path("my.yaml").write_text(capsys.readouterr().out)
    add_arguments = import_module(f"yolo.cli.{command}").add_arguments
    expected = parse(command, "", add_arguments, ["D", *words])
    for again in (["D", "--config", "my.yaml"], ["--config", "my.yaml", "D"]):
        found = parse(command, "", add_arguments, again)
        assert make_config(TrainConfig, found) == make_config(TrainConfig, expected)
        assert (found.data, found.model, found.out) == ("D", "yolov3-tiny", expected.out)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train D --lr 0.1", "unknown option --lr; did you mean --learning-rate? (see `yolov3 train --help-all`)"),
        ("train --lr 0.1", "unknown option --lr; did you mean --learning-rate? (see `yolov3 train --help-all`)"),
        ("train --foo 1", "unknown option --foo (see `yolov3 train --help-all`)"),
        ("train D --foo=1", "unknown option --foo (see `yolov3 train --help-all`)"),
        ("train D --learning_rat 1", "unknown option --learning-rat; did you mean --learning-rate? "),
        ("train D --mosaic 1", "unknown option --mosaic; did you mean --augment.mosaic? "),
        ("train D --class-weight 1", "unknown option --class-weight; did you mean --loss.class-weight? "),
        ("train D --batch-size 4", "unknown option --batch-size; did you mean --batch? "),
        ("train D --imgsz 64", "unknown option --imgsz; did you mean --size? "),
        ("train D --img 64", "unknown option --img; did you mean --size? "),  # no abbreviation of --images
        ("train D --name x", "unknown option --name; did you mean --out? "),  # nor of --names
        ("train D --epoch 3", "unknown option --epoch; did you mean --epochs? "),
        ("train D --device 0", "unknown option --device; did you mean --devices? "),
        ("train D -e 3", "unknown option -e (see"),
        ("train --data D", "unknown option --data; DATA is given without an option's name (see"),
        ("detect --source a.jpg", "unknown option --source; SOURCE is given without an option's name (see"),
        ("detect --model m.keras", "unknown option --model; WEIGHTS is given without an option's name (see"),
        ("detect m.keras a.jpg --conf-thres 1", "unknown option --conf-thres; did you mean --conf? "),
        ("eval m.keras D --iou-thres 1", "unknown option --iou-thres; did you mean --iou? "),
        ("data convert D out --quality x", "unknown option --quality (see `yolov3 data convert --help-all`)"),
        ("data convet", "no action 'convet'; there is check, convert, digits, stats, split, view (see `yolov3 data "),
        ("data", "name an action; there is check, convert, digits, stats, split, view (see `yolov3 data --help`)"),
        ("data convert D out", "missing: --to (see `yolov3 data convert --help`)"),
        ("data convert D out --to tfrecord --shards x", "shards must be a whole number or null, got x (see"),
        ("detect", "missing: WEIGHTS, SOURCE (see `yolov3 detect --help`)"),
        ("train D E", "unexpected argument E (see `yolov3 train --help`)"),
        ("train D -- --foo", "unexpected argument --foo (see"),
        ("train D --learning-rate", "--learning-rate needs a value (see"),
        ("train D --learning-rate x", "yolov3 train: --learning-rate must be a number or null, got x (see"),
        ("train D --learning_rate=-1", "yolov3 train: --learning-rate must be > 0, got -1.0"),
        ("train D --augment.no-flip 3", "yolov3 train: --augment.no-flip must be"),
        ("train D --size big", "yolov3 train: --size: expected a side such as 416"),
        ("train D --epochs 2 --config c.yaml --loss.box x", "yolov3 train: --loss.box must be one of"),
        ("train", "yolov3 train: name the DATA"),
        ("train D --batch x", "batch must be a whole number or auto, got x (see"),
        ("train D --config none.yaml", "none.yaml: no such file; give a YAML file of options (see"),
    ],
)
def test_messages_about_what_is_typed(capsys, words, message):
    assert main(words.split()) == 2
    assert message in capsys.readouterr().err
    assert "Parser key" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch: 3\n", "bad.yaml: unknown option epoch; did you mean epochs?"),
        ("learning-rate: 3\n", "bad.yaml: unknown option learning-rate; did you mean learning_rate?"),
        ("augment:\n  mosaik: 1\n", "bad.yaml: unknown option augment.mosaik; did you mean augment.mosaic?"),
        ("foo: 3\n", "bad.yaml: unknown option foo (see"),
        ("epochs: x\n", "bad.yaml: epochs must be a whole number, got x"),
        ("a: [\n", "bad.yaml:2:1: not valid YAML"),
        ("- a\n", "bad.yaml: not a YAML file of options: "),
    ],
)
def test_messages_about_a_file_name_it(text, message):
    Path("bad.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        parsed("D", "--config", "bad.yaml")
    assert str(caught.value).startswith(message)


ALIASES = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in pairwise("abcdefghij")
)


@pytest.mark.skipif(os.name == "nt", reason="pipes of Unix")
@pytest.mark.parametrize(
    "words", ["--config FILE", "--config=FILE", "--augment FILE", "--augment=FILE", "--config of.yaml"]
)
def test_files_of_options_are_never_waited_for_and_have_bounds(words):
    os.mkfifo("pipe")
    Path("aliases.yaml").write_text(ALIASES)
    for file, message in (
        ("pipe", "pipe: cannot be read (is a named pipe, not a file)"),
        ("aliases.yaml", "aliases.yaml:1:1: not valid YAML (its aliases repeat more than 1,000,000 values; write them"),
    ):
        Path("of.yaml").write_text(f"augment: {file}\n")
        with pytest.raises(ConfigError) as caught:
            parsed("D", *words.replace("FILE", file).split())
        assert str(caught.value).startswith(message)


def test_a_message_about_a_value_of_a_file_names_the_file_if_another_value_was_typed_too(capsys):
    Path("bad.yaml").write_text("epochs: x\n")
    assert main(["train", "D", "--epochs", "3", "--config", "bad.yaml"]) == 2
    assert "yolov3 train: bad.yaml: epochs must be a whole number, got x" in capsys.readouterr().err


def test_a_file_may_give_the_size_as_a_number():
    Path("size.yaml").write_text("size: 64\n")
    assert parse_size(parsed("D", "--config", "size.yaml").size) == (64, 64)
    assert parse_size(parsed("D", "--size", "96").size) == (96, 96)
    assert parse_size(parsed("D", "--size", "96x64").size) == (96, 64)


def test_options_with_names_as_values_take_each_by_itself():
    assert parsed("D", "--augment.swap-on-flip.a", "b").augment.swap_on_flip == {"a": "b"}
    assert parsed("D", "--augment.no-flip+", "b").augment.no_flip == ["b"]


def test_every_suggestion_is_there_in_some_command():
    known = {name for row in suggestions.OPTIONS.values() for name in row}
    there = set()
    for name, text in COMMANDS.items():
        parser = make_parser(name, text, import_module(f"yolo.cli.{name}").add_arguments)
        there |= {*option_names(parser), *positional_names(parser)}
    assert known <= there
    assert set(suggestions.COMMANDS.values()) <= set(COMMANDS)
    assert not set(suggestions.COMMANDS) & set(COMMANDS)
    assert SUPPRESS not in there


def test_a_folder_with_the_name_of_an_option_is_no_option():
    typed = ["D", "--out", "out", "--warmup-epochs=-1"]
    Path("out").mkdir()
    assert as_option("out: exists; give another --out", typed) == "out: exists; give another --out"
    assert as_option("warmup_epochs must be >= 0, got -1", typed) == "--warmup-epochs must be >= 0, got -1"
    assert as_option("learning_rate must be > 0, got 0", typed) == "learning_rate must be > 0, got 0"  # from a file


@pytest.mark.parametrize(
    ("command", "words", "values"),
    [
        ("eval", "W --cfg N.cfg DATA", {"weights": "W", "data": "DATA", "cfg": "N.cfg"}),
        ("eval", "--json W --size=416 DATA --conf 0.1", {"weights": "W", "data": "DATA", "size": "416", "conf": 0.1}),
        ("detect", "W --out o a.jpg --conf 0.2 b.jpg", {"weights": "W", "sources": ["a.jpg", "b.jpg"], "out": "o"}),
        ("detect", "W --out o -- -a.jpg", {"weights": "W", "sources": ["-a.jpg"]}),
        ("train", "--epochs 3 D --augment.flip 0.1 --no 1", None),
        ("train", "--epochs 3 D --augment.flip 0.1 --force", {"data": "D", "epochs": 3, "force": True}),
        ("data", "convert A --to coco B --json", {"convert.data": "A", "convert.out": "B", "convert.json": True}),
        ("data", "--json convert --to coco A B", {"convert.data": "A", "convert.out": "B", "json": True}),
    ],
)
def test_options_stand_before_between_and_after_arguments(command, words, values):
    module = import_module(f"yolo.cli.{command}")
    if values is None:
        with pytest.raises(ConfigError, match="unknown option --no"):
            parse(command, "", module.add_arguments, words.split())
        return
    found = parse(command, "", module.add_arguments, words.split())
    assert {name: found[name] for name in values} == values
