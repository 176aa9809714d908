"""`yolov3 data split`: what it writes, says and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from noise_pictures import write_noise

from yolo import load_dataset
from yolo.cli.main import main
from yolo.datasets.formats.voc_xml import write_voc_annotation


@pytest.fixture
def voc(tmp_path) -> Path:
    """Twenty pictures of five scenes: cats everywhere, a dog in every fourth picture."""
    folder = tmp_path / "voc"
    (folder / "Annotations").mkdir(parents=True)
    for number in range(20):
        name = f"scene{number // 4}_{number}"
        write_noise(folder / "JPEGImages" / f"{name}.jpg", height=20, width=30, seed=number)
        boxes = [[1, 2, 13, 14], [5, 5, 20, 15]][: 2 if number % 4 == 0 else 1]
        write_voc_annotation(
            folder / "Annotations" / f"{name}.xml",
            filename=f"{name}.jpg",
            size=(20, 30),
            boxes=np.array(boxes, np.float32),
            labels=np.arange(len(boxes), dtype=np.int32),
            classes=["cat", "dog"],
        )
    return folder


def test_splits_are_written_and_reported(voc, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["data", "split", str(voc), str(out), "--val", "0.4"]) == 0
    assert capsys.readouterr().out == (
        "split    pictures   share    boxes\n"
        "train          12   60.0%       15\n"
        "val             8   40.0%       10\n"
        "\n"
        "boxes of   train     val\n"
        "cat           12       8\n"
        "dog            3       2\n"
        f"train on it: yolov3 train {out}\n"
    )
    train, val = load_dataset(out, "train"), load_dataset(out, "val")
    assert (len(train), len(val), train.classes) == (12, 8, ("cat", "dog"))
    assert not {path.name for path in map(train.path, range(12))} & {path.name for path in map(val.path, range(8))}


def test_groups_stay_together(voc, tmp_path, capsys):
    command = ["data", "split", str(voc), str(tmp_path / "out"), "--group", r"(scene\d+)_", "--test", "0.2", "--json"]
    assert main(command) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["groups"] == 5
    assert [(each["name"], each["pictures"], each["groups"]) for each in report["splits"]] == [
        ("train", 12, 3),
        ("val", 4, 1),
        ("test", 4, 1),
    ]
    assert report["splits"][1]["classes"] == {"cat": 4, "dog": 1}
    found = load_dataset(tmp_path / "out", "val")
    assert len({found.path(index).name.partition("_")[0] for index in range(4)}) == 1


def test_folds(voc, tmp_path, capsys):
    assert main(["data", "split", str(voc), str(tmp_path / "out"), "--folds", "4", "--paths", "relative"]) == 0
    assert f"train on it: yolov3 train {tmp_path / 'out'}/fold-0\n" in capsys.readouterr().out
    held_out = [load_dataset(tmp_path / "out" / f"fold-{fold}", "val") for fold in range(4)]
    assert [len(each) for each in held_out] == [5] * 4
    assert len({path.name for each in held_out for path in map(each.path, range(5))}) == 20


def test_a_class_that_a_split_lacks_is_named(voc, tmp_path, capsys):
    command = ["data", "split", str(voc), str(tmp_path / "out"), "--val", "0.1", "--group", "(scene0_1|_)"]
    assert main(command) == 0
    assert "val has no box of dog\n" in capsys.readouterr().out


def test_a_divided_dataset_is_divided_anew_as_a_whole(voc, tmp_path, capsys):
    assert main(["data", "split", str(voc), str(tmp_path / "first"), "--val", "0.5"]) == 0
    assert main(["data", "split", str(tmp_path / "first"), str(tmp_path / "second"), "--val", "0.2"]) == 0
    assert "train          16   80.0%       20\n" in capsys.readouterr().out
    parts = [load_dataset(tmp_path / "second", name) for name in ("train", "val")]
    assert len({part.path(index) for part in parts for index in range(len(part))}) == 20
    one = ["data", "split", str(tmp_path / "first"), str(tmp_path / "third"), "--split", "train", "--json"]
    assert main(one) == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--val", "0.6", "--test", "0.4"], "val 0.6 and test 0.4 leave nothing to train on; lower them"),
        (["--val", "1.5"], "val must be >= 0 and below 1, got 1.5"),
        (["--folds", "3", "--val", "0.2"], "val must be left out with --folds, each of which is the val of one"),
        (["--folds", "21"], "voc: 20 pictures cannot be divided into 21 parts; ask for fewer"),
        (["--group", "zebra"], "group zebra: it matches none of the 20 file names; the first is"),
        (["--stratify", "boxes"], "stratify must be classes or none, got boxes"),
        (["--paths", "short"], "paths must be absolute or relative, got short"),
        (["--split", "train"], "there is no split 'train'"),
    ],
)
def test_refusals_write_nothing(voc, tmp_path, capsys, options, message):
    assert main(["data", "split", str(voc), str(tmp_path / "out"), *options]) == 2
    streams = capsys.readouterr()
    assert message in streams.err
    assert len(streams.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_output_is_not_written_over(voc, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    command = ["data", "split", str(voc), str(tmp_path / "out")]
    assert main(command) == 2
    assert "exists; give another --out, or --force" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
