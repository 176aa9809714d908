"""Create ML: centres and sizes, the variants of its keys, fractions, and what is left out."""

import pytest
from format_examples import CREATEML, objects_of, write
from pictures import write_picture

from yolo import load_dataset
from yolo.errors import AnnotationError


def entry(name="a.jpg", label="cat", coordinates=None):
    box = {"x": 40, "y": 30, "width": 40, "height": 40} if coordinates is None else coordinates
    return {"image": name, "annotations": [{"label": label, "coordinates": box}]}


@pytest.mark.parametrize(
    "content",
    [
        CREATEML,
        [{"imagefilename": "a.jpg", "annotation": CREATEML[0]["annotations"]}],
        [{"imageURL": "file:///Users/ann/pets/a.jpg", "annotations": CREATEML[0]["annotations"]}],
        [entry(coordinates={"y": "30", "x": "40", "width": "40", "height": "40.0"})],
        [entry(coordinates={"x": 0.2, "y": 0.3, "width": 0.2, "height": 0.4})],  # MLBoundingBoxUnits.normalized
    ],
)
def test_the_centre_and_the_size_of_a_box(tmp_path, content):
    write_picture(tmp_path / "a.jpg")
    dataset = load_dataset(write(tmp_path / "annotations.json", content))
    assert objects_of(dataset) == [("a.jpg", "cat", [20, 10, 60, 50])]


def test_a_picture_without_objects_is_background(tmp_path):
    write_picture(tmp_path / "a.jpg")
    write_picture(tmp_path / "b.jpg")
    write(tmp_path / "annotations.json", [*CREATEML, {"image": "b.jpg", "annotations": []}])
    assert [len(sample.boxes) for sample in load_dataset(tmp_path)] == [1, 0]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (7, "[20]: expected an object with image and annotations, got 7"),
        ({"image": None}, "[20]: expected an object with image and annotations, got {'image': None}"),
        (
            entry("p0.jpg", coordinates={"x": 1}),
            "[20]: annotations[0]: expected coordinates x, y, width and height, got "
            "{'label': 'cat', 'coordinates': {'x': 1}}",
        ),
        (entry("lost.jpg"), "[20]: there is no picture 'lost.jpg'"),
    ],
)
def test_one_broken_entry_is_left_out_and_named(tmp_path, broken, reason):
    for index in range(20):
        write_picture(tmp_path / f"p{index}.jpg")
    file = write(tmp_path / "a.json", [*(entry(f"p{index}.jpg") for index in range(20)), broken])
    dataset = load_dataset(tmp_path)
    assert (len(dataset), len(dataset.boxes)) == (20, 20)
    assert list(dataset.left_out.values()) == [f"{file}: {reason}"]
    with pytest.raises(AnnotationError) as caught:
        load_dataset(tmp_path, strict=True)
    assert str(caught.value) == f"{file}: {reason}"


def test_an_object_without_a_label_is_counted(tmp_path):
    write_picture(tmp_path / "a.jpg")
    content = [entry()]
    content[0]["annotations"].append({"label": "", "coordinates": {"x": 9, "y": 9, "width": 2, "height": 2}})
    dataset = load_dataset(write(tmp_path / "a.json", content))
    assert dataset.repairs == {"objects without a class, dropped": 1}
    assert list(dataset.repair_places.values()) == [[f"{tmp_path / 'a.json'}: [0]: annotations[1]"]]
