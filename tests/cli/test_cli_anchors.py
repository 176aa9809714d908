"""`yolov3 anchors`, in the process and as one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yolo.anchors import read_anchors
from yolo.cli.main import main


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A COCO file of 40 boxes in 8 pictures of 208 x 208, which a canvas of 416 x 416 doubles."""
    random = np.random.default_rng(0)
    folder = tmp_path / "set"
    folder.mkdir()
    images = [{"id": index, "file_name": f"{index}.jpg", "height": 208, "width": 208} for index in range(8)]
    annotations = []
    for number in range(40):
        width, height = (float(side) for side in random.uniform(5, 90, 2).round(1))
        box = [10.0, 10.0, width, height]
        annotations.append(
            {
                "id": number,
                "image_id": number % 8,
                "category_id": 1,
                "bbox": box,
                "area": width * height,
                "iscrowd": 0,
            }
        )
    categories = [{"id": 1, "name": "cat"}]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    for image in images:
        Image.new("RGB", (208, 208)).save(folder / image["file_name"])
    return path


def test_json_holds_the_fixed_keys(data, capsys):
    assert main(["anchors", str(data), "--count", "3", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report) == ["anchors", "mean_iou", "best_possible_recall", "current", "verdict"]
    assert list(report["current"]) == ["name", "mean_iou", "best_possible_recall"]
    assert np.array(report["anchors"]).shape == (3, 2)
    assert np.array(report["anchors"]).max() > 90  # on the canvas
    assert 0.5 < report["mean_iou"] < 1
    assert report["current"]["name"] == "yolov3-coco"


def test_table(data, capsys):
    assert main(["anchors", str(data), "--count", "6"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("anchors (width, height in px): ")
    assert lines[2].startswith("fitted")
    assert lines[3].startswith("yolov3-tiny-coco")
    assert lines[4].startswith("use the fitted anchors: mean IoU")


def test_out_writes_anchors_with_their_origin_and_a_plot(data, tmp_path, capsys):
    out = tmp_path / "mine.txt"
    assert main(["anchors", str(data), "--count", "4", "--out", str(out), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    np.testing.assert_allclose(read_anchors(out), report["anchors"], atol=1e-4)
    text = out.read_text()
    assert "40 boxes of 8 pictures" in text
    assert f"mean best IoU {report['mean_iou']:.4f}" in text
    assert "# size: 416 x 416" in text
    with Image.open(tmp_path / "mine.png") as plot:
        assert plot.format == "PNG"


def test_existing_files_stay_without_force(data, tmp_path, capsys):
    out = tmp_path / "mine.txt"
    out.write_text("precious")
    assert main(["anchors", str(data), "--out", str(out)]) == 2
    assert "mine.txt: exists; give another name, or --force" in capsys.readouterr().err
    assert out.read_text() == "precious"
    (tmp_path / "other.png").write_text("precious")
    assert main(["anchors", str(data), "--out", str(tmp_path / "other.txt")]) == 2
    assert not (tmp_path / "other.txt").exists()
    assert main(["anchors", str(data), "--out", str(out), "--force"]) == 0
    assert len(read_anchors(out)) == 9


def test_current_may_be_a_file(data, tmp_path, capsys):
    main(["anchors", str(data), "--out", str(tmp_path / "mine.txt"), "--json"])
    fitted = json.loads(capsys.readouterr().out)
    # Twice the size gives twice the anchors, and the file's are scaled to it: the same fit.
    assert main(["anchors", str(data), "--size", "832", "--current", str(tmp_path / "mine.txt"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["current"]["name"] == str(tmp_path / "mine.txt")
    assert report["current"]["mean_iou"] == pytest.approx(fitted["mean_iou"], abs=1e-6)
    assert report["verdict"].startswith("keep ")


def test_size_may_be_height_and_width(data, capsys):
    assert main(["anchors", str(data), "--size", "416x832", "--count", "2", "--mode", "stretch", "--json"]) == 0
    wide = json.loads(capsys.readouterr().out)["anchors"]
    assert np.array(wide)[:, 0].max() > 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--count", "1001"], "count must be in 1..1000, got 1001"),
        (["--size", "400"], "size must be a multiple of 32 (try 384), got 400"),
        (["--current", "nothing"], "no anchors 'nothing'; there are "),
        (["--out", "none/a.txt"], "none: no such folder; make it first"),
        (["--out", "a.png"], "a.png: the anchors are text"),
        (["--seed", "-1"], "seed must be in 0..2**32 - 1, got -1"),
    ],
)
def test_faults_are_one_line_and_exit_code_2(data, capsys, options, message):
    assert main(["anchors", str(data), *options]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert message in streams.err
    assert len(streams.err.splitlines()) == 1


def test_as_a_process(data):
    command = [sys.executable, "-m", "yolo", "anchors", str(data), "--count", "2", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert len(json.loads(result.stdout)["anchors"]) == 2


def test_coco128(shared, capsys):
    folder = shared / "data/coco128"
    command = [
        "anchors",
        str(folder / "instances.json"),
        "--images",
        str(folder / "images"),
        "--size",
        "416",
    ]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mean_iou"] >= 0.605
