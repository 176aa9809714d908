"""`yolov3 data convert`: what it writes, says and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from noise_pictures import write_noise

from yolo import load_dataset
from yolo.cli.data_convert import FORMATS
from yolo.cli.main import main
from yolo.datasets.formats.voc_xml import write_voc_annotation
from yolo.datasets.tfrecord.writer import Conversion
from yolo.datasets.write import writers
from yolo.errors import ConfigError


@pytest.fixture
def voc(tmp_path) -> Path:
    """A VOC folder of seven pictures: five to train on, two to validate, and trainval, which is all of them."""
    folder = tmp_path / "voc"
    for place in ("Annotations", "ImageSets/Main"):
        (folder / place).mkdir(parents=True)
    for number in range(7):
        write_noise(folder / "JPEGImages" / f"{number}.jpg", height=20, width=30, seed=number)
        write_voc_annotation(
            folder / "Annotations" / f"{number}.xml",
            filename=f"{number}.jpg",
            size=(20, 30),
            boxes=np.array([[1, 2, 3 + number, 14]], np.float32),
            labels=np.array([number % 2], np.int32),
            classes=["cat", "dog"],
        )
    for split, numbers in {"train": range(5), "val": (5, 6), "trainval": range(7)}.items():
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("".join(f"{each}\n" for each in numbers))
    return folder


def snapshot(folder: Path) -> dict[Path, tuple[bytes, int]]:
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_usual_split_is_written_once(voc, tmp_path, capsys):
    before = snapshot(voc)
    assert main(["data", "convert", str(voc), str(tmp_path / "out"), "--to", "tfrecord", "--shards", "2"]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "train-00000-of-00002.tfrecord",
        "train-00001-of-00002.tfrecord",
        "train.index.npz",
        "val-00000-of-00002.tfrecord",
        "val-00001-of-00002.tfrecord",
        "val.index.npz",
    ]
    for split in ("train", "val"):
        found, source = load_dataset(tmp_path / "out", split), load_dataset(voc, split)
        assert found.fingerprint == source.fingerprint
        np.testing.assert_array_equal(found.image(1), source.image(1))
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition(" boxes in 2 shards, ")[0] for line in printed] == [
        f"{tmp_path / 'out'}: train: 5 pictures, 5",
        f"{tmp_path / 'out'}: val: 2 pictures, 2",
    ]
    assert snapshot(voc) == before


def test_results_for_programs(voc, tmp_path, capsys):
    (voc / "JPEGImages" / "3.jpg").write_bytes(b"broken")
    out = tmp_path / "out"
    assert main(["data", "convert", str(voc), str(out), "--to", "tfrecord", "--split", "trainval", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == {
        "folder": str(out),
        "parts": [
            {
                "name": "trainval",
                "pictures": 6,
                "boxes": 6,
                "shards": 1,
                "bytes": (out / "trainval-00000-of-00001.tfrecord").stat().st_size - 6 * 16,
                "left_out": 1,
                "left_out_list": "trainval.left_out.csv",
            }
        ],
    }
    assert load_dataset(out).files == [f"JPEGImages/{number}.jpg" for number in (0, 1, 2, 4, 5, 6)]
    assert "3.jpg" in (out / "trainval.left_out.csv").read_text()


def test_to_an_address(voc, tmp_path, capsys):
    address = f"ram://bucket/{tmp_path.name}"
    command = ["data", "convert", str(voc), address, "--to", "tfrecord"]
    assert main(command) == 0
    assert len(load_dataset(address, "train")) == 5
    assert main(command) == 2
    assert f"{address}: exists; give another OUT, or --force" in capsys.readouterr().err
    assert main([*command, "--force", "--split", "val"]) == 0
    assert sorted(tf.io.gfile.listdir(address)) == ["val-00000-of-00001.tfrecord", "val.index.npz"]


def test_what_lies_in_the_way(voc, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    command = ["data", "convert", str(voc), str(out), "--to", "tfrecord"]
    assert main(command) == 2
    assert f"{out}: exists" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    assert (out / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "kitti"], "to must be one of voc, coco, yolo, labelme, csv, cvat, fiftyone, tfrecord, got kitti"),
        (["--to", "voc", "--pictures", "move"], "pictures must be one of copy, link, none, got move"),
        (["--to", "voc", "--shards", "2"], "shards must be left out: only tfrecord has them, got 2"),
        (["--to", "tfrecord", "--pictures", "link"], "pictures must be copy: TFRecord holds the pictures, got link"),
        (["--to", "tfrecord", "--shards", "0"], "shards must be in 1..99999, got 0"),
        (["--to", "tfrecord", "--seed", "-1"], "seed must be in 0"),
        (["--to", "tfrecord", "--workers", "-1"], "workers must be >= 0"),
        (["--to", "tfrecord", "--split", "other"], "there is no split 'other'; it has"),
        ([], "to"),
    ],
)
def test_faults(voc, tmp_path, capsys, options, message):
    assert main(["data", "convert", str(voc), str(tmp_path / "out"), *options]) == 2
    output = capsys.readouterr()
    assert message in output.err
    assert output.err.count("\n") == 1
    assert output.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("out", ["voc", "."])
def test_data_are_never_written_over(voc, tmp_path, capsys, out):
    before = snapshot(voc)
    assert main(["data", "convert", str(voc), str(tmp_path / out), "--to", "tfrecord", "--force"]) == 2
    assert "the dataset itself is there; give another OUT" in capsys.readouterr().err
    assert snapshot(voc) == before


@pytest.mark.parametrize("arguments", [[], ["melt", "x"]])
def test_actions(capsys, arguments):
    assert main(["data", *arguments]) == 2
    assert "convert" in capsys.readouterr().err


@pytest.mark.parametrize("ends", [KeyboardInterrupt, ConfigError("the disk is full")])
def test_splits_that_are_whole_are_told_when_another_one_breaks_off(voc, tmp_path, capsys, monkeypatch, ends):
    write = Conversion.write_shard

    def partly(conversion, name, pictures):
        if name.startswith("val"):
            raise ends
        write(conversion, name, pictures)

    monkeypatch.setattr(Conversion, "write_shard", partly)
    words = ["data", "convert", str(voc), str(tmp_path / "out"), "--to", "tfrecord", "--json"]
    assert main(words) == (130 if ends is KeyboardInterrupt else 2)
    assert [part["name"] for part in json.loads(capsys.readouterr().out)["parts"]] == ["train"]
    assert len(load_dataset(tmp_path / "out", "train")) == 5
    assert main([*words, "--split", "val", "--force"]) == (130 if ends is KeyboardInterrupt else 2)
    assert capsys.readouterr().out == ""


def test_from_format_to_format(voc, tmp_path, capsys):
    before = snapshot(voc)
    for source, out, to in (("voc", "coco", "coco"), ("coco", "yolo", "yolo"), ("yolo", "again", "voc")):
        assert main(["data", "convert", str(tmp_path / source), str(tmp_path / out), "--to", to]) == 0
        assert capsys.readouterr().out.splitlines() == [
            f"{tmp_path / out}: train: 5 pictures, 5 boxes",
            f"{tmp_path / out}: val: 2 pictures, 2 boxes",
        ]
    for split in ("train", "val"):
        assert load_dataset(tmp_path / "again", split).fingerprint == load_dataset(voc, split).fingerprint
    assert snapshot(voc) == before


def test_the_report_of_files(voc, tmp_path, capsys):
    (voc / "JPEGImages" / "3.jpg").write_bytes(b"broken")
    (voc / "ImageSets" / "Main" / "trainval.txt").write_text("0\n3\n")
    words = ["data", "convert", str(voc), str(tmp_path / "out"), "--split", "trainval", "--to", "yolo"]
    assert main(words) == 0
    fault = f"{voc / 'JPEGImages' / '3.jpg'}: not a picture that can be decoded"
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path / 'out'}: all: 1 picture, 1 box",
        "yolo cannot hold: splits of other names than train, val and test: 1",
        "yolo cannot hold: parts that are no split, written as train: 1",
        f"1 picture could not be read and left out: {fault}",
    ]
    assert main([*words, "--json", "--force"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "folder": str(tmp_path / "out"),
        "format": "yolo",
        "parts": [{"name": None, "pictures": 1, "boxes": 1}],
        "not_held": {
            "splits of other names than train, val and test": 1,
            "parts that are no split, written as train": 1,
        },
        "renamed": {},
        "left_out": {str(voc / "JPEGImages" / "3.jpg"): fault},
    }


def test_a_split_of_an_unusual_name_is_kept_unless_others_have_its_pictures(voc, tmp_path, capsys):
    (voc / "ImageSets" / "Main" / "val.txt").unlink()
    assert main(["data", "convert", str(voc), str(tmp_path / "out"), "--to", "coco", "--json"]) == 0
    assert [part["name"] for part in json.loads(capsys.readouterr().out)["parts"]] == ["train", "trainval"]


@pytest.mark.parametrize("out", ["voc/new", "voc/JPEGImages/new"])
def test_files_are_not_written_into_the_data(voc, tmp_path, capsys, out):
    assert main(["data", "convert", str(voc), str(tmp_path / out), "--to", "yolo"]) == 2
    assert f"{tmp_path / out}: lies in the dataset itself; give an OUT outside of {voc}" in capsys.readouterr().err
    assert not (tmp_path / out).exists()


def test_files_need_a_folder(voc, capsys):
    assert main(["data", "convert", str(voc), "gs://bucket/out", "--to", "yolo"]) == 2
    assert "out must be a folder of this machine for this format, got gs://bucket/out" in capsys.readouterr().err


def test_every_format_of_the_table_can_be_named():
    assert sorted(FORMATS) == sorted(writers())


def test_digits_are_made_by_a_command(tmp_path, capsys):
    out = tmp_path / "digits"
    assert main(["data", "digits", str(out), "--train", "3", "--val", "2", "--size", "64"]) == 0
    assert capsys.readouterr().out == f"{out}: train 3 pictures, val 2 pictures, of 10 classes\n"
    assert [len(load_dataset(out, split)) for split in ("train", "val")] == [3, 2]
    before = snapshot(out)
    assert main(["data", "digits", str(out), "--train", "3"]) == 2
    assert snapshot(out) == before
    assert (
        main(["data", "digits", str(tmp_path / "again"), "--train", "3", "--val", "2", "--size", "64", "--json"]) == 0
    )
    printed = json.loads(capsys.readouterr().out)
    assert (printed["pictures"], printed["classes"][-1]) == ({"train": 3, "val": 2}, "9")
    assert {path.name: content for path, (content, _) in snapshot(tmp_path / "again").items()} == {
        path.name: content for path, (content, _) in before.items()
    }


@pytest.mark.parametrize("option", [["--train", "0"], ["--val", "-1"], ["--size", "8"], ["--seed", "-1"]])
def test_digits_that_cannot_be_made(tmp_path, option, capsys):
    assert main(["data", "digits", str(tmp_path / "digits"), *option]) == 2
    assert option[0] in capsys.readouterr().err
    assert not (tmp_path / "digits").exists()
