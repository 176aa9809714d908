"""`yolov3 eval`, in the process and as one."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import yolo
from yolo.cli.main import main
from yolo.config import NmsConfig


def write_coco(folder: Path, boxes: list[dict[str, Any]], *, pictures: int, side: int = 300) -> Path:
    """A COCO file of one class with its (empty) pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    images = [
        {"id": number, "file_name": f"{number}.png", "height": side, "width": side} for number in range(1, pictures + 1)
    ]
    annotations = [
        {"id": number, "category_id": 7, "iscrowd": 0, "area": item["bbox"][2] * item["bbox"][3], **item}
        for number, item in enumerate(boxes, 1)
    ]
    for image in images:
        Image.new("L", (side, side)).save(folder / image["file_name"])
    source = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "thing"}]}
    (folder / "truth.json").write_text(json.dumps(source))
    return folder / "truth.json"


BOXES = [
    {"image_id": 1, "bbox": [10, 10, 50, 50]},
    {"image_id": 2, "bbox": [100, 50, 100, 200]},
    {"image_id": 2, "bbox": [0, 0, 20, 20], "iscrowd": 1},
]


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write_coco(tmp_path / "set", BOXES, pictures=3)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Everything found, and one wrong detection below."""
    entries = [{"category_id": 7, "score": 0.9, "image_id": item["image_id"], "bbox": item["bbox"]} for item in BOXES]
    entries.append({"category_id": 7, "score": 0.2, "image_id": 3, "bbox": [5, 5, 20, 20]})
    path = tmp_path / "results.json"
    path.write_text(json.dumps(entries))
    return path


def test_json_of_detections(truth, results, capsys):
    assert main(["eval", "--detections", str(results), str(truth), "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["coco"]["AP"] == pytest.approx(1.0)
    assert metrics["coco"]["APs"] is None  # undefined: the small one is a crowd
    assert metrics["voc07"] == metrics["voc12"] == {"mAP": 1.0}
    assert metrics["classes"] == {"thing": {"AP": pytest.approx(1.0), "AP50": pytest.approx(1.0), "instances": 2}}
    assert metrics["images"] == 3
    assert metrics["calibration"]["D-ECE"] == pytest.approx((0.1 + 0.1 + 0.2) / 3)  # the crowd does not count
    assert metrics["calibration"]["bins"][22] == {
        "low": pytest.approx(0.88),
        "high": pytest.approx(0.92),
        "count": 2,
        "score": pytest.approx(0.9),
        "right": 1.0,
    }


def test_either_evaluator_gives_the_same_metrics(truth, results, capsys, monkeypatch):
    """Each works without the other."""
    printed = []
    for name, other in (("hotcoco", "pycocotools"), ("pycocotools", "hotcoco")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, other, None)
            assert main(["eval", "--detections", str(results), str(truth), "--json", "--evaluator", name]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_metrics_are_printed_even_if_they_cannot_be_written(truth, results, tmp_path, capsys):
    (tmp_path / "run" / "metrics.json").mkdir(parents=True)  # nothing can take its place
    command = ["eval", "--detections", str(results), str(truth), "--json", "--out", str(tmp_path / "run"), "--force"]
    assert main(command) == 2
    captured = capsys.readouterr()
    assert json.loads(captured.out)["coco"]["AP"] == pytest.approx(1.0)
    assert "metrics.json: cannot be written" in captured.err.splitlines()[-1]


def test_options_may_stand_anywhere(truth, results, capsys):
    assert main(["eval", str(truth), "--detections", str(results), "--voc-iou", "0.3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["voc12"]["mAP"] == 1.0


def test_table(truth, results, capsys):
    assert main(["eval", "--detections", str(results), str(truth)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 pictures; 95 % intervals of 1000 resamples of them"
    assert lines[2].split() == ["AP", "1.0000", "1.000-1.000"]
    assert lines[5].split() == ["APs", "-"]
    assert ["thing", "1.0000", "1.000-1.000", "1.0000", "1.000-1.000", "2"] in [line.split() for line in lines]


def test_table_without_intervals(truth, results, capsys):
    assert main(["eval", "--detections", str(results), str(truth), "--resamples", "0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 pictures"
    assert lines[2].split() == ["AP", "1.0000"]
    assert ["thing", "1.0000", "1.0000", "2"] in [line.split() for line in lines]


def test_out_holds_the_metrics(truth, results, tmp_path, capsys):
    command = ["eval", "--detections", str(results), str(truth), "--out", str(tmp_path / "run"), "--json"]
    assert main(command) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "run/metrics.json").read_text()) == printed
    assert main(command) == 2
    assert "exists; give another --out, or --force" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{truth}"], "give either WEIGHTS DATA or --detections R.json DATA"),
        (["w.keras", "{truth}", "--detections", "{results}"], "give either WEIGHTS DATA or --detections"),
        (["--detections", "none.json", "{truth}"], "none.json: cannot be read (No such file or directory)"),
        (
            ["--detections", "{truth}", "{truth}"],
            "expected a COCO results file, a list of detections; got dict",
        ),
        (["--detections", "{results}", "{truth}", "--voc-iou", "2"], "--voc-iou must be in (0, 1], got 2.0"),
        (["--detections", "{results}", "{truth}", "--out", "{truth}"], "exists; give another --out"),
    ],
)
def test_faults_are_one_line_and_exit_code_2(truth, results, capsys, arguments, message):
    assert main(["eval", *(word.format(truth=truth, results=results) for word in arguments)]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert message in streams.err
    assert len(streams.err.splitlines()) == 1


def test_a_wrong_entry_is_named(truth, results, capsys):
    entries = json.loads(results.read_text())
    entries[2]["image_id"] = 99
    results.write_text(json.dumps(entries))
    assert main(["eval", "--detections", str(results), str(truth)]) == 2
    assert f"{results}: results[2]: image_id 99 is not in" in capsys.readouterr().err


def test_as_a_process(truth, results):
    command = [sys.executable, "-m", "yolo", "eval", "--detections", str(results), str(truth), "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["images"] == 3


def test_official_coco_evaluation(shared, capsys):
    folder = shared / "data/cocoeval"
    names = ["instances_val2014_fakebbox100_results.json", "instances_val2014_100.json"]
    assert main(["eval", "--detections", *(str(folder / name) for name in names), "--json"]) == 0
    expected = json.loads((folder / "expected.json").read_text())["bbox"][:9]
    assert list(json.loads(capsys.readouterr().out)["coco"].values()) == pytest.approx(expected, abs=5.1e-5)


def test_published_voc_sample(shared, tmp_path, capsys):
    """Its pixels are inclusive, so that a box is one wider and higher in continuous ones."""
    sample = json.loads((shared / "data/voceval/sample.json").read_text())

    def grown(item: dict[str, Any]) -> dict[str, Any]:
        x, y, width, height = item["bbox"]
        return {**item, "bbox": [x, y, width + 1, height + 1]}

    truth = write_coco(tmp_path / "set", [grown(item) for item in sample["ground_truth"]], pictures=7)
    results = tmp_path / "results.json"
    results.write_text(json.dumps([{"category_id": 7, **grown(item)} for item in sample["detections"]]))
    command = ["eval", "--detections", str(results), str(truth), "--voc-iou", str(sample["iou_threshold"])]
    assert main([*command, "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["voc07"]["mAP"] == pytest.approx(sample["ap_11_point"], abs=5e-5)
    assert metrics["voc12"]["mAP"] == pytest.approx(sample["ap_every_point"], abs=1e-4)


GREEDY = "[net]\nheight=64\nwidth=64\n[convolutional]\nfilters=6\nsize=32\nstride=32\nactivation=linear\n" + (
    "[yolo]\nanchors=10,12\nclasses=1\nnum=1\nnms_kind=diounms\nbeta_nms=0.7\n"
)


def test_the_kind_of_nms_is_the_models_own_or_an_option(truth, tmp_path, capsys, monkeypatch):
    from yolo.evaluation.evaluator import evaluate
    from yolo.model.detector import Detector

    asked = []
    parts = Detector.parts_of_find
    monkeypatch.setattr(Detector, "parts_of_find", lambda self, nms: [asked.append(nms), parts(self, nms)][1])
    detector = Detector("net.cfg", cfg=GREEDY, classes=["thing"])
    detector.save(tmp_path / "a.keras")
    words = ["eval", str(tmp_path / "a.keras"), str(truth)]
    assert main(words) == 0
    assert main([*words, "--nms", "soft", "--conf", "0.1"]) == 0
    evaluate(detector, yolo.load_dataset(truth))
    own = NmsConfig(conf=0.001, iou=0.6, kind="diounms", beta=0.7)
    assert asked == [own, replace(own, conf=0.1, kind="soft"), own]
    assert main([*words, "--nms", "hard"]) == 2
    assert "default, greedynms, diounms" in capsys.readouterr().err.replace("'", "")


def test_an_exported_file_is_not_measured_in_another_runtime(truth, tmp_path, capsys):
    from runtime_models import noisy_detector, write_exported

    exported = write_exported(tmp_path / "exported", noisy_detector(["thing"], size=64))["openvino"]
    assert main(["eval", str(exported), str(truth), "--runtime", "keras"]) == 2
    assert f"--runtime keras: {exported} runs in openvino alone" in capsys.readouterr().err


@pytest.mark.parametrize("exported", [False, True])
def test_metrics_are_the_same_in_another_runtime(exported, truth, tmp_path, caplog, monkeypatch):
    from runtime_models import noisy_detector, write_exported

    monkeypatch.setenv("YOLO_CACHE", str(tmp_path / "cache"))
    detector = noisy_detector(["thing"], size=64)
    keras = other = tmp_path / "m.keras"
    detector.save(keras)
    options = ["--runtime", "openvino"]
    if exported:  # runs in the runtime that it was made for
        other, options = write_exported(tmp_path / "exported", detector)["openvino"], []
    found = []
    for words in ([str(keras), str(truth)], [str(other), str(truth), "--precision", "float32", *options]):
        out = tmp_path / f"out{len(found)}"
        assert main(["eval", *words, "--out", str(out)]) == 0
        assert ("runtime openvino, float32" in caplog.messages) == bool(found)
        found.append([json.loads((out / f"{name}.json").read_text()) for name in ("metrics", "results")])
    (metrics, results), (others, other_results) = found
    assert others["coco"] == pytest.approx(metrics["coco"], abs=1e-6)
    assert len(results) == len(other_results) > 3
    for own, other in zip(results, other_results, strict=True):
        assert other["bbox"] == pytest.approx(own["bbox"], abs=0.02)
