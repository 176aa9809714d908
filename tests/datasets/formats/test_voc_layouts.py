"""VOC folders as tools and people lay them out: found whatever their names, with their pictures and splits."""

from __future__ import annotations

from pathlib import Path

import pytest
from pictures import write_picture

from yolo import AnnotationError, load_dataset
from yolo.datasets.annotations.place import Place
from yolo.datasets.formats.voc_folders import find_roots
from yolo.datasets.load import available_splits

BOX = "<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>50</xmax><ymax>60</ymax></bndbox>"


def xml(*, name="cat", filename="", root="annotation"):
    return (
        f"<{root}><filename>{filename}</filename><size><width>200</width><height>100</height></size>"
        f"<object><name>{name}</name>{BOX}</object></{root}>"
    )


def lay_out(folder: Path, *files: str) -> Path:
    """Write annotations of one cat, pictures and lists of ``a``."""
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".xml":
            path.write_text(xml())
        elif path.suffix == ".txt":
            path.write_text("a\n")
        else:
            write_picture(path)
    return folder


@pytest.mark.parametrize(
    ("annotation", "picture"),
    [
        ("Annotations/a.xml", "JPEGImages/a.jpg"),
        ("ANNOTATIONS/a.XML", "jpegimages/a.JPG"),
        ("Annotation/a.xml", "Images/a.jpg"),
        ("annots/a.xml", "images/a.jpg"),
        ("annotations/xmls/a.xml", "images/a.jpg"),
        ("labels/a.xml", "images/a.jpg"),
        ("xml/a.xml", "img/a.jpg"),
        ("my boxes/a.xml", "my photos/a.jpg"),
        ("a.xml", "a.jpg"),
        ("images/a.xml", "images/a.jpg"),
        ("Annotations/sub/a.xml", "JPEGImages/sub/a.jpg"),
        ("Annotations/sub/a.xml", "JPEGImages/a.jpg"),
        ("Annotations/a.xml", "JPEGImages/sub/a.jpg"),
        ("Annotations/a.jpg.xml", "JPEGImages/a.jpg"),
        ("Annotations/CLS/part/n01/a.xml", "Data/CLS/part/n01/a.jpg"),
        ("set/Annotations/a.xml", "set/JPEGImages/a.jpg"),
        ("set/inner/annots/a.xml", "set/inner/images/a.jpg"),
    ],
)
def test_names_and_depths_of_folders(tmp_path, annotation, picture):
    dataset = load_dataset(lay_out(tmp_path, annotation, picture))
    assert [dataset.path(0)] == [tmp_path / picture]
    assert dataset.boxes.tolist() == [[10, 20, 50, 60]]
    assert available_splits(tmp_path) == ()


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (
            ["train/a.xml", "train/a.jpg", "valid/b.xml", "valid/b.jpg"],
            {"train": "train/a.jpg", "valid": "valid/b.jpg"},
        ),
        (
            ["train/annots/a.xml", "train/images/a.jpg", "test/annots/a.xml", "test/images/a.jpg"],
            {"train": "train/images/a.jpg", "test": "test/images/a.jpg"},
        ),
        (
            ["annotations/train/a.xml", "images/train/a.jpg", "annotations/val/a.xml", "images/val/a.jpg"],
            {"train": "images/train/a.jpg", "val": "images/val/a.jpg"},
        ),
        (
            ["train_zip/train/a.xml", "train_zip/train/a.jpg", "test_zip/test/b.xml", "test_zip/test/b.jpg"],
            {"train": "train_zip/train/a.jpg", "test": "test_zip/test/b.jpg"},
        ),
        (
            ["annotations/a.xml", "annotations/b.xml", "images/train/a.jpg", "images/val/b.jpg"],
            {"train": "images/train/a.jpg", "val": "images/val/b.jpg"},
        ),
        (
            ["Annotations/a.xml", "train/a.jpg", "Annotations/b.xml", "test/b.jpg"],
            {"train": "train/a.jpg", "test": "test/b.jpg"},
        ),
        (["Annotations/a.xml", "JPEGImages/a.jpg", "train.txt", "notes.txt"], {"train": "JPEGImages/a.jpg"}),
        (["Annotations/a.xml", "JPEGImages/a.jpg", "ImageSets/val.txt"], {"val": "JPEGImages/a.jpg"}),
        (["annotations/a.xml", "images/a.jpg", "imagesets/main/my.txt"], {"my": "images/a.jpg"}),
    ],
)
def test_splits(tmp_path, files, splits):
    lay_out(tmp_path, *files)
    assert available_splits(tmp_path) == tuple(splits)
    loaded = {name: load_dataset(tmp_path, name) for name in splits}
    assert {name: [str(sample.path.relative_to(tmp_path)) for sample in each] for name, each in loaded.items()} == {
        name: [file] for name, file in splits.items()
    }
    assert len(load_dataset(tmp_path)) == len(set(splits.values()))


def test_classes_of_split_folders_are_joined(tmp_path):
    lay_out(tmp_path, "train/a.xml", "train/a.jpg", "test/b.xml", "test/b.jpg", "valid/c.jpg")
    (tmp_path / "test" / "b.xml").write_text(xml(name="ant"))
    (tmp_path / "valid" / "c.xml").write_text("<annotation/>")
    sets = [load_dataset(tmp_path, split) for split in ("train", "test", "valid")]
    assert [each.classes for each in sets] == [("ant", "cat")] * 3
    assert [each.labels.tolist() for each in sets] == [[1], [0], []]


@pytest.mark.parametrize(
    "line", ["JPEGImages/a.jpg Annotations/a.xml", r".\JPEGImages\a.jpg", "/home/me/a.jpg 1,2,3,4,0", "A"]
)
def test_lines_of_lists(tmp_path, line):
    lay_out(tmp_path, "Annotations/a.xml", "JPEGImages/a.jpg", "Annotations/b.xml", "JPEGImages/b.jpg")
    (tmp_path / "train.txt").write_text(line)
    assert load_dataset(tmp_path, "train").image_ids == ["a"]


def test_years_in_folders_of_their_own(tmp_path):
    names = [f"{part}/VOCdevkit/VOC2007" for part in ("VOCtest", "VOCtrainval")]
    lay_out(tmp_path, *(f"{name}/{file}" for name in names for file in ("Annotations/a.xml", "JPEGImages/a.jpg")))
    dataset = load_dataset(tmp_path)
    assert dataset.image_ids == [f"{name}/{part}" for name in names for part in ("Annotations/a",)]
    assert len(dataset.classes) == 20


def test_masks_are_no_pictures(tmp_path):
    lay_out(tmp_path, "Annotations/a.xml", "Annotations/b.xml", "JPEGImages/a.jpg", "SegmentationClass/b.png")
    dataset = load_dataset(tmp_path)
    assert (dataset.files, len(dataset.left_out)) == (["JPEGImages/a.jpg"], 1)


def test_a_picture_with_a_file_of_its_own_name_belongs_to_no_other(tmp_path):
    lay_out(tmp_path, "Annotations/a.xml", "Annotations/b.xml", "JPEGImages/a.jpg")
    (tmp_path / "Annotations" / "b.xml").write_text(xml(name="dog", filename="a.jpg"))
    dataset = load_dataset(tmp_path)
    assert (len(dataset.boxes), list(dataset.left_out)) == (1, [str(tmp_path / "Annotations" / "b.xml")])


def test_pictures_in_a_folder_that_is_named(tmp_path):
    lay_out(tmp_path, "set/Annotations/a.xml", "set/JPEGImages/a.jpg", "large/sub/a.png")
    dataset = load_dataset(tmp_path / "set", images=tmp_path / "large")
    assert dataset.path(0) == (tmp_path / "large" / "sub" / "a.png").resolve()


def test_the_folder_of_annotations_alone(tmp_path):
    lay_out(tmp_path, "Annotations/a.xml", "JPEGImages/a.jpg")
    assert load_dataset(tmp_path / "Annotations").path(0) == (tmp_path / "JPEGImages" / "a.jpg").resolve()


def test_other_xml_files_are_not_claimed(tmp_path):
    path = tmp_path / "annotations.xml"
    path.write_text(xml(root="annotations"))
    assert find_roots(Place(tmp_path)) == []
    other = tmp_path / "boxes" / "1.xml"
    other.parent.mkdir()
    other.write_text("<!-- hi --><HRSC_Image/>")
    path.unlink()
    with pytest.raises(AnnotationError, match=rf"{other}: its root is <hrsc_image>, not <annotation>: no VOC file"):
        load_dataset(tmp_path)
    other.write_text(xml())
    with pytest.raises(AnnotationError, match=r"1\.xml: the annotations of one picture \(VOC\); give the folder"):
        load_dataset(other)
