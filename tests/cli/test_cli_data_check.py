"""`yolov3 data check`: what it prints, its exit codes, the corrected copy, and the line that `train` logs."""

from __future__ import annotations

import csv
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from doctor_pictures import SIZE, make, write_scene

from yolo import load_dataset
from yolo.cli.main import main
from yolo.cli.train import report_findings
from yolo.datasets.formats.voc_xml import write_voc_annotation

BOX = [10.0, 10, 50, 50]


@pytest.fixture
def voc(tmp_path) -> Path:
    """A VOC folder of 40 pictures to train on and 5 to validate, without any fault."""
    folder = tmp_path / "voc"
    for place in ("Annotations", "ImageSets/Main"):
        (folder / place).mkdir(parents=True)
    for number in range(45):
        annotate(folder, number, [BOX, [60, 20, 90, 60], [20, 60, 50, 90]], ["cat", "dog", "cat"])
        write_scene(folder / "JPEGImages" / f"{number}.jpg", number)
    for split, numbers in {"train": range(40), "val": range(40, 45), "trainval": range(45)}.items():
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("".join(f"{each}\n" for each in numbers))
    return folder


def annotate(folder: Path, number: int, boxes: list[list[float]], names: list[str]) -> None:
    classes = sorted(set(names))
    write_voc_annotation(
        folder / "Annotations" / f"{number}.xml",
        filename=f"{number}.jpg",
        size=SIZE,
        boxes=np.array(boxes, np.float32),
        labels=np.array([classes.index(name) for name in names], np.int32),
        classes=classes,
    )


def break_it(voc: Path) -> None:
    """Plant: an unreadable picture, one in both splits, a box twice, a name in capitals."""
    picture = voc / "JPEGImages" / "3.jpg"
    picture.write_bytes(picture.read_bytes()[:-300])
    shutil.copy(voc / "JPEGImages" / "5.jpg", voc / "JPEGImages" / "41.jpg")
    annotate(voc, 7, [BOX, [10, 10, 50, 50.5], [20, 60, 50, 90]], ["cat", "cat", "Cat"])


def snapshot(folder: Path) -> dict[Path, tuple[bytes, int]]:
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.rglob("*")) if path.is_file()}


def test_nothing_found(voc, capsys):
    assert main(["data", "check", str(voc)]) == 0
    assert capsys.readouterr().out == (
        f"{voc}: 45 pictures, 135 boxes, 2 classes, splits: train 40, val 5; VOC\nnothing found\n"
    )


def test_faults(voc, capsys):
    break_it(voc)
    before = snapshot(voc)
    assert main(["data", "check", str(voc), "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert (report["errors"], report["warnings"], report["notes"]) == (2, 2, 0)
    assert {each["kind"]: each["count"] for each in report["findings"]} == {
        "unreadable": 1,
        "same_in_splits": 1,
        "box_doubled": 1,
        "class_spelling": 1,
    }
    assert main(["data", "check", str(voc), "--quick"]) == 0
    assert capsys.readouterr().out.endswith("0 errors, 2 warnings, 0 notes\n")
    assert main(["data", "check", str(voc), "--split", "val"]) == 0
    assert snapshot(voc) == before


def test_what_readers_report_is_told_once(voc, capsys):
    annotate(voc, 7, [BOX, [60, 20, 200, 60]], ["cat", "dog"])
    assert main(["data", "check", str(voc)]) == 0
    printed = capsys.readouterr()
    assert "warning: boxes over the edge of their picture, clipped: 1\n" in printed.out
    assert "clipped" not in printed.err


def test_a_dataset_that_does_not_load(tmp_path, capsys):
    (tmp_path / "data.json").write_text("{")
    assert main(["data", "check", str(tmp_path / "data.json"), "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert (report["pictures"], report["errors"]) == (0, 1)
    (found,) = report["findings"]
    assert (found["kind"], found["places"][0]["file"]) == ("not_loaded", str(tmp_path / "data.json"))
    assert found["places"][0]["detail"]


def test_a_split_that_does_not_load(voc, capsys):
    (voc / "ImageSets" / "Main" / "val.txt").write_text("nobody\n")
    (voc / "ImageSets" / "Main" / "trainval.txt").unlink()
    assert main(["data", "check", str(voc), "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert (report["pictures"], report["splits"]) == (40, ["train"])
    assert report["findings"][0]["places"][0]["split"] == "val"


@pytest.mark.parametrize("to", ["coco", "yolo", "voc"])
def test_the_corrected_copy(voc, tmp_path, capsys, to):
    break_it(voc)
    before, out = snapshot(voc), tmp_path / "out"
    assert main(["data", "check", str(voc), "--fix", str(out), "--to", to]) == 3
    assert snapshot(voc) == before
    train, val = load_dataset(out, "train"), load_dataset(out, "val")
    assert (len(train), len(val), train.classes) == (38, 5, ("cat", "dog"))
    assert (len(train.boxes), len(val.boxes)) == (38 * 3 - 1, 15)
    with (out / "changes.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["kind"], Path(row["file"]).name) for row in rows] == [
        ("unreadable", "3.jpg"),
        ("same_in_splits", "5.jpg"),
        ("class_spelling", "Cat"),
        ("box_doubled", "7.jpg: box 2 (cat) (train)"),
    ]
    capsys.readouterr()
    assert main(["data", "check", str(out)]) == 0
    assert capsys.readouterr().out.endswith("nothing found\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fix", "{voc}"], "{voc}: the dataset itself is there; give another OUT"),
        (["--fix", "{voc}/new"], "{voc}/new: the dataset itself is there; give another OUT"),
        (["--fix", "{voc}2", "--quick"], "--quick must be left out with --fix: all pictures have to be read, got True"),
        (["--to", "excel"], "--to must be one of coco, yolo, voc, got excel"),
        (["--workers", "-1"], "--workers must be >= 0, got -1"),
    ],
)
def test_refusals(voc, capsys, options, message):
    assert main(["data", "check", str(voc), *(each.format(voc=voc) for each in options)]) == 2
    assert capsys.readouterr().err == f"yolov3 data: {message.format(voc=voc)}\n"


def test_the_line_that_train_logs(tmp_path, caplog):
    train = make(tmp_path, {"a.jpg": [("cat", BOX)]})
    val = make(tmp_path, {"b.jpg": [("dog", BOX)]})
    with caplog.at_level(logging.INFO):
        report_findings("my data", train, None, None)
        assert not caplog.messages
        report_findings("my data", train, val, (416, 416))
    assert caplog.messages == [
        "2 findings: yolov3 data check my data (classes that no box in train has, but another split does: 1; "
        "classes that a split has no box of, so that it measures nothing about them: 1)"
    ]


def test_names_are_shortened_as_whole_ones(voc, tmp_path, capsys, monkeypatch):
    """A folder `s` is not cut out of `JPEGImages/`."""
    monkeypatch.chdir(tmp_path)
    assert main(["data", "convert", str(voc), "s", "--to", "coco", "--pictures", "none"]) == 0
    (voc / "JPEGImages" / "3.jpg").write_bytes(b"damaged")
    capsys.readouterr()
    assert main(["data", "check", "s", "--images", str(voc / "JPEGImages")]) == 3
    assert f"  {voc}/JPEGImages/3.jpg (train): " in capsys.readouterr().out


def test_the_corrected_copy_says_what_its_format_cannot_hold(voc, tmp_path, caplog):
    file = voc / "Annotations" / "0.xml"
    file.write_text(file.read_text().replace("<difficult>0<", "<difficult>1<", 1))
    out = tmp_path / "out"
    assert main(["data", "check", str(voc), "--fix", str(out), "--to", "yolo"]) == 0
    assert f"{out}: yolo cannot hold: difficult and crowd flags: 1" in caplog.messages
