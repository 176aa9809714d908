"""`yolov3 eval RUN`: the figures that training itself had, on the images it validated on."""

from __future__ import annotations

import json
import logging

import keras
import pytest
from cfg_texts import two_scales

import yolo
from yolo.cli.main import main
from yolo.datasets.digits import make_digits
from yolo.training.run.held_out import hold_out

OPTIONS = ["--size", "64", "--batch", "3", "--epochs", "1", "--precision", "mixed_bfloat16"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Twelve images without splits: one of them is held out."""
    folder = make_digits(tmp_path_factory.mktemp("digits"), train=12, val=4, size=64, seed=3)
    for path in (folder / "ImageSets" / "Main").glob("*.txt"):
        if path.stem != "train":
            path.unlink()
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The options that name a narrow network."""
    path = tmp_path_factory.mktemp("network") / "net.cfg"
    path.write_text(two_scales(side=64))
    return ["--model", str(path)]


@pytest.fixture(scope="module")
def run(data, network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", str(data), *network, *OPTIONS, "--out", str(folder), "--json"]) == 0
    keras.config.set_dtype_policy("float32")
    return folder


def evaluate(capsys, *words):
    capsys.readouterr()
    assert main(["eval", *map(str, words), "--json", "--resamples", "0"]) == 0
    found = json.loads(capsys.readouterr().out)
    del found["calibration"]  # training does not compute it
    return found


def test_the_held_out_images_are_listed(data, run):
    listed = (run / "held-out.txt").read_text().splitlines()
    origin = yolo.load(run / "best.keras").origin
    assert len(listed) == 1
    assert listed[0] in [str(file) for file in yolo.load_dataset(data, "train").files]
    assert origin["held_out"]["split"] == "train"
    assert origin["validation"]["split"] == "held-out"
    assert len(json.dumps(origin)) < 20_000


def test_the_figures_of_training_come_out_again(run, data, capsys, caplog):
    expected = json.loads((run / "metrics.json").read_text())
    with caplog.at_level(logging.INFO):
        assert evaluate(capsys, run) == expected
    # In float32 the last digits are others.
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert "measured on the 1 images that training held out" in caplog.text
    assert "was trained on" not in caplog.text
    assert evaluate(capsys, run / "best.keras", data, "--split", "held-out") == expected


def test_another_precision_may_be_asked_for(run, capsys):
    evaluate(capsys, run, "--precision", "float32")
    assert keras.config.dtype_policy().name == "float32"


def test_images_of_training_are_not_measured_in_silence(run, data, capsys, caplog):
    assert evaluate(capsys, run, data, "--split", "train")["images"] == 12
    assert "the model was trained on 92 % of these images: the figures flatter it" in caplog.text


def test_nor_in_python(run, data, caplog):
    detector, dataset = yolo.load(run), yolo.load_dataset(data, "train")
    yolo.evaluate(detector, dataset)
    assert caplog.text.count("the model was trained on 92 % of these images") == 1
    caplog.clear()
    yolo.evaluate(detector, hold_out(dataset)[1])
    assert "was trained on" not in caplog.text


@pytest.mark.usefixtures("run")
def test_other_data_have_no_held_out_split(run, data, tmp_path, capsys):
    other = make_digits(tmp_path / "other", train=3, val=2, size=64, seed=5)
    assert main(["eval", str(run), str(other), "--split", "held-out"]) == 2
    found = capsys.readouterr().err
    assert f"{other} is not, or no longer, the dataset that the model was trained on; {other} has train, val" in found
    assert evaluate(capsys, run, other)["images"] == 2  # its own val
    assert main(["eval", str(run), str(data), "--split", "test"]) == 2
    assert "there is no split 'test'; it has train, held-out" in capsys.readouterr().err


def test_another_dataset_that_a_run_validated_on_is_found_again(data, network, tmp_path, capsys):
    other = make_digits(tmp_path / "other", train=3, val=2, size=64, seed=5)
    assert main(["train", str(data), *network, *OPTIONS, "--val", str(other), "--out", str(tmp_path / "run")]) == 0
    found = evaluate(capsys, tmp_path / "run")
    assert found == json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert found["images"] == 5  # all of it, not its val
    assert not (tmp_path / "run" / "held-out.txt").exists()


def test_the_folder_of_a_run_stands_for_its_best_weights(run, data, tmp_path, capsys):
    picture = str(next(data.glob("JPEGImages/*")))
    assert main(["info", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == str(run / "best.keras")
    assert main(["info", str(run)]) == 0
    assert "sketch" not in capsys.readouterr().out
    assert main(["detect", str(run), picture, "--json"]) == 0
    assert main(["convert", str(run), str(tmp_path / "a.weights")]) == 0
    assert main(["train", str(data), *OPTIONS, "--weights", str(run), "--out", str(tmp_path / "next")]) == 0
    assert yolo.load(tmp_path / "next").origin["start"]["validation"]["split"] == "held-out"


def test_darknet_weights_find_what_lies_beside_them(run, tmp_path, capsys, caplog):
    assert main(["convert", str(run), str(tmp_path / "a.weights")]) == 0
    (tmp_path / "a.weights").rename(tmp_path / "a_final.weights")
    capsys.readouterr()
    with caplog.at_level(logging.INFO):
        assert main(["info", str(tmp_path / "a_final.weights"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["canvas"], found["classes"]) == ([64, 64], list(yolo.load(run).classes))
    assert "a_final.weights: read with a.cfg beside it" in caplog.text
    assert "a_final.weights: its class names are those of a.names" in caplog.text
