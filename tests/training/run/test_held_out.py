"""The held-out split: the same tenth again, from what a model's origin stores."""

from __future__ import annotations

import json

from tables import make_dataset

from yolo.training.run.held_out import HELD_OUT, describe_held_out, held_out_of, hold_out, list_held_out


def pictures(count):
    return make_dataset([(index, 0, 0, 0, 9, 9, 0) for index in range(count)], count)


def test_the_held_out_tenth_is_fixed_and_whole():
    dataset = pictures(30)
    rest, taken = hold_out(dataset)
    again = hold_out(dataset)[1]
    assert len(taken) == 3
    assert taken.split == HELD_OUT
    assert taken.files == again.files
    assert sorted([*rest.files, *taken.files]) == sorted(dataset.files)


def test_a_single_picture_is_validated_on_itself(caplog):
    dataset = pictures(1)
    assert hold_out(dataset) == (dataset, dataset)
    assert "a single image: it is trained on and validated on" in caplog.text


def test_it_is_found_again_by_rule_and_fingerprint():
    dataset = pictures(30)
    stored = json.loads(json.dumps(describe_held_out(dataset)))
    assert stored == {"split": None, "images": 30, "fingerprint": dataset.fingerprint}
    assert held_out_of(dataset, stored).files == hold_out(dataset)[1].files
    assert held_out_of(pictures(29), stored) is None


def test_the_list_in_the_runs_folder(tmp_path):
    taken = hold_out(pictures(30))[1]
    list_held_out(tmp_path, taken)
    assert (tmp_path / "held-out.txt").read_text().splitlines() == list(taken.files)
    list_held_out(tmp_path, None)  # another run in this folder holds nothing out
    assert not (tmp_path / "held-out.txt").exists()
    list_held_out(tmp_path, None)
