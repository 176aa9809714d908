"""Annotation files with damage, as a disk or a person makes it: values, or an error that names the file."""

from __future__ import annotations

import json

import pytest
from damage import damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yolo.anchors import read_anchors
from yolo.datasets.annotations.text_files import LARGEST_ANNOTATION
from yolo.datasets.formats.coco import read_coco
from yolo.datasets.formats.data_yaml import class_list, read_description, resolve
from yolo.datasets.formats.label_reading import read_rows
from yolo.datasets.formats.voc_xml import read_annotation
from yolo.datasets.load import load_dataset
from yolo.errors import AnnotationError, YoloError

XML = b"""<?xml version="1.0" encoding="utf-8"?>
<annotation><filename>a.jpg</filename><size><width>64</width><height>48</height></size>
<object><name>c\xc3\xa4t</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9.5</xmax><ymax>10</ymax></bndbox></object>
</annotation>"""
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "height": 48, "width": 64}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}],
    "categories": [{"id": 7, "name": "cat"}],
}
KINDS = {
    "a.xml": (XML, read_annotation),
    "a.json": (json.dumps(COCO).encode(), read_coco),
    "a.txt": (b"# size: 416 x 416 (height x width)\n10,13\n16,30\n33,23\n", lambda path: read_anchors(path, 320)),
    "a.yaml": (
        b"path: .\nnames: {0: cat, 1: dog}\nnc: 2\ntrain: .\n",
        lambda path: class_list(path, read_description(path)),
    ),
    "b.txt": (
        b"0 0.5 0.5 0.1 0.2\n1 0.1 0.1 0.3 0.1 0.3 0.3\n",
        lambda path: read_rows(str(path)),
    ),
}


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_give_values_or_an_error_with_the_files_name(tmp_path, name, data):
    content, read = KINDS[name]
    path = tmp_path / name
    path.write_bytes(damaged(data, content))
    try:
        read(path)
    except YoloError as error:
        assert str(error).startswith(str(path))  # noqa: PT017 - some damage does no harm
        assert len(str(error)) < len(str(path)) + 400  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize("name", KINDS)
def test_sound_files_are_read(tmp_path, name):
    content, read = KINDS[name]
    (tmp_path / name).write_bytes(content)
    read(tmp_path / name)


LAUGHS = "\n".join(
    ["a0: &a0 [x, x]", *(f"a{each}: &a{each} [*a{each - 1}, *a{each - 1}]" for each in range(1, 60)), "{}"]
)


@pytest.mark.parametrize("key", ["names", "path", "train", "nc", "format"])
def test_aliases_of_aliases_in_a_description(tmp_path, key):
    """475 bytes whose repr has 2 ** 60 entries."""
    path = tmp_path / "data.yaml"
    rest = {"names": "[a]", "path": ".", "train": "a.txt", "nc": "1"} | {key: "*a59"}
    path.write_text(LAUGHS.format("\n".join(f"{name}: {value}" for name, value in rest.items())))
    with pytest.raises(AnnotationError, match=r"data\.yaml:1:1: not valid YAML \(its aliases repeat more than"):
        load_dataset(path)


def nested(levels):
    value = ["x"]
    for _ in range(levels):
        value = [value, value]
    return value


@pytest.mark.parametrize("key", ["names", "path", "train", "nc"])
def test_no_message_writes_out_a_whole_value(tmp_path, key):
    """Lists that share their parts, as aliases below the limit give them."""
    path, value = tmp_path / "data.yaml", nested(100)
    content = {"names": ["a"], "path": ".", "train": "x", "nc": 1} | {key: [value] if key == "names" else value}

    def read():
        class_list(path, content)
        resolve(path, content, "train", content["train"])

    with pytest.raises(AnnotationError, match=rf"data\.yaml: {key}") as caught:
        read()
    assert len(str(caught.value)) < len(str(path)) + 200


def test_a_path_that_is_a_number_is_a_folder(tmp_path):
    (tmp_path / "2012").mkdir()
    assert resolve(tmp_path / "data.yaml", {"path": 2012}, "train", ".") == tmp_path / "2012"


def test_an_annotation_file_larger_than_any(tmp_path):
    (tmp_path / "a.xml").write_bytes(b" " * (LARGEST_ANNOTATION + 1))
    with pytest.raises(AnnotationError, match=r"a\.xml: 9 MiB; one image's annotation file may have 8 MiB at most"):
        read_annotation(tmp_path / "a.xml")
    (tmp_path / "a.txt").write_bytes(b" " * (LARGEST_ANNOTATION + 1))
    with pytest.raises(AnnotationError, match=r"a\.txt: 9 MiB; a label file may have 8 MiB at most"):
        read_rows(str(tmp_path / "a.txt"))
