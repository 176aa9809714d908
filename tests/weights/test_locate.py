"""What a name of weights stands for, and what lies beside Darknet's."""

from __future__ import annotations

import pytest

from yolo.errors import WeightsError
from yolo.weights.locate import cfg_beside, check_loadable, find_start, is_run, names_beside, resolve


def test_a_runs_folder_stands_for_its_best_weights(tmp_path):
    (tmp_path / "best.keras").touch()
    assert is_run(tmp_path)
    assert resolve(tmp_path) == tmp_path / "best.keras"
    assert find_start(str(tmp_path)) == tmp_path / "best.keras"
    check_loadable(tmp_path)


def test_another_folder_is_refused(tmp_path):
    assert not is_run(tmp_path)
    with pytest.raises(WeightsError, match=r"no best\.keras in this folder; give a \.keras or \.weights file, or a"):
        resolve(tmp_path)


@pytest.mark.parametrize("check", [check_loadable, find_start])
def test_a_missing_file_is_refused(tmp_path, check):
    with pytest.raises(WeightsError, match=r"a\.keras: no such file"):
        check(tmp_path / "a.keras")


def test_published_names_are_not_downloaded_to_be_checked():
    check_loadable("yolov3-coco")
    assert find_start("darknet53-imagenet") == "darknet53-imagenet"


@pytest.mark.parametrize(
    ("weights", "cfg"),
    [
        ("x.weights", "x.cfg"),
        ("x_final.weights", "x.cfg"),
        ("x_best.weights", "x.cfg"),
        ("x_1000.weights", "x_1000.cfg"),  # its own before that of x
        ("x.backup", "x.cfg"),
        ("y.weights", None),
    ],
)
def test_the_network_file_beside_weights(tmp_path, weights, cfg):
    for name in ("x.cfg", "x_1000.cfg"):
        (tmp_path / name).touch()
    assert cfg_beside(tmp_path / weights) == (tmp_path / cfg if cfg else None)


def test_names_of_the_weights_own_name_go_first(tmp_path):
    for name in ("x.names", "obj.names"):
        (tmp_path / name).write_text("a\nb\n")
    assert names_beside(tmp_path / "x_last.weights", 2) == tmp_path / "x.names"
    assert names_beside(tmp_path / "y.weights", 2) == tmp_path / "obj.names"
    assert names_beside(tmp_path / "y.weights", 3) is None  # they belong to others


@pytest.mark.parametrize("given", ["pets.list", "data/pets.list"])
def test_names_that_the_only_data_file_gives(tmp_path, given):
    (tmp_path / "pets.list").write_text("cat\ndog\n")
    (tmp_path / "obj.data").write_text(f"classes = 2\ntrain = train.txt\nnames = {given} \nbackup = backup/\n")
    assert names_beside(tmp_path / "x.weights", 2) == tmp_path / "pets.list"
    (tmp_path / "other.data").write_text("classes = 2\n")
    assert names_beside(tmp_path / "x.weights", 2) is None  # no longer clear whose they are
