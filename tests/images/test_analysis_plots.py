"""Figures of an analysis: ordinary figures that hold the data, saved as PNG or SVG."""

from __future__ import annotations

import numpy as np
import pytest
from defusedxml import ElementTree
from PIL import Image

from yolo.images.analysis_plots import (
    figure_confusion,
    figure_errors_by_kind,
    figure_f1_curves,
    figure_pr_curves,
    figure_reliability,
)
from yolo.images.plots import COLOURS, figure_training, save_figure

X = np.linspace(0, 1, 5)
CURVE = (X, 1 - X)


def test_a_few_curves_have_colours_and_names_and_many_are_thin():
    few = figure_pr_curves({"a": CURVE, "$b$": CURVE}, CURVE).axes[0]
    assert [text.get_text() for text in few.get_legend().get_texts()] == ["a", r"\$b\$", "all classes"]
    assert few.lines[-1].get_ydata().tolist() == (1 - X).tolist()
    many = figure_f1_curves({f"class {n}": CURVE for n in range(30)}, CURVE).axes[0]
    assert len(many.lines) == 31
    assert [text.get_text() for text in many.get_legend().get_texts()] == ["all classes"]
    assert figure_pr_curves({}).axes[0].get_legend() is None


def test_confusion_writes_its_numbers():
    axes = figure_confusion(["a", "b"], np.array([[7, 1, 2], [0, 5, 0], [3, 0, 0]])).axes[0]
    written = {(text.get_position(), text.get_text()) for text in axes.texts}
    assert written == {((0, 0), "7"), ((1, 0), "1"), ((2, 0), "2"), ((1, 1), "5"), ((0, 2), "3")}
    assert axes.images[0].get_array()[0].tolist() == pytest.approx([0.7, 0.1, 0.2])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "background"]


def test_reliability_leaves_empty_bins_out():
    edges, counts = np.array([0, 0.5, 1.0]), np.array([0, 4])
    axes, below = figure_reliability(edges, counts, np.array([0, 0.75]), np.array([0, 0.5])).axes
    assert axes.lines[1].get_xydata().tolist() == [[0.75, 0.5]]
    assert [bar.get_height() for bar in below.patches] == [0, 4]


def test_errors_are_bars_with_their_numbers():
    axes = figure_errors_by_kind({"class": 0.1, "missed": 0.25}, {"class": 1200}).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.1, 0.25]
    assert [text.get_text() for text in axes.texts] == ["+0.100  (1,200)", "+0.250"]


def test_the_suffix_says_the_format(tmp_path):
    save_figure(figure_pr_curves({"a": CURVE}), tmp_path / "curve.svg")
    assert ElementTree.parse(tmp_path / "curve.svg").getroot().tag.endswith("svg")
    save_figure(figure_training({"loss": [2.0, 1.0]}), tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as image:
        assert image.format == "PNG"


def luminance(colour: str) -> float:
    shares = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("colour", COLOURS)
def test_lines_contrast_with_the_page(colour):
    """3 to 1 at least (WCAG 2.1, 1.4.11)."""
    assert 1.05 / (luminance(colour) + 0.05) >= 3
