"""COCO's metrics from columns, the metrics object, and COCO results files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import coco_file, make_dataset, make_detections

from yolo.errors import AnnotationError, ConfigError
from yolo.evaluation.coco import coco_metrics
from yolo.evaluation.metrics import compute_metrics
from yolo.evaluation.results import DetectionColumns, read_results, to_results
from yolo.structs import Dataset, Detections

SUMMARY = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100"]


def truth_as_detections(dataset: Dataset, *, ignored: bool) -> DetectionColumns:
    kept = np.ones(len(dataset.boxes), bool) if ignored else ~dataset.ignore
    return DetectionColumns(
        pictures=dataset.box_pictures[kept],
        labels=dataset.labels[kept],
        scores=np.linspace(1, 0.1, kept.sum()),
        boxes=dataset.boxes[kept],
    )


@pytest.fixture
def dataset() -> Dataset:
    """Two pictures in the reverse order of their ids; a cat, two dogs, one of them a crowd."""
    rows = [
        (0, 0, 10, 10, 30, 30, False),
        (1, 1, 0, 0, 100, 100, False),
        (1, 1, 50, 150, 250, 250, True),
    ]
    return make_dataset(rows, pictures=2, image_ids=[42, 7], category_ids=(18, 90))


@pytest.mark.parametrize("ignored", [False, True])
def test_truth_as_detections_is_perfect(dataset, ignored):
    metrics = compute_metrics(dataset, truth_as_detections(dataset, ignored=ignored))
    assert {key: metrics["coco"][key] for key in ("AP", "AP50", "AP75", "APs", "APl", "AR1", "AR100")} == {
        key: pytest.approx(1.0) for key in ("AP", "AP50", "AP75", "APs", "APl", "AR1", "AR100")
    }
    assert metrics["voc07"]["mAP"] == metrics["voc12"]["mAP"] == 1.0
    assert metrics["classes"]["dog"] == {
        "AP": pytest.approx(1.0),
        "AP50": pytest.approx(1.0),
        "instances": 1,
    }


def test_metrics_object_has_the_fixed_keys(dataset):
    metrics = compute_metrics(dataset, truth_as_detections(dataset, ignored=False))
    assert list(metrics) == ["coco", "voc07", "voc12", "classes", "images"]
    assert list(metrics["coco"]) == SUMMARY
    assert list(metrics["classes"]) == ["cat", "dog"]
    assert metrics["images"] == 2
    assert np.isnan(metrics["coco"]["APm"])  # no box between 32 and 96 pixels squared


def test_values_by_hand():
    """One cat; the surer detection overlaps it by 0.6, the other is exact."""
    dataset = make_dataset([(0, 0, 0, 0, 100, 100, False)], pictures=1)
    detections = make_detections([(0, 0, 0, 0, 60, 100, 0.9), (0, 0, 0, 0, 100, 100, 0.5)])
    result = coco_metrics(dataset, detections)
    # At 0.50, 0.55 and 0.60 the first is right; at the 7 others the first is wrong, the second right.
    assert result.summary["AP"] == pytest.approx((3 * 1.0 + 7 * 0.5) / 10)
    assert result.summary["AP50"] == pytest.approx(1.0)
    assert result.summary["AP75"] == pytest.approx(0.5)
    assert result.summary["AR1"] == pytest.approx(0.3)
    assert result.ap[0] == pytest.approx(0.65)
    assert np.isnan(result.ap[1])


def test_detections_on_a_crowd_count_neither_way(dataset):
    inside = [(1, 1, 60, 160, 80, 180, 0.99), (1, 1, 100, 160, 140, 200, 0.98), (1, 1, 0, 0, 100, 100, 0.5)]
    assert coco_metrics(dataset, make_detections(inside)).ap[1] == pytest.approx(1.0)


def test_areas_are_the_datasets(dataset):
    """A mask's area, here small, decides the size class, not the box's."""
    found = truth_as_detections(dataset, ignored=False)
    small = make_dataset(
        [(1, 1, 0, 0, 100, 100, False)], pictures=2, areas=np.array([500], np.float32), image_ids=[42, 7]
    )
    assert coco_metrics(small, found).summary["APs"] == pytest.approx(1.0)
    assert np.isnan(coco_metrics(small, found).summary["APl"])


@pytest.mark.parametrize("ids", [["b", "a"], [7, "a"]])
def test_image_ids_may_be_words(ids):
    dataset = make_dataset([(0, 0, 0, 0, 9, 9, 0), (1, 0, 5, 5, 30, 30, 0)], pictures=2, image_ids=ids)
    assert coco_metrics(dataset, truth_as_detections(dataset, ignored=True)).ap[0] == pytest.approx(1.0)


def test_nothing_found_is_zero_and_nothing_to_find_undefined(dataset):
    nothing = make_detections([])
    assert coco_metrics(dataset, nothing).summary["AP"] == 0.0
    empty = make_dataset([], pictures=2)
    metrics = compute_metrics(empty, make_detections([(0, 0, 0, 0, 5, 5, 0.9)]))
    assert all(np.isnan(value) for value in metrics["coco"].values())
    assert np.isnan(metrics["voc12"]["mAP"])
    assert metrics["classes"]["cat"]["instances"] == 0


def test_prints_nothing(dataset, capsys):
    compute_metrics(dataset, truth_as_detections(dataset, ignored=True))
    assert capsys.readouterr() == ("", "")


def test_voc_iou_out_of_range(dataset):
    with pytest.raises(ConfigError, match=r"voc_iou must be in \(0, 1\], got 50"):
        compute_metrics(dataset, make_detections([]), voc_iou=50)


def test_columns_from_detections_of_each_picture():
    def found(count: int) -> Detections:
        boxes = np.tile(np.array([1, 2, 3, 4], np.float32), (count, 1))
        return Detections(boxes, np.full(count, 0.5, np.float32), np.ones(count, np.int32), ("cat", "dog"))

    columns = DetectionColumns.from_detections([found(2), found(0), found(1)])
    np.testing.assert_array_equal(columns.pictures, [0, 0, 2])
    np.testing.assert_array_equal(columns.labels, [1, 1, 1])
    np.testing.assert_array_equal(columns.boxes, [[1, 2, 3, 4]] * 3)
    assert len(DetectionColumns.from_detections([])) == 0


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), *[st.integers(0, 999)] * 4, st.floats(0, 1))))
def test_results_there_and_back(tmp_path_factory, rows):
    dataset = make_dataset([], pictures=2, image_ids=[42, 7], category_ids=(18, 90))
    detections = make_detections([(p, c, x, y, x + w, y + h, round(s, 7)) for p, c, x, y, w, h, s in rows])
    path = tmp_path_factory.mktemp("results") / "results.json"
    path.write_text(json.dumps(to_results(dataset, detections)))
    back = read_results(path, dataset)
    for column in ("pictures", "labels", "scores", "boxes"):
        np.testing.assert_array_equal(getattr(back, column), getattr(detections, column))


def test_results_are_in_the_sources_ids(dataset):
    entries = to_results(dataset, make_detections([(1, 0, 10, 20, 40, 60.5, 0.25)]))
    assert entries == [{"image_id": 7, "category_id": 18, "bbox": [10, 20, 30, 40.5], "score": 0.25}]


GOOD = {"image_id": 7, "category_id": 18, "bbox": [0, 0, 5, 5], "score": 0.5}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 8}, "image_id 8 is not in dataset; give the truth"),
        ({"image_id": "7"}, "image_id '7' is not in dataset"),
        ({"image_id": [7]}, r"image_id \[7\] is not in dataset"),
        ({"category_id": 1}, "category_id 1 is not in dataset"),
        ({"bbox": [0, 0, 5]}, "bbox must be four finite numbers"),
        ({"bbox": [0, 0, 5, float("nan")]}, "bbox must be four finite numbers"),
        ({"bbox": [0, 0, 5, 10**400]}, "bbox must be four finite numbers"),
        ({"bbox": [0, 0, 5, "5"]}, "bbox must be four finite numbers"),
        ({"bbox": None}, "bbox must be four finite numbers"),
        ({"bbox": [0, 0, -5, 5]}, "width and height >= 0"),
        ({"score": float("inf")}, "score must be a finite number"),
        ({"score": None}, "score must be a finite number"),
    ],
)
def test_wrong_entries_are_named(tmp_path, dataset, change, message):
    path = tmp_path / "r.json"
    path.write_text(json.dumps([GOOD, {**GOOD, **change}]))
    with pytest.raises(AnnotationError, match=rf"r\.json: results\[1\]: .*{message}"):
        read_results(path, dataset)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"image_id": 7}]', r"results\[0\]: has no category_id, bbox, score"),
        ("[3]", r"results\[0\]: expected an object, got int"),
        ('[\n{"a": }]', r"r\.json:2: malformed JSON"),
        ("", r"r\.json:1: malformed JSON"),
        ('{"annotations": []}', "expected a COCO results file, a list of detections; got dict"),
        ("[" * 100_000, "not a JSON file"),
    ],
)
def test_wrong_files_are_named(tmp_path, dataset, text, message):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(AnnotationError, match=message):
        read_results(path, dataset)


def test_binary_and_missing_files(tmp_path, dataset):
    (tmp_path / "r.json").write_bytes(b"\xff\xfe\xfa\x00\x80")
    with pytest.raises(AnnotationError, match="not a JSON file"):
        read_results(tmp_path / "r.json", dataset)
    with pytest.raises(AnnotationError, match=r"none\.json: cannot be read \(No such file"):
        read_results(tmp_path / "none.json", dataset)


def test_empty_results_are_no_detections(tmp_path, dataset):
    (tmp_path / "r.json").write_text("[]")
    assert len(read_results(tmp_path / "r.json", dataset)) == 0


def test_official_evaluation(shared):
    folder = shared / "data/cocoeval"
    dataset = coco_file(folder / "instances_val2014_100.json")
    results = read_results(folder / "instances_val2014_fakebbox100_results.json", dataset)
    expected = json.loads((folder / "expected.json").read_text())["bbox"]
    summary = coco_metrics(dataset, results).summary
    assert list(summary.values()) == pytest.approx(expected[:9], abs=5.1e-5)


@pytest.mark.parametrize("ignored", [False, True])
def test_truth_of_a_real_file_is_perfect(shared, ignored):
    dataset = coco_file(shared / "data/coco128/instances.json")
    metrics = compute_metrics(dataset, truth_as_detections(dataset, ignored=ignored))
    assert metrics["coco"]["AP"] == pytest.approx(1.0)
    assert metrics["voc07"]["mAP"] == metrics["voc12"]["mAP"] == 1.0
