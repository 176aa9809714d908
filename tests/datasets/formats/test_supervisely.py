"""Supervisely: figures to boxes, projects and datasets, classes of its description, and what is left out."""

import base64
import io
import zlib

import pytest
from format_examples import SUPERVISELY, SUPERVISELY_META, make_example, objects_of, write
from pictures import write_picture
from PIL import Image

from yolo import load_dataset
from yolo.datasets.load import available_splits
from yolo.errors import AnnotationError

OUTLINED = "objects with an outline but no box, bounded"
NO_BOX = "points, lines and painted masks, which give no box, dropped"
BOX = [20, 10, 60, 50]


def figure(kind, exterior=(), **more):
    points = {"exterior": [list(each) for each in exterior], "interior": []}
    return {"geometryType": kind, "classTitle": "cat", "tags": [], "points": points, **more}


def annotation(*objects):
    return {**SUPERVISELY, "objects": list(objects)}


def bitmap(width, height, origin):
    content = io.BytesIO()
    Image.new("1", (width, height), 1).save(content, "PNG")
    return {"origin": origin, "data": base64.b64encode(zlib.compress(content.getvalue())).decode()}


def load_one(tmp_path, *objects):
    write_picture(tmp_path / "img" / "a.jpg")
    write(tmp_path / "ann" / "a.jpg.json", annotation(*objects))
    return load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("found", "box", "repairs"),
    [
        (figure("rectangle", [(59, 49), (20, 10)]), BOX, {}),  # whole numbers name pixels: the last one counts
        (figure("rectangle", [(20.5, 10), (60.25, 50)]), [20.5, 10, 60.25, 50], {}),
        (figure("polygon", [(20, 30), (40, 10), (59, 49)]), BOX, {OUTLINED: 1}),
        (figure("bitmap", bitmap=bitmap(40, 30, [20, 10])), [20, 10, 60, 40], {OUTLINED: 1}),
        ({"classTitle": "cat", "bitmap": None, "points": {"exterior": [[20, 10], [59, 49]]}}, BOX, {}),  # old
        ({"classTitle": "cat", "bitmap": bitmap(40, 40, [20, 10]), "points": {"exterior": []}}, BOX, {OUTLINED: 1}),
    ],
)
def test_figures(tmp_path, found, box, repairs):
    dataset = load_one(tmp_path, found)
    assert objects_of(dataset) == [("a.jpg", "cat", box)]
    assert dataset.repairs == repairs


def test_points_and_figures_without_a_class_are_counted(tmp_path):
    dataset = load_one(
        tmp_path,
        figure("rectangle", [(20, 10), (59, 49)]),
        figure("point", [(3, 4)]),
        figure("rectangle", [(1, 1), (9, 9)], classTitle=None),
    )
    assert objects_of(dataset) == [("a.jpg", "cat", BOX)]
    assert dataset.repairs == {NO_BOX: 1, "objects without a class, dropped": 1}


def test_tags_of_difficult_objects(tmp_path):
    corners = [(20, 10), (59, 49)]
    tagged = figure("rectangle", corners, tags=[{"name": "Difficult", "value": None}])
    assert load_one(tmp_path, tagged, figure("rectangle", corners, tags=["wet"])).ignore.tolist() == [True, False]


def test_a_project_with_its_classes_in_order(tmp_path):
    make_example(tmp_path, "supervisely")
    write(tmp_path / "meta.json", {"classes": [{"title": "dog"}, {"title": "cat"}], "tags": []})
    write(tmp_path / "ds1" / "ann" / "b.png.json", SUPERVISELY)
    write_picture(tmp_path / "ds1" / "img" / "b.png")
    dataset = load_dataset(tmp_path)
    assert dataset.classes == ("dog", "cat")
    assert dataset.files == ["ds0/img/a.jpg", "ds1/img/b.png"]
    assert load_dataset(tmp_path / "ds1").classes == ("dog", "cat")
    assert load_dataset(tmp_path / "ds1" / "ann" / "b.png.json").classes == ("dog", "cat")


def test_datasets_in_datasets_and_pictures_of_one_name(tmp_path):
    for folder in ("ds0", "ds0/datasets/inner", "ds1"):
        write(tmp_path / folder / "ann" / "a.jpg.json", SUPERVISELY)
        write_picture(tmp_path / folder / "img" / "a.jpg")
    assert load_dataset(tmp_path).files == ["ds0/img/a.jpg", "ds0/datasets/inner/img/a.jpg", "ds1/img/a.jpg"]


def test_datasets_named_after_splits(tmp_path):
    write(tmp_path / "meta.json", SUPERVISELY_META)
    for split in ("train_2024", "val_2024"):
        write(tmp_path / split / "ann" / "test 1.jpg.json", SUPERVISELY)
        write_picture(tmp_path / split / "img" / "test 1.jpg")
    assert available_splits(tmp_path) == ("train", "val")
    assert load_dataset(tmp_path, "val").files == ["val_2024/img/test 1.jpg"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", ":1:2: not valid JSON (Expecting property name enclosed in double quotes); mend or export it again"),
        ({}, ': not a Supervisely file: it has no list "objects"; mend or remove it'),
        (annotation(7), ": objects[0]: expected points or a bitmap, got 7"),
        (
            annotation({"bitmap": {"origin": [1, 2], "data": "eJw="}}),
            ": objects[0]: expected points or a bitmap, got {'bitmap': {'origin': [1, 2], 'data': 'eJw='}}",
        ),
    ],
)
def test_one_broken_file_is_left_out_and_named(tmp_path, content, reason):
    for index in range(21):
        write(tmp_path / "ann" / f"a{index:02}.jpg.json", SUPERVISELY)
        write_picture(tmp_path / "img" / f"a{index:02}.jpg")
    file = write(tmp_path / "ann" / "a05.jpg.json", content)
    dataset = load_dataset(tmp_path)
    assert len(dataset.boxes) == 20
    assert list(dataset.left_out.values()) == [f"{file}{reason}"]
    with pytest.raises(AnnotationError) as caught:
        load_dataset(tmp_path, strict=True)
    assert str(caught.value) == f"{file}{reason}"
