"""Charts: places worked by hand, names escaped, few points whatever the data."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from yolo.report.charts import (
    MOST_POINTS,
    Line,
    difference_bar,
    epochs_chart,
    interval_bar,
    reliability_chart,
    shapes_chart,
    share_bar,
    unit_chart,
)
from yolo.report.svg import BOTTOM, HEIGHT, RIGHT, TOP, WIDTH, Chart, share, ticks


def parsed(svg):
    return ElementTree.fromstring(svg)  # noqa: S314 - our own


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (1, 40, [10, 20, 30, 40]),
        (0, 0.0021, [0, 0.0005, 0.001, 0.0015, 0.002]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_shares_of_ranges():
    assert share(0.25, (0, 1)) == 0.25
    assert share(5, (0, 1)) == 1
    assert share(32, (8, 128), log=True) == pytest.approx(0.5)
    assert share(1, (1, 1)) == 0


def test_corners_of_the_plot_area():
    chart = Chart("c", (0, 2), (0, 4))
    assert (chart.x(0), chart.x(2)) == (chart.left, WIDTH - RIGHT)
    assert (chart.y(0), chart.y(4)) == (HEIGHT - BOTTOM, TOP)


def test_lines_are_named_escaped_and_thinned():
    x = np.linspace(0, 1, 5000)
    figure = unit_chart("t", [Line("<b>&", x, x), Line("two", [0.5], [0.5], "c1")], x_label="x", y_label="y", at=0.3)
    assert "<b>" not in figure.svg
    root = parsed(figure.svg)
    assert {each.text for each in root.iter("title")} == {"<b>&", "two", "0.30"}
    path = next(each for each in root.iter("path") if "c0" in each.get("class"))
    assert path.get("d").count("L") == MOST_POINTS - 1
    assert figure.legend == (("c0", "<b>&"), ("c1", "two"))
    assert len(list(root.iter("circle"))) == 1  # a single point would not show as a line


def test_values_that_are_not_finite_are_left_out():
    figure = unit_chart("t", [Line("a", [0, 0.5, 1], [0, np.nan, 1])], x_label="x", y_label="y")
    assert parsed(figure.svg).find("path").get("d").count("L") == 1
    assert epochs_chart("t", [Line("a", [], [])], y_label="y") is None
    assert epochs_chart("t", [], y_label="y") is None


def test_reliability_has_a_bar_and_a_point_for_each_bin_with_detections():
    edges, counts = np.array([0, 0.5, 1.0]), np.array([0, 4])
    figure = reliability_chart(edges, counts, np.array([0, 0.75]), np.array([0, 0.5]), title="t", note="")
    root = parsed(figure.svg)
    points = list(root.iter("circle"))
    assert len(points) == 1
    plot = Chart("c", (0, 1), (0, 1))
    assert float(points[0].get("cx")) == pytest.approx(plot.x(0.75), abs=0.06)
    assert float(points[0].get("cy")) == pytest.approx(plot.y(0.5), abs=0.06)


def test_shapes_are_cells_whatever_their_number():
    random = np.random.default_rng(0)
    few, many = (shapes_chart(random.lognormal(4, 1, (n, 2)), {"own": np.array([[30, 60]])}) for n in (20, 20_000))
    assert len(many.svg) < 250_000
    assert len(list(parsed(few.svg).iter("rect"))) <= 20
    assert parsed(few.svg).find("path[@class='anchor0']/title").text == "own: 30 x 60 px"


def test_small_bars():
    whole = parsed(interval_bar(0.5, 0.25, 1.0))
    assert [float(whole.find("line[@class='range']").get(each)) for each in ("x1", "x2")] == [25.5, 99]
    assert parsed(interval_bar(np.nan, np.nan, np.nan)).find("circle") is None
    assert float(parsed(share_bar(0.5)).find("rect").get("width")) == 49
    middle = parsed(difference_bar(-0.1, -0.2, 0.0, most=0.2))
    assert [float(middle.find("line[@class='range']").get(each)) for each in ("x1", "x2")] == [1, 50]
    assert float(middle.find("circle").get("cx")) == 25.5
