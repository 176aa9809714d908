"""`yolov3 convert`: round trips, other classes, and nothing of the user's written over."""

from __future__ import annotations

import json

import numpy as np
import pytest

import yolo
from yolo.cli.main import main
from yolo.darknet.names import write_names
from yolo.errors import ConfigError
from yolo.model.detector import Detector
from yolo.weights.darknet_files import save_darknet_weights

NET = """[net]
# a comment of the user's
width=64
height=64
channels=3
[convolutional]
batch_normalize=1
filters=8
size=3
stride=32
pad=1
activation=relu
[convolutional]
filters=14   # 2 x (5 + 2)
size=1
activation=linear
[yolo]
mask=0,1
anchors=10,20, 30,15
classes=2
num=2
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A small network's three files, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.cfg").write_text(NET)
    (tmp_path / "net.names").write_text("cat\ndog\n")
    detector = Detector("net.cfg", classes=["cat", "dog"])
    rng = np.random.default_rng(0)
    detector.set_weights([rng.uniform(0.1, 1, each.shape) for each in detector.get_weights()])
    detector.origin = {"darknet": {"major": 0, "minor": 1, "revision": 7, "seen": 32_013_312}}
    save_darknet_weights(detector, tmp_path / "net.weights")
    return tmp_path


FROM_DARKNET = ["--cfg", "net.cfg", "--names", "net.names"]


def test_to_keras_and_back_is_byte_for_byte(files, capsys):
    assert main(["convert", "net.weights", "net.keras", *FROM_DARKNET]) == 0
    assert main(["convert", "net.keras", "back.weights", "--json"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "net.keras: 2 classes, 374 parameters"
    assert json.loads(out[1]) == {
        "files": ["back.weights", "back.cfg", "back.names"],
        "classes": ["cat", "dog"],
        "parameters": 374,  # 3 x 3 x 3 x 8 + 4 x 8 + 8 x 14 + 14
    }
    for name in ("weights", "cfg", "names"):
        assert (files / f"back.{name}").read_bytes() == (files / f"net.{name}").read_bytes()


def test_a_subset_of_the_classes(files, caplog):
    (files / "wanted.txt").write_text("dog\n")
    for wanted in ("dog", "wanted.txt"):
        assert main(["convert", "net.weights", f"{wanted[:3]}.keras", *FROM_DARKNET, "--classes", wanted]) == 0
        assert yolo.load(f"{wanted[:3]}.keras").classes == ("dog",)
    assert "classes kept     1 (dog)" in caplog.text
    assert "classes dropped  1 (cat)" in caplog.text


def test_other_classes_reach_darknets_files(files):
    assert main(["convert", "net.weights", "new.weights", *FROM_DARKNET, "--classes", "owl,dog,cat"]) == 0
    expected = NET.replace("filters=14", "filters=16").replace("classes=2", "classes=3")
    assert (files / "new.cfg").read_text() == expected
    old, new = yolo.load("net.weights", cfg="net.cfg"), yolo.load("new.weights", cfg="new.cfg", names="new.names")
    assert new.classes == ("owl", "dog", "cat")
    rows = [each.heads[0].get_weights()[0].reshape(8, 2, -1) for each in (old, new)]
    np.testing.assert_array_equal(rows[1][..., [0, 1, 2, 3, 4, 7, 6]], rows[0])


@pytest.mark.usefixtures("files")
def test_the_json_tells_what_was_carried_over(capsys):
    options = ["--classes", "dog,cow", "--new", "sampled", "--json"]
    assert main(["convert", "net.weights", "a.keras", *FROM_DARKNET, *options]) == 0
    table = json.loads(capsys.readouterr().out)["transfer"]
    assert table == {"kept": ["dog"], "renamed": [], "new": ["cow"], "dropped": ["cat"]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["net.weights", "a.onnx", *FROM_DARKNET], "a.onnx: give a name that ends in .keras or .weights"),
        (["net.weights", "net.weights", *FROM_DARKNET], "net.weights: is read from and would be written to"),
        (["net.weights", "net.weights", *FROM_DARKNET, "--force"], "net.weights: is read from and would be written to"),
        (["net.weights", "there.keras", *FROM_DARKNET], "there.keras: exists; give another DST, or --force"),
        (["net.weights", "beside.weights", *FROM_DARKNET], "beside.cfg: exists; give another DST, or --force"),
        (["net.weights", "nowhere/a.keras", *FROM_DARKNET], "nowhere/a.keras: there is no folder nowhere"),
        (["odd.weights", "a.keras"], "is the size of none of the networks yolov3, yolov3-spp, yolov3-tiny"),
        (["nothing.weights", "a.keras"], "nothing.weights: no such file"),
        (["nothing.keras", "a.keras"], "nothing.keras: no such file"),
        (["net.weights", "a.keras", *FROM_DARKNET, "--classes", ","], "classes must be names with commas between"),
        (["net.weights", "a.keras", *FROM_DARKNET, "--classes", "a,a"], "classes must be names that differ"),
        (["net.weights", "a.keras", *FROM_DARKNET, "--classes", "nope.txt"], "nope.txt: no such file"),
        (["net.weights", "a.keras", *FROM_DARKNET, "--new", "old"], "new"),
        (["net.weights", "a.keras", *FROM_DARKNET, "--seed", "-1"], "seed must be in"),
        (
            ["net.weights", "a.keras", "--cfg", "net.cfg", "--names", "one.names"],
            "one.names: 1 names; the network has 2",
        ),
        (["net.weights", "a.keras", "--cfg", "missing.cfg"], "missing.cfg: no such file"),
        (["there.keras", "a.weights", "--cfg", "net.cfg"], "there.keras is not a Darknet .weights file and needs none"),
    ],
)
def test_faults_are_one_line_and_leave_everything_as_it_was(files, capsys, options, message):
    (files / "there.keras").write_text("mine")
    (files / "odd.weights").write_bytes((files / "net.weights").read_bytes())  # without a .cfg of its name
    (files / "beside.cfg").write_text("mine")
    (files / "one.names").write_text("cat\n")
    before = {path: path.read_bytes() for path in files.iterdir()}
    assert main(["convert", *options]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert {path: path.read_bytes() for path in files.iterdir()} == before


@pytest.mark.usefixtures("files")
def test_unknown_classes_alone_are_warned_of(caplog):
    assert main(["convert", "net.weights", "a.keras", *FROM_DARKNET, "--classes", "owl"]) == 0
    assert "none of the classes is known: the heads have to be trained" in caplog.text


@pytest.mark.parametrize("name", ["a\nb", " a", ""])
def test_names_that_would_not_come_back_are_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="cannot be a line of its own; rename it"):
        write_names(tmp_path / "a.names", ["b", name])
    assert not (tmp_path / "a.names").exists()
