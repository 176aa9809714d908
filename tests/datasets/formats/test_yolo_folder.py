"""YOLO labels without a description: by folders, by lists, beside the pictures; and several or odd descriptions."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import dataset_or_fault
from yolo_layouts import BOX, ROW, write

from yolo import AnnotationError, YoloError, load_dataset
from yolo.datasets.annotations import repair
from yolo.datasets.load import available_splits

LAYOUTS = {
    "label studio": ({"images/a.jpg": "", "labels/a.txt": ROW, "classes.txt": "cat\ndog\n"}, ()),
    "notes": (
        {
            "images/a.jpg": "",
            "labels/a.txt": ROW,
            "notes.json": json.dumps({"categories": [{"id": 1, "name": "dog"}, {"id": 0, "name": "cat"}]}),
        },
        (),
    ),
    "other case": ({"Images/A.JPG": "", "Labels/a.txt": ROW, "Classes.txt": "cat\ndog"}, ()),
    "splits below": (
        {"images/train/a.jpg": "", "labels/train/a.txt": ROW, "images/val/b.jpg": "", "obj.names": "cat\ndog"},
        ("train", "val"),
    ),
    "years": (
        {
            "images/train2017/a.jpg": "",
            "labels/train2017/a.txt": ROW,
            "images/val2017/b.jpg": "",
            "x.names": "cat\ndog",
        },
        ("train", "val"),
    ),
    "splits above": (
        {
            **{"train/images/a.jpg": "", "train/labels/a.txt": ROW, "valid/images/b.jpg": "", "valid/labels/b.txt": ""},
            "classes.txt": "cat\ndog",
        },
        ("train", "valid"),
    ),
    "darknet export": (
        {"train/a.jpg": "", "train/a.txt": ROW, "train/_darknet.labels": "cat\ndog"},
        ("train",),
    ),
    "labelimg": ({"a.jpg": "", "a.txt": ROW, "classes.txt": "cat\ndog"}, ()),
    "labelimg, labels apart": ({"images/a.jpg": "", "labels/a.txt": ROW, "labels/classes.txt": "cat\ndog"}, ()),
    "pictures beside labels/": ({"a.jpg": "", "labels/a.txt": ROW, "classes.txt": "cat\ndog"}, ()),
    "voc's folder": ({"JPEGImages/a.jpg": "", "labels/a.txt": ROW, "classes.txt": "cat\ndog"}, ()),
    "packed": ({"x/y/images/a.jpg": "", "x/y/labels/a.txt": ROW, "x/classes.txt": "cat\ndog"}, ()),
    "autosplit": (
        {
            **{"images/a.jpg": "", "labels/a.txt": ROW, "images/b.jpg": "", "classes.txt": "cat\ndog"},
            **{"autosplit_train.txt": "./images/a.jpg\n", "autosplit_val.txt": "./images/b.jpg\n"},
        },
        ("train", "val"),
    ),
    "lists": (
        {
            **{"data/a.jpg": "", "data/a.txt": ROW, "classes.names": "cat\ndog"},
            "train.txt": "C:\\work\\set\\data\\a.jpg\n",
        },
        ("train",),
    ),
    "names alone in a yaml": ({"images/a.jpg": "", "labels/a.txt": ROW, "data.yaml": "names: [cat, dog]"}, ()),
    "a yaml of any name": (
        {"images/a.jpg": "", "labels/a.txt": ROW, "pets.yml": "train: images\nnames: [cat, dog]", "hyp.yaml": "lr0: 1"},
        ("train",),
    ),
    "names in a file": (
        {
            "images/a.jpg": "",
            "labels/a.txt": ROW,
            "data.yaml": "train: images\nnames: pet.names",
            "pet.names": "cat\ndog",
        },
        ("train",),
    ),
    "a list for the names": (
        {"images/a.jpg": "", "labels/a.txt": ROW, "data.yaml": "train: images\nnc: 2", "classes.txt": "cat\ndog"},
        ("train",),
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(tmp_path, name):
    files, splits = LAYOUTS[name]
    dataset = load_dataset(write(tmp_path / "set", files))
    assert dataset.classes == ("cat", "dog")
    assert (dataset.boxes.tolist(), dataset.labels.tolist()) == ([BOX], [1])
    assert all(sample.path.is_file() for sample in dataset)
    assert available_splits(tmp_path / "set") == splits
    if splits:
        assert load_dataset(tmp_path / "set", splits[0]).image_ids == ["a"]


def test_a_list_as_data(tmp_path):
    files = {"images/a.jpg": "", "labels/a.txt": ROW, "mine.txt": "images/a.jpg\n", "classes.txt": "cat\ndog"}
    dataset = load_dataset(write(tmp_path, files) / "mine.txt")
    assert (dataset.boxes.tolist(), dataset.classes) == ([BOX], ("cat", "dog"))


@pytest.mark.parametrize(
    ("files", "entries"),
    [
        ({"images/a.jpg": "", "labels/a.txt": ROW}, "train: images, names: [cat, dog]"),
        (
            {"images/train/a.jpg": "", "labels/train/a.txt": ROW, "images/val/b.jpg": ""},
            "train: images/train, val: images/val, names: [cat, dog]",
        ),
    ],
)
def test_without_a_list_of_classes(tmp_path, files, entries):
    write(tmp_path / "set", files)
    with pytest.raises(AnnotationError) as caught:
        load_dataset(tmp_path / "set")
    assert str(caught.value) == (
        f"{tmp_path / 'set'}: images/ and labels/ without a list of classes: give their names (--names), add a "
        f"classes.txt with a class a line, or write a data.yaml like this: {entries}"
    )
    dataset = load_dataset(tmp_path / "set", names=["x", "y"])
    assert (dataset.classes, dataset.labels.tolist(), dataset.boxes.tolist()) == (("x", "y"), [1], [BOX])


def test_text_files_that_are_no_labels(tmp_path):
    write(tmp_path / "set", {"a.jpg": "", "a.txt": "a cat on a sofa\n"})
    with pytest.raises(AnnotationError, match="no dataset in this folder"):
        load_dataset(tmp_path / "set")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"images/a.jpg": "", "labels/a.txt": "a cat"}, r"labels: no \.txt in it has rows of numbers: class x y width"),
        ({"Images/a.jpg": "", "Labels/x.md": ""}, r"Labels: no \.txt in it has rows of numbers"),
        ({"labels/train/a.txt": ROW, "classes.txt": "cat"}, "labels: YOLO labels, but no images/ beside them; add the"),
        ({"images/train/a.jpg": ""}, r"images: pictures, but neither labels/ \(YOLO\) nor another annotation file"),
    ],
)
def test_what_is_missing_is_named(tmp_path, files, message):
    with pytest.raises(AnnotationError, match=message):
        load_dataset(write(tmp_path / "set", files))


def test_several_descriptions_are_named(tmp_path):
    write(tmp_path / "set", dict.fromkeys(("a.yaml", "b.yml"), "train: images\nnames: [cat]"))
    with pytest.raises(AnnotationError, match=r"set: it has several descriptions: a\.yaml, b\.yml; give one of them"):
        load_dataset(tmp_path / "set")


def test_a_damaged_description_of_any_name(tmp_path):
    write(tmp_path / "set", {"images/a.jpg": "", "pets.yaml": "train: images\nnames:\n\t- cat\n"})
    with pytest.raises(AnnotationError, match=r"pets\.yaml:3:1: not valid YAML .*; indent with blanks, not with tabs"):
        load_dataset(tmp_path / "set")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (r'".\images\train"', r"data\.yaml:1:11: not valid YAML .*: write / in place of \\, or use single quotes$"),
        (r'"images\train"', r"train: 'images\\train' has a tab, as YAML reads \\t in double quotes; write /"),
        (r'"images\new"', r"has a line break, as YAML reads \\n"),
    ],
)
def test_backslashes_in_double_quotes(tmp_path, entry, message):
    write(tmp_path, {"images/train/a.jpg": "", "data.yaml": f"train: {entry}\nnames: [cat]"})
    with pytest.raises(AnnotationError, match=message):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ("/content/ds/images/train", None),
        ("C:\\Users\\me\\ds\\images\\train", None),
        ("/content/ds/list.txt", None),
        ("images/train", "/content/other/set"),
        ("set/images/train", None),
        ("/images/train", None),
    ],
)
def test_paths_of_another_machine(tmp_path, entry, path):
    files = {"images/train/a.jpg": "", "labels/train/a.txt": ROW, "list.txt": "D:\\x\\images\\train\\a.jpg"}
    lines = [f"train: {entry}", "names: [cat, dog]", *([f"path: {path}"] if path else [])]
    folder = write(tmp_path / "set", {**files, "data.yaml": "\n".join(lines)})
    assert load_dataset(folder, "train").boxes.tolist() == [BOX]


def test_a_split_whose_folder_is_missing(tmp_path, caplog):
    text = "train: ../train/images\nval: ../valid/images\nnames: [cat, dog]"
    write(tmp_path, {"train/images/a.jpg": "", "train/labels/a.txt": ROW, "images/x.png": "", "data.yaml": text})
    fault = f"{tmp_path / 'data.yaml'}: val: there is no '../valid/images' beside this file"
    assert load_dataset(tmp_path).boxes.tolist() == [BOX]
    assert f"{fault}; the other splits are read" in caplog.text
    for options in ({"split": "val"}, {"strict": True}):
        with pytest.raises(AnnotationError) as caught:
            load_dataset(tmp_path, **options)
        assert str(caught.value) == fault


def test_what_has_no_partner_is_counted_and_named(tmp_path):
    files = {
        **{"images/a.jpg": "", "labels/a.txt": ROW, "labels/b.txt": ROW, "labels/classes.txt": "cat\ndog"},
        **{"images/c.heic": "x", "labels/c.txt": ROW, "images/d.png": ""},
    }
    dataset = load_dataset(write(tmp_path, files))
    assert dataset.image_ids == ["a", "d"]
    assert dataset.repair_places == {
        repair.OTHER_SUFFIX: [str(tmp_path / "images/c.heic")],
        repair.UNLABELLED: [str(tmp_path / "images/d.png")],
        repair.ORPHANED: [str(tmp_path / "labels/b.txt")],
    }


def test_single_files_that_cannot_be_read_are_left_out_together(tmp_path, caplog):
    files = {f"images/{index:02}.jpg": "" for index in range(60)} | {"classes.txt": "cat\ndog"}
    write(tmp_path, files | {f"labels/{index:02}.txt": ROW for index in range(60)} | {"labels/03.txt": "1 .5 x .5 .5"})
    (tmp_path / "images/07.jpg").write_bytes(b"")
    (tmp_path / "labels/08.txt").write_text("0 .5 .5 .5 .5")
    (tmp_path / "labels/09.txt").write_text("2 .5 .5 .5 .5")
    dataset = load_dataset(tmp_path)
    assert (len(dataset), len(dataset.boxes)) == (57, 57)
    assert dataset.left_out == {
        str(tmp_path / "images/07.jpg"): f"{tmp_path / 'images/07.jpg'}: the file is empty; remove the picture or "
        "replace it",
        str(tmp_path / "images/03.jpg"): f"{tmp_path / 'labels/03.txt'}:1: expected 5 numbers, but 'x' is none "
        "(class x y width height)",
        str(tmp_path / "images/09.jpg"): f"{tmp_path / 'labels/09.txt'}:1: class 2 is not in names (0 to 1); mend one "
        "of them",
    }
    assert "3 of 60 cannot be used and are left out" in caplog.text
    with pytest.raises(AnnotationError, match=r"3 of 60 cannot be used: .*07\.jpg.*03\.txt.*09\.txt"):
        load_dataset(tmp_path, strict=True)
    (tmp_path / "images/11.jpg").write_bytes(b"nothing")
    with pytest.raises(AnnotationError, match="4 of 60 cannot be used, and 5% may be left out"):
        load_dataset(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(st.sampled_from(["classes.txt", "notes.json", "labels/a.txt", "train.txt", "x.yaml"]), st.binary(max_size=40))
def test_whatever_a_file_of_the_folder_holds_there_are_boxes_or_our_error(tmp_path, name, content):
    folder = tmp_path / "set"
    if not folder.is_dir():
        write(folder, {"images/a.jpg": "", "labels/a.txt": ROW, "classes.txt": "cat\ndog"})
    old = (folder / name).read_bytes() if (folder / name).is_file() else None
    (folder / name).write_bytes(content)
    try:
        found = dataset_or_fault(folder)
        assert str(folder) in str(found) if isinstance(found, YoloError) else found.classes
    finally:
        (folder / name).unlink() if old is None else (folder / name).write_bytes(old)
