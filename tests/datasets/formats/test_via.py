"""VGG Image Annotator: shapes of its three versions, the attribute that holds the class, and what is left out."""

import copy
import math

import pytest
from format_examples import VIA, VIA3, VIA_PROJECT, VIA_REGION, objects_of, write
from pictures import write_picture

from yolo import load_dataset
from yolo.datasets.load import available_splits
from yolo.errors import AnnotationError

OUTLINED = "objects with an outline but no box, bounded"
NO_BOX = "points, lines and painted masks, which give no box, dropped"


def region(shape=None, attributes=None):
    return {
        "shape_attributes": VIA_REGION["shape_attributes"] if shape is None else shape,
        "region_attributes": {"label": "cat"} if attributes is None else attributes,
    }


def via(*regions, name="a.jpg"):
    return {f"{name}-1": {"filename": name, "size": -1, "regions": list(regions), "file_attributes": {}}}


def via3(xy, av=None, **attribute):
    content = copy.deepcopy(VIA3)
    content["metadata"]["1_Fk2x9QpL"] |= {"xy": xy} | ({} if av is None else {"av": av})
    content["attribute"]["1"] |= attribute
    return content


def load_one(tmp_path, content):
    write_picture(tmp_path / "a.jpg")
    return load_dataset(write(tmp_path / "via.json", content))


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ({"name": "polygon", "all_points_x": [20, 40, 60], "all_points_y": [30, 10, 50]}, [20, 10, 60, 50]),
        ({"name": "polyline", "all_points_x": [20, 40, 60], "all_points_y": [30, 10, 50]}, [20, 10, 60, 50]),
        ({"name": "circle", "cx": 40, "cy": 30, "r": 20}, [20, 10, 60, 50]),
        ({"name": "ellipse", "cx": 40, "cy": 30, "rx": 20, "ry": 10}, [20, 20, 60, 40]),
        ({"name": "ellipse", "cx": 40, "cy": 30, "rx": 20, "ry": 10, "theta": math.pi / 2}, [30, 10, 50, 50]),
    ],
)
def test_outlines_of_version_2(tmp_path, shape, box):
    dataset = load_one(tmp_path, via(region(shape)))
    assert objects_of(dataset) == [("a.jpg", "cat", box)]
    assert dataset.repairs == {OUTLINED: 1}


@pytest.mark.parametrize(
    ("xy", "box", "repairs"),
    [
        ([2, 20, 10, 40, 40], [20, 10, 60, 50], {}),
        ([3, 40, 30, 20], [20, 10, 60, 50], {OUTLINED: 1}),
        ([4, 40, 30, 20, 10], [20, 20, 60, 40], {OUTLINED: 1}),
        ([6, 20, 30, 40, 10, 60, 50], [20, 10, 60, 50], {OUTLINED: 1}),
        ([7, 20, 30, 40, 10, 60, 50], [20, 10, 60, 50], {OUTLINED: 1}),
        ([8, 40, 10, 60, 30, 40, 50, 20, 30], [20, 10, 60, 50], {}),  # touched by four points
    ],
)
def test_shapes_of_version_3(tmp_path, xy, box, repairs):
    dataset = load_one(tmp_path, via3(xy))
    assert objects_of(dataset) == [("a.jpg", "cat", box)]
    assert dataset.repairs == repairs


def test_points_and_lines_are_counted(tmp_path):
    point = {"name": "point", "cx": 3, "cy": 4}
    assert load_one(tmp_path, via(region(), region(point))).repairs == {NO_BOX: 1}
    content = via3([2, 20, 10, 40, 40])
    content["metadata"] |= {
        "1_a": {"vid": "1", "z": [], "xy": [1, 5, 5], "av": {"1": "0"}},
        "1_b": {"vid": "1", "z": [], "xy": [5, 5, 5, 9, 9], "av": {"1": "0"}},
        "1_c": {"vid": "1", "z": [], "xy": [], "av": {}},  # about the picture as a whole
        "1_d": {"vid": "1", "z": [1.5, 2.5], "xy": [], "av": {}},  # a time of a video
    }
    dataset = load_one(tmp_path, content)
    assert (len(dataset.boxes), dataset.repairs) == (1, {NO_BOX: 2})


def test_version_1_numbers_its_regions(tmp_path):
    entry = {"fileref": "", "size": 9, "filename": "a.jpg", "base64_img_data": "", "file_attributes": {}}
    content = {"a.jpg9": entry | {"regions": {"0": region(), "1": region(attributes={"label": "dog"})}}}
    assert [name for _, name, _ in objects_of(load_one(tmp_path, content))] == ["cat", "dog"]


@pytest.mark.parametrize(
    ("attributes", "classes"),
    [
        ([{"class": "cat"}, {"class": "dog"}], ["cat", "dog"]),
        ([{"species": "cat"}, {"species": "dog"}], ["cat", "dog"]),  # the only one
        ([{"colour": "red", "Name": "cat"}, {"colour": "red", "Name": "dog"}], ["cat", "dog"]),
        ([{"label": {"cat": True, "dog": False}}, {"label": {"dog": True}}], ["cat", "dog"]),  # check boxes
        ([{"label": {"cat": True, "wet": True}}, {"label": "dog"}], ["cat,wet", "dog"]),
        ([{"label": 1}, {"label": 2}], ["1", "2"]),
    ],
)
def test_the_attribute_that_holds_the_class(tmp_path, attributes, classes):
    regions = [region({**VIA_REGION["shape_attributes"], "x": x}, each) for x, each in enumerate(attributes)]
    assert [name for _, name, _ in objects_of(load_one(tmp_path, via(*regions)))] == classes


def test_of_several_attributes_the_one_chosen_is_said(tmp_path, caplog):
    regions = [region(attributes={"species": "cat", "colour": "red"}), region(attributes={"species": "dog"})]
    assert load_one(tmp_path, via(*regions)).classes == ("cat", "dog")
    assert "classes taken from the attribute 'species', not from ['colour']" in caplog.text


def test_of_two_attributes_alike_a_project_prefers_the_one_with_options(tmp_path):
    content = copy.deepcopy(VIA_PROJECT)
    content["_via_img_metadata"] = via(region(attributes={"note": "x", "species": "cat"}))
    content["_via_attributes"]["region"] = {"note": {"type": "text"}, "species": {"options": {"cat": ""}}}
    assert load_one(tmp_path, content).classes == ("cat",)


def test_regions_without_a_class_are_counted(tmp_path):
    dataset = load_one(tmp_path, via(region(), region(attributes={}), region(attributes={"label": ""})))
    assert dataset.repairs == {"objects without a class, dropped": 2}
    place = f"{tmp_path / 'via.json'}: 'a.jpg-1': regions[1]"
    assert dataset.repair_places["objects without a class, dropped"][0] == place


def test_a_file_without_any_class_is_of_one(tmp_path):
    """Mask R-CNN's balloons are annotated so."""
    dataset = load_one(tmp_path, via(region(attributes={}), region(VIA_REGION["shape_attributes"] | {"x": 1}, {})))
    assert dataset.classes == ("object",)
    assert dataset.repairs == {"regions of a file without any class, called 'object'": 2}
    assert load_dataset(tmp_path, rename={"object": "balloon"}).classes == ("balloon",)


@pytest.mark.parametrize(
    ("attribute", "value", "name"),
    [
        ({}, "1", "dog"),
        ({"type": 2}, "0,1", "cat,dog"),  # check boxes
        ({"type": 1, "options": {}}, "cow", "cow"),  # a text
    ],
)
def test_options_of_version_3(tmp_path, attribute, value, name):
    assert load_one(tmp_path, via3([2, 1, 2, 3, 4], {"1": value}, **attribute)).classes == (name,)


def test_views_of_version_3_name_their_file(tmp_path):
    content = via3([2, 20, 10, 40, 40])
    content["file"] = {"9": {"fid": 9, "fname": "a.jpg", "type": 2, "loc": 1, "src": ""}}
    content["file"]["8"] = {"fid": 8, "fname": "a.mp4", "type": 4, "loc": 1, "src": ""}
    content["view"] = {"1": {"fid_list": [9]}}
    assert objects_of(load_one(tmp_path, content)) == [("a.jpg", "cat", [20, 10, 60, 50])]


def test_folders_with_the_same_file_in_each(tmp_path):
    """The layout of Mask R-CNN's examples."""
    for split in ("train", "val"):
        write(tmp_path / split / "via_region_data.json", VIA)
        write_picture(tmp_path / split / "a.jpg")
    assert available_splits(tmp_path) == ("train", "val")
    assert load_dataset(tmp_path, "val").path(0) == tmp_path / "val" / "a.jpg"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"b": 3}, "'b': expected an object with filename and regions, got 3"),
        (
            via(region({"name": "rect", "x": 1}), name="p0.jpg"),
            "'p0.jpg-1': regions[0]: expected shape_attributes with",
        ),
        (via(7, name="p0.jpg"), "'p0.jpg-1': regions[0]: expected shape_attributes with a shape, got 7"),
        (via(region(), name="lost.jpg"), "'lost.jpg-1': there is no picture 'lost.jpg'"),
    ],
)
def test_one_broken_entry_is_left_out_and_named(tmp_path, broken, reason):
    content = {}
    for index in range(20):
        write_picture(tmp_path / f"p{index}.jpg")
        content |= via(region(), name=f"p{index}.jpg")
    file = write(tmp_path / "via.json", content | broken)
    dataset = load_dataset(tmp_path)
    assert len(dataset) == 20
    (found,) = dataset.left_out.values()
    assert found.startswith(f"{file}: {reason}")
    with pytest.raises(AnnotationError) as caught:
        load_dataset(tmp_path, strict=True)
    assert str(caught.value) == found


def test_metadata_of_no_file(tmp_path):
    content = via3([2, 20, 10, 40, 40])
    content["metadata"]["7_x"] = {"vid": "7", "z": [], "xy": [2, 1, 2, 3, 4], "av": {}}
    dataset = load_one(tmp_path, content)
    assert list(dataset.left_out.values()) == [
        f"{tmp_path / 'via.json'}: metadata['7_x']: it belongs to no picture of the project: "
        "{'vid': '7', 'z': [], 'xy': [2, 1, 2, 3, 4], 'av': {}}"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (VIA_PROJECT | {"_via_img_metadata": {}}, "not a file of VIA: it names no pictures"),
        (VIA3 | {"file": {}}, "not a project of VIA with pictures: its list of files has none"),
    ],
)
def test_a_project_without_pictures(tmp_path, content, message):
    with pytest.raises(AnnotationError) as caught:
        load_one(tmp_path, content)
    assert str(caught.value) == f"{tmp_path / 'via.json'}: {message}"
