"""The COCO reader on crooked files."""

from __future__ import annotations

import copy
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import dataset_or_fault, write_picture

from yolo import AnnotationError, YoloError, load_dataset
from yolo.datasets.annotations import repair
from yolo.datasets.load import available_splits

SMALL = {
    "images": [
        {"id": 700, "file_name": "b.jpg", "height": 100, "width": 200},
        {"id": 5, "file_name": "a.jpg", "height": 300, "width": 400},
        {"id": 6, "file_name": "ü.png", "height": 50, "width": 60},
    ],
    "annotations": [
        {"id": 1, "image_id": 6, "category_id": 90, "bbox": [1, 2, 3, 4], "area": 7.5, "iscrowd": 0},
        {"id": 2, "image_id": 700, "category_id": 3, "bbox": [10.5, 20, 30, 40], "iscrowd": 1},
        {"id": 3, "image_id": 6, "category_id": 3, "bbox": [5, 6, 7, 8], "area": None},
    ],
    "categories": [{"id": 90, "name": "toothbrush "}, {"id": 3, "name": "car"}, {"id": 17, "name": "cat"}],
}


def write(folder: Path, content=SMALL, name="instances.json") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def write_pictures(folder: Path, content=SMALL) -> Path:
    """The pictures of a file, of the sizes that it has."""
    for entry in content["images"]:
        write_picture(folder / entry["file_name"], height=entry.get("height") or 20, width=entry.get("width") or 30)
    return folder


def changed(*keys, value):
    """`SMALL` with another value at a place; ``...`` removes it."""
    content = copy.deepcopy(SMALL)
    entry = content
    for key in keys[:-1]:
        entry = entry[key]
    if value is ...:
        del entry[keys[-1]]
    else:
        entry[keys[-1]] = value
    return content


def test_small_file(tmp_path):
    dataset = load_dataset(write(tmp_path))
    assert dataset.name == "instances"
    assert dataset.classes == ("car", "cat", "toothbrush")
    assert dataset.category_ids == (3, 17, 90)
    assert dataset.image_ids == [700, 5, 6]  # in the file's order
    assert dataset.files == ["b.jpg", "a.jpg", "ü.png"]
    assert dataset.sizes.tolist() == [[100, 200], [300, 400], [50, 60]]
    assert dataset.box_counts.tolist() == [1, 0, 2]
    assert dataset.boxes.tolist() == [[10.5, 20, 40.5, 60], [1, 2, 4, 6], [5, 6, 12, 14]]
    assert dataset.labels.tolist() == [0, 2, 0]
    assert dataset.ignore.tolist() == [True, False, False]
    assert dataset.areas.tolist() == [1200, 7.5, 56]
    assert dataset.repairs == {}
    assert available_splits(tmp_path / "instances.json") == ()


def test_columns_keep_their_types(tmp_path):
    dataset = load_dataset(write(tmp_path))
    columns = (dataset.sizes, dataset.offsets, dataset.boxes, dataset.labels, dataset.ignore, dataset.areas)
    assert [column.dtype for column in columns] == ["int32", "int64", "float32", "int32", "bool", "float32"]
    assert all(type(each) is int for each in dataset.image_ids + list(dataset.category_ids))


def test_no_annotations_at_all(tmp_path):
    dataset = load_dataset(write(tmp_path, changed("annotations", value=[])))
    assert (len(dataset), dataset.boxes.shape) == (3, (0, 4))


@pytest.mark.parametrize(
    ("box", "expected", "fault"),
    [
        ([1, 2, 100, 4], [1, 2, 60, 6], repair.CLIPPED),
        ([-0.5, 2, 10, 4], [0, 2, 9.5, 6], repair.ROUNDED),
        ([10, 2, -4, 4], [6, 2, 10, 6], repair.INVERTED),
        ([1, 2, 0, 4], None, repair.EMPTY),
        ([60, 2, 3, 4], None, repair.OUTSIDE),
        ([1, float("nan"), 3, 4], None, repair.NOT_FINITE),
        ([1.7e308, 2, 1.7e308, 4], None, repair.NOT_FINITE),
    ],
)
def test_broken_boxes(tmp_path, caplog, box, expected, fault):
    path = write(tmp_path, changed("annotations", 0, "bbox", value=box))
    with caplog.at_level(logging.INFO, "yolo"):
        dataset = load_dataset(path)
    assert dataset[2].boxes.tolist() == ([expected] if expected else []) + [[5, 6, 12, 14]]
    assert dataset.repairs == {fault: 1}
    assert f"{fault}: 1 ({path}: annotations[0])" in caplog.text


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("images",), ..., 'not a COCO dataset: it has no list "images"'),
        (("annotations",), {}, 'not a COCO dataset: it has no list "annotations"'),
        (("categories",), [], "its list of categories is empty"),
        (("images",), [], "its list of images is empty"),
        (("images", 1), 5, r"images\[1\]: expected an object, got 5"),
        (("images", 1, "id"), ..., r"images\[1\]\.id: expected a number or a text, got None"),
        (("images", 1, "id"), [5], r"images\[1\]\.id: expected a number or a text, got \[5\]"),
        (("images", 1, "id"), 700, r"images\[1\]\.id: 700 is taken already"),
        (("images", 1, "file_name"), ..., r"images\[1\]\.file_name: expected a name, got None"),
        (("images", 1, "file_name"), "a\0b", r"images\[1\]\.file_name: expected a name"),
        *(
            (
                ("images", 1, "height"),
                value,
                r"images\[1\]: it has no height and width, and there is no picture 'a.jpg'",
            )
            for value in ("tall", 2**31, float("inf"), float("nan"), 10**400, ..., 0, -1, None)
        ),
        (("categories", 1, "name"), ..., r"categories\[1\]\.name: expected a name, got None"),
        (("categories", 1, "id"), 90, r"categories\[1\]\.id: 90 is taken already"),
        (("categories", 1, "id"), 2.5, r"categories\[1\]\.id: expected a number or a text, got 2\.5"),
        (("annotations", 2), None, r"annotations\[2\]: expected an object, got None"),
        (
            ("annotations", 2, "image_id"),
            7,
            r"annotations\[2\]\.image_id: 7 is not among the ids of images",
        ),
        (("annotations", 2, "image_id"), "7", r"annotations\[2\]\.image_id: '7' is not among"),
        (("annotations", 2, "image_id"), 6.5, r"annotations\[2\]\.image_id: 6.5 is not among"),
        (("annotations", 2, "image_id"), ..., r"annotations\[2\]\.image_id: None is not among"),
        (("annotations", 2, "image_id"), [6], r"annotations\[2\]\.image_id: \[6\] is not among"),
        (
            ("annotations", 2, "category_id"),
            4,
            r"annotations\[2\]\.category_id: 4 is not among the ids of cat",
        ),
        (("annotations", 2, "bbox"), ..., r"annotations\[2\]\.bbox: expected 4 numbers, got None"),
        (
            ("annotations", 2, "bbox"),
            [1, 2, 3],
            r"annotations\[2\]\.bbox: expected 4 numbers, got \[1, 2, 3\]",
        ),
        (("annotations", 2, "bbox"), "1234", r"annotations\[2\]\.bbox: expected 4 numbers, got '1234'"),
        (
            ("annotations", 2, "bbox"),
            [1, 2, 3, 4, 5],
            r"annotations\[2\]\.bbox: expected 4 numbers, got \[1, 2, 3, 4, 5\]",
        ),
        (("annotations", 2, "bbox"), [1, 2, 3, "four"], r"annotations\[2\]\.bbox: expected 4 numbers"),
        (("annotations", 2, "bbox"), [], r"annotations\[2\]\.bbox: expected 4 numbers, got \[\]"),
        (("annotations", 2, "bbox"), [1, 2, 3, None], r"annotations\[2\]\.bbox: expected 4 numbers"),
        (("annotations", 2, "bbox"), [1, 2, 3, 10**400], r"annotations\[2\]\.bbox: expected 4 numbers"),
    ],
)
def test_faults_are_named_with_their_place(tmp_path, keys, value, message):
    path = write(tmp_path, changed(*keys, value=value))
    with pytest.raises(AnnotationError, match=message) as caught:
        load_dataset(path, strict=True)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [\n  {"id": 1,}', r"instances\.json:2:12: not valid JSON"),
        ("", r"instances\.json:1:1: not valid JSON"),
        ("[" * 100_000, r"instances\.json: not valid JSON"),
        ('{"images": ' + "9" * 5000 + "}", r"instances\.json: not valid JSON"),
        ("[]", r"not a COCO dataset: it has no list .images. \(a results file goes to --detections\)"),
    ],
)
def test_files_that_are_no_json(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=message):
        load_dataset(write(tmp_path, text))


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "instances.json"
    path.write_bytes(b'{"images": "\xff"}')
    with pytest.raises(AnnotationError, match=r"instances\.json: not valid JSON"):
        load_dataset(path)


def test_annotations_that_share_an_id_are_kept_and_counted(tmp_path, caplog):
    path = write(tmp_path, changed("annotations", 2, "id", value=1))
    dataset = load_dataset(path)
    assert len(dataset.boxes) == 3
    assert dataset.repairs == {repair.SHARED_ID: 1}
    assert f"{path}: annotations[2]" in caplog.text


def test_sizes_from_the_pictures_where_the_file_has_none(tmp_path):
    write_pictures(tmp_path)
    write_picture(tmp_path / "a.jpg", height=30, width=20, orientation=6)
    path = write(tmp_path, changed("images", 1, "height", value=None))
    assert load_dataset(path).sizes.tolist() == [[100, 200], [20, 30], [50, 60]]


def test_text_ids(tmp_path):
    content = changed("images", 1, "id", value="five")
    content["categories"][1]["id"] = content["annotations"][1]["category_id"] = "x"
    content["annotations"][2]["category_id"] = "x"
    dataset = load_dataset(write(tmp_path, content))
    assert dataset.image_ids == [700, "five", 6]
    assert dataset.category_ids == (17, 90, "x")
    assert dataset.classes == ("cat", "toothbrush", "car")
    assert dataset.labels.tolist() == [2, 1, 2]


def test_a_parent_category_of_the_same_name_is_left_out(tmp_path):
    dataset = load_dataset(write(tmp_path, changed("categories", 2, "name", value="car")))
    assert (dataset.classes, dataset.category_ids) == (("car", "toothbrush"), (3, 90))


def test_two_classes_of_one_name(tmp_path):
    dataset = load_dataset(write(tmp_path, changed("categories", 0, "name", value="car")))
    assert (dataset.classes, dataset.labels.tolist()) == (("car", "cat"), [0, 0, 0])


def test_classes_in_another_order(tmp_path):
    dataset = load_dataset(write(tmp_path), classes=["toothbrush", "fox", "car"])
    assert dataset.category_ids == (90, 91, 3)
    assert dataset.labels.tolist() == [2, 0, 2]
    with pytest.raises(AnnotationError, match=r"annotations\[0\]: class 'toothbrush' is not in the list \(car"):
        load_dataset(tmp_path / "instances.json", classes=["car", "cat"])


@pytest.mark.parametrize(
    ("json_name", "pictures"),
    [
        ("instances.json", "."),
        ("instances.json", "images"),
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/instances_val2017.json", "images/val2017"),
        ("annotations/anything.json", "images"),
        ("instances_val.json", "val"),
    ],
)
def test_pictures_are_found_near_the_file(tmp_path, json_name, pictures):
    path = write(tmp_path, name=json_name)
    (tmp_path / "images").mkdir(exist_ok=True)
    write_pictures(tmp_path / pictures)
    assert load_dataset(path).path(1).samefile(tmp_path / pictures / "a.jpg")


def test_pictures_need_not_be_there_but_it_is_said(tmp_path, caplog):
    path = write(tmp_path)
    assert load_dataset(path).folder == tmp_path
    assert caplog.messages == [
        f"{path}: none of its 3 pictures is found, such as 'b.jpg'; looked in {tmp_path}; "
        "name their folder (--images DIR)"
    ]
    caplog.clear()
    load_dataset(path, need_images=False)
    assert not caplog.messages


def test_pictures_elsewhere(tmp_path):
    dataset = load_dataset(write(tmp_path / "here"), images=write_pictures(tmp_path / "there"))
    assert dataset.path(1) == tmp_path / "there" / "a.jpg"
    with pytest.raises(AnnotationError, match="nowhere: there is no such folder of pictures"):
        load_dataset(tmp_path / "here" / "instances.json", images=tmp_path / "nowhere")


def test_names_that_are_too_long_or_no_unicode(tmp_path):
    content = changed("images", 0, "file_name", value="x" * 5000)
    content["images"][1]["file_name"] = "\ud800"
    dataset = load_dataset(write(tmp_path, content))
    assert dataset.files[:2] == ["x" * 5000, "\ud800"]
    assert dataset.fingerprint


def test_folder_of_coco(tmp_path):
    for year in ("train2017", "val2017"):
        write(tmp_path, name=f"annotations/instances_{year}.json")
        write_pictures(tmp_path / year)
    assert available_splits(tmp_path) == ("train2017", "val2017", "train", "val")
    dataset = load_dataset(tmp_path, "val")
    assert (dataset.split, dataset.folder.name, len(dataset)) == ("val", "val2017", 3)
    whole = load_dataset(tmp_path)
    assert (len(whole), whole.category_ids, whole.box_counts.tolist()) == (6, (3, 17, 90), [1, 0, 2] * 2)
    assert all(sample.path.is_file() for sample in whole)


def test_folder_of_coco_with_two_years(tmp_path):
    for year in ("train2014", "train2017"):
        write(tmp_path, name=f"annotations/instances_{year}.json")
    assert available_splits(tmp_path) == ("train2014", "train2017")


def test_folder_of_roboflow(tmp_path):
    for split in ("train", "valid"):
        write(tmp_path, name=f"{split}/_annotations.coco.json")
        write_pictures(tmp_path / split)
    assert available_splits(tmp_path) == ("train", "valid")
    assert load_dataset(tmp_path, "train").category_ids == (3, 17, 90)
    assert load_dataset(tmp_path, "valid")[0].path.is_file()


def test_a_single_file_has_no_splits(tmp_path):
    with pytest.raises(AnnotationError, match="there is no split 'train'; it is not divided into splits"):
        load_dataset(write(tmp_path), "train")


def test_garbage_collection_goes_on_afterwards(tmp_path):
    import gc

    load_dataset(write(tmp_path))
    assert gc.isenabled()
    with pytest.raises(AnnotationError):
        load_dataset(write(tmp_path, "{"))
    assert gc.isenabled()


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([1, 2, 3, 4]))
KEYS = (
    *((table,) for table in SMALL),
    *((table, 0) for table in SMALL),
    *((table, index, key) for table, rows in SMALL.items() for index in (0, 1) for key in rows[index]),
    *(("annotations", 0, "bbox", side) for side in range(4)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(
    st.one_of(
        st.builds(
            lambda keys, value: json.dumps(changed(*keys, value=value)).encode(),
            st.sampled_from(KEYS),
            st.one_of(LEAVES, st.lists(LEAVES, max_size=4), st.dictionaries(st.text(max_size=3), LEAVES)),
        ),
        st.binary(max_size=100),
        st.builds(
            lambda cut, paste: json.dumps(SMALL).encode()[:cut] + paste,
            st.integers(0, 700),
            st.binary(max_size=5),
        ),
    )
)
def test_whatever_a_file_holds_the_reader_gives_boxes_or_our_error(tmp_path, content):
    path = tmp_path / "instances.json"
    path.write_bytes(content)
    dataset = dataset_or_fault(path)
    if isinstance(dataset, YoloError):
        assert "instances.json" in str(dataset)
    else:
        edges = dataset.sizes[dataset.box_pictures][:, ::-1]
        assert (dataset.boxes[:, :2] >= 0).all()
        assert (dataset.boxes[:, :2] < dataset.boxes[:, 2:]).all()
        assert (dataset.boxes[:, 2:] <= edges).all()
        assert np.isfinite(dataset.areas).all()


def test_coco128(shared):
    dataset = load_dataset(shared / "data" / "coco128" / "instances.json")
    assert (len(dataset), len(dataset.boxes), int(dataset.ignore.sum())) == (128, 939, 10)
    assert dataset.classes == tuple((Path(__file__).parents[3] / "data" / "coco.names").read_text().splitlines())
    assert (dataset.category_ids[0], dataset.category_ids[-1], len(dataset.category_ids)) == (1, 90, 80)
    assert dataset.repairs == {}
    assert all(sample.path.is_file() for sample in dataset)


def test_coco128_against_pycocotools(shared):
    from pycocotools.coco import COCO

    path = shared / "data" / "coco128" / "instances.json"
    dataset, reference = load_dataset(path), COCO(path)
    for sample in dataset:
        entries = reference.loadAnns(reference.getAnnIds(imgIds=[sample.image_id]))
        boxes = np.array([entry["bbox"] for entry in entries], np.float64).reshape(-1, 4)
        np.testing.assert_allclose(sample.boxes[:, :2], boxes[:, :2], atol=1e-4)
        np.testing.assert_allclose(sample.boxes[:, 2:], boxes[:, :2] + boxes[:, 2:], atol=2e-3)
        assert [dataset.category_ids[label] for label in sample.labels] == [entry["category_id"] for entry in entries]
        assert sample.ignore.tolist() == [bool(entry["iscrowd"]) for entry in entries]
