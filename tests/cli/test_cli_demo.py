"""`yolov3 demo`, shortened: every step runs and every file is written."""

from __future__ import annotations

import json

import pytest

from yolo.cli import demo
from yolo.cli.main import main
from yolo.images.codec import read_image


@pytest.mark.slow
def test_the_demo_makes_all_it_names(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "SIZE", 64)
    monkeypatch.setattr(demo, "VALIDATION", 12)
    folder = tmp_path / "demo"
    assert main(["demo", "--out", str(folder), "--scenes", "16", "--epochs", "1"]) == 0
    printed = capsys.readouterr()
    for name in ("digits/ImageSets/Main/val.txt", "anchors.txt", "anchors.png", "run/best.keras", "run/curves.png"):
        assert (folder / name).is_file()
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["images"] == 12
    assert sorted(metrics["classes"]) == list("0123456789")
    assert f"AP50 {metrics['coco']['AP50']:.4f}" in printed.out
    assert read_image(folder / "detections.jpg").shape[1] > 4 * 2 * 64
    assert main(["demo", "--out", str(folder)]) == 2
    assert "exists; give another --out, or --force" in capsys.readouterr().err


def test_no_scenes_are_a_fault(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "demo"), "--scenes", "0"]) == 2
    assert "scenes must be > 0" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()
