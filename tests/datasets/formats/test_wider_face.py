"""The reader of WIDER FACE's lists: faces, images without any, splits, and faults."""

from __future__ import annotations

import pytest
from damage import damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import dataset_or_fault, write_picture

from yolo import load_dataset
from yolo.datasets.load import available_splits, recognise

LIST = (
    "0--Parade/0_Parade_1.jpg\n2\n10 20 30 40 0 0 0 0 0 0 \n50 20 3 4 2 0 0 1 0 0 \n"
    "1--Handshaking/1_Handshaking_9.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \n"
)


def write_set(folder, text=LIST, splits=("train",)):
    (folder / "wider_face_split").mkdir(exist_ok=True)
    for split in splits:
        for name in ("0--Parade/0_Parade_1.jpg", "1--Handshaking/1_Handshaking_9.jpg"):
            write_picture(folder / f"WIDER_{split}" / "images" / name)
        (folder / "wider_face_split" / f"wider_face_{split}_bbx_gt.txt").write_text(text)
    (folder / "wider_face_split" / "wider_face_test_filelist.txt").write_text("0--Parade/0_Parade_7.jpg\n")
    return folder


def test_faces_and_images_without_any(tmp_path):
    dataset = load_dataset(write_set(tmp_path), "train")
    assert recognise(tmp_path).format == "WIDER FACE"
    assert dataset.classes == ("face",)
    assert dataset.boxes.tolist() == [[10, 20, 40, 60], [50, 20, 53, 24]]
    assert dataset.ignore.tolist() == [False, True]  # the second is invalid
    assert dataset.box_counts.tolist() == [2, 0]
    assert (dataset.repairs, dataset.left_out) == ({}, {})


def test_splits(tmp_path):
    write_set(tmp_path, LIST[: LIST.index("1--")], ("train", "val"))
    assert available_splits(tmp_path) == ("train", "val")
    assert load_dataset(tmp_path, "val").files == ["WIDER_val/images/0--Parade/0_Parade_1.jpg"]


@pytest.mark.parametrize("row", ["1 2 3", "1 2 x 4 0 0"])
def test_lines_that_cannot_be_used_are_left_out(tmp_path, row):
    dataset = load_dataset(write_set(tmp_path, LIST + row), "train")
    place = f"{tmp_path}/wider_face_split/wider_face_train_bbx_gt.txt:8"
    assert dataset.left_out[place].startswith(f"{place}: expected x, y, width, height")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_gives_a_dataset_or_an_error(tmp_path, data):
    write_set(tmp_path) if not (tmp_path / "wider_face_split").exists() else None
    (tmp_path / "wider_face_split" / "wider_face_train_bbx_gt.txt").write_bytes(damaged(data, LIST.encode()))
    dataset_or_fault(tmp_path)
