"""The fast reader of results files gives what the careful one gives, and leaves every fault to it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from detection_cases import CATEGORY_IDS, IMAGE_IDS, damaged, random_results
from tables import make_dataset, make_detections

from yolo.errors import AnnotationError
from yolo.evaluation import results, results_in_bulk
from yolo.evaluation.results import LARGEST, read_results, to_results
from yolo.evaluation.results_in_bulk import read_in_bulk

PICTURES = {each: index for index, each in enumerate(IMAGE_IDS)}
LABELS = {each: index for index, each in enumerate(CATEGORY_IDS)}


@pytest.fixture(params=[16, 300, results_in_bulk.BLOCK])
def block(request, monkeypatch):
    """Blocks smaller than an entry, of a few entries, and larger than the file."""
    monkeypatch.setattr(results_in_bulk, "BLOCK", request.param)


def in_bulk(path):
    return read_in_bulk(path, PICTURES, LABELS, largest=LARGEST, limit=10**6)


def one_by_one(path):
    return results.read_one_by_one(path, PICTURES, LABELS, "dataset")


@pytest.mark.usefixtures("block")
def test_any_layout_is_read_in_bulk(tmp_path):
    path = tmp_path / "results.json"
    for seed in range(100):
        path.write_bytes(random_results(seed))
        np.testing.assert_array_equal(in_bulk(path), one_by_one(path))


@pytest.mark.usefixtures("block")
def test_damaged_files_are_left_to_the_careful_reader(tmp_path):
    """Whatever is accepted is accepted by it, too, with the same values."""
    path, accepted = tmp_path / "results.json", 0
    for seed in range(400):
        path.write_bytes(damaged(random_results(seed), seed))
        rows = in_bulk(path)
        if rows is not None:
            np.testing.assert_array_equal(rows, one_by_one(path))
            accepted += 1
    assert 40 < accepted < 360


GOOD = {"image_id": 7, "category_id": 18, "bbox": [0, 0, 5, 5], "score": 0.5}


@pytest.mark.parametrize(
    "entry",
    [
        {**GOOD, "image_id": 8},
        {**GOOD, "image_id": 7.0},
        {**GOOD, "image_id": True},
        {**GOOD, "image_id": None},
        {**GOOD, "category_id": "18"},
        {**GOOD, "category_id": [18]},
        {**GOOD, "bbox": [0, 0, 5]},
        {**GOOD, "bbox": [0, 0, 5, 5, 5]},
        {**GOOD, "bbox": [0, 0, -1e-9, 5]},
        {**GOOD, "bbox": [0, 0, 5, float("nan")]},
        {**GOOD, "bbox": [0, 0, 5, "5"]},
        {**GOOD, "bbox": [0, 0, True, 5]},
        {**GOOD, "bbox": [LARGEST, 0, 5, 5]},
        {**GOOD, "bbox": [0, 0, 5, 10**400]},
        {**GOOD, "score": -LARGEST},
        {**GOOD, "score": None},
        {"image_id": 7},
        [],
        3,
    ],
)
def test_faulty_entries(tmp_path, entry):
    """The careful reader names the fault of the 4000th entry, which lies in a later block."""
    path = tmp_path / "results.json"
    path.write_text(json.dumps([*[GOOD] * 4000, entry, GOOD]))
    assert path.stat().st_size > results_in_bulk.BLOCK
    assert in_bulk(path) is None
    with pytest.raises(AnnotationError, match=r"results\.json: results\[4000\]: "):
        read_results(path, make_dataset([], pictures=1, image_ids=[7], category_ids=(18, 90)))


@pytest.mark.parametrize(
    "content", ["", "[", "[]]", "[] []", "{}", "null", "[" * 10**5, '[{"a": 01}]', "\ufeff[]", "\n"]
)
def test_other_files(tmp_path, content):
    path = tmp_path / "results.json"
    path.write_text(content, encoding="utf-8")
    assert in_bulk(path) is None


def test_files_that_cannot_be_read(tmp_path):
    assert in_bulk(tmp_path / "none.json") is None
    (tmp_path / "large.json").write_text("[" + " " * 100 + "]")
    assert read_in_bulk(tmp_path / "large.json", PICTURES, LABELS, largest=LARGEST, limit=100) is None
    assert in_bulk(tmp_path / "large.json").shape == (0, 7)


def test_other_encodings_are_read_by_the_careful_reader(tmp_path):
    dataset = make_dataset([], pictures=1, image_ids=[7], category_ids=(18, 90))
    path = tmp_path / "results.json"
    for encoding in ("utf-16", "utf-8-sig"):
        path.write_text(json.dumps([GOOD]), encoding=encoding)
        assert read_results(path, dataset).scores.tolist() == [0.5]


def test_what_this_package_writes_is_read_in_bulk(tmp_path):
    dataset = make_dataset([], pictures=2, image_ids=[42, 7], category_ids=(18, 90))
    path = tmp_path / "results.json"
    path.write_text(json.dumps(to_results(dataset, make_detections([(1, 0, 10, 20, 40, 60.5, 0.25)]))))
    assert in_bulk(path).tolist() == [[0, 0, 0.25, 10, 20, 30, 40.5]]
