"""Calibrated scores and thresholds of classes are the same in Keras and in files of every runtime and contents."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from cfg_texts import STAGED
from runtime_models import scatter

import yolo
from yolo.config import NmsConfig
from yolo.conversion.description import Description, describe
from yolo.errors import ConfigError, WeightsError
from yolo.scores import Calibration, ScoreRules

EDGE = 12.5
"""Size of a box, in pixels, at which another map begins: some are smaller, some larger."""
MAPS = (((0.0, 0.0), (0.2, 0.3), (0.3, 0.5), (1.0, 0.95)), ((0.0, 0.1), (0.2, 0.12), (0.4, 0.6), (1.0, 0.9)))
RULES = ScoreRules((0.21, 0.3), Calibration("isotonic", MAPS, ((0, 1), (1, 0)), (EDGE,)), {"data": "x"})
EXPORTS = [
    ("onnx", "predictions"),
    ("onnx", "detections"),
    ("saved_model", "detections"),
    ("litert", "maps"),
]


def made(rules: ScoreRules) -> yolo.Detector:
    return scatter(
        yolo.Detector("net.cfg", cfg=STAGED, classes=["a", "b"], nms=NmsConfig(conf=0.2, iou=0.7), score_rules=rules)
    )


@pytest.fixture(scope="module")
def detector() -> yolo.Detector:
    return made(RULES)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return [np.random.default_rng(seed).integers(0, 256, (90, 70 + 30 * seed, 3), np.uint8) for seed in range(3)]


@pytest.fixture(scope="module")
def raw(pictures) -> list[yolo.Detections]:
    """Every detection of the network without rules."""
    return made(ScoreRules()).detect(pictures, conf=0.0, iou=0.7)


def expected(raw, *, conf):
    """Detections calibrated by interpolation here, and thresholds applied one by one."""
    found = []
    for picture in raw:
        rows = []
        for box, score, label in zip(picture.boxes, picture.scores, picture.labels, strict=True):
            size = int(np.sqrt((box[2] - box[0]) * (box[3] - box[1])) >= EDGE)
            calibrated = np.interp(score, *zip(*MAPS[RULES.calibration.chosen[label][size]], strict=True))
            if calibrated >= (RULES.thresholds[label] if conf == "auto" else conf):
                rows.append((calibrated, int(label), box))
        found.append(rows)
    return found


def check(found, wanted):
    assert sum(map(len, wanted)) > 10
    for own, rows in zip(found, wanted, strict=True):
        assert (np.diff(own.scores) <= 0).all()
        ours = sorted(zip(own.labels.tolist(), own.boxes.tolist(), own.scores.tolist(), strict=True), key=place)
        theirs = sorted(((label, box.tolist(), score) for score, label, box in rows), key=place)
        assert [row[0] for row in ours] == [row[0] for row in theirs]
        np.testing.assert_allclose([row[1] for row in ours], [row[1] for row in theirs], atol=1e-2)
        assert [row[2] for row in ours] == pytest.approx([row[2] for row in theirs], abs=5e-5)


def place(row):
    """Class and rounded centre, by which detections are told apart; scores may be nearly equal."""
    label, (x1, y1, x2, y2), _ = row
    return label, round((x1 + x2) / 8), round((y1 + y2) / 8)


@pytest.mark.parametrize("conf", [0.2, 0.35, "auto"])
def test_keras_calibrates_after_suppression(detector, pictures, raw, conf):
    wanted = expected(raw, conf=conf)
    check(detector.detect(pictures, conf=conf, batch=2), wanted)
    every = sum(map(len, expected(raw, conf=0.0)))
    assert conf == 0.2 or sum(map(len, wanted)) < every


@pytest.mark.parametrize("kind", EXPORTS, ids=" ".join)
def test_every_exported_file_gives_the_same_scores(tmp_path, detector, pictures, raw, kind):
    file_format, contents = kind
    suffix = {"onnx": "x.onnx", "litert": "x.tflite"}.get(file_format, "x")
    path = tmp_path / suffix
    exported = yolo.export(detector, path, format=file_format, contents=contents)
    assert exported.description.score_rules == RULES
    loaded = yolo.load_detector(path, precision="float32")
    for conf in (0.2, "auto"):
        check(loaded.detect(pictures, conf=conf), expected(raw, conf=conf))
    if contents == "detections":
        with pytest.raises(ConfigError, match=r"suppression is inside the file, with conf 0.2 and iou 0.7; only a"):
            loaded.detect(pictures, conf=0.15)
    if file_format == "onnx" and contents != "detections":
        script = exported.script.read_text()
        assert f"CONF, IOU = {RULES.raw(detector.nms).conf!r}, 0.7" in script


@pytest.mark.parametrize("runtime", ["keras", "openvino"])
def test_the_model_file_holds_the_rules(tmp_path, detector, pictures, raw, runtime):
    detector.save(tmp_path / "x.keras")
    assert yolo.load(tmp_path / "x.keras").score_rules == RULES
    assert yolo.load(tmp_path / "x.keras", size=96).score_rules == RULES
    loaded = yolo.load_detector(tmp_path / "x.keras", runtime=runtime, precision="float32")
    check(loaded.detect(pictures, conf="auto"), expected(raw, conf="auto"))


def test_evaluation_goes_the_same_way(tmp_path, detector):
    """Detections of an evaluation are those of the pictures, calibrated."""
    from PIL import Image

    from yolo.evaluation.evaluator import find_all

    picture = np.full((64, 64, 3), 40, np.uint8)
    Image.fromarray(picture).save(tmp_path / "0.png")
    (tmp_path / "labels.csv").write_text("0.png,1,1,9,9,a\n0.png,1,1,9,9,b\n")
    dataset = replace(yolo.load_dataset(tmp_path / "labels.csv"), classes=("a", "b"))
    found = find_all(detector, dataset, nms=NmsConfig(conf=0.001, iou=0.7))
    one = detector.detect_images([picture], NmsConfig(conf=0.001, iou=0.7))[0]
    assert len(one)
    assert sorted(found.scores) == pytest.approx(sorted(one.scores), abs=1e-5)


def test_descriptions_without_rules_are_those_of_earlier_versions(detector):
    plain = made(ScoreRules())
    fields = json.loads(describe(plain).to_text())
    assert fields["version"] == 1
    assert "score_rules" not in fields
    assert "class_conf" not in fields["nms"]
    assert Description.from_text(json.dumps(fields), "x").score_rules == ScoreRules()
    fields = json.loads(describe(detector).to_text())
    assert fields["version"] == 2
    assert Description.from_text(json.dumps(fields), "x").score_rules == RULES
    assert "score_rules" not in plain.get_config()


@pytest.mark.parametrize("change", [{"thresholds": [2.0, 0.1]}, {"thresholds": [0.1]}, {"calibration": {"maps": 3}}])
def test_damaged_rules_in_a_file_are_one_line(detector, change):
    fields = json.loads(describe(detector).to_text())
    fields["score_rules"] = {**fields["score_rules"], **change}
    with pytest.raises(WeightsError, match=r"^x.onnx: the description inside is damaged \(.*\); export it anew$"):
        Description.from_text(json.dumps(fields), "x.onnx")


def test_rules_of_another_number_of_classes_are_refused():
    with pytest.raises(ConfigError, match="score rules: of 1 classes, the detector has 2"):
        made(ScoreRules((0.1,)))


def test_auto_without_thresholds(pictures):
    with pytest.raises(ConfigError, match="conf auto: the model holds no thresholds"):
        made(ScoreRules()).detect(pictures, conf="auto")
