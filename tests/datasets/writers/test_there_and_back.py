"""What is written in each format and read again: equal boxes, and the rest as far as the format holds it."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yolo import load_dataset
from yolo.datasets.write import write_dataset, writers
from yolo.structs import Dataset

SIZES = ((7, 5), (40, 60), (3, 20_000), (480, 1))
CLASSES_OF_BOXES = ("labelme", "csv", "fiftyone")
"""Formats that name classes at their boxes alone."""
HOLDS_FLAGS = {"voc", "coco", "labelme", "fiftyone", "tfrecord"}
HOLDS_CLASSES = {"voc", "coco", "yolo", "cvat", "tfrecord"}
CLASSES = ("zebra", "yes", "cät, <&> 'x'", "1")
FORMATS = ["voc", "coco", "yolo", "labelme", "csv", "cvat", "fiftyone"]

SIDE = st.floats(0, 1, width=32) | st.sampled_from([0.0, 0.5, 1.0])
OBJECT = st.tuples(SIDE, SIDE, SIDE, SIDE, st.integers(0, 2), st.booleans())
PICTURE = st.tuples(st.sampled_from(SIZES), st.lists(OBJECT, max_size=4), st.sampled_from(["train", "val"]))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> dict[tuple[int, int], Path]:
    """A picture of each size."""
    folder = tmp_path_factory.mktemp("pictures")
    files = {size: folder / f"{size[0]}.png" for size in SIZES}
    for size, file in files.items():
        cv2.imwrite(str(file), np.zeros(size, np.uint8))
    return files


def make_parts(folder: Path, files: dict, drawn: list) -> dict[str | None, Dataset]:
    """Datasets of the splits of the drawn pictures, whose files are links."""
    parts: dict[str | None, Dataset] = {}
    for split in sorted({each[2] for each in drawn}):
        chosen = [(number, size, rows) for number, (size, rows, part) in enumerate(drawn) if part == split]
        found = []
        for number, size, rows in chosen:
            (folder / f"p{number}.png").symlink_to(files[size])
            found.append(corners(rows, size))
        counts = [len(each) for each in found]
        table = np.concatenate(found)
        boxes = table[:, :4].astype(np.float32)
        parts[split] = Dataset(
            classes=CLASSES,
            files=[f"p{number}.png" for number, _, _ in chosen],
            sizes=np.array([size for _, size, _ in chosen], np.int32),
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            boxes=boxes,
            labels=table[:, 4].astype(np.int32),
            ignore=table[:, 5].astype(bool),
            areas=(boxes[:, 2:] - boxes[:, :2]).prod(axis=1),
            image_ids=[f"p{number}" for number, _, _ in chosen],
            category_ids=(0, 1, 2, 3),
            folder=folder,
            split=split,
        )
    return parts


def corners(rows: list, size: tuple[int, int]) -> np.ndarray:
    """Boxes (N, 6) with label and flag; each differs from the others, and has sides of a fiftieth of a pixel."""
    height, width = size
    found: dict[tuple, tuple] = {}
    for x1, y1, x2, y2, label, flag in rows:
        (left, right), (top, bottom) = sorted((x1, x2)), sorted((y1, y2))
        box = np.array([left * width, top * height, right * width, bottom * height], np.float32)
        if (box[2:] - box[:2] > 0.02).all():
            found.setdefault((label, *box.round(1)), (*box, label, flag))
    return np.array(list(found.values()), np.float64).reshape(-1, 6)


def assert_same(found: Dataset, source: Dataset, *, flags: bool) -> None:
    place = {PurePosixPath(file).stem: index for index, file in enumerate(found.files)}
    assert len(place) == len(source)
    for sample in source:
        other = found[place[sample.path.stem]]
        np.testing.assert_allclose(other.boxes, sample.boxes, rtol=0, atol=0.01)
        assert [found.classes[label] for label in other.labels] == [source.classes[label] for label in sample.labels]
        assert other.size == sample.size
        if flags:
            np.testing.assert_array_equal(other.ignore, sample.ignore)
    assert found.repairs == {}
    assert found.left_out == {}


@pytest.mark.parametrize("to", FORMATS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12, deadline=None)
@given(drawn=st.lists(PICTURE, min_size=1, max_size=4))
def test_what_is_written_is_read_again(pictures, to, drawn):
    with tempfile.TemporaryDirectory() as place:
        source, out = Path(place) / "source", Path(place) / "out"
        source.mkdir()
        parts = make_parts(source, pictures, drawn)
        if to in CLASSES_OF_BOXES and not any(len(part.boxes) for part in parts.values()):
            return  # no class is named
        report = write_dataset(parts, out, to=to, pictures="link", workers=1)
        assert (report.pictures, report.renamed, report.left_out) == (len(drawn), {}, {})
        for split, part in parts.items():
            found = load_dataset(out, split)
            assert found.split == split
            assert_same(found, part, flags=to in HOLDS_FLAGS)
            assert to not in HOLDS_CLASSES or found.classes == CLASSES
            assert found.image_ids == part.image_ids


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8, deadline=None)
@given(drawn=st.lists(PICTURE, min_size=1, max_size=4))
def test_a_chain_of_formats_changes_no_box(pictures, drawn):
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "source").mkdir()
        first = parts = make_parts(Path(place) / "source", pictures, drawn)
        for number, to in enumerate(("voc", "coco", "yolo", "voc")):
            out = Path(place) / f"{number}{to}"
            write_dataset(parts, out, to=to, pictures="link", workers=1)
            parts = {split: load_dataset(out, split) for split in parts}
        for split, part in first.items():
            assert_same(parts[split], part, flags=False)
            assert parts[split].classes == CLASSES


@pytest.mark.parametrize("to", [*FORMATS, "tfrecord"])
def test_splits_are_not_needed(pictures, tmp_path, to):
    (tmp_path / "source").mkdir()
    rows = [(0.125, 0.25, 0.5, 1.0, 2, True), (0.0, 0.0, 1.0, 1.0, 0, False)]
    (part,) = make_parts(tmp_path / "source", pictures, [((40, 60), rows, "val"), ((7, 5), [], "val")]).values()
    report = write_dataset({None: part}, tmp_path / "out", to=to)
    assert report.parts[None] == (2, 2)
    assert_same(load_dataset(tmp_path / "out"), part, flags=to in HOLDS_FLAGS)


def test_every_format_of_the_table_is_tried():
    assert sorted(writers()) == sorted([*FORMATS, "tfrecord"])
