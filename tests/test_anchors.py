"""Anchors: shapes on the canvas, the fit, its measures, the verdict and the files."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import make_dataset

from yolo import anchors as module
from yolo.anchors import (
    AnchorQuality,
    canvas_shapes,
    choose_anchors,
    fit_anchors,
    fit_shapes,
    mean_iou_by_count,
    measure_anchors,
    published_anchors,
    published_names,
    read_anchors,
    scale_anchors,
    shape_iou,
    write_anchors,
)
from yolo.errors import AnnotationError, ConfigError
from yolo.structs import Dataset

COCO = [(10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326)]
TINY = [(10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319)]


def random_shapes(count: int, seed: int = 0) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal([4.0, 4.2], 0.7, (count, 2)))


@pytest.fixture
def dataset() -> Dataset:
    """A picture of 100 x 200 (height x width) and one of 300 x 300; the last box is a crowd."""
    rows = [(0, 0, 0, 0, 50, 20, 0), (1, 0, 100, 100, 130, 190, 0), (1, 0, 0, 0, 300, 300, 1)]
    return make_dataset(rows, pictures=2, sizes=np.array([[100, 200], [300, 300]], np.int32))


@pytest.mark.parametrize(
    ("size", "mode", "expected"),
    [
        (416, "letterbox", [[50 * 2.08, 20 * 2.08], [30 * 416 / 300, 90 * 416 / 300]]),
        (416, "stretch", [[50 * 2.08, 20 * 4.16], [30 * 416 / 300, 90 * 416 / 300]]),
        ((192, 640), "letterbox", [[50 * 1.92, 20 * 1.92], [30 * 0.64, 90 * 0.64]]),
        ((192, 640), "stretch", [[50 * 3.2, 20 * 1.92], [30 * 640 / 300, 90 * 0.64]]),
    ],
)
def test_shapes_on_the_canvas(dataset, size, mode, expected):
    np.testing.assert_allclose(canvas_shapes(dataset, size, mode=mode), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "anchor", "expected"),
    [
        ((10, 20), (10, 20), 1.0),
        ((10, 20), (20, 10), 100 / 300),  # crossed
        ((10, 20), (5, 10), 0.25),  # inside
        ((4, 8), (8, 4), 16 / 48),
    ],
)
def test_shape_iou_by_hand(shape, anchor, expected):
    overlap = shape_iou(np.array([shape], float), np.array([anchor], float))
    assert overlap[0, 0] == pytest.approx(expected)


def test_measures_by_hand():
    shapes = np.array([[10, 10], [20, 20], [10, 41]], float)
    quality = measure_anchors(shapes, np.array([[10, 10], [40, 40]], np.float32))
    # Best IoUs: 1; 100/400 and 400/1600 alike; 100/410 and 400/1610.
    assert quality.mean_iou == pytest.approx((1 + 0.25 + 400 / 1610) / 3)
    # (10, 41) is 4.1 times as high as the one anchor and a fourth, not less, as wide as the other.
    assert quality.best_possible_recall == pytest.approx(2 / 3)


def test_measures_in_chunks_are_the_same(monkeypatch):
    shapes, anchors = random_shapes(1000), np.array(COCO, np.float32)
    whole = measure_anchors(shapes, anchors)
    monkeypatch.setattr(module, "SHAPES_AT_ONCE", 33)
    parts = measure_anchors(shapes, anchors)
    assert parts.mean_iou == pytest.approx(whole.mean_iou, abs=1e-12)
    assert parts.best_possible_recall == whole.best_possible_recall


def test_fit_finds_separate_clusters():
    centres = np.array([[10, 10], [20, 60], [100, 40], [200, 200]], float)
    shapes = np.concatenate([centre * random_scale for centre, random_scale in product(centres, [0.98, 1.0, 1.02])])
    shapes = shapes.reshape(-1, 2)
    np.testing.assert_allclose(fit_shapes(shapes, 4), centres, rtol=0.021)


def test_fit_of_one_anchor_is_the_best_there_is():
    """Against a search over a fine grid."""
    shapes = random_shapes(60)
    grid = np.exp(np.linspace(2.5, 6, 150))
    best = max(measure_anchors(shapes, np.array([[w, h]])).mean_iou for w, h in product(grid, grid))
    assert measure_anchors(shapes, fit_shapes(shapes, 1)).mean_iou >= best - 1e-4


def test_fit_is_as_many_anchors_as_different_shapes():
    shapes = np.repeat(np.array([[10, 10], [30, 20], [50, 90]], float), 7, axis=0)
    np.testing.assert_allclose(fit_shapes(shapes, 3), [[10, 10], [30, 20], [50, 90]], rtol=1e-3)


def test_one_shape_gives_scaled_copies_of_it():
    """What 360 x 12 px of a 400 px picture are at 416 px: the middle one of nine anchors, half an octave apart."""
    shape = np.array([374.4, 12.48])
    fitted = fit_shapes(np.repeat(shape[None], 6, axis=0), 9)
    expected = [shape * 2 ** (step / 2) for step in range(-4, 5)]
    np.testing.assert_allclose(fitted, expected, rtol=1e-3)
    np.testing.assert_array_equal(fitted[4], shape.astype(np.float32))
    assert measure_anchors(shape[None], fitted) == AnchorQuality(pytest.approx(1.0), 1.0)


def test_two_shapes_are_completed_in_turn_the_commonest_first():
    shapes = np.array([[10, 10]] * 3 + [[40, 20]] * 5, float)
    root = 2**0.5
    expected = [[10, 10], [10 * root] * 2, [40 / root, 20 / root], [40, 20], [40 * root, 20 * root]]
    np.testing.assert_allclose(fit_shapes(shapes, 5), expected, atol=0.006)


def test_nearly_equal_shapes_are_one_kind():
    shapes = np.array([[100, 50], [100.5, 50.4], [99.4, 50], [101, 49.9]], float)
    np.testing.assert_allclose(fit_shapes(shapes, 3), np.array([[0.5**0.5], [1], [2**0.5]]) * [100.25, 50], atol=0.006)


def test_shapes_of_fractions_of_a_pixel_stay_apart():
    shapes = np.array([[0.04, 0.01], [0.012, 0.012], [0.3, 0.004]])
    fitted = fit_shapes(shapes, 3)
    np.testing.assert_allclose(fitted, [[0.012, 0.012], [0.04, 0.01], [0.3, 0.004]], rtol=0.03)
    assert measure_anchors(shapes, fit_shapes(shapes, 9)).best_possible_recall == 1.0


def test_one_box_of_a_dataset():
    """A picture of 100 x 100 with a box of 20 x 10 at 96 px, 19.2 x 9.6, and six anchors."""
    dataset = make_dataset([(0, 0, 10, 10, 30, 20, 0)], pictures=1, sizes=np.array([[100, 100]], np.int32))
    factors = 2 ** (np.arange(-2, 4)[:, None] / 2)
    np.testing.assert_allclose(fit_anchors(dataset, 6, 96), factors * [19.2, 9.6], atol=0.006)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.001, 2000), st.floats(0.001, 2000)), min_size=1, max_size=6),
    st.integers(1, 5),
    st.integers(6, 40),
)
def test_few_shapes_always_give_all_anchors_and_full_recall(kinds, repeats, count):
    shapes = np.repeat(np.array(kinds), repeats, axis=0)
    fitted = fit_shapes(shapes, count)
    assert fitted.shape == (count, 2)
    assert (fitted > 0).all()
    assert np.isfinite(fitted).all()
    assert (np.diff(fitted.astype(np.float64).prod(axis=1)) >= -1e-6).all()
    assert measure_anchors(shapes, fitted).best_possible_recall == 1.0
    np.testing.assert_array_equal(fitted, fit_shapes(shapes, count))


def test_a_sample_of_fewer_kinds_than_anchors_is_completed(monkeypatch):
    monkeypatch.setattr(module, "FIT_LIMIT", 3)
    shapes = np.concatenate([np.full((500, 2), 10.0), [[30.0, 30.0]]])
    assert fit_shapes(shapes, 2)[-1, 0] in (30, pytest.approx(10 * 2**0.5, abs=0.006))


def test_fit_is_the_same_for_the_same_seed():
    shapes = random_shapes(500)
    first, again = fit_shapes(shapes, 5, seed=3), fit_shapes(shapes, 5, seed=3)
    np.testing.assert_array_equal(first, again)


def test_fit_of_many_boxes_takes_a_sample(monkeypatch):
    shapes = random_shapes(5_000)
    monkeypatch.setattr(module, "FIT_LIMIT", 1_000)
    sampled = fit_shapes(shapes, 6, seed=1)
    np.testing.assert_array_equal(sampled, fit_shapes(shapes, 6, seed=1))
    monkeypatch.setattr(module, "FIT_LIMIT", 5_000)
    whole = fit_shapes(shapes, 6, restarts=4)
    assert measure_anchors(shapes, sampled).mean_iou > measure_anchors(shapes, whole).mean_iou - 0.005


def test_fit_of_a_dataset(dataset):
    fitted = fit_anchors(dataset, count=2, size=416)
    assert fitted.dtype == np.float32
    np.testing.assert_allclose(
        fitted, [[41.6, 124.8], [104, 41.6]][:: 1 if 41.6 * 124.8 < 104 * 41.6 else -1], rtol=1e-3
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 7))
def test_fit_is_sorted_positive_and_no_worse_than_k_means(seed, count):
    shapes = random_shapes(40, seed)
    fitted = fit_shapes(shapes, count, seed=seed, restarts=2)
    assert fitted.shape == (count, 2)
    assert (fitted > 0).all()
    assert (np.diff(fitted.prod(axis=1)) >= 0).all()
    plain = module._kmeans(shapes, module._seed_anchors(shapes, count, seed=seed))
    assert measure_anchors(shapes, fitted).mean_iou >= measure_anchors(shapes, plain).mean_iou - 1e-3


def test_tiny_boxes_give_positive_anchors():
    shapes = np.array([[0.001, 0.002], [0.02, 0.01], [5, 5]])
    assert (fit_shapes(shapes, 2) > 0).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"count": 0}, ConfigError, r"count must be in 1\.\.1000, got 0"),
        ({"count": 1001}, ConfigError, r"count must be in 1\.\.1000, got 1001"),
        ({"count": 1, "size": 400}, ConfigError, "multiple of 32"),
    ],
)
def test_what_cannot_be_fitted(dataset, options, error, message):
    with pytest.raises(error, match=message):
        fit_anchors(dataset, **options)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "all 2 pictures are without one: check that their annotations are where they belong"),
        (
            [(0, 0, 0, 0, 5, 5, True)],
            "all of them are to be ignored (crowds, difficult): mark some objects as ordinary ones",
        ),
    ],
)
def test_a_dataset_without_boxes_cannot_be_fitted(rows, reason):
    with pytest.raises(AnnotationError) as caught:
        fit_anchors(make_dataset(rows, pictures=2, name="empty"))
    assert str(caught.value) == f"empty: has no boxes to fit anchors to; {reason}"


def test_curve_rises_with_the_number_of_anchors():
    curve = mean_iou_by_count(random_shapes(200), range(1, 6))
    values = list(curve.values())
    assert list(curve) == [1, 2, 3, 4, 5]
    assert values == sorted(values)
    few = mean_iou_by_count(np.array([[5, 5], [9, 9.0]]), range(1, 9))
    assert list(few) == list(range(1, 9))
    assert list(few.values())[1:] == [1.0] * 7  # two shapes need no third anchor


@pytest.mark.parametrize(
    ("fitted", "expected"),
    [
        (0.62, "use the fitted anchors: mean IoU 0.620 against 0.590 of mine"),
        (0.60, "keep mine: the fitted anchors gain less than 0.02 (mean IoU 0.600 against 0.590 of mine)"),
        (0.58, "keep mine: the fitted anchors are no better (mean IoU 0.580 against 0.590 of mine)"),
    ],
)
def test_verdict(fitted, expected):
    assert choose_anchors(AnchorQuality(fitted, 1.0), AnchorQuality(0.59, 1.0), "mine") == expected


def test_published_anchors():
    assert {"yolov3-coco", "yolov3-tiny-coco", "yolov3-voc"} <= set(published_names())
    np.testing.assert_array_equal(published_anchors("yolov3-coco"), COCO)
    np.testing.assert_array_equal(published_anchors("yolov3-voc"), COCO)
    np.testing.assert_array_equal(published_anchors("yolov3-tiny-coco"), TINY)
    with pytest.raises(ConfigError, match=r"no anchors 'yolov9'; there are .*yolov3-coco, .*or give a file"):
        published_anchors("yolov9")


def test_published_anchors_are_darknets(shared):
    for name, cfg in (
        ("yolov3-coco", "yolov3.cfg"),
        ("yolov3-coco", "yolov3-spp.cfg"),
        ("yolov3-voc", "yolov3-voc.cfg"),
        ("yolov3-tiny-coco", "yolov3-tiny.cfg"),
    ):
        lines = (shared / "data/darknet" / cfg).read_text().splitlines()
        written = next(line.partition("=")[2] for line in lines if line.startswith("anchors"))
        numbers = np.array(written.split(","), np.float32).reshape(-1, 2)
        np.testing.assert_array_equal(published_anchors(name), numbers)


def test_published_anchors_scale_with_the_input():
    np.testing.assert_allclose(published_anchors("yolov3-coco", 832), 2 * np.array(COCO), rtol=1e-6)
    np.testing.assert_allclose(published_anchors("yolov3-tiny-coco"), TINY, rtol=1e-6)


def test_scaling_keeps_the_shape():
    anchors = np.array([[10, 20]], np.float32)
    np.testing.assert_allclose(scale_anchors(anchors, 128, (64, 256)), [[10, 20]])
    np.testing.assert_allclose(scale_anchors(anchors, (64, 128), (128, 256)), [[20, 40]])


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 99_999), st.integers(1, 99_999)), min_size=1, max_size=12))
def test_files_there_and_back(tmp_path_factory, hundredths):
    anchors = module.sort_anchors(np.array(hundredths) / 100)
    path = tmp_path_factory.mktemp("anchors") / "a.txt"
    write_anchors(path, anchors, origin="of a test\nin two lines", size=(320, 416))
    assert path.read_text().startswith("# of a test\n# in two lines\n# size: 320 x 416")
    np.testing.assert_array_equal(read_anchors(path), anchors)
    np.testing.assert_allclose(read_anchors(path, (640, 832)), 2 * anchors, rtol=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "10,13\n16,30\n33,23\n",
        "10,13,  16,30,  33,23\n",  # Darknet's line
        "# mine\n33 23  # wide\n\n16.0 30\r\n10\t13",
    ],
)
def test_forms_of_files(tmp_path, text):
    path = tmp_path / "a.txt"
    path.write_text(text)
    np.testing.assert_array_equal(read_anchors(path, 608), [(10, 13), (16, 30), (33, 23)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10,13\n16\n", r"a\.txt:2: expected pairs of width,height, got 1 numbers"),
        ("ten,13\n", r"a\.txt:1: could not convert string to float: 'ten'; expected width,height"),
        ("10,-13\n", r"a\.txt:1: widths and heights must be positive pixels, got '10,-13'"),
        ("10,0\n", "positive pixels"),
        ("nan,10\n", "positive pixels"),
        ("# nothing\n", r"a\.txt: contains no anchors; expected lines of width,height"),
        ("10,13\n# size: 100 x 100\n", "size must be a multiple of 32"),
    ],
)
def test_wrong_files_are_named(tmp_path, text, message):
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_anchors(path, 416)


def test_files_that_are_none(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.txt: cannot be read \(No such file"):
        read_anchors(tmp_path / "none.txt")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(ConfigError, match="not a text file"):
        read_anchors(tmp_path / "a.txt")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_anchors(tmp_path, np.array([[1, 2]], np.float32), origin="", size=416)


def test_fit_to_real_boxes(shared):
    """The genetic fitter of the PyTorch YOLOv3 reaches 0.598 here."""
    from tables import coco_file

    dataset = coco_file(shared / "data/coco128/instances.json")
    shapes = canvas_shapes(dataset, 416)
    assert len(shapes) == 929
    assert measure_anchors(shapes, fit_anchors(dataset)).mean_iou >= 0.62
