"""Sources, batches over files, and what is written."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yolo.config import NmsConfig
from yolo.detect.outputs import check_targets, output_names, printable, to_line, to_record, write_picture
from yolo.detect.predictor import Prediction, Unreadable, predict, read_ahead
from yolo.detect.sources import find_pictures
from yolo.errors import ConfigError, MediaError
from yolo.structs import Detections

CLASSES = ("dog", "car")


class FakeDetector:
    """Finds one object a picture, as large as the picture; keeps what it was asked."""

    def __init__(self):
        self.batches = []
        self.nms = []

    def detect_images(self, images, nms=None):
        self.batches.append([int(image[0, 0, 0]) for image in images])
        self.nms.append(nms)
        return [whole_picture(image.shape[:2]) for image in images]


def whole_picture(size) -> Detections:
    box = np.array([[0, 0, size[1], size[0]]], np.float32)
    return Detections(box, np.array([0.875], np.float32), np.array([1], np.int32), CLASSES)


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
    ("count", "batch", "batches"),
    [
        (5, 2, [[0, 1], [2, 3], [4]]),
        (4, 2, [[0, 1], [2, 3]]),
        (3, 8, [[0, 1, 2]]),
        (0, 8, []),
    ],
)
def test_predict_runs_batches_in_order(tmp_path, count, batch, batches):
    paths = make_pictures(tmp_path, count)
    detector = FakeDetector()
    results = list(predict(detector, paths, batch=batch))
    assert detector.batches == batches
    assert [result.path for result in results] == paths
    for number, result in enumerate(results):
        assert result.image.shape == (20, 10 + number, 3)
        assert result.detections.boxes.tolist() == [[0, 0, 10 + number, 20]]


@pytest.mark.parametrize("bad", [{0}, {4}, {1, 2}, {0, 1, 2, 3, 4}])
def test_unreadable_files_are_results_too(tmp_path, bad):
    paths = make_pictures(tmp_path, 5)
    for number in bad:
        paths[number].write_text("no picture")
    detector = FakeDetector()
    results = list(predict(detector, paths, batch=2))
    assert [result.path for result in results] == paths
    assert {number for number, result in enumerate(results) if isinstance(result, Unreadable)} == bad
    for number in bad:
        assert str(paths[number]) in str(results[number].error)
    good = [number for number in range(5) if number not in bad]
    assert [number for batch in detector.batches for number in batch] == good
    assert all(len(batch) == 2 for batch in detector.batches[:-1])  # full in spite of the gaps


def test_predict_passes_the_thresholds_on(tmp_path):
    detector = FakeDetector()
    nms = NmsConfig(conf=0.1)
    list(predict(detector, make_pictures(tmp_path, 3), batch=2, nms=nms))
    assert detector.nms == [nms, nms]


def test_same_results_for_any_number_of_threads(tmp_path):
    paths = make_pictures(tmp_path, 30)
    orders = [
        [int(picture[0, 0, 0]) for _, picture in read_ahead(paths, count=7, threads=threads)] for threads in (1, 8)
    ]
    assert orders == [list(range(30))] * 2


def test_reading_ahead_is_bounded_and_ends_with_the_caller(monkeypatch):
    started = []

    def read(path):
        started.append(path)
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr("yolo.detect.predictor.read_image", read)
    pictures = read_ahead([Path(str(number)) for number in range(1000)], count=5, threads=2)
    next(pictures)
    assert len(started) <= 6
    pictures.close()
    assert len(started) <= 6
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read")]


def test_other_faults_are_not_swallowed(tmp_path):
    class Broken:
        def detect_images(self, *_):
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(predict(Broken(), make_pictures(tmp_path, 2)))


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


def test_write_picture_draws(tmp_path):
    image = np.zeros((100, 100, 3), np.uint8)
    box = np.array([[40, 40, 60, 60]], np.float32)
    found = Detections(box, np.array([0.5], np.float32), np.array([0], np.int32), CLASSES)
    write_picture(tmp_path / "out.png", Prediction(Path("in.png"), image, found))
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
