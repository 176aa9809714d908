"""Splits on the disk: read back equal, and as other programs read COCO files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from noise_pictures import write_noise
from tables import make_dataset

from yolo import load_dataset
from yolo.datasets.split_files import write_splits
from yolo.errors import ConfigError
from yolo.structs import Dataset


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    """Three pictures, the second without boxes; one box is of a third of a pixel's corner, one a crowd."""
    for number in range(3):
        write_noise(tmp_path / "data" / "bilder ä" / f"{number}.jpg", height=20, width=30, seed=number)
    rows = [(0, 1, 1 / 3, 2, 10.1, 12, 0), (2, 0, 3, 4, 20, 19.7, 1)]
    return make_dataset(
        rows,
        pictures=3,
        files=[f"bilder ä/{number}.jpg" for number in range(3)],
        sizes=np.array([[20, 30]] * 3, np.int32),
        image_ids=["a", 7, "c"],
        category_ids=(3, 90),
        folder=tmp_path / "data",
    )


@pytest.mark.parametrize("relative", [False, True])
def test_there_and_back(dataset, tmp_path, relative):
    parts = {"train": dataset.subset([0, 1]), "val": dataset.subset([2])}
    written = write_splits(parts, tmp_path / "out", relative=relative, description="of a test")
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "out/annotations/instances_train.json",
        "out/annotations/instances_val.json",
    ]
    for name, part in parts.items():
        found = load_dataset(tmp_path / "out", name)
        for column in ("sizes", "offsets", "boxes", "labels", "ignore", "areas"):
            np.testing.assert_array_equal(getattr(found, column), getattr(part, column))
        assert (found.classes, found.category_ids, list(found.image_ids)) == (
            part.classes,
            part.category_ids,
            list(part.image_ids),
        )
        np.testing.assert_array_equal(found.image(0), part.image(0))
    assert json.loads(written[0].read_text())["info"] == {"description": "of a test"}


def test_relative_files_move_together(dataset, tmp_path):
    write_splits({"train": dataset}, tmp_path / "data" / "split", relative=True)
    (tmp_path / "data").rename(tmp_path / "moved")
    found = load_dataset(tmp_path / "moved" / "split", "train")
    assert found.image(2).shape == (20, 30, 3)


def test_relative_sources_are_found_from_anywhere(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_splits({"train": replace(dataset, folder=Path("data"))}, "out")
    monkeypatch.chdir(tmp_path / "data")
    assert load_dataset(tmp_path / "out", "train").image(0).shape == (20, 30, 3)


def test_ids_that_repeat_are_numbered_anew(dataset, tmp_path):
    write_splits({"train": replace(dataset, image_ids=["1", 1, 2])}, tmp_path / "out")
    assert list(load_dataset(tmp_path / "out", "train").image_ids) == [0, 1, 2]


def test_pictures_in_shards_cannot_be_named(dataset, tmp_path):
    class Store:
        """Images that are no files."""

    with pytest.raises(ConfigError, match="its pictures lie in TFRecord files"):
        write_splits({"train": replace(dataset, store=Store())}, tmp_path / "out")
    assert not (tmp_path / "out").exists()
