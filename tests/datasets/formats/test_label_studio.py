"""Label Studio: regions in percent, rotated ones, its forms of results, names of images, and what is left out."""

import copy

import pytest
from format_examples import LABEL_STUDIO, LABEL_STUDIO_SIZE, LABEL_STUDIO_VALUE, objects_of, write
from pictures import write_picture

from yolo import load_dataset
from yolo.datasets.annotations.repair import NOT_LABELLED
from yolo.errors import AnnotationError

OUTLINED = "objects with an outline but no box, bounded"
NO_BOX = "points, lines and painted masks, which give no box, dropped"
RECTANGLE = {"x": 10.0, "y": 10.0, "width": 20.0, "height": 40.0, "rotation": 0}
BOX = [20, 10, 60, 50]


def region(value=None, kind="rectanglelabels", **more):
    found = LABEL_STUDIO_VALUE if value is None else value
    return {**LABEL_STUDIO_SIZE, "image_rotation": 0, "value": found, "id": "x", "type": kind, **more}


def task(*regions, image="a.jpg", **more):
    return {"id": 1, "data": {"image": image}, "annotations": [{"result": list(regions)}], "predictions": [], **more}


def load_one(tmp_path, *tasks):
    if not (tmp_path / "a.jpg").exists():
        write_picture(tmp_path / "a.jpg")
    return load_dataset(write(tmp_path / "export.json", list(tasks)))


@pytest.mark.parametrize(
    ("kind", "value", "box"),
    [
        ("polygon", {"points": [[10, 30], [20, 10], [30, 50]]}, BOX),
        ("ellipse", {"x": 20, "y": 30, "radiusX": 10, "radiusY": 20, "rotation": 0}, BOX),
        ("ellipse", {"x": 20, "y": 30, "radiusX": 10, "radiusY": 10, "rotation": 90}, [30, 10, 50, 50]),
    ],
)
def test_outlines(tmp_path, kind, value, box):
    found = region({**value, "closed": True, f"{kind}labels": ["cat"]}, f"{kind}labels")
    dataset = load_one(tmp_path, task(found))
    assert objects_of(dataset) == [("a.jpg", "cat", box)]
    assert dataset.repairs == {OUTLINED: 1}


def test_a_rectangle_turned_about_its_first_corner(tmp_path):
    """By 90 degrees clockwise, 40 x 20 px at (60, 10) lie to the left and below that corner."""
    value = {"x": 30.0, "y": 10.0, "width": 20.0, "height": 20.0, "rotation": 90, "rectanglelabels": ["cat"]}
    assert objects_of(load_one(tmp_path, task(region(value)))) == [("a.jpg", "cat", [40, 10, 60, 50])]


def test_percent_of_a_picture_that_has_another_size_now(tmp_path):
    write_picture(tmp_path / "a.jpg", height=50, width=100)
    dataset = load_one(tmp_path, task(region()))
    assert objects_of(dataset) == [("a.jpg", "cat", [10, 5, 30, 25])]


def test_labels_beside_a_rectangle(tmp_path):
    """<Rectangle> with <Labels> gives two entries of one id, and choices of the region a third."""
    dataset = load_one(
        tmp_path,
        task(
            region(RECTANGLE, "rectangle"),
            region({**RECTANGLE, "labels": ["cat"]}, "labels"),
            region({**RECTANGLE, "choices": ["wet"]}, "choices"),
            {"type": "relation", "from_id": "x", "to_id": "y", "direction": "right"},
            {"type": "choices", "value": {"choices": ["indoors"]}, "id": "z"},
        ),
    )
    assert objects_of(dataset) == [("a.jpg", "cat", BOX)]
    assert dataset.repairs == {}


def test_brushes_points_and_regions_without_labels_are_counted(tmp_path):
    dataset = load_one(
        tmp_path,
        task(
            region(),
            region({"format": "rle", "rle": [0, 1], "brushlabels": ["cat"]}, "brushlabels"),
            region({"x": 3, "y": 4, "width": 0.5, "keypointlabels": ["eye"]}, "keypointlabels"),
            region({**RECTANGLE, "width": 5}, "rectanglelabels", id="y"),
        ),
    )
    assert objects_of(dataset) == [("a.jpg", "cat", BOX)]
    assert dataset.repairs == {NO_BOX: 2, "objects without a class, dropped": 1}


def test_the_first_annotation_that_was_not_cancelled(tmp_path):
    found = task(image="a.jpg")
    dog = region({**LABEL_STUDIO_VALUE, "rectanglelabels": ["dog"]})
    found["annotations"] = [
        {"result": [region()], "was_cancelled": True},
        {"result": [dog], "was_cancelled": False},
        {"result": [region()]},
    ]
    found["predictions"] = [{"result": [region()]}]
    assert load_one(tmp_path, found).classes == ("dog",)


def test_tasks_that_nobody_has_annotated_are_no_background(tmp_path):
    write_picture(tmp_path / "b.jpg")
    write_picture(tmp_path / "c.jpg")
    predicted = task(image="b.jpg", annotations=[], predictions=[{"result": [region()]}])
    dataset = load_one(tmp_path, task(region()), predicted, task(image="c.jpg"))
    assert [(sample.path.name, len(sample.boxes)) for sample in dataset] == [("a.jpg", 1), ("c.jpg", 0)]
    assert dataset.repairs == {NOT_LABELLED: 1}


def test_completions_of_old_versions(tmp_path):
    old = task(region())
    old["completions"] = old.pop("annotations")
    assert objects_of(load_one(tmp_path, old)) == [("a.jpg", "cat", BOX)]


@pytest.mark.parametrize(
    "image",
    [
        "/data/upload/3/1a2b3c4d-a.jpg",
        "/data/local-files/?d=pets/a.jpg",
        "/data/local-files/?d=C%3A%5Cpets%5Ca.jpg",
        "s3://bucket/pets/a.jpg",
        "gs://bucket/a.jpg",
        "https://host.example/pets/a.jpg?X-Amz-Expires=3600",
        "http://localhost:8080/data/upload/1a2b3c4d-a.jpg",
    ],
)
@pytest.mark.parametrize("key", ["image", "img", "ocr"])
def test_names_of_pictures(tmp_path, image, key):
    found = task(region(), data={key: image, "text": "a cat"})
    assert objects_of(load_one(tmp_path, found)) == [("a.jpg", "cat", BOX)]


def test_a_picture_that_kept_its_prefix(tmp_path):
    write_picture(tmp_path / "images" / "1a2b3c4d-a.jpg")
    write(tmp_path / "result.json", LABEL_STUDIO)
    assert load_dataset(tmp_path).files == ["images/1a2b3c4d-a.jpg"]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (7, "[20]: expected a task with a picture, got 7"),
        ({"id": 1, "data": {"text": "a cat"}}, "[20]: expected a task with a picture, got {'id': 1, 'data': {'text'"),
        (
            task(region({"x": 1, "rectanglelabels": ["cat"]}), image="p0.jpg"),
            "[20]: annotations[0] region 1: expected numbers of a rectangle, got {'original_width': 200,",
        ),
        (
            task(region(image_rotation=90), image="p0.jpg"),
            "[20]: annotations[0] region 1: it was drawn on a picture that was rotated on the screen; draw it anew",
        ),
        (
            task(region(to_name="after"), region(to_name="before"), image="p0.jpg"),
            "[20]: its regions are on several pictures (after[0], before[0]), which is not read",
        ),
        (task(region(), image="lost.jpg"), "[20]: there is no picture 'lost.jpg'"),
    ],
)
def test_one_broken_task_is_left_out_and_named(tmp_path, broken, reason):
    tasks = [task(region(), image=f"p{index}.jpg") for index in range(20)]
    for index in range(20):
        write_picture(tmp_path / f"p{index}.jpg")
    file = write(tmp_path / "export.json", [*tasks, broken])
    dataset = load_dataset(tmp_path)
    assert (len(dataset), len(dataset.boxes)) == (20, 20)
    (found,) = dataset.left_out.values()
    assert found.startswith(f"{file}: {reason}")
    with pytest.raises(AnnotationError) as caught:
        load_dataset(tmp_path, strict=True)
    assert str(caught.value) == found


def test_a_region_of_two_labels_is_two_objects(tmp_path):
    content = copy.deepcopy(LABEL_STUDIO)
    content[0]["annotations"][0]["result"][0]["value"]["rectanglelabels"] = ["cat", "pet"]
    assert objects_of(load_one(tmp_path, *content)) == [("a.jpg", "cat", BOX), ("a.jpg", "pet", BOX)]
