"""`yolov3 data stats` and `yolov3 data view`: what they write, say and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from noise_pictures import write_noise

from yolo.cli.main import main
from yolo.datasets.split_files import write_splits
from yolo.images.codec import read_image
from yolo.structs import Dataset

PLOTS = ["boxes_per_picture.png", "classes.png", "picture_sizes.png", "positions.png", "shapes.png", "stats.json"]


@pytest.fixture
def data(tmp_path) -> Path:
    """Twelve pictures to train on and two to validate; cats of many shapes, and a dog in train alone."""
    from tables import make_dataset

    for number in range(14):
        write_noise(tmp_path / "pictures" / f"{number}.jpg", height=64, width=96, seed=number)
    rows = [(number, 0, 1, 2, 20 + 3 * number, 30 + number, 0) for number in range(14)]
    rows.append((0, 1, 50, 10, 90, 60, 0))
    whole: Dataset = make_dataset(
        rows,
        pictures=14,
        classes=("cat", "dog", "cow"),
        sizes=np.array([[64, 96]] * 14, np.int32),
        folder=tmp_path / "pictures",
    )
    write_splits({"train": whole.subset(range(12)), "val": whole.subset([12, 13])}, tmp_path / "data")
    return tmp_path / "data"


def test_tables_and_plots(data, tmp_path, capsys):
    assert main(["data", "stats", str(data), "--out", str(tmp_path / "out"), "--count", "3", "--size", "96"]) == 0
    text = capsys.readouterr().out
    rows = {line[:22].strip(): line[22:].split() for line in text.splitlines()}
    assert rows["pictures"] == ["12", "2"]
    assert rows["boxes"] == ["13", "2"]
    assert rows["per picture, most"] == ["2", "1"]
    lines = [line.split() for line in text.splitlines()]
    assert ["cat", "12", "(12)", "2", "(2)"] in lines
    assert ["dog", "1", "(1)", "-"] in lines
    assert ["without", "boxes:", "cow"] in lines
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.suffix) == PLOTS
    saved = json.loads((tmp_path / "out" / "stats.json").read_text())
    assert [part["split"] for part in saved["splits"]] == ["train", "val"]
    assert len(saved["anchors"][0]["anchors"]) == 3


def test_json_of_one_split(data, capsys):
    assert main(["data", "stats", str(data), "--split", "val", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [part["pictures"] for part in report["splits"]] == [2]
    assert report["splits"][0]["classes"]["cat"] == {"boxes": 2, "pictures": 2}


def test_stats_do_not_write_over_a_folder(data, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    assert main(["data", "stats", str(data), "--out", str(tmp_path / "full")]) == 2
    assert "exists; give another --out" in capsys.readouterr().err


def test_sheets(data, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    assert main(["data", "view", str(data), "--out", str(out), "--count", "6", "--tile", "96"]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    # Two rows of four tiles of 120 x 86, the smallest width of a caption, with gaps of 4.
    assert read_image(out).shape[1::-1] == (4 + 4 * 124, 4 + 2 * 90)


def test_pages_of_all_pictures(data, tmp_path, capsys):
    out = tmp_path / "sheet.jpg"
    pictures = ",".join(f"{number % 14}.jpg" for number in range(21))
    command = ["data", "view", str(data), "--out", str(out), "--pictures", pictures, "--json"]
    assert main(command) == 0
    expected = {"sheets": [str(out), str(tmp_path / "sheet-2.jpg")], "pictures": 21}
    assert json.loads(capsys.readouterr().out) == expected
    out.unlink()
    assert main(command) == 2
    assert "sheet-2.jpg: exists; give another --out" in capsys.readouterr().err
    assert not out.exists()


def test_findings_are_shown(data, tmp_path, capsys):
    report = {"findings": [{"kind": "tiny", "places": [{"file": "3.jpg", "place": "box 1 (cat)"}, {"file": "x.xml"}]}]}
    (tmp_path / "report.json").write_text(json.dumps(report))
    command = ["data", "view", str(data), "--findings", str(tmp_path / "report.json"), "--json"]
    assert main([*command, "--out", str(tmp_path / "sheet.png")]) == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == 2


def test_augmented_images_are_those_of_training(data, tmp_path):
    out = tmp_path / "sheet.png"
    command = ["data", "view", str(data), "--out", str(out), "--augmented", "--size", "64", "--count", "5"]
    (tmp_path / "config.yaml").write_text("epochs: 3\naugment:\n  mosaic: 1.0\n")
    assert main([*command, "--config", str(tmp_path / "config.yaml")]) == 0
    from_file = read_image(out)
    assert from_file.shape[1::-1] == (4 + 4 * 68, 4 + 2 * 68)
    assert main([*command, "--force", "--augment.mosaic", "1.0"]) == 0
    np.testing.assert_array_equal(read_image(out), from_file)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--count", "0"], "count must be in 1..2000, got 0"),
        (["--out", "sheet.txt"], "out must be the name of a .jpg or .png file, got sheet.txt"),
        (["--out", "none/sheet.jpg"], "none: no such folder; make it first"),
        (["--only", "sheep"], "only: there is no class 'sheep'; there are cat, dog, cow"),
        (["--only", "cow"], "no picture to show; check --only and --split"),
        (["--only", "cat", "--augmented"], "--only and --augmented exclude each other; give one of them"),
        (["--pictures", "99.jpg"], "pictures: 99.jpg is no picture of the data set; give a path or a name as in it"),
        (["--findings", "none.json"], "none.json"),
        (["--config", "a.yaml"], "--config is for --augmented; give both"),
        (["--tile", "9"], "tile must be in 64..2048, got 9"),
    ],
)
def test_refusals_of_view(data, tmp_path, capsys, options, message):
    out = [] if "--out" in options else ["--out", str(tmp_path / "sheet.jpg")]
    assert main(["data", "view", str(data), *options, *out]) == 2
    streams = capsys.readouterr()
    assert message in streams.err
    assert len(streams.err.splitlines()) == 1
    assert not (tmp_path / "sheet.jpg").exists()


@pytest.mark.parametrize("content", ["augment: 3", "augment: {unknown: 1}", "augment: {mosaic: 7}"])
def test_files_that_hold_no_augmentation(data, tmp_path, capsys, content):
    (tmp_path / "a.yaml").write_text(content)
    command = ["data", "view", str(data), "--augmented", "--config", str(tmp_path / "a.yaml")]
    assert main([*command, "--out", str(tmp_path / "a.png")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
