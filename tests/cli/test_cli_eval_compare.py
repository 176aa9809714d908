"""`yolov3 eval --compare A B DATA`, in all mixtures of models and results files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image
from runtime_models import noisy_detector

from yolo.cli.main import main

CATEGORIES = ({"id": 3, "name": "cat"}, {"id": 8, "name": "dog"})
SIDE = 64


def write_truth(folder: Path, boxes: list[tuple[int, int, list[float]]]) -> Path:
    """A COCO file with its pictures, of rows (image id, category id, [x, y, width, height])."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    images = [{"id": at, "file_name": f"{at}.png", "height": SIDE, "width": SIDE} for at in range(1, 7)]
    for image in images:
        Image.fromarray(rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8)).save(folder / str(image["file_name"]))
    annotations = [
        {"id": number, "image_id": image, "category_id": category, "iscrowd": 0, "area": box[2] * box[3], "bbox": box}
        for number, (image, category, box) in enumerate(boxes, 1)
    ]
    source = {"images": images, "annotations": annotations, "categories": list(CATEGORIES)}
    (folder / "truth.json").write_text(json.dumps(source))
    return folder / "truth.json"


BOXES = [(image, 3 if image % 2 else 8, [5.0 * image, 4.0, 20.0, 30.0]) for image in range(1, 7)]


@pytest.fixture
def truth(tmp_path):
    return write_truth(tmp_path / "set", BOXES)


def write_results(path: Path, rows: list[tuple[int, int, list[float]]]) -> Path:
    entries = [{"image_id": image, "category_id": category, "bbox": box, "score": 0.9} for image, category, box in rows]
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture
def results(tmp_path):
    """A finds the cats, B everything."""
    cats = [row for row in BOXES if row[1] == 3]
    return write_results(tmp_path / "a.json", cats), write_results(tmp_path / "b.json", BOXES)


def compare(capsys, *words: Any) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["eval", "--compare", *map(str, words), "--resamples", "50", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_two_results_files(truth, results, capsys):
    found = compare(capsys, *results, truth)
    assert (found["a"], found["b"]) == tuple(map(str, results))
    assert (found["images"], found["resamples"]) == (6, 50)
    assert found["AP"]["a"] == pytest.approx(0.5)
    assert found["AP"]["b"] == pytest.approx(1.0)
    assert found["classes"]["cat"]["AP"]["difference"] == 0
    assert found["classes"]["dog"]["AP50"]["difference"] == pytest.approx(1)
    assert [each["picture"] for each in found["pictures"]] == ["2.png", "4.png", "6.png"]


def test_comparison_in_words_and_its_file(truth, results, tmp_path, capsys):
    words = ["eval", "--compare", *map(str, results), str(truth), "--resamples", "50", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [f"A: {results[0]}", f"B: {results[1]}"]
    assert lines[3] == "6 pictures; 95 % intervals of 50 resamples of them, the same for both"
    assert lines[5].split()[:4] == ["AP", "0.5000", "1.0000", "+0.5000"]
    assert lines[-1].split() == ["6.png", "0.000", "1.000", "+1.000"]
    assert json.loads((tmp_path / "out/comparison.json").read_text())["AP"]["b"] == pytest.approx(1)


def test_models_and_what_eval_wrote_of_them(truth, tmp_path, capsys, caplog):
    """Classes in another order, and others; the common ones are compared, as `eval` measures them."""
    noisy_detector(("dog", "cat"), size=SIDE).save(tmp_path / "m.keras")
    noisy_detector(("Cat", "bird"), size=SIDE).save(tmp_path / "cat.keras")
    model, other, out = tmp_path / "m.keras", tmp_path / "cat.keras", tmp_path / "out"
    assert main(["eval", str(model), str(truth), "--resamples", "0", "--out", str(out)]) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    capsys.readouterr()
    found = compare(capsys, model, out, truth)
    assert found["AP"]["difference"] == pytest.approx(0, abs=1e-6)  # boxes in files are rounded
    assert found["classes"]["dog"]["AP50"]["a"] == pytest.approx(metrics["classes"]["dog"]["AP50"])
    assert list(found["classes"]) == ["cat", "dog"]
    caplog.clear()
    found = compare(capsys, model, other, truth)
    assert list(found["classes"]) == ["cat"]
    assert "compared on the 1 class that both know; left out: bird, dog" in caplog.text
    assert found["classes"]["cat"]["AP"]["a"] == pytest.approx(metrics["classes"]["cat"]["AP"])


def test_models_without_a_common_class(truth, tmp_path, capsys):
    for name in ("cat", "dog"):
        noisy_detector((name,), size=SIDE).save(tmp_path / f"{name}.keras")
    assert main(["eval", "--compare", str(tmp_path / "cat.keras"), str(tmp_path / "dog.keras"), str(truth)]) == 2
    error = capsys.readouterr().err
    assert "none of its classes (cat) is known to the model (dog)" in error


def test_each_model_has_its_own_precision(truth, tmp_path, capsys, monkeypatch):
    from yolo.model.detector import Detector

    for name, precision in (("a", "mixed_bfloat16"), ("b", None)):
        detector = noisy_detector(("cat", "dog"), size=SIDE)
        detector.origin["validation"] = {"precision": precision}
        detector.save(tmp_path / f"{name}.keras")
    used = []
    parts = Detector.parts_of_find
    monkeypatch.setattr(
        Detector,
        "parts_of_find",
        lambda self, nms: [used.append(keras.config.dtype_policy().name), parts(self, nms)][1],
    )
    compare(capsys, tmp_path / "a.keras", tmp_path / "b.keras", truth)
    assert used == ["mixed_bfloat16", "float32"]


@pytest.fixture
def files(truth, results):
    return {"a": results[0], "b": results[1], "truth": truth}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{a}", "none.json", "{truth}"], "none.json: cannot be read"),
        (["{a}", "none.keras", "{truth}"], "none.keras: no such file"),
        (["{a}", "{empty}", "{truth}"], "empty.json: an empty list: it holds no detections to measure"),
        (["{a}", "{strange}", "{truth}"], "strange.json: results[0]: image_id 77 is not in"),
        (["{a}", "{unknown}", "{truth}"], "unknown.json: results[0]: category_id 5 is not in"),
        (["{a}", "{b}", "{bare}"], "no true boxes in 6 pictures: neither precision"),
        (["{a}", "{bird}", "{truth}"], "none of its classes (cat, dog) is known to the model (bird)"),
        (["{a}", "{b}", "{truth}", "--resamples", "0"], "--resamples must be >= 1 with --compare, got 0"),
        (["{a}", "{b}", "{truth}", "--slices"], "--slices is not for --compare"),
        (["{a}", "{b}"], "give either WEIGHTS DATA or --detections R.json DATA"),
        (["{a}"], "--compare needs 2 values"),
    ],
)
def test_faults_of_a_comparison(files, tmp_path, capsys, words, message):
    files["bare"] = write_truth(tmp_path / "bare", [])
    for name, rows in (("empty", []), ("strange", [(77, 3, [0, 0, 5, 5])]), ("unknown", [(1, 5, [0, 0, 5, 5])])):
        files[name] = write_results(tmp_path / f"{name}.json", rows)
    if "{bird}" in words:
        files["bird"] = tmp_path / "bird.keras"
        noisy_detector(("bird",), size=SIDE).save(files["bird"])
    capsys.readouterr()
    assert main(["eval", "--compare", *(word.format(**files) for word in words)]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert message in streams.err
    assert len(streams.err.splitlines()) == 1
