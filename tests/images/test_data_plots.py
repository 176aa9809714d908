"""Plots of a dataset's statistics: written, with the colours of what they show, also without boxes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageColor

from yolo.errors import ConfigError
from yolo.images import data_plots
from yolo.images.codec import read_image
from yolo.images.plots import COLOURS


def number_of(path, colour: str) -> int:
    """Number of pixels of a colour."""
    pixels = read_image(path).astype(int)
    return int((np.abs(pixels - ImageColor.getrgb(colour)).max(axis=2) <= 4).sum())


def test_bars_are_as_long_as_the_numbers(tmp_path):
    path = tmp_path / "a.png"
    data_plots.plot_classes({"train": {"cat": 30, "$dog$ 狗": 10}, "val": {"cat": 10, "x" * 99: 10}}, path)
    # Four tens for train, and two for val.
    assert number_of(path, COLOURS[0]) == pytest.approx(2 * number_of(path, COLOURS[1]), rel=0.15)


def test_the_legend_covers_no_bar(tmp_path):
    data_plots.plot_classes({"train": {"cat": 173}, "val": {"cat": 44}}, tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png").astype(int)
    rows = np.flatnonzero((np.abs(pixels - ImageColor.getrgb(COLOURS[1])).max(axis=2) <= 4).any(axis=1))
    assert (np.diff(rows) > 1).any()  # the legend's patch stands apart from the bar


def test_many_classes_stand_in_columns_and_the_rarest_are_left_out(tmp_path):
    counts = {f"class {number}": 300 - number for number in range(125)}
    data_plots.plot_classes({"all": counts}, tmp_path / "a.png")
    height, width = read_image(tmp_path / "a.png").shape[:2]
    assert width > height  # three columns of forty


@pytest.mark.parametrize("numbers", [[0, 0, 1, 3], [500] * 3 + [1], [0], []])
def test_boxes_per_picture(tmp_path, numbers):
    values = np.array(numbers, np.int64)
    data_plots.plot_boxes_per_picture({"train": values, "val": values}, tmp_path / "a.png")
    assert (number_of(tmp_path / "a.png", COLOURS[0]) > 500) == bool(numbers)


@pytest.mark.parametrize("shapes", [[[30, 40], [5, 300]], [[374.4, 12.48]], [], [[1, 1]] * 25_000])
def test_shapes_and_anchors(tmp_path, shapes):
    anchors = {"fitted": np.array([[30, 40.0]]), "yolov3-coco": np.array([[10, 13], [373, 326.0]])}
    path = tmp_path / "a.png"
    data_plots.plot_shapes(np.array(shapes, float).reshape(-1, 2), anchors, path, canvas=(416, 416))
    assert number_of(path, data_plots.FILLS[0]) > 50
    assert number_of(path, data_plots.FILLS[1]) > 50


def test_positions_are_bright_where_boxes_are(tmp_path):
    shares = np.zeros((64, 64))
    shares[:, :32] = 1
    data_plots.plot_positions(shares, tmp_path / "a.png")
    assert number_of(tmp_path / "a.png", "#440154") > 20_000  # viridis' lowest and highest
    assert number_of(tmp_path / "a.png", "#fde725") > 20_000
    data_plots.plot_positions(np.zeros((64, 64)), tmp_path / "b.png")


@pytest.mark.parametrize("sizes", [[[480, 640]] * 9 + [[100, 50]], []])
def test_picture_sizes(tmp_path, sizes):
    data_plots.plot_picture_sizes(np.array(sizes).reshape(-1, 2), tmp_path / "a.png", canvas=(416, 416))
    assert number_of(tmp_path / "a.png", COLOURS[1]) > 20


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written"):
        data_plots.plot_classes({"all": {"cat": 1}}, tmp_path / "none" / "a.png")
