"""labelme: shapes to boxes, where its images lie, flags, and what is left out."""

import base64
import json

import pytest
from format_examples import LABELME, objects_of, write
from pictures import write_picture

from yolo import load_dataset
from yolo.datasets.load import available_splits
from yolo.errors import AnnotationError

OUTLINED = "objects with an outline but no box, bounded"
NO_BOX = "points, lines and painted masks, which give no box, dropped"


def shape(kind, points, label="cat", **more):
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}, **more}


def labelme(*shapes, **more):
    return {**LABELME, "shapes": list(shapes), **more}


def load_one(tmp_path, *shapes, **more):
    write_picture(tmp_path / "a.jpg")
    return load_dataset(write(tmp_path / "a.json", labelme(*shapes, **more)))


@pytest.mark.parametrize(
    ("kind", "points", "box", "repairs"),
    [
        ("rectangle", [[60, 10], [20, 50]], [20, 10, 60, 50], {}),  # the corners are any two opposite ones
        ("rectangle", [[20, 10], [60, 10], [60, 50], [20, 50]], [20, 10, 60, 50], {}),  # X-AnyLabeling: all four
        ("polygon", [[20, 30], [40, 10], [60.5, 50]], [20, 10, 60.5, 50], {OUTLINED: 1}),
        ("circle", [[40, 30], [43, 34]], [35, 25, 45, 35], {OUTLINED: 1}),  # the radius is 5
        ("linestrip", [[20, 30], [40, 10], [60, 50]], [20, 10, 60, 50], {OUTLINED: 1}),
        ("mask", [[20, 10], [59, 49]], [20, 10, 60, 50], {OUTLINED: 1}),  # first and last pixel
        ("rotation", [[40, 10], [60, 30], [40, 50], [20, 30]], [20, 10, 60, 50], {OUTLINED: 1}),
        (None, [[20, 30], [40, 10], [60, 50]], [20, 10, 60, 50], {OUTLINED: 1}),  # version 2 had polygons alone
    ],
)
def test_shapes(tmp_path, kind, points, box, repairs):
    dataset = load_one(tmp_path, shape(kind, points))
    assert objects_of(dataset) == [("a.jpg", "cat", box)]
    assert dataset.repairs == repairs


def test_shapes_that_give_no_box_and_those_without_a_class_are_counted(tmp_path):
    dataset = load_one(
        tmp_path,
        shape("rectangle", [[20, 10], [60, 50]]),
        shape("point", [[5, 5]]),
        shape("line", [[5, 5], [9, 9]]),
        shape("linestrip", [[5, 5], [9, 9]]),
        shape("rectangle", [[1, 1], [9, 9]], label=" "),
        shape("rectangle", [[1, 1], [9, 9]], label=None),
        shape("rectangle", [[1, 1], [9, 9]], label=7),
    )
    assert objects_of(dataset) == [("a.jpg", "cat", [20, 10, 60, 50]), ("a.jpg", "7", [1, 1, 9, 9])]
    assert dataset.repairs == {NO_BOX: 3, "objects without a class, dropped": 2}
    assert dataset.repair_places["objects without a class, dropped"][0] == f"{tmp_path / 'a.json'}: shapes[4]"


def test_flags_of_difficult_objects(tmp_path):
    corners = [[20, 10], [60, 50]]
    dataset = load_one(
        tmp_path,
        shape("rectangle", corners, flags={"difficult": True}),
        shape("rectangle", corners, "dog", difficult=True),
        shape("rectangle", corners, "cow", difficult=False, flags={"ignore": False}),
        shape("rectangle", corners, "hen", flags=None),
    )
    assert dataset.classes == ("cat", "cow", "dog", "hen")
    assert dataset.ignore.tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("annotation", "named", "picture"),
    [
        ("labels/a.json", "../images/a.jpg", "images/a.jpg"),
        ("labels/a.json", "..\\images\\a.jpg", "images/a.jpg"),
        ("labels/a.json", "C:\\Users\\ann\\pets\\images\\a.jpg", "images/a.jpg"),
        ("a.json", "IMG_0001.jpg", "a.png"),  # both were renamed
        ("a.json", "a.jpeg", "a.JPG"),
        ("labels/train/a.json", "a.jpg", "images/train/a.jpg"),
        ("images/train/a.json", "a.jpg", "images/train/a.jpg"),
        ("pets/b/a.json", "a.jpg", "pets/b/a.jpg"),
        ("Bär/ä.json", "ä.jpg", "Bär/ä.jpg"),
    ],
)
def test_where_the_picture_lies(tmp_path, annotation, named, picture):
    write(tmp_path / annotation, {**LABELME, "imagePath": named})
    write_picture(tmp_path / picture)
    dataset = load_dataset(tmp_path)
    assert [box for _, _, box in objects_of(dataset)] == [[20, 10, 60, 50]]
    assert dataset.path(0) == tmp_path / picture


def test_the_named_picture_comes_before_one_of_the_files_name(tmp_path):
    write(tmp_path / "a.json", {**LABELME, "imagePath": "b.jpg"})
    for name in ("a.jpg", "b.jpg"):
        write_picture(tmp_path / name)
    assert load_dataset(tmp_path).files == ["b.jpg"]


def test_splits_are_folders_and_no_names_of_pictures(tmp_path):
    for split, name in (("train", "test_1"), ("train", "b"), ("val", "train_2")):
        write(tmp_path / "labels" / split / f"{name}.json", {**LABELME, "imagePath": f"{name}.jpg"})
        write_picture(tmp_path / "images" / split / f"{name}.jpg")
    assert available_splits(tmp_path) == ("train", "val")
    assert [sample.path.stem for sample in load_dataset(tmp_path, "train")] == ["b", "test_1"]
    assert available_splits(tmp_path / "labels" / "train") == ()


def test_classes_are_those_of_all_splits(tmp_path):
    for split, label in (("train", "dog"), ("val", "cat")):
        write(tmp_path / "labels" / split / "a.json", labelme(shape("rectangle", [[1, 2], [3, 4]], label)))
        write_picture(tmp_path / "images" / split / "a.jpg")
    assert load_dataset(tmp_path, "train").classes == load_dataset(tmp_path, "val").classes == ("cat", "dog")


def test_a_picture_that_was_resized_after_annotating(tmp_path):
    write_picture(tmp_path / "a.jpg", height=50, width=100)
    dataset = load_dataset(write(tmp_path / "a.json", LABELME))
    assert objects_of(dataset) == [("a.jpg", "cat", [10, 5, 30, 25])]
    assert dataset.repairs == {"pictures resized after annotating, boxes scaled with them": 1}


def test_an_old_file_without_the_pictures_size(tmp_path):
    old = {key: LABELME[key] for key in ("flags", "shapes", "imagePath", "imageData")}
    write_picture(tmp_path / "a.jpg")
    assert objects_of(load_dataset(write(tmp_path / "a.json", old))) == [("a.jpg", "cat", [20, 10, 60, 50])]


def write_many(tmp_path, count=21):
    for index in range(count):
        write(tmp_path / f"a{index:02}.json", {**LABELME, "imagePath": f"a{index:02}.jpg"})
        write_picture(tmp_path / f"a{index:02}.jpg", height=100, width=200)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", ":1:1: not valid JSON (Expecting value); mend or export it again"),
        ("[1]", ': not a labelme file: it has no list "shapes"; mend or remove it'),
        ({"shapes": 3}, ': not a labelme file: it has no list "shapes"; mend or remove it'),
        (
            labelme(shape("rectangle", [[1, 2], ["x", 4]])),
            ": shapes[0]: expected a shape with points, got {'label': 'cat', 'points': [[1, 2], ['x', 4]], "
            "'group_id': None, 'shape_type'...",
        ),
        (
            {**LABELME, "imagePath": "lost.jpg"},
            ": there is no picture 'lost.jpg'",
        ),
        (
            {**LABELME, "imagePath": "lost.jpg", "imageData": base64.b64encode(b"x").decode()},
            ": there is no picture 'lost.jpg', only a copy inside the file (imageData); write it out "
            "(labelme_export_json FILE) and lay it beside the file, or give --images DIR",
        ),
    ],
)
def test_one_broken_file_is_left_out_and_named(tmp_path, content, reason):
    write_many(tmp_path)
    file = tmp_path / ("a05.json" if "shapes[0]" in reason else "lost.json")
    write(file, content)
    dataset = load_dataset(tmp_path)
    assert len(dataset) == 21
    assert list(dataset.left_out.values()) == [f"{file}{reason.replace('FILE', file.name)}"]
    with pytest.raises(AnnotationError) as caught:
        load_dataset(tmp_path, strict=True)
    assert str(caught.value) == f"{file}{reason.replace('FILE', file.name)}"


def test_pictures_that_are_in_the_files_alone(tmp_path):
    write(tmp_path / "a.json", {**LABELME, "imageData": base64.b64encode(b"x" * 3_000_000).decode()})
    with pytest.raises(AnnotationError) as caught:
        load_dataset(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'a.json'}: there is no picture "
        "'a.jpg', only a copy inside the file (imageData); write it out (labelme_export_json a.json) and lay it "
        "beside the file, or give --images DIR"
    )


def test_a_long_copy_of_the_picture_before_the_shapes(tmp_path):
    first = {"version": "4.5.6", "imagePath": "a.jpg", "imageData": "A" * 2_000_000, "shapes": LABELME["shapes"]}
    write_picture(tmp_path / "a.jpg")
    assert objects_of(load_dataset(write(tmp_path / "a.json", first))) == [("a.jpg", "cat", [20, 10, 60, 50])]


def test_escapes_in_a_file_do_not_hide_its_keys(tmp_path):
    write_picture(tmp_path / "ä.jpg")
    content = json.dumps(labelme(shape("rectangle", [[20, 10], [60, 50]], 'c"ä\\'), imagePath="ä.jpg"))
    assert "\\u00e4" in content
    assert objects_of(load_dataset(write(tmp_path / "a.json", content))) == [("ä.jpg", 'c"ä\\', [20, 10, 60, 50])]


def test_a_picture_of_the_exact_name_comes_before_one_of_another_suffix(tmp_path):
    """Masks often lie beside the pictures' folder under the same stems."""
    write(tmp_path / "labels" / "a.json", {**LABELME, "imagePath": "C:\\pets\\a.png"})
    write_picture(tmp_path / "images" / "a.jpg")
    write_picture(tmp_path / "photos" / "b" / "a.png")
    assert load_dataset(tmp_path).files == ["photos/b/a.png"]


def test_labels_that_name_no_object(tmp_path):
    corners = [[20, 10], [60, 50]]
    names = ("__ignore__", "_background_", "cat")
    dataset = load_one(tmp_path, *(shape("rectangle", corners, name) for name in names))
    assert dataset.classes == ("cat",)
    assert dataset.repairs == {"regions labelled __ignore__ or _background_, dropped": 2}
