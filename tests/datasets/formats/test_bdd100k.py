"""BDD100K: boxes and outlines of its two forms, its folders, and what is left out."""

import pytest
from format_examples import BDD100K, BDD100K_LABEL, objects_of, write
from pictures import write_picture

from yolo import load_dataset
from yolo.datasets.load import available_splits
from yolo.errors import AnnotationError

BOX = [20, 10, 60, 50]
LANE = {"category": "lane/crosswalk", "poly2d": [{"vertices": [[20, 30], [40, 10], [60, 50]], "types": "LLL"}]}
DROPPED = "labels without a box beside others that have one, dropped"


def frame(*labels, name="a.jpg"):
    return {**BDD100K[0], "name": name, "labels": list(labels)}


def load_one(tmp_path, content):
    write_picture(tmp_path / "a.jpg")
    return load_dataset(write(tmp_path / "det.json", content))


def test_lanes_and_areas_beside_boxes_are_no_objects(tmp_path):
    dataset = load_one(tmp_path, [frame(BDD100K_LABEL, LANE)])
    assert objects_of(dataset) == [("a.jpg", "cat", BOX)]
    assert dataset.repairs == {DROPPED: 1}


def test_outlines_alone_are_bounded(tmp_path):
    dataset = load_one(tmp_path, {"frames": [frame(LANE)], "config": {"categories": []}})
    assert objects_of(dataset) == [("a.jpg", "lane/crosswalk", BOX)]
    assert dataset.repairs == {"objects with an outline but no box, bounded": 1}


def test_crowds_and_pictures_without_labels(tmp_path):
    write_picture(tmp_path / "b.jpg")
    crowd = {**BDD100K_LABEL, "attributes": {"crowd": True}}
    dataset = load_one(tmp_path, [frame(crowd), {"name": "b.jpg", "labels": None}])
    assert [(len(sample.boxes), sample.ignore.tolist()) for sample in dataset] == [(1, [True]), (0, [])]


def test_the_folders_of_the_release(tmp_path):
    for split in ("train", "val"):
        write_picture(tmp_path / "images" / "100k" / split / "a.jpg")
        write(tmp_path / "labels" / "det_20" / f"det_{split}.json", BDD100K)
    assert available_splits(tmp_path) == ("train", "val")
    dataset = load_dataset(tmp_path, "val")
    assert dataset.files == ["images/100k/val/a.jpg"]
    assert objects_of(dataset) == [("a.jpg", "cat", BOX)]


def test_a_file_for_each_picture(tmp_path):
    for split in ("train", "val"):
        write_picture(tmp_path / "images" / "100k" / split / "a.jpg")
        single = {"name": "a", "frames": [{"timestamp": 10000, "objects": [BDD100K_LABEL, LANE]}], "attributes": {}}
        write(tmp_path / "labels" / "100k" / split / "a.json", single)
    assert available_splits(tmp_path) == ("train", "val")
    assert objects_of(load_dataset(tmp_path, "train")) == [("a.jpg", "cat", BOX)]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (7, "[20]: expected a frame with name and labels, got 7"),
        (frame(7, name="p0.jpg"), "[20]: labels[0]: expected box2d with x1, y1, x2 and y2, got 7"),
        (
            frame({"category": "cat", "box2d": {"x1": 1}}, name="p0.jpg"),
            "[20]: labels[0]: expected box2d with x1, y1, x2 and y2, got {'category': 'cat', 'box2d': {'x1': 1}}",
        ),
        (frame(name="lost.jpg"), "[20]: there is no picture 'lost.jpg'"),
    ],
)
def test_one_broken_frame_is_left_out_and_named(tmp_path, broken, reason):
    for index in range(20):
        write_picture(tmp_path / f"p{index}.jpg")
    frames = [frame(BDD100K_LABEL, name=f"p{index}.jpg") for index in range(20)]
    file = write(tmp_path / "det.json", [*frames, broken])
    dataset = load_dataset(tmp_path)
    assert len(dataset.boxes) == 20
    assert list(dataset.left_out.values()) == [f"{file}: {reason}"]
    with pytest.raises(AnnotationError) as caught:
        load_dataset(tmp_path, strict=True)
    assert str(caught.value) == f"{file}: {reason}"
