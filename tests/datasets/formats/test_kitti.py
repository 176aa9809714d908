"""The reader of KITTI's labels: layouts, lists of splits, regions to ignore, and faults."""

from __future__ import annotations

import pytest
from damage import damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import dataset_or_fault, write_picture

from yolo import AnnotationError, load_dataset
from yolo.datasets.load import available_splits, recognise

REST = "1.89 0.48 1.20 1.84 1.47 8.41 0.01"
CAR = f"Car 0.00 0 -0.20 10.50 20.00 30.25 40.00 {REST}\n"
WALKER = f"Pedestrian 0.00 0 -0.20 100 10 120 60 {REST}\n"
DONTCARE = "DontCare -1 -1 -10 150.00 5.00 180.00 25.00 -1 -1 -1 -1000 -1000 -1000 -10\n"


def write_labels(folder, texts, labels="label_2", pictures="image_2"):
    (folder / labels).mkdir(parents=True, exist_ok=True)
    for stem, text in texts.items():
        (folder / labels / f"{stem}.txt").write_text(text, encoding="utf-8")
        write_picture(folder / pictures / f"{stem}.png")
    return folder


def test_kittis_own_layout(tmp_path):
    """Only ``image_2`` belongs to the labels: the right camera and the test images have the same names."""
    write_labels(
        tmp_path / "training", {"000000": CAR + WALKER + DONTCARE + CAR.replace("10.50", "11.50"), "000001": ""}
    )
    for folder in ("training/image_3", "testing/image_2"):
        write_picture(tmp_path / folder / "000000.png", height=10, width=10)
    dataset = load_dataset(tmp_path)
    assert recognise(tmp_path).format == "KITTI"
    assert dataset.classes == ("Car", "Pedestrian")
    assert dataset.files == ["training/image_2/000000.png", "training/image_2/000001.png"]
    assert dataset.boxes.tolist() == [
        [10.5, 20, 30.25, 40],
        [100, 10, 120, 60],
        [150, 5, 180, 25],
        [11.5, 20, 30.25, 40],
    ]
    assert dataset.labels.tolist() == [0, 1, 0, 0]  # the region is the commonest class's
    assert dataset.ignore.tolist() == [False, False, True, False]
    assert dataset.repairs == {"regions and objects of no class, ignored": 1}
    assert [*dataset.repair_places.values()] == [[f"{tmp_path}/training/label_2/000000.txt:3"]]
    assert dataset.box_counts.tolist() == [4, 0]


@pytest.mark.parametrize(
    ("labels", "pictures"),
    [
        ("label_2", "image_2"),
        ("labels", "images"),  # NVIDIA's TAO
        ("data_object_label_2/training/label_2", "data_object_image_2/training/image_2"),
        ("training/label_2", "training/image_2"),
        ("set/training/label_2", "set/training/image_2"),
        ("train/labels", "train/images"),
        (".", "."),
    ],
)
def test_layouts(tmp_path, labels, pictures):
    write_labels(tmp_path, {"a": CAR}, labels, pictures)
    dataset = load_dataset(tmp_path)
    assert dataset.boxes.tolist() == [[10.5, 20, 30.25, 40]]
    assert dataset.path(0) == tmp_path / pictures / "a.png"


def test_the_folder_of_labels_itself(tmp_path):
    write_labels(tmp_path, {"a": CAR})
    assert load_dataset(tmp_path / "label_2").path(0) == tmp_path / "image_2" / "a.png"


def test_lists_of_splits(tmp_path):
    write_labels(tmp_path / "training", {"000000": CAR, "000001": WALKER})
    (tmp_path / "ImageSets").mkdir()
    for name, stem in (("train", "000000"), ("val", "000001"), ("test", "000002")):  # no labels of test
        (tmp_path / "ImageSets" / f"{name}.txt").write_text(f"{stem}\n")
    assert available_splits(tmp_path) == ("train", "val")
    assert load_dataset(tmp_path, "val").files == ["training/image_2/000001.png"]
    assert load_dataset(tmp_path, "val").classes == ("Car", "Pedestrian")


def test_names_with_blanks_and_results_with_a_score(tmp_path):
    write_labels(tmp_path, {"a": CAR.replace("Car", "traffic light").rstrip() + " 0.9\n"})
    dataset = load_dataset(tmp_path)
    assert (dataset.classes, dataset.boxes.tolist()) == (("traffic light",), [[10.5, 20, 30.25, 40]])


def test_a_name_in_quotes(tmp_path):
    write_labels(tmp_path, {"a": CAR.replace("Car", '"traffic light"')})
    assert load_dataset(tmp_path).classes == ("traffic light",)


def test_regions_alone(tmp_path):
    write_labels(tmp_path, {"a": DONTCARE, "b": DONTCARE})
    with pytest.raises(AnnotationError, match="no annotation file has an object, and there is no list of classes"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Car 0 0\n", "expected a class and 14 numbers, got 'Car 0 0'"),
        ("0 0.5 0.5 0.1 0.1\n", "expected a class and 14 numbers, got '0 0.5 0.5 0.1 0.1'"),
        (CAR.replace("10.50", "x"), r"expected left, top, right, bottom (could not convert string to float: 'x')"),
    ],
)
def test_lines_that_cannot_be_used_are_left_out(tmp_path, line, reason):
    write_labels(tmp_path, {"a": CAR + line, "b": CAR})
    place = f"{tmp_path}/label_2/a.txt:2"
    dataset = load_dataset(tmp_path)
    assert (len(dataset.boxes), dataset.left_out) == (2, {place: f"{place}: {reason}"})
    with pytest.raises(AnnotationError) as caught:
        load_dataset(tmp_path, strict=True)
    assert str(caught.value) == f"{place}: {reason}"


def test_a_label_file_that_is_no_text_is_left_out(tmp_path):
    write_labels(tmp_path, {"a": CAR, "b": ""})
    (tmp_path / "label_2" / "b.txt").write_bytes(b"Car \xff\xfe")
    dataset = load_dataset(tmp_path)
    assert dataset.files == ["image_2/a.png"]
    assert list(dataset.left_out) == [f"{tmp_path}/label_2/b.txt"]


def test_pictures_elsewhere(tmp_path):
    write_labels(tmp_path / "set", {"a": CAR})
    (tmp_path / "set" / "image_2").rename(tmp_path / "elsewhere")
    assert load_dataset(tmp_path / "set", images=tmp_path / "elsewhere").path(0) == tmp_path / "elsewhere" / "a.png"
    with pytest.raises(AnnotationError, match="nowhere: there is no such folder of pictures"):
        load_dataset(tmp_path / "set", images=tmp_path / "nowhere")
    with pytest.raises(AnnotationError, match=r"none of its 1 pictures is found, such as 'a', in .*--images DIR"):
        load_dataset(tmp_path / "set")


def test_yolo_labels_are_not_kittis(tmp_path):
    write_labels(tmp_path, {"a": "0 0.5 0.5 0.2 0.2\n"}, "labels", "images")
    (tmp_path / "data.yaml").write_text("train: images\nnames: [cat]\n")
    assert recognise(tmp_path).format == "YOLO txt"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_gives_a_dataset_or_an_error(tmp_path, data):
    write_labels(tmp_path, {} if (tmp_path / "label_2").exists() else {"a": CAR, "b": CAR})
    (tmp_path / "label_2" / "a.txt").write_bytes(damaged(data, (CAR + DONTCARE + WALKER).encode()))
    dataset_or_fault(tmp_path)
