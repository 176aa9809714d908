"""Plots: real PNGs, whatever is missing in the history."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from yolo.errors import ConfigError
from yolo.images.plots import plot_anchor_counts, plot_runs, plot_training, plot_trials

NAN = math.nan
FULL = {
    "loss": [9.0, 5.0, 4.0],
    "box_loss": [3.0, 2.0, 1.5],
    "objectness_loss": [4.0, 2.0, 1.5],
    "class_loss": [2.0, 1.0, 1.0],
    "AP50": [0.1, NAN, 0.6],
    "AP": [0.05, NAN, 0.3],
}


def coloured_pixels(path) -> int:
    """How many pixels are neither white nor a shade of grey: those of the lines."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), int)
    return int(((pixels.max(axis=-1) - pixels.min(axis=-1)) > 60).sum())


@pytest.mark.parametrize(
    "history",
    [
        FULL,
        {"loss": [3.0]},
        {"loss": [NAN, NAN, 3.0] + [NAN] * 40},  # a single value among many epochs has to show
        {"AP50": [0.5, 0.6]},
    ],
)
def test_training_curves_show(tmp_path, history):
    plot_training(history, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as image:
        assert image.format == "PNG"
        assert image.width > 1000
    assert coloured_pixels(tmp_path / "curves.png") > 10


@pytest.mark.parametrize("history", [{}, {"loss": []}, {"loss": [NAN, NAN]}])
def test_training_without_values_is_no_fault(tmp_path, history):
    plot_training(history, tmp_path / "curves.png")
    assert coloured_pixels(tmp_path / "curves.png") == 0


def test_a_new_plot_replaces_the_old_and_leaves_nothing_behind(tmp_path):
    target = tmp_path / "curves.png"
    target.write_bytes(b"old")
    plot_training(FULL, target)
    assert target.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_anchor_counts(tmp_path):
    curve = {1: 0.3, 2: 0.4, 3: 0.45}
    plot_anchor_counts(curve, tmp_path / "plain.png")
    plot_anchor_counts(curve, tmp_path / "marked.png", marked={"mine": (2, 0.35)})
    assert coloured_pixels(tmp_path / "marked.png") > coloured_pixels(tmp_path / "plain.png") > 0


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written"):
        plot_training(FULL, tmp_path / "none" / "curves.png")


def test_runs_of_one_kind_share_a_colour(tmp_path):
    plot_runs({"one": [[0.1, 0.2, 0.3]], "two": [[0.5, NAN, 0.6], [0.7, 0.8, 0.9]]}, tmp_path / "runs.png")
    assert coloured_pixels(tmp_path / "runs.png") > 500
    plot_runs({}, tmp_path / "none.png", metric="AP")
    assert coloured_pixels(tmp_path / "none.png") == 0


def test_trials_of_a_search(tmp_path):
    plot_trials([0.1, NAN, 0.3, NAN], [0.1, 0.05, 0.3, NAN], tmp_path / "some.png")
    plot_trials([0.1, NAN, 0.3, NAN], [NAN] * 4, tmp_path / "none_cut.png")
    plot_trials([NAN, NAN], [NAN, NAN], tmp_path / "none.png")
    assert coloured_pixels(tmp_path / "some.png") > coloured_pixels(tmp_path / "none_cut.png") > 500
    assert coloured_pixels(tmp_path / "none.png") == 0
