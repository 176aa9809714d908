"""Every format's example is recognised as that format and no other, and gives its one box."""

import json

import pytest
from damage import damaged, with_another_value
from format_examples import BOX, EXAMPLES, make_example, objects_of, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import dataset_or_fault

from yolo import load_dataset
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.source import DESCRIBED
from yolo.datasets.format_table import formats
from yolo.datasets.load import available_splits, recognise
from yolo.errors import AnnotationError

CONTENT = [name for name, (_, files) in EXAMPLES.items() if any(file.endswith(".json") for file in files)]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_read_as_what_it_is(tmp_path, name):
    folder = make_example(tmp_path / "pets", name)
    assert recognise(folder).format == EXAMPLES[name][0]
    dataset = load_dataset(folder)
    assert objects_of(dataset) == [("a.jpg", "cat", pytest.approx(BOX, abs=1e-3))]
    assert dataset.sizes.tolist() == [[100, 200]]
    assert (dataset.repairs, dataset.left_out) == ({}, {})


@pytest.mark.parametrize(
    "name", sorted(set(EXAMPLES) - {"darknet"})
)  # its labels are YOLO's, and its description first
def test_no_other_format_claims_it(tmp_path, name):
    place = Place(make_example(tmp_path / "pets", name))
    claims = [each.name for each in formats() if each.rank != DESCRIBED and each.recognise(place)]
    assert claims in ([EXAMPLES[name][0]], [])


@pytest.mark.parametrize("name", CONTENT)
def test_an_example_in_folders_around_it(tmp_path, name):
    make_example(tmp_path / "download" / "pets", name)
    (tmp_path / "__MACOSX").mkdir()
    assert objects_of(load_dataset(tmp_path)) == [("a.jpg", "cat", BOX)]


@pytest.mark.parametrize(
    "name", sorted(set(EXAMPLES) - {"yolo", "darknet", "coco"})
)  # these name their splits themselves
def test_examples_in_folders_named_after_splits(tmp_path, name):
    for split in ("train", "valid"):
        make_example(tmp_path / split, name)
    assert available_splits(tmp_path) == ("train", "valid")
    assert objects_of(load_dataset(tmp_path, "val")) == [("a.jpg", "cat", BOX)]
    assert len(load_dataset(tmp_path)) == 2


SINGLE = [name for name in CONTENT if name not in ("supervisely", "labelme", "coco")]


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("names", [("train.json", "val.json"), ("via_train.json", "pets-Val2.json")])
def test_a_file_for_each_split(tmp_path, name, names):
    make_example(tmp_path, name)
    file = next(tmp_path.glob("*.json"))
    for each in names:
        (tmp_path / each).write_bytes(file.read_bytes())
    file.unlink()
    assert available_splits(tmp_path) == ("train", "val")
    for split in ("train", "valid"):
        assert objects_of(load_dataset(tmp_path, split)) == [("a.jpg", "cat", BOX)]


@pytest.mark.parametrize("name", SINGLE)
def test_pictures_of_one_name_in_the_folders_of_two_splits(tmp_path, name):
    make_example(tmp_path / "annotations", name)
    file = next((tmp_path / "annotations").glob("*.json"))
    for split in ("train", "val"):
        folder = tmp_path / "images" / split
        folder.mkdir(parents=True)
        (folder / "a.jpg").write_bytes((tmp_path / "annotations" / "a.jpg").read_bytes())
        (tmp_path / "annotations" / f"{split}.json").write_bytes(file.read_bytes())
    file.unlink()
    (tmp_path / "annotations" / "a.jpg").unlink()
    assert available_splits(tmp_path) == ("train", "val")
    assert [sample.path for sample in load_dataset(tmp_path, "val")] == [tmp_path / "images" / "val" / "a.jpg"]
    assert len(load_dataset(tmp_path)) == 2


@pytest.mark.parametrize("name", [name for name in CONTENT if name not in ("supervisely", "coco")])
def test_annotations_beside_a_folder_of_pictures(tmp_path, name):
    make_example(tmp_path / "labels", name)
    (tmp_path / "Images").mkdir()
    (tmp_path / "labels" / "a.jpg").rename(tmp_path / "Images" / "a.jpg")
    for path in (tmp_path, tmp_path / "labels", next((tmp_path / "labels").glob("*.json"))):
        dataset = load_dataset(path)
        assert objects_of(dataset) == [("a.jpg", "cat", BOX)]
        assert dataset.path(0).samefile(tmp_path / "Images" / "a.jpg")


@pytest.mark.parametrize("name", [name for name in CONTENT if name != "coco"])
def test_no_picture_at_all(tmp_path, name):
    make_example(tmp_path / "pets", name)
    next((tmp_path / "pets").rglob("*.jpg")).unlink()
    with pytest.raises(
        AnnotationError, match=r"none of its 1 pictures is found, such as .*name their folder \(--images DIR\)"
    ):
        load_dataset(tmp_path / "pets")


@pytest.mark.parametrize("name", [name for name in CONTENT if name != "coco"])
def test_pictures_in_a_folder_that_is_named(tmp_path, name):
    make_example(tmp_path / "pets", name)
    (tmp_path / "elsewhere").mkdir()
    next((tmp_path / "pets").rglob("*.jpg")).rename(tmp_path / "elsewhere" / "a.jpg")
    dataset = load_dataset(tmp_path / "pets", images=tmp_path / "elsewhere")
    assert objects_of(dataset) == [("a.jpg", "cat", BOX)]


OWN = [name for name in CONTENT if name != "coco"]


@pytest.mark.parametrize("name", OWN)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_gives_a_dataset_or_our_own_error(tmp_path, name, data):
    make_example(tmp_path, name)
    file = data.draw(st.sampled_from(sorted(tmp_path.rglob("*.json"))))
    file.write_bytes(damaged(data, file.read_bytes()))
    dataset_or_fault(tmp_path)


@pytest.mark.parametrize("name", OWN)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_place_gives_a_dataset_or_our_own_error(tmp_path, name, data):
    make_example(tmp_path, name)
    file = data.draw(st.sampled_from(sorted(tmp_path.rglob("*.json"))))
    write(file, with_another_value(data, json.loads(file.read_text())))
    dataset_or_fault(tmp_path)
