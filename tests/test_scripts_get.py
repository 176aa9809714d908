"""scripts/get_*.py against a server on loopback."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from http_server import serving
from PIL import Image

from yolo import load_dataset
from yolo.weights import published
from yolo.weights.published import PUBLISHED

SCRIPTS = Path(__file__).parents[1] / "scripts"
WEIGHTS = b"weights" * 1000


def script(name):
    """A script as a module; importing it does nothing."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("YOLO_CACHE", str(tmp_path / "cache"))
    with serving() as state:
        yield state


def picture():
    stream = io.BytesIO()
    Image.new("RGB", (40, 30)).save(stream, "jpeg")
    return stream.getvalue()


def annotation(stem):
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>20</xmax><ymax>30</ymax></bndbox>"
    size = "<size><width>40</width><height>30</height><depth>3</depth></size>"
    return (
        f"<annotation><filename>{stem}.jpg</filename>{size}<object><name>cat</name>{box}</object></annotation>"
    ).encode()


def voc(year, lists):
    """A tar as VOC's: a picture for each stem of the lists."""
    root, files = f"VOCdevkit/VOC{year}", {}
    for name, stems in lists.items():
        files[f"{root}/ImageSets/Main/{name}.txt"] = "".join(f"{stem}\n" for stem in stems).encode()
        for stem in stems:
            files[f"{root}/Annotations/{stem}.xml"] = annotation(stem)
            files[f"{root}/JPEGImages/{stem}.jpg"] = picture()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def halves(train, val):
    return {"train": [train], "val": [val], "trainval": [train, val]}


def zipped(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def instances(stem):
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": f"{stem}.jpg", "width": 40, "height": 30}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 18, "bbox": [1, 2, 10, 20], "area": 200}],
            "categories": [{"id": 18, "name": "dog"}],
        }
    )


def matching(remote, content):
    """The entry of a table, but for this content."""
    return replace(remote, size=len(content), digest=hashlib.md5(content).hexdigest())  # noqa: S324


@pytest.fixture
def get_voc(server, monkeypatch):
    module = script("get_voc")
    contents = {
        "VOCtrainval_06-Nov-2007.tar": voc(2007, halves("000005", "000007")),
        "VOCtest_06-Nov-2007.tar": voc(2007, {"test": ["000001"]}),
        "VOCtrainval_11-May-2012.tar": voc(2012, halves("2008_1", "2008_2")),
    }
    server.files = dict(contents)
    table = {year: tuple(matching(each, contents[each.name]) for each in row) for year, row in module.ARCHIVES.items()}
    monkeypatch.setattr(module, "ARCHIVES", table)
    return module


@pytest.fixture
def get_coco(server, monkeypatch):
    module = script("get_coco")
    annotations = {f"annotations/instances_{split}.json": instances(split) for split in module.PICTURES}
    contents = {split: zipped({f"{split}/": b"", f"{split}/{split}.jpg": picture()}) for split in module.PICTURES}
    server.files = {f"{split}.zip": content for split, content in contents.items()}
    server.files["annotations_trainval2017.zip"] = zipped(annotations)
    table = {split: matching(remote, contents[split]) for split, remote in module.PICTURES.items()}
    monkeypatch.setattr(module, "PICTURES", table)
    monkeypatch.setattr(module, "ANNOTATIONS", matching(module.ANNOTATIONS, zipped(annotations)))
    return module


@pytest.fixture
def get_weights(server, monkeypatch):
    server.files["yolov3-tiny.weights"] = server.files["yolov3.weights"] = WEIGHTS
    known = {"size": len(WEIGHTS), "sha256": hashlib.sha256(WEIGHTS).hexdigest()}
    table = {name: replace(PUBLISHED[name], **known) for name in ("yolov3-tiny-coco", "yolov3-coco")}
    monkeypatch.setattr(published, "PUBLISHED", table)
    module = script("get_weights")
    monkeypatch.setattr(module, "PUBLISHED", table)
    return module


def test_voc_of_both_years(get_voc, server, tmp_path, capsys):
    out = tmp_path / "voc"
    assert get_voc.main(["--out", str(out), "--mirror", server.url]) == 0
    assert capsys.readouterr().out == f"go on with: yolov3 train {out}/VOCdevkit --split trainval --val test\n"
    for split, stems in (
        ("trainval", {"000005", "000007", "2008_1", "2008_2"}),
        ("test", {"000001"}),
    ):
        dataset = load_dataset(out / "VOCdevkit", split)
        assert {dataset.path(index).stem for index in range(len(dataset))} == stems
    assert list(out.glob("*.tar")) == []
    assert get_voc.main(["--out", str(out), "--mirror", server.url]) == 0
    assert len(server.asked) == 3


def test_voc_of_one_year(get_voc, server, tmp_path, capsys):
    out = tmp_path / "voc"
    assert get_voc.main(["--out", str(out), "--year", "2012", "--keep", "--mirror", server.url]) == 0
    assert capsys.readouterr().out == f"go on with: yolov3 train {out}/VOCdevkit --split train --val val\n"
    assert (out / "VOCtrainval_11-May-2012.tar").read_bytes() == server.files["VOCtrainval_11-May-2012.tar"]
    assert len(load_dataset(out / "VOCdevkit", "val")) == 1


def test_voc_goes_on_where_it_broke_off(get_voc, server, tmp_path, capsys):
    command = ["--out", str(tmp_path), "--year", "2012", "--mirror", server.url]
    server.stops = [1000, 0]
    assert get_voc.main(command) == 2
    assert "broken off after 1,000 of" in capsys.readouterr().err
    assert not (tmp_path / "VOCdevkit").exists()
    assert get_voc.main(command) == 0
    assert [wanted for _, wanted in server.asked] == [None, "bytes=1000-", "bytes=1000-"]


def test_faults_are_one_line(get_voc, server, tmp_path, capsys):
    name = "VOCtest_06-Nov-2007.tar"
    server.files[name] = server.files[name][::-1]
    assert get_voc.main(["--out", str(tmp_path), "--year", "2007", "--mirror", server.url]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"get_voc: {server.url}/{name}: what was received is broken or altered")
    assert captured.err.count("\n") == 1
    assert not (tmp_path / name).exists()


def test_coco(get_coco, server, tmp_path, capsys):
    out = tmp_path / "coco"
    assert get_coco.main(["--out", str(out), "--mirror", server.url]) == 0
    assert capsys.readouterr().out == f"go on with: yolov3 train {out} --split train2017 --val val2017\n"
    for split in ("train2017", "val2017"):
        dataset = load_dataset(out, split)
        assert [dataset.path(index) for index in range(len(dataset))] == [out / split / f"{split}.jpg"]
        assert dataset.classes == ("dog",)


def test_one_split_of_coco(get_coco, server, tmp_path, capsys):
    command = ["--out", str(tmp_path), "--mirror", server.url, "--split"]
    assert get_coco.main([*command, "val2017"]) == 0
    assert capsys.readouterr().out == f"go on with: yolov3 eval MODEL.keras {tmp_path} --split val2017\n"
    assert [name for name, _ in server.asked] == ["annotations_trainval2017.zip", "val2017.zip"]
    assert get_coco.main([*command, "train2017"]) == 0  # the annotations are there already
    assert capsys.readouterr().out == f"go on with: yolov3 train {tmp_path} --split train2017\n"
    assert [name for name, _ in server.asked[2:]] == ["train2017.zip"]


def test_a_zip_with_a_path_that_leads_out(get_coco, server, tmp_path, capsys, monkeypatch):
    content = zipped({"val2017/good.jpg": b"1", "../../bad.jpg": b"2"})
    server.files["val2017.zip"] = content
    monkeypatch.setattr(get_coco, "PICTURES", {"val2017": matching(get_coco.PICTURES["val2017"], content)})
    out = tmp_path / "a" / "b"
    assert get_coco.main(["--out", str(out), "--split", "val2017", "--mirror", server.url]) == 2
    assert "'../../bad.jpg' leads out of" in capsys.readouterr().err
    assert not (out / "val2017").exists()
    assert list(tmp_path.rglob("bad.jpg")) == []


def test_weights_into_the_cache(get_weights, server, tmp_path, capsys):
    assert get_weights.main(["yolov3-coco", "yolov3-tiny-coco", "--mirror", server.url]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"yolov3-coco: {tmp_path}/cache/yolov3.weights",
        f"yolov3-tiny-coco: {tmp_path}/cache/yolov3-tiny.weights",
        "go on with: yolov3 train DATA --model yolov3-tiny --weights yolov3-tiny-coco",
    ]
    assert (tmp_path / "cache" / "yolov3.weights").read_bytes() == WEIGHTS


def test_weights_into_a_folder(get_weights, server, tmp_path, capsys):
    out = tmp_path / "weights"
    assert get_weights.main(["yolov3-tiny-coco", "--out", str(out), "--mirror", server.url]) == 0
    assert (out / "yolov3-tiny.weights").read_bytes() == WEIGHTS
    assert capsys.readouterr().out.endswith(f"--model yolov3-tiny --weights {out}/yolov3-tiny.weights\n")
    assert not (tmp_path / "cache").exists()


def test_unknown_weights(get_weights, server, capsys):
    assert get_weights.main(["yolov7", "--mirror", server.url]) == 2
    assert capsys.readouterr().err.startswith("get_weights: yolov7: no published weights of that name; there are ")
    with pytest.raises(SystemExit, match="2"):
        get_weights.main([])


def test_the_list_as_a_program(tmp_path):
    """Everything is there when a script is started, and nothing heavy is imported."""
    code = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-X", "importtime", "-c", code, str(SCRIPTS / "get_weights.py"), "--list"]
    environment = {"YOLO_CACHE": str(tmp_path), "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [*PUBLISHED, "cache:"]
    tiny = PUBLISHED["yolov3-tiny-coco"]
    assert lines[2] == f"yolov3-tiny-coco     35.4 MB  {tiny.url}  SHA-256 {tiny.sha256}"
    assert lines[3].endswith("SHA-256 not published: as on its first use")
    assert lines[4] == f"cache: {tmp_path}"
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "yolo.weights.published" in imported
    assert not imported & {"keras", "tensorflow", "numpy"}


@pytest.mark.parametrize("name", ["get_voc", "get_coco"])
def test_help_as_a_program(name):
    command = [sys.executable, str(SCRIPTS / f"{name}.py"), "--help"]
    assert "--mirror URL" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
