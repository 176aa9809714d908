"""`yolov3 explain`: files, tables and JSON of a small network, and input that it refuses."""

from __future__ import annotations

import json
from hashlib import sha256

import keras
import pytest
from keras import layers
from PIL import Image
from runtime_models import noisy_detector, pictures

from yolo.cli.explain import middle, numbers
from yolo.cli.main import main
from yolo.errors import ConfigError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    noisy_detector(size=64).save(folder / "m.keras")
    Image.fromarray(pictures(1)[0]).save(folder / "p.png")  # 60 wide, 80 high
    (folder / "m.onnx").write_bytes(b"")
    return folder


def explained(folder, *options):
    return main(["explain", str(folder / "m.keras"), str(folder / "p.png"), *options])


def test_pictures_numbers_and_a_table_are_made_and_the_picture_is_only_read(folder, tmp_path, capsys):
    before = sha256((folder / "p.png").read_bytes()).hexdigest()
    options = ["--conf", "0.05", "--top", "2", "--box", "5,5,50,70", "--layer", "conv_3", "--features", "--filters"]
    assert explained(folder, "--out", str(tmp_path / "why"), *options) == 0
    text = capsys.readouterr().out
    assert "layercam over conv_" in text
    assert "slots at the place asked for (conf 0.05" in text
    made = {path.name for path in (tmp_path / "why").iterdir()}
    record = json.loads((tmp_path / "why" / "explanation.json").read_text())
    files = {each["file"] for each in record["detections"]}
    assert len(files) == 2
    common = {"detections.png", "anchors.png", "missing.png", "filters.png", "explanation.json"}
    assert {name for name in made if not name.startswith(".")} == {
        *files,
        *common,
        "field-conv_3.png",
        "features-conv_3.png",
    }
    for name in made:
        if name.endswith(".png"):
            Image.open(tmp_path / "why" / name).verify()
    assert record["receptive_field"]["layer"] == "conv_3"
    assert record["asked_for"]["box"] == [5, 5, 50, 70]
    assert sha256((folder / "p.png").read_bytes()).hexdigest() == before


def test_json_alone_on_stdout_and_no_files_without_a_folder(folder, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert explained(folder, "--conf", "0.05", "--top", "1", "--at", "30,40", "--method", "eigencam", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    (only,) = record["detections"]
    assert only["score"] == pytest.approx(only["objectness"] * only["probability"], rel=1e-5)
    assert 0 <= only["class_map_inside"] <= 1
    assert len(record["asked_for"]["slots"]) >= 6
    for slot in record["asked_for"]["slots"]:
        assert slot["appears_at"] is None or slot["appears_at"] == pytest.approx(slot["score"], rel=1e-4)
    assert not list(tmp_path.iterdir())


def test_nothing_found_names_the_next_step(folder, capsys):
    assert explained(folder, "--conf", "1") == 0
    assert "no detections at conf 1; lower --conf, or ask about a place with --at X,Y" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--at", "70,3"], "--at must be x,y inside the picture of 60 x 80 pixels, got 70,3"),
        (["--at", "1,2", "--box", "1,2,3,4"], "--at: together with --box; name a point or a box"),
        (["--at", "1"], "--at: expected X,Y in pixels of the image, got '1'"),
        (["--box", "1,2,3,nan"], "--box: expected X1,Y1,X2,Y2 in pixels of the image, got '1,2,3,nan'"),
        (["--box", "9,2,3,4"], "--box must be x1,y1,x2,y2 with x1 < x2"),
        (["--layer", "conv_3"], "--layer: is drawn into a folder; name one with --out"),
        (["--filters"], "--filters: is drawn into a folder; name one with --out"),
        (["--layers", "conv_33"], "layer conv_33: the network has no such feature map; did you mean conv_3"),
        (["--layer", "head", "--out", "new"], "layer head: the network has no such feature map; there are"),
        (["--top", "0"], "--top must be > 0, got 0"),
        (["--out", "."], ".: exists; give another --out, or --force to write into it"),
    ],
)
def test_wrong_options_are_one_line(folder, options, message, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    assert explained(folder, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (folder / "new").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["m.keras", "none.jpg"], "none.jpg: "),
        (["m.keras", "m.keras"], "m.keras: not a picture"),
        (["none.keras", "p.png"], "none.keras: no such file"),
        (["m.onnx", "p.png"], "m.onnx: an exported file, for detection alone; give the .keras or .weights file"),
    ],
)
def test_files_that_are_missing_or_of_another_kind_are_one_line(folder, words, message, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    assert main(["explain", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_a_classifier_of_keras_gets_its_classic_map(folder, tmp_path, capsys):
    images = keras.Input((16, 16, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(images))
    keras.Model(images, layers.Dense(5, activation="softmax")(pooled)).save(tmp_path / "c.keras")
    words = ["explain", str(tmp_path / "c.keras"), str(folder / "p.png")]
    assert main([*words, "--out", str(tmp_path / "why"), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert len(record["classes"]) == 3
    assert (tmp_path / "why" / "classes.png").is_file()
    assert main([*words, "--at", "3,3"]) == 2
    assert "--at: is for detectors; " in capsys.readouterr().err


def test_numbers_and_middles():
    assert numbers("at", "1,2.5", "X,Y", 2) == [1, 2.5]
    with pytest.raises(ConfigError, match="at: expected X,Y"):
        numbers("at", "1,b", "X,Y", 2)
    assert middle(None, (80, 60)) == (30, 40)
    assert middle((1, 2), (80, 60)) == (1, 2)
    assert middle((0, 10, 20, 40), (80, 60)) == (10, 25)
