"""Sources, batches over files, and what is written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yolo.detect.outputs import check_targets, draw, output_names, printable, to_line, to_record
from yolo.detect.sources import find_pictures
from yolo.errors import ConfigError, MediaError
from yolo.structs import Detections

CLASSES = ("dog", "car")


def make_pictures(folder: Path, count: int) -> list[Path]:
    """Pictures that differ in size and whose first red value is their number."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:03d}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.new("RGB", (10 + number, 20), (number, 0, 0)).save(path)
    return paths


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = "a/dog.jpg a/cat.PNG a/notes.txt b/dog.jpg b/deep/x.bmp odd[1].jpg c/text.txt"
    for path in map(Path, names.split()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    Path("empty").mkdir()
    return tmp_path


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["a/dog.jpg"], ["a/dog.jpg"]),
        (["a"], ["a/cat.PNG", "a/dog.jpg"]),
        (["b"], ["b/deep/x.bmp", "b/dog.jpg"]),  # with subfolders
        (["*/dog.jpg"], ["a/dog.jpg", "b/dog.jpg"]),
        (["b/**/*.*"], ["b/deep/x.bmp", "b/dog.jpg"]),
        (["b/*"], ["b/dog.jpg"]),  # a glob's folders are not entered
        (["odd[1].jpg"], ["odd[1].jpg"]),  # a name before a pattern
        (["a/notes.txt"], ["a/notes.txt"]),  # it is named: reading will tell
        (["b/dog.jpg", "a"], ["b/dog.jpg", "a/cat.PNG", "a/dog.jpg"]),  # the order is kept
        (["a/dog.jpg", "a", "./a/dog.jpg", "b/../a"], ["a/dog.jpg", "a/cat.PNG"]),  # each once
    ],
)
def test_find_pictures(sources, expected):
    assert [path.as_posix() for path in find_pictures(sources)] == expected


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("none.jpg", "none.jpg: no such file or folder"),
        ("x/*.jpg", r"x/\*.jpg: no file matches"),
        ("c", "c: no pictures in this folder"),
        ("empty", "empty: no pictures in this folder"),
        ("empty/*", "no file matches"),
        ("a" * 5000, "cannot be read"),
        ("a\0b", "cannot be read|no such file"),
    ],
)
def test_sources_without_pictures(source, message):
    with pytest.raises(MediaError, match=message):
        find_pictures(["a", source])


@pytest.mark.usefixtures("tree")
def test_links_repeat_no_picture_and_end():
    """Two links to a folder above: Python's own glob would double its matches forty times."""
    for link, target in (("a/up", ".."), ("b/up", ".."), ("also-b", "b"), ("a/.hidden", "../b")):
        Path(link).symlink_to(target)
    Path("a/alias.jpg").symlink_to("dog.jpg")  # of another name: meant
    expected = ["a/alias.jpg", "a/dog.jpg", "b/dog.jpg", "odd[1].jpg"]
    assert [path.as_posix() for path in find_pictures(["**/*.jpg"])] == expected
    assert [path.as_posix() for path in find_pictures(["**/**/*.jpg"])] == expected
    assert [path.as_posix() for path in find_pictures(["a/**/*.bmp"])] == ["a/up/b/deep/x.bmp"]  # only through a link
    assert [path.as_posix() for path in find_pictures(["b", "also-b"])] == ["b/deep/x.bmp", "b/dog.jpg"]
    assert [path.as_posix() for path in find_pictures(["b/**"])][:2] == ["b/deep/x.bmp", "b/dog.jpg"]
    assert [path.as_posix() for path in find_pictures(["b/**/deep/*"])] == ["b/deep/x.bmp"]


def test_absolute_sources(tree):
    assert find_pictures([tree / "a", str(tree / "**/dog.jpg")]) == [
        tree / "a/cat.PNG",
        tree / "a/dog.jpg",
        tree / "b/dog.jpg",
    ]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a/dog.jpg", "b/cat.png"], ["dog.jpg", "cat.png"]),
        (["a/dog.jpg", "b/dog.jpg", "c/dog.jpg"], ["dog.jpg", "dog-2.jpg", "dog-3.jpg"]),
        (["a/dog.jpg", "b/dog.jpg", "b/dog-2.jpg"], ["dog.jpg", "dog-2.jpg", "dog-2-2.jpg"]),
        (["a/Dog.JPG", "b/dog.jpg"], ["Dog.JPG", "dog-2.jpg"]),
        (["a/dog", "a/dog.gif"], ["dog.jpg", "dog.gif.jpg"]),
        (["a/detections.json"], ["detections.json.jpg"]),
        (["a/v1.2.png", "b/v1.2.png"], ["v1.2.png", "v1.2-2.png"]),
    ],
)
def test_output_names(paths, expected):
    assert output_names([Path(path) for path in paths]) == expected


def test_sources_are_never_written_over(tmp_path):
    paths = make_pictures(tmp_path / "in", 2)
    names = output_names(paths)
    check_targets(tmp_path / "out", names, paths)
    (tmp_path / "link").symlink_to(tmp_path / "in")
    for folder in (tmp_path / "in", tmp_path / "in" / ".." / "in", tmp_path / "link"):
        with pytest.raises(ConfigError, match="one of the pictures to read"):
            check_targets(folder, names, paths)


def test_drawing(tmp_path):
    image = np.zeros((100, 100, 3), np.uint8)
    box = np.array([[40, 40, 60, 60]], np.float32)
    found = Detections(box, np.array([0.5], np.float32), np.array([0], np.int32), CLASSES)
    draw(image, found, tmp_path / "out.png").write()
    drawn = np.asarray(Image.open(tmp_path / "out.png"))
    assert drawn[50, 40].any()
    assert not drawn[50, 50].any()


def test_records_and_lines():
    found = Detections(
        np.array([[1, 2, 3.333, 4], [0, 0, 9, 9]], np.float32),
        np.array([0.98, 0.5], np.float32),
        np.array([0, 1], np.int32),
        CLASSES,
    )
    record = to_record(Path("a/x.jpg"), found)
    assert json.loads(json.dumps(record)) == {
        "source": "a/x.jpg",
        "frame": None,
        "detections": [
            {"class": "dog", "score": 0.98, "box": [1.0, 2.0, 3.33, 4.0]},
            {"class": "car", "score": 0.5, "box": [0.0, 0.0, 9.0, 9.0]},
        ],
    }
    assert to_line(Path("a/x.jpg"), found) == "a/x.jpg: dog 0.98, car 0.50"
    nothing = Detections(found.boxes[:0], found.scores[:0], found.labels[:0], CLASSES)
    assert to_line(Path("a/x.jpg"), nothing) == "a/x.jpg: nothing"


def test_names_that_are_not_utf8_can_be_printed():
    assert printable(Path(os.fsdecode(b"d\xe4.jpg"))) == "d\N{REPLACEMENT CHARACTER}.jpg"
    assert printable(Path("dä.jpg")) == "dä.jpg"


def test_an_image_that_its_format_cannot_hold_is_a_fault_when_it_is_written(tmp_path):
    image = np.zeros((10, 10, 3), np.uint8)
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), CLASSES)
    drawn = draw(image, nothing, tmp_path / "out.xyz")
    with pytest.raises(MediaError, match=r"out.xyz: pictures cannot be written as '.xyz'"):
        drawn.write()
