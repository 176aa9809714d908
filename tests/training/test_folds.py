"""Out-of-fold detection: every image judged once, by a detector trained on the others."""

from __future__ import annotations

import numpy as np
import pytest
from small_datasets import labelled

from yolo.errors import ConfigError
from yolo.evaluation.results import DetectionColumns
from yolo.training import folds
from yolo.training.folds import find_out_of_fold, fold_rows


def test_folds_part_the_images():
    parts = list(fold_rows(11, 3, seed=1))
    assert sorted(len(outside) for _, outside in parts) == [3, 4, 4]
    assert sorted(np.concatenate([outside for _, outside in parts]).tolist()) == list(range(11))
    for inside, outside in parts:
        assert sorted([*inside, *outside]) == list(range(11))
    again = [outside.tolist() for _, outside in fold_rows(11, 3, seed=1)]
    assert again == [outside.tolist() for _, outside in parts]
    assert again != [outside.tolist() for _, outside in fold_rows(11, 3, seed=2)]


@pytest.mark.parametrize(("count", "number", "words"), [(3, 4, "at most the number of pictures, 3"), (9, 1, ">= 2")])
def test_impossible_folds(count, number, words):
    with pytest.raises(ConfigError, match=words):
        list(fold_rows(count, number))


def test_detections_come_back_to_their_images(monkeypatch):
    dataset = labelled([[0], [1], [2], [0], [1]])
    trained: list[list[str]] = []

    def fake_find(_, part, **__):
        """One detection an image, whose score says which image it is; none in the first of each fold."""
        numbers = [dataset.files.index(file) for file in part.files]
        count = len(numbers) - 1
        return DetectionColumns(
            np.arange(1, count + 1),
            np.full(count, len(trained) - 1, np.int32),
            np.array(numbers[1:], np.float64) / 10,
            np.zeros((count, 4), np.float32),
        )

    monkeypatch.setattr(folds, "train", lambda _, part, **__: trained.append(list(part.files)))
    monkeypatch.setattr(folds, "find_all", fake_find)
    found = find_out_of_fold(lambda part: part, dataset, folds=2, config=None)
    assert (found.scores * 10).round().astype(int).tolist() == found.pictures.tolist()
    assert found.pictures.tolist() == sorted(found.pictures.tolist())
    assert len(found) == 3
    for picture, fold in zip(found.pictures, found.labels, strict=True):
        assert dataset.files[picture] not in trained[fold]
