"""What is refused is refused before TensorFlow is imported, and leaves nothing behind."""

from __future__ import annotations

import sys

import pytest

from yolo.cli.main import main


@pytest.fixture
def no_tensorflow(monkeypatch):
    """Importing Keras or TensorFlow fails: so does a command that does it before it refuses."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("keras", "tensorflow")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("keras", "tensorflow"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("info none", "none: no such file or folder"),
        ("info none.keras", "none.keras: no such file or folder"),
        ("info a.png", "a.png: of no known kind"),
        ("eval none.keras data.json --out out", "none.keras: no such file"),
        ("eval a.keras none --out out", "none: no such file or folder"),
        ("eval a.keras", "give either WEIGHTS DATA or --detections R.json DATA"),
        ("eval a.keras", "; got a.keras alone"),
        ("eval none", "yolov3 eval: none: no such file"),
        ("eval run", "run: this run's folder does not say where its data lie; name them (yolov3 eval run DATA)"),
        ("eval a.keras data.json --split val --out out", "no split 'val'; it has held-out"),
        ("eval empty data.json", "empty: no best.keras in this folder"),
        ("eval a.keras data.json --size 33 --out out", "size must be a multiple of 32"),
        ("detect a.keras a.png --names b.names", "names b.names: a.keras is not a Darknet .weights file"),
        ("eval a.weights data.json --cfg none.cfg", "none.cfg: no such file"),
        ("eval --detections none.json data.json --out out", "none.json: cannot be read"),
        ("detect none.keras a.png --out out", "none.keras: no such file"),
        ("detect net.cfg a.png --out out", "net.cfg: describes a network and holds no weights"),
        ("detect a.keras none.png --out out", "none.png"),
        ("detect a.keras a.png --size 33 --out out", "size must be a multiple of 32"),
        ("bench none.keras --out out", "none.keras: no such file"),
        ("bench a.keras empty", "empty: no best.keras in this folder"),
        ("bench a.keras --size 33 --out out", "size must be a multiple of 32"),
        ("bench a.keras --batch 1 0 --out out", "--batch must be from 1 to 1024, got 0"),
        ("bench a.keras --seconds 0", "--seconds must be in (0, 3600], got 0.0"),
        ("bench a.keras --split val", "--split: says how --data is read; give --data too"),
        ("bench a.keras --data none --out out", "none: no such file or folder"),
        ("bench a.keras --cfg b.cfg", "cfg b.cfg: a.keras is not a Darknet .weights file"),
        ("convert none.keras c.weights", "none.keras: no such file"),
        ("convert a.keras b.txt", "b.txt: give a name that ends in .keras or .weights"),
        ("convert run run/best.keras", "is read from and would be written to"),
        ("train none --out out", "none: no such file or folder"),
        ("train data.json --weights none.keras --out out", "none.keras: no such file"),
        ("train data.json --weights empty --out out", "empty: no best.keras in this folder"),
        ("train data.json --weights run --out run", "--weights run: lies in the run's own folder"),
        ("train data.json --best recall --out out", "best"),
        ("train data.json --augment.albumentations none.yaml --out out", "none.yaml: cannot be read"),
        ("train data.json --augment.no-flip+ none --out out", "augment.no_flip: there is no class 'none'"),
        ("train --resume none", "none: no such folder"),
        ("train --resume empty", "empty: holds no checkpoint to go on from"),
        ("tune none --out out", "none: no such file or folder"),
        ("anchors none", "none: no such file or folder"),
        ("data convert none out --to tfrecord", "none: no such file or folder"),
    ],
)
@pytest.mark.usefixtures("no_tensorflow")
def test_refused_without_tensorflow(tmp_path, monkeypatch, capsys, command, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "empty").mkdir()
    for name in ("a.keras", "a.weights", "a.txt", "a.png", "net.cfg", "b.names", "run/best.keras"):
        (tmp_path / name).write_text("a")
    (tmp_path / "data.json").write_text(
        '{"images": [{"id": 1, "file_name": "a.png", "height": 9, "width": 9}], "categories": [{"id": 1, "name": "a"}],'
        '"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}]}'
    )
    before = sorted(tmp_path.rglob("*"))
    assert main(command.split()) == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
