"""Statistics of a dataset, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from tables import make_dataset

from yolo.datasets.statistics import box_shapes, coverage, describe_boxes
from yolo.structs import Dataset


@pytest.fixture
def dataset() -> Dataset:
    """Pictures of 100 x 200, 100 x 200 and 200 x 200 (height x width) at 192 px: scaled by 0.96."""
    rows = [
        (0, 0, 0, 0, 20, 20, 0),  # 19.2 x 19.2: small
        (0, 0, 0, 0, 200, 5, 0),  # 192 x 4.8: small, thin
        (0, 1, 0, 0, 50, 50, 1),  # 48 x 48: medium
        (2, 1, 50, 0, 150, 200, 0),  # 96 x 192: large
    ]
    sizes = np.array([[100, 200], [100, 200], [200, 200]], np.int32)
    return make_dataset(rows, pictures=3, classes=("cat", "dog", "cow"), sizes=sizes, split="train")


def test_numbers_by_hand(dataset):
    found = describe_boxes(dataset, 192)
    assert (found["split"], found["pictures"], found["pictures_without_boxes"]) == ("train", 3, 1)
    assert (found["boxes"], found["ignored"]) == (4, 1)
    assert found["classes"] == {
        "cat": {"boxes": 2, "pictures": 1},
        "dog": {"boxes": 2, "pictures": 2},
        "cow": {"boxes": 0, "pictures": 0},
    }
    assert found["sizes"] == {"small": 0.5, "medium": 0.25, "large": 0.25, "thinner_than_8_px": 0.25}
    assert found["boxes_per_picture"] == {"min": 0, "5 %": 0.1, "median": 1, "95 %": 2.8, "max": 3}
    assert (found["width"]["min"], found["width"]["max"]) == (pytest.approx(19.2), pytest.approx(192))
    assert (found["width_to_height"]["min"], found["width_to_height"]["max"]) == (0.5, 40)
    assert found["picture_sizes"] == [
        {"width": 200, "height": 100, "pictures": 2},
        {"width": 200, "height": 200, "pictures": 1},
    ]


def test_shapes_follow_the_mode(dataset):
    np.testing.assert_allclose(box_shapes(dataset, 192, mode="letterbox")[0], [19.2, 19.2], rtol=1e-6)
    np.testing.assert_allclose(box_shapes(dataset, 192, mode="stretch")[0], [19.2, 38.4], rtol=1e-6)


def test_a_dataset_without_boxes():
    found = describe_boxes(make_dataset([], pictures=2), 192)
    assert (found["boxes"], found["width"], found["sizes"]["small"]) == (0, None, 0.0)
    assert found["boxes_per_picture"]["max"] == 0
    assert describe_boxes(make_dataset([], pictures=0), 192)["boxes_per_picture"] is None


def test_coverage_by_hand():
    """Two boxes of pictures of different sizes on a grid of 4 x 4: the left half, and the upper left quarter."""
    rows = [(0, 0, 0, 0, 50, 100, 0), (1, 0, 0, 0, 100, 100, 0)]
    halves = make_dataset(rows, pictures=2, sizes=np.array([[100, 100], [200, 200]], np.int32))
    expected = np.zeros((4, 4))
    expected[:, :2] += 0.5
    expected[:2, :2] += 0.5
    np.testing.assert_allclose(coverage([halves], 4), expected)
    np.testing.assert_allclose(coverage([halves, make_dataset([], pictures=1)], 4), expected)


def test_small_boxes_cover_the_cell_of_their_centre():
    dot = make_dataset([(0, 0, 290, 4, 299, 6, 0), (0, 0, 300, 300, 300, 300, 0)], pictures=1)
    found = coverage([dot], 4)
    assert (found[0, 3], found[3, 3], found.sum()) == (0.5, 0.5, 1.0)


def test_coverage_is_as_box_by_box():
    random = np.random.default_rng(0)
    corners = np.sort(random.uniform(0, 300, (50, 2, 2)), axis=1).reshape(50, 4)
    dataset = make_dataset([(0, 0, *row, 0) for row in corners], pictures=1)
    middles = (np.arange(16) + 0.5) / 16 * 300

    def covered(low: float, high: float) -> np.ndarray:
        cells = (middles >= low) & (middles < high)
        return cells if cells.any() else np.arange(16) == int((low + high) / 2 / 300 * 16)

    expected = sum(np.outer(covered(y1, y2), covered(x1, x2)).astype(int) for x1, y1, x2, y2 in dataset.boxes)
    np.testing.assert_allclose(coverage([dataset], 16) * 50, expected)
