"""COCO files with faults of single entries, and pictures that are not as the file says."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import dataset_or_fault, write_picture

from yolo import AnnotationError, load_dataset
from yolo.datasets.annotations import repair
from yolo.datasets.formats import coco_pictures
from yolo.datasets.formats.coco_outlines import bounding_box


def coco(folder: Path, *, count: int = 1, pictures: bool = True, size=(80, 120), **changes) -> Path:
    """Write a file of pictures p0.png, ... each with one box; ``changes``: lists, or parts of first entries."""
    content = {
        "images": [{"id": each, "file_name": f"p{each}.png", "height": 80, "width": 120} for each in range(count)],
        "annotations": [{"image_id": each, "category_id": 1, "bbox": [20, 10, 40, 40]} for each in range(count)],
        "categories": [{"id": 1, "name": "cat"}],
    }
    for key, value in changes.items():
        if isinstance(value, dict):
            content[key][0] |= value
        else:
            content[key] = value
    for entry in content["images"] if pictures else ():
        name = str(entry["file_name"]).replace("\\", "/").rpartition("/")[2]
        write_picture(folder / "images" / name, height=size[0], width=size[1])
    path = folder / "ann.json"
    path.write_text(json.dumps(content))
    return path


BOX = [[20, 10, 60, 50]]
RUNS = {"size": [80, 120], "counts": [20 * 80 + 10, 40, *([40, 40] * 39)]}


@pytest.mark.parametrize(
    "entry",
    [
        {"bbox": ["20", "10", "40", "40.0"]},
        {"image_id": "0"},
        {"image_id": 0.0, "category_id": 1.0},
        {"category_id": "1"},
        {"category_id": " 1 "},
        {"iscrowd": False},
        {"iscrowd": "0"},
        {"area": "1600"},
    ],
)
def test_entries_with_values_of_another_type(tmp_path, caplog, entry):
    dataset = load_dataset(coco(tmp_path, annotations=entry), strict=True)
    assert dataset.boxes.tolist() == BOX
    assert (dataset.ignore.tolist(), dataset.areas.tolist(), dataset.repairs) == ([False], [1600], {})
    assert not caplog.messages


@pytest.mark.parametrize("crowd", [True, 1, 1.0, "1", "true"])
def test_crowds(tmp_path, crowd):
    assert load_dataset(coco(tmp_path, annotations={"iscrowd": crowd})).ignore.tolist() == [True]


@pytest.mark.parametrize("area", ["big", [1, 2], True])
def test_areas_that_are_no_numbers(tmp_path, area):
    dataset = load_dataset(coco(tmp_path, annotations={"area": area}))
    assert (dataset.areas.tolist(), dataset.repairs) == ([1600], {repair.NO_AREA: 1})


@pytest.mark.parametrize(
    "outline",
    [
        [[20, 10, 60, 10, 60, 50]],
        [20, 10, 60, 10, 60, 50, 20, 50],
        [[[20, 10], [60, 50], [20, 50]]],
        [[20, 10, 30, 10, 30, 20], [50, 40, 60, 40, 60, 50]],
        RUNS,
    ],
)
@pytest.mark.parametrize("box", [None, [], [0, 0, 0, 0], [1, 2, 3]])
def test_outlines_without_a_box(tmp_path, outline, box):
    dataset = load_dataset(coco(tmp_path, annotations={"bbox": box, "segmentation": outline}))
    assert (dataset.boxes.tolist(), dataset.repairs) == (BOX, {repair.OUTLINED: 1})


@pytest.mark.parametrize(
    ("outline", "expected"),
    [
        ({"size": [4, 5], "counts": [5, 2]}, (1, 1, 2, 3)),  # column 1, rows 1 and 2
        ({"size": [4, 5], "counts": [3, 2]}, (0, 0, 2, 4)),  # over the end of column 0
        ({"size": [4, 5], "counts": "52"}, (1, 1, 2, 3)),
        ({"size": [4, 5], "counts": [20]}, None),
        ({"size": [4, 5], "counts": []}, None),
        ({"size": [0, 5], "counts": [1, 2]}, None),
        ({"size": [4, 5], "counts": [1, -2]}, None),
        ({"size": [4, 5], "counts": "\x00"}, None),
        ({"size": [4, 5], "counts": "ü"}, None),
        ({"size": [4, 5], "counts": "o" * 1000}, None),
        ({"size": [4, 5]}, None),
        ({"size": [float("inf")], "counts": [1, 2]}, None),
        ([[1, 2]], None),
        ([[1, 2, 3]], None),
        ([[1, 2, float("nan"), 4]], None),
        ([[1, 2, 1, 9]], None),  # without width
        ([], None),
        ("text", None),
        (None, None),
        (5, None),
    ],
)
def test_bounding_boxes_of_outlines(outline, expected):
    assert bounding_box(outline) == expected


def test_one_bad_annotation_is_left_out_and_named(tmp_path, caplog):
    path = coco(
        tmp_path, annotations=[{"image_id": 0, "category_id": 1, "bbox": each} for each in ([1, 2, 3, 4], None)]
    )
    dataset = load_dataset(path)
    reason = f"{path}: annotations[1].bbox: expected 4 numbers, got None"
    assert dataset.left_out == {f"{path}: annotations[1]": reason}
    assert caplog.messages == [f"{path}: annotations: 1 of 2 cannot be used and are left out: {reason}"]
    with pytest.raises(AnnotationError, match=r"annotations\[1\]\.bbox"):
        load_dataset(path, strict=True)


def test_more_than_a_twentieth_of_bad_annotations(tmp_path):
    boxes = [None] * 2 + [[1, 2, 3, 4]] * 30
    path = coco(tmp_path, annotations=[{"image_id": 0, "category_id": 1, "bbox": box} for box in boxes])
    with pytest.raises(
        AnnotationError, match=r"annotations: 2 of 32 cannot be used, and 5% may be left out: .*\[0\].*\[1\]"
    ):
        load_dataset(path)


def test_annotations_of_pictures_that_are_not_listed(tmp_path):
    entry = {"image_id": 0, "category_id": 1, "bbox": [20, 10, 40, 40]}
    path = coco(tmp_path, annotations=[entry, *[entry | {"image_id": 9}] * 5])
    dataset = load_dataset(path)
    assert (dataset.boxes.tolist(), dataset.repairs) == (BOX, {repair.UNKNOWN_PICTURE: 5})
    path = coco(tmp_path, annotations=[entry | {"image_id": 9}])
    with pytest.raises(
        AnnotationError, match=r"annotations\[0\]\.image_id is not among the ids of images, nor is that"
    ):
        load_dataset(path)


def test_corners_in_place_of_sizes_are_noticed(tmp_path):
    path = coco(tmp_path, annotations={"bbox": [20, 10, 60, 50], "area": 1600})
    assert load_dataset(path).repairs == {repair.COCO_CORNERS: 1}
    path = coco(tmp_path, annotations={"bbox": [70, 30, 110, 70]})  # no area, but beyond the picture
    assert load_dataset(path).repairs == {repair.CLIPPED: 1, repair.COCO_CORNERS: 1}
    path = coco(tmp_path, annotations={"area": 900})  # a mask smaller than its box
    assert load_dataset(path).repairs == {}


def test_a_picture_listed_twice(tmp_path):
    record = {"id": 1, "file_name": "a.png", "height": 80, "width": 120}
    box = {"image_id": 1, "category_id": 1, "bbox": [20, 10, 40, 40]}
    dataset = load_dataset(coco(tmp_path, images=[record, record], annotations=[box]))
    assert (len(dataset), dataset.boxes.tolist(), dataset.repairs) == (1, BOX, {repair.LISTED_TWICE: 1})
    other = [box, box | {"image_id": 2, "bbox": [1, 1, 2, 2]}]
    dataset = load_dataset(coco(tmp_path, images=[record, record | {"id": 2}], annotations=other))
    assert (dataset.image_ids, dataset.boxes.tolist()) == ([1], [*BOX, [1, 1, 3, 3]])
    path = coco(tmp_path, images=[record, record | {"file_name": "b.png", "id": "1"}], annotations=[box])
    with pytest.raises(
        AnnotationError, match=r"images\[1\]\.id: '1' is taken already, by 'a\.png'; ids have to differ"
    ):
        load_dataset(path)


def test_categories(tmp_path):
    boxes = [{"image_id": 0, "category_id": each, "bbox": [20, 10, 40, 40]} for each in (2, 1)]
    path = coco(tmp_path, categories=[{"id": 1, "name": "cat"}, {"id": 2, "name": "cat "}], annotations=boxes)
    dataset = load_dataset(path)
    assert (dataset.classes, dataset.category_ids, dataset.labels.tolist()) == (("cat",), (1,), [0, 0])
    assert dataset.repair_places == {repair.MERGED_CATEGORIES: [f"{path}: cat has the ids 1 and 2"]}
    dataset = load_dataset(
        coco(tmp_path, categories=[{"id": 1, "name": 7}, {"id": 2.0, "name": 0.5}], annotations=boxes)
    )
    assert (dataset.classes, dataset.category_ids, dataset.labels.tolist()) == (("7", "0.5"), (1, 2), [1, 0])


@pytest.mark.parametrize("sides", [{"height": "80", "width": "120"}, {"height": -1, "width": -1}, {"height": None}])
def test_sizes_that_are_texts_or_missing(tmp_path, sides):
    assert load_dataset(coco(tmp_path, images=sides)).sizes.tolist() == [[80, 120]]


def test_pictures_resized_after_annotating(tmp_path):
    dataset = load_dataset(coco(tmp_path, size=(40, 60), annotations={"area": 800}))
    assert (dataset.boxes.tolist(), dataset.sizes.tolist(), dataset.areas.tolist()) == (
        [[10, 5, 30, 25]],
        [[40, 60]],
        [200],
    )
    assert dataset.repairs == {repair.RESIZED: 1}
    dataset = load_dataset(coco(tmp_path, size=(70, 120)))
    assert (dataset.boxes.tolist(), dataset.sizes.tolist()) == (BOX, [[70, 120]])
    assert dataset.repairs == {repair.OTHER_SHAPE: 1}
    assert load_dataset(tmp_path / "ann.json", need_images=False).sizes.tolist() == [[80, 120]]


def test_headers_of_many_pictures_are_sampled(tmp_path, monkeypatch):
    monkeypatch.setattr(coco_pictures, "ALL_HEADERS", 5)
    monkeypatch.setattr(coco_pictures, "SAMPLE", 3)
    path = coco(tmp_path, count=9)
    write_picture(tmp_path / "images" / "p1.png", height=40, width=60)  # between those of the sample: 0, 4, 8
    assert load_dataset(path).repairs == {}
    write_picture(tmp_path / "images" / "p4.png", height=40, width=60)
    assert load_dataset(path).repairs == {repair.RESIZED: 2}


def test_missing_pictures(tmp_path, caplog):
    path = coco(tmp_path, count=30)
    (tmp_path / "images" / "p7.png").unlink()
    dataset = load_dataset(path)
    assert (len(dataset), len(dataset.boxes)) == (29, 29)
    assert dataset.left_out == {f"{path}: images[7]": f"{path}: images[7]: there is no picture 'p7.png'"}
    assert "pictures: 1 of 30 cannot be used and are left out" in caplog.text
    assert len(load_dataset(path, need_images=False)) == 30
    with pytest.raises(AnnotationError, match=r"images\[7\]: there is no picture 'p7\.png'"):
        load_dataset(path, strict=True)
    (tmp_path / "images" / "p8.png").unlink()
    with pytest.raises(AnnotationError, match=r"pictures: 2 of 30 cannot be used, and 5% may be left out: .*p7.*p8"):
        load_dataset(path)
    assert len(load_dataset(path, need_images=False)) == 30


def test_nothing_is_read_where_there_are_neither_pictures_nor_sizes(tmp_path):
    path = coco(tmp_path, images={"height": None}, pictures=False)
    with pytest.raises(
        AnnotationError, match=r"none of its 1 pictures is found.*\(--images DIR\), as the file has no h"
    ):
        load_dataset(path, need_images=False)


def test_faults_are_counted_in_one_message_each(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    entries = [{"image_id": each, "category_id": 1, "bbox": [20, 10, 40, 40]} for each in [0] * 40 + [9, 9]]
    load_dataset(coco(tmp_path, annotations=[*entries, None]))
    assert len(caplog.messages) == 2


NUMBERS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4))
VALUES = st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=5), max_leaves=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(st.one_of(VALUES, st.fixed_dictionaries({"size": VALUES, "counts": st.one_of(VALUES, st.text(max_size=20))})))
def test_whatever_an_outline_is_there_is_a_box_or_our_error(tmp_path, outline):
    entries = {"bbox": None, "segmentation": outline}
    found = dataset_or_fault(coco(tmp_path, pictures=False, annotations=entries))
    assert isinstance(found, AnnotationError) or len(found.boxes) <= 1
