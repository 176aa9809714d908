"""`yolov3 detect` as people call it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from cfg_texts import one_layer
from fake_detectors import FakeDetector
from PIL import Image

from yolo import load_dataset
from yolo.cli import detect
from yolo.cli.main import main
from yolo.config import NmsConfig
from yolo.errors import ConfigError, WeightsError
from yolo.images import codec
from yolo.images.codec import read_image

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def detector(monkeypatch):
    fake = FakeDetector()

    def load(path, **options):
        if Path(path).stem != "model":
            raise WeightsError(f"{path}: no such file")
        fake.options = options
        return fake

    module = types.ModuleType("yolo.runtimes.load")
    module.load_detector = load
    monkeypatch.setitem(sys.modules, "yolo.runtimes.load", module)
    return fake


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.png", "in/b.png", "more/a.png"):
        path = Path(name)
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (80, 40), (9, 9, 9)).save(path)
    Path("in/broken.jpg").write_text("no picture")
    for name in ("model.keras", "model.weights", "a.cfg", "a.names"):
        Path(name).touch()
    return tmp_path


@pytest.mark.usefixtures("detector", "pictures")
def test_lines_on_stdout_and_nothing_written(capsys, caplog):
    before = sorted(Path().rglob("*"))
    assert main(["detect", "model.keras", "in", "more/*.png"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "in/a.png: car 0.88",
        "in/b.png: car 0.88",
        "more/a.png: car 0.88",
    ]
    assert "skipped in/broken.jpg: not a picture" in caplog.text
    assert sorted(Path().rglob("*")) == before


@pytest.mark.usefixtures("detector", "pictures")
def test_json_alone_on_stdout(capsys):
    assert main(["detect", "model.keras", "more", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "source": "more/a.png",
            "frame": None,
            "detections": [{"class": "car", "score": 0.875, "box": [20.0, 10.0, 60.0, 30.0]}],
        }
    ]


@pytest.mark.usefixtures("detector", "pictures")
def test_out_holds_pictures_and_json(capsys):
    assert main(["detect", "model.keras", "in", "more", "--out", "runs/seen", "--json"]) == 0
    assert sorted(path.name for path in Path("runs/seen").iterdir()) == [
        "a-2.png",
        "a.png",
        "b.png",
        "detections.json",
    ]
    written = json.loads(Path("runs/seen/detections.json").read_text())
    assert written == json.loads(capsys.readouterr().out)
    assert [record["source"] for record in written] == ["in/a.png", "in/b.png", "more/a.png"]
    drawn = read_image("runs/seen/a.png")
    assert drawn.shape == (40, 80, 3)
    assert drawn[20, 20].tolist() != [9, 9, 9]  # the box's left side
    assert read_image("in/a.png")[20, 20].tolist() == [9, 9, 9]


@pytest.mark.usefixtures("pictures")
def test_options_change_the_models_own_thresholds(detector):
    assert main(["detect", "model.keras", "in"]) == 0
    options = ["--conf", "0.6", "--nms", "diounms", "--class-agnostic", "--batch", "1"]
    assert main(["detect", "model.keras", "in", *options]) == 0
    changed = NmsConfig(conf=0.6, iou=0.5, kind="diounms", class_agnostic=True)
    assert detector.asked == [(2, NmsConfig(conf=0.3, iou=0.5)), (1, changed), (1, changed)]


@pytest.mark.usefixtures("pictures")
def test_options_say_how_weights_are_read(detector):
    options = ["--cfg", "a.cfg", "--names", "a.names", "--size", "64x96", "--letterbox", "stretch", "--offline"]
    options += ["--runtime", "onnx", "--precision", "float32"]
    assert main(["detect", "model.weights", "in", *options]) == 0
    assert detector.options == {
        "runtime": "onnx",
        "precision": "float32",
        "aim": "throughput",
        "cfg": "a.cfg",
        "names": "a.names",
        "size": (64, 96),
        "letterbox": "stretch",
        "offline": True,
    }


@pytest.mark.usefixtures("detector", "pictures")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.keras", "none.jpg"], "none.jpg: no such file or folder"),
        (["model.keras", "in/broken.jpg"], "none of the 1 files could be read"),
        (["model.keras", "in", "--conf", "1.5"], "conf must be in 0..1, got 1.5"),
        (["model.keras", "in", "--iou", "x"], "iou"),
        (["model.keras", "in", "--batch", "0"], "batch must be > 0, got 0"),
        (["model.keras", "in", "--out", "more"], "more: exists; give another --out, or --force"),
        (["model.keras", "in", "--out", "in", "--force"], "one of the pictures to read"),
        (["model.keras", "in", "--out", "in/a.png"], "in/a.png: exists"),
        (["model.keras"], "missing: SOURCE"),
        (["model.keras", "in", "--rect"], "this model takes images of 64x64 alone; use --no-rect"),
        (["other.keras", "in"], "other.keras: no such file"),
    ],
)
def test_faults_are_one_line_and_exit_code_2(capsys, arguments, message):
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert main(["detect", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err.splitlines()[-1]
    assert captured.err.splitlines()[-1].startswith("yolov3 detect: ")
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


@pytest.mark.usefixtures("detector", "pictures")
def test_force_writes_into_a_full_folder_and_leaves_the_rest():
    Path("out").mkdir()
    Path("out/mine.txt").write_text("mine")
    assert main(["detect", "model.keras", "more", "--out", "out", "--force"]) == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "detections.json", "mine.txt"]
    assert Path("out/mine.txt").read_text() == "mine"


def full_disk(last: int, write):
    """In place of `write_encoded`'s way to the disk: raises as on a full one at the n-th image."""
    count = 0

    def partly(path, content, **options):
        nonlocal count
        count += 1
        if count == last:

            def content(_):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        write(path, content, **options)

    return partly


@pytest.mark.usefixtures("detector", "pictures")
def test_a_full_disk_at_a_picture_keeps_what_was_found(monkeypatch, capsys, caplog):
    monkeypatch.setattr(codec, "write_whole", full_disk(2, codec.write_whole))
    assert main(["detect", "model.keras", "in", "more", "--out", "out", "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "yolov3 detect: out/b.png: cannot be written (No space left on device)\n"
    assert "stopped after 2 of 4 pictures; out/detections.json says what is in 2 of them" in caplog.messages
    known = json.loads(captured.out)
    assert [record["source"] for record in known] == ["in/a.png", "in/b.png"]
    assert json.loads(Path("out/detections.json").read_text()) == known
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "detections.json"]


@pytest.mark.usefixtures("detector", "pictures")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_disk_too_full_for_the_list_keeps_the_lines(monkeypatch, capsys, options):
    from yolo.detect import outputs

    def write_text(path, text):
        if text:
            raise ConfigError(f"{path}: cannot be written (No space left on device)")
        Path(path).write_text(text)

    monkeypatch.setattr(outputs, "write_text", write_text)
    assert main(["detect", "model.keras", "more", "--out", "out", *options]) == 2
    captured = capsys.readouterr()
    assert captured.err == (
        "yolov3 detect: out/detections.json: cannot be written (No space left on device); "
        "what was found is in out/detections.jsonl\n"
    )
    found = [{"class": "car", "score": 0.875, "box": [20.0, 10.0, 60.0, 30.0]}]
    known = {"source": "more/a.png", "frame": None, "detections": found}
    assert [json.loads(line) for line in Path("out/detections.jsonl").read_text().splitlines()] == [known]
    assert (json.loads(captured.out) == [known]) if options else (captured.out == "more/a.png: car 0.88\n")


@pytest.mark.usefixtures("detector", "pictures")
def test_a_disk_too_full_for_a_line_leaves_it_to_stdout(monkeypatch, capsys, caplog):
    from yolo.detect import outputs

    def append_line(path, _):
        raise ConfigError(f"{path}: cannot be written (No space left on device)")

    monkeypatch.setattr(outputs, "append_line", append_line)
    Path("out/detections.json").mkdir(parents=True)  # nothing can take its place
    assert main(["detect", "model.keras", "in", "--out", "out", "--force"]) == 2
    assert capsys.readouterr().out == "in/a.png: car 0.88\n"
    assert main(["detect", "model.keras", "in", "--out", "out", "--force", "--json"]) == 2
    assert [record["source"] for record in json.loads(capsys.readouterr().out)] == ["in/a.png"]
    assert caplog.messages[-1] == "stopped after 1 of 3 pictures; out/detections.jsonl says what is in 0 of them"


@pytest.mark.usefixtures("pictures")
def test_a_defect_half_way_keeps_what_was_found(detector, monkeypatch, capsys):
    found = detector.find

    def broken(images, nms=None):
        if detector.asked:
            raise ZeroDivisionError
        return found(images, nms)

    monkeypatch.setattr(detector, "find", broken)
    with pytest.raises(ZeroDivisionError):
        main(["detect", "model.keras", "in", "--batch", "1", "--out", "out", "--json"])
    known = json.loads(capsys.readouterr().out)
    assert [record["source"] for record in known] == ["in/a.png"]
    assert json.loads(Path("out/detections.json").read_text()) == known


@pytest.mark.usefixtures("pictures")
def test_ctrl_c_while_the_model_is_read_says_that_nothing_is_known(monkeypatch, capsys, caplog):
    def load(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(detect, "load_any_detector", load)
    Path("out").mkdir()
    Path("out/detections.json").write_text("of an earlier command")
    assert main(["detect", "model.keras", "in", "--out", "out", "--force", "--json"]) == 130
    assert capsys.readouterr().out == "[]\n"
    assert "stopped after 0 of 3 pictures" in caplog.messages
    assert [path.name for path in Path("out").iterdir()] == ["detections.json"]
    assert Path("out/detections.json").read_text() == "of an earlier command"


@pytest.mark.usefixtures("detector", "pictures")
def test_a_fault_of_the_model_leaves_nothing(capsys):
    assert main(["detect", "other.keras", "in", "--out", "out", "--json"]) == 2
    assert capsys.readouterr().out == ""
    assert not Path("out").exists()


@pytest.mark.usefixtures("detector", "pictures")
def test_where_no_picture_can_be_read_nothing_is_written(capsys):
    assert main(["detect", "model.keras", "in/broken.jpg", "--out", "out", "--json"]) == 2
    assert capsys.readouterr().out == ""
    assert list(Path("out").iterdir()) == []


@pytest.mark.slow
def test_with_a_real_model_as_a_subprocess(pictures):
    from yolo.model.detector import Detector

    network = one_layer(16)
    Detector("net.cfg", cfg=network, classes=["dog", "car"], size=(64, 96), seed=1).save(pictures / "small.keras")
    command = [sys.executable, "-m", "yolo", "detect", "small.keras", "in", "more", "--out", "out", "--json"]
    done = subprocess.run(
        [*command, "--conf", "0.0001"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "skipped in/broken.jpg" in done.stderr
    records = json.loads(done.stdout)
    assert [record["source"] for record in records] == ["in/a.png", "in/b.png", "more/a.png"]
    assert all(record["detections"] for record in records)
    for found in records[0]["detections"]:
        left, top, right, bottom = found["box"]
        assert 0 <= left <= right <= 80
        assert 0 <= top <= bottom <= 40
    assert sorted(path.name for path in Path("out").glob("*.png")) == ["a-2.png", "a.png", "b.png"]


@pytest.mark.usefixtures("detector", "pictures")
@pytest.mark.parametrize("to", ["coco", "csv", "cvat", "fiftyone", "labelme", "voc", "yolo"])
def test_what_was_found_is_a_dataset_of_every_format(to, capsys):
    assert main(["detect", "model.keras", "in/a.png", "in/b.png", "--out", "seen", "--save-as", to, "--json"]) == 0
    found = {Path(record["source"]).name: record["detections"] for record in json.loads(capsys.readouterr().out)}
    if to == "yolo":  # its labels are found from the pictures, not the other way round
        shutil.copytree("in", "seen/yolo/images/train")
    data = load_dataset(Path("seen") / to, images="in")
    assert sorted(path.name for path in map(data.path, range(len(data)))) == ["a.png", "b.png"]
    for sample in data:
        expected = found[sample.path.name]
        names = [data.classes[label] for label in sample.labels]
        assert sorted(names) == sorted(each["class"] for each in expected)
        boxes = sorted(each["box"] for each in expected)
        np.testing.assert_allclose(sorted(sample.boxes.tolist()), boxes, atol=0.02)


@pytest.mark.usefixtures("detector", "pictures")
def test_annotations_need_a_folder_and_overwrite_nothing(capsys):
    assert main(["detect", "model.keras", "in/a.png", "--save-as", "cvat"]) == 2
    assert "--save-as cvat: needs --out DIR" in capsys.readouterr().err
    assert main(["detect", "model.keras", "in/a.png", "--out", "seen", "--save-as", "cvat"]) == 0
    written = Path("seen/cvat/annotations.xml").read_bytes()
    assert main(["detect", "model.keras", "in/b.png", "--out", "seen", "--save-as", "cvat"]) == 2
    assert Path("seen/cvat/annotations.xml").read_bytes() == written
    assert main(["detect", "model.keras", "in/b.png", "--out", "seen", "--save-as", "cvat", "--force"]) == 0
    assert b"b.png" in Path("seen/cvat/annotations.xml").read_bytes()


@pytest.mark.usefixtures("detector", "pictures")
def test_pictures_of_one_name_are_told_apart_in_the_annotations(caplog):
    assert main(["detect", "model.keras", "in/a.png", "more/a.png", "--out", "seen", "--save-as", "voc"]) == 0
    assert len(list(Path("seen/voc/Annotations").glob("*.xml"))) == 2
    assert any("in the annotations, as another picture has its name" in record.message for record in caplog.records)
