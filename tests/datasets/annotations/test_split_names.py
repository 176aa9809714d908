"""The split that a file's name or its folder speaks of."""

from pathlib import Path

import pytest

from yolo.datasets.annotations.splits import split_files, split_in_name


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("via_train", "train"),
        ("instances_val2017", "val"),
        ("Pets-VALID", "valid"),
        ("test set 3", "test"),
        ("trainval", None),
        ("train_val", None),  # which of them?
        ("training", "train"),
        ("pets", None),
        ("", None),
    ],
)
def test_names(name, split):
    assert split_in_name(name) == split


def test_files_by_name_else_by_folder():
    base = Path("pets")
    files = [base / name for name in ("val/a.json", "b/train/c/a.json", "test.json", "val/train.json", "a.json")]
    assert split_files(files, base) == {
        "train": [files[1], files[3]],
        "val": [files[0]],
        "test": [files[2]],
        "": [files[4]],
    }


def test_names_of_single_pictures_do_not_count():
    base = Path("train")  # nor does the folder of the dataset
    files = [base / "val" / "test 1.json", base / "test 2.json"]
    assert split_files(files, base, per_picture=True) == {"val": files[:1], "": files[1:]}
