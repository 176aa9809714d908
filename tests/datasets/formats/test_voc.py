"""The VOC reader on crooked folders, and the writer."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import dataset_or_fault, write_picture

from yolo import AnnotationError, YoloError, load_dataset
from yolo.datasets.annotations import repair
from yolo.datasets.formats import voc_xml
from yolo.datasets.formats.voc_xml import read_annotation
from yolo.datasets.load import available_splits

VOC_CLASSES = (Path(__file__).parents[3] / "data" / "voc.names").read_text().split()


def xml_object(name="cat", corners=(11, 21, 50, 60), extra=""):
    tags = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    sides = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
    return f"<object><name>{name}</name>{extra}<bndbox>{sides}</bndbox></object>"


SIZE = "<size><width>200</width><height>100</height><depth>3</depth></size>"


def write_xml(root: Path, stem: str, *objects: str, size=SIZE, filename=None) -> Path:
    path = root / "Annotations" / f"{stem}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    named = "" if filename is None else f"<filename>{filename}</filename>"
    path.write_text(f"<annotation>{named}{size}{''.join(objects)}</annotation>", encoding="utf-8")
    return path


def write_sample(root: Path, stem: str, *objects: str, suffix=".jpg", **options) -> Path:
    """An annotation with its picture, 100 high and 200 wide."""
    write_picture(root / "JPEGImages" / f"{stem}{suffix}")
    return write_xml(root, stem, *objects, **options)


def write_list(root: Path, split: str, text: str) -> Path:
    path = root / "ImageSets" / "Main" / f"{split}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def load_corners(corners, *, folder):
    write_sample(folder, "a", xml_object(corners=corners))
    return load_dataset(folder)


@pytest.mark.parametrize(
    ("corners", "expected", "fault"),
    [
        ((1, 1, 200, 100), [0, 0, 200, 100], None),  # the whole picture
        ((11, 21, 50, 60), [10, 20, 50, 60], None),
        ((5, 5, 5, 5), [4, 4, 5, 5], None),  # one pixel
        ((11.5, 21.25, 50.75, "60.0"), [10.5, 20.25, 50.75, 60], None),
        ((50, 60, 11, 21), [10, 20, 50, 60], repair.INVERTED),
        ((50, 21, 11, 60), [10, 20, 50, 60], repair.INVERTED),
        ((6, 21, 5, 60), [4, 20, 6, 60], repair.INVERTED),
        ((5.75, 21, 5.25, 60), [4.75, 20, 5.25, 60], None),  # half a pixel wide
        ((0, 0, 50, 60), [0, 0, 50, 60], repair.ROUNDED),  # counted from 0
        ((-20, 21, 50, 160), [0, 20, 50, 100], repair.CLIPPED),
        ((201, 21, 250, 60), None, repair.OUTSIDE),
        (("nan", 21, 50, 60), None, repair.NOT_FINITE),
        ((11, 21, "inf", 60), None, repair.NOT_FINITE),
        (("1e999", "-1e999", 50, 60), None, repair.NOT_FINITE),
    ],
)
def test_corners(tmp_path, corners, expected, fault):
    dataset = load_corners(corners, folder=tmp_path)
    assert dataset.boxes.tolist() == ([] if expected is None else [expected])
    assert dataset.repairs == ({fault: 1} if fault else {})


def test_a_repair_is_reported_with_file_and_object(tmp_path, caplog):
    path = write_sample(tmp_path, "a", xml_object(), xml_object(corners=("nan", 1, 2, 3)))
    load_dataset(tmp_path)
    (record,) = caplog.records
    assert f"dropped: 1 ({path}: object 2)" in record.getMessage()


def test_loose_folder(tmp_path):
    write_sample(tmp_path, "b", xml_object(" dog "), xml_object("cat", extra="<difficult>1</difficult>"))
    write_sample(tmp_path, "a")
    write_sample(tmp_path, "käfer 1", xml_object("dog"), suffix=".png")
    dataset = load_dataset(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert dataset.category_ids == (0, 1)
    assert dataset.image_ids == ["a", "b", "käfer 1"]
    assert dataset.files == ["JPEGImages/a.jpg", "JPEGImages/b.jpg", "JPEGImages/käfer 1.png"]
    assert dataset.box_counts.tolist() == [0, 2, 1]
    assert dataset.labels.tolist() == [1, 0, 1]
    assert dataset.ignore.tolist() == [False, True, False]
    assert dataset.areas.tolist() == [1600] * 3
    assert dataset.sizes.tolist() == [[100, 200]] * 3
    assert all(sample.path.is_file() for sample in dataset)
    assert available_splits(tmp_path) == ()


def test_splits_have_the_same_classes(tmp_path):
    write_sample(tmp_path, "a", xml_object("dog"))
    write_sample(tmp_path, "b", xml_object("cat"))
    write_list(tmp_path, "train", "a\n")
    write_list(tmp_path, "val", "b\n\n")
    train, val = (load_dataset(tmp_path, split) for split in ("train", "val"))
    assert train.classes == val.classes == ("cat", "dog")
    assert (train.labels.tolist(), val.labels.tolist()) == ([1], [0])
    assert (train.image_ids, val.image_ids, val.split) == (["a"], ["b"], "val")
    assert len(load_dataset(tmp_path)) == 2


def test_a_malformed_file_of_another_split_does_not_matter(tmp_path):
    write_sample(tmp_path, "a", xml_object("dog"))
    write_sample(tmp_path, "b").write_text("<annotation>")
    write_list(tmp_path, "train", "a")
    assert load_dataset(tmp_path, "train").classes == ("dog",)


def test_lists_with_a_second_column_and_repetitions(tmp_path, caplog):
    for stem in ("a", "b c"):
        write_sample(tmp_path, stem, xml_object())
    path = write_list(tmp_path, "train", "a  1\r\nb c\r\na -1\r\nb c.jpg\r\n")
    dataset = load_dataset(tmp_path, "train")
    assert dataset.image_ids == ["a", "b c"]
    assert dataset.repairs == {repair.LISTED_TWICE: 2}
    assert f"{path}:3" in caplog.text


def test_lists_of_single_classes_are_no_splits(tmp_path):
    write_sample(tmp_path, "a", xml_object())
    for name in ("train", "val", "cat_train", "cat_val", "my_part"):
        write_list(tmp_path, name, "a 1\n")
    assert available_splits(tmp_path) == ("my_part", "train", "val")


def test_lists_of_single_classes_alone(tmp_path):
    write_sample(tmp_path, "a", xml_object())
    write_list(tmp_path, "cat_train", "a 1\n")
    assert available_splits(tmp_path) == ("cat_train",)
    assert load_dataset(tmp_path, "cat_train").image_ids == ["a"]


@pytest.mark.parametrize("around", ["", "VOCdevkit"])
def test_years(tmp_path, around):
    old, new = (tmp_path / around / name for name in ("VOC2007", "VOC2012"))
    write_sample(old, "000001", xml_object("dog"))
    write_sample(old, "000002", xml_object("cat"))
    write_sample(new, "2012_000001", xml_object("tvmonitor"))
    write_list(old, "train", "000001\n")
    write_list(old, "test", "000002\n")
    write_list(new, "train", "2012_000001\n")
    train = load_dataset(tmp_path, "train")
    assert available_splits(tmp_path) == ("test", "train")
    assert train.image_ids == ["000001", "2012_000001"]
    assert train.classes == tuple(VOC_CLASSES)
    assert [VOC_CLASSES[label] for label in train.labels] == ["dog", "tvmonitor"]
    assert load_dataset(tmp_path, "test").image_ids == ["000002"]
    assert all(sample.path.is_file() for sample in train)
    assert load_dataset(old).classes == tuple(VOC_CLASSES)  # a single year


def test_years_whose_stems_clash(tmp_path):
    for year in ("VOC2007", "VOC2012"):
        write_sample(tmp_path / year, "1", xml_object("dog"))
    assert load_dataset(tmp_path).image_ids == ["VOC2007/1", "VOC2012/1"]


def test_any_folders_in_a_vocdevkit(tmp_path):
    write_sample(tmp_path / "VOCdevkit" / "mine", "1", xml_object("unicorn"))
    assert load_dataset(tmp_path / "VOCdevkit").classes == ("unicorn",)


def test_years_with_another_class(tmp_path):
    write_sample(tmp_path / "VOC2007", "1", xml_object("dog"))
    write_sample(tmp_path / "VOC2007", "2", xml_object("unicorn"))
    write_list(tmp_path / "VOC2007", "train", "1")
    assert load_dataset(tmp_path, "train").classes == ("dog", "unicorn")


@pytest.mark.parametrize("name", ["classes.txt", "labels.txt", "my.names"])
def test_classes_from_a_list_in_the_folder(tmp_path, name):
    write_sample(tmp_path, "a", xml_object("cat"))
    (tmp_path / name).write_text("fox \r\ncat\r\n\r\n")
    dataset = load_dataset(tmp_path)
    assert dataset.classes == ("fox", "cat")
    assert dataset.labels.tolist() == [1]


def test_classes_given(tmp_path):
    write_sample(tmp_path, "a", xml_object("cat"))
    assert load_dataset(tmp_path, classes=["dog", "cat"]).labels.tolist() == [1]


def test_a_class_that_is_not_in_the_list(tmp_path):
    path = write_sample(tmp_path, "a", xml_object("cat"), xml_object("cow"))
    with pytest.raises(AnnotationError) as caught:
        load_dataset(tmp_path, classes=["dog", "cat"])
    assert str(caught.value) == (
        f"{path}: object 2: class 'cow' is not in the list (dog, cat); mend the name or add it to the list"
    )


@pytest.mark.parametrize(
    ("size", "fault"),
    [
        ("", repair.WRONG_SIZE),
        ("<size/>", repair.WRONG_SIZE),
        ("<size><width>0</width><height>0</height></size>", repair.WRONG_SIZE),
        ("<size><width>wide</width><height>1e999</height></size>", repair.WRONG_SIZE),
        ("<size><width>640</width><height>480</height></size>", repair.OTHER_SHAPE),
        ("<size><width>100</width><height>200</height></size>", repair.SWAPPED_SIDES),  # and no EXIF to explain it
    ],
)
def test_a_size_missing_or_wrong_is_the_pictures(tmp_path, size, fault):
    write_sample(tmp_path, "a", xml_object(), size=size)
    write_sample(tmp_path, "b", xml_object())
    dataset = load_dataset(tmp_path)
    assert dataset.sizes.tolist() == [[100, 200]] * 2
    assert dataset.boxes.tolist() == [[10, 20, 50, 60]] * 2
    assert dataset.repairs == {fault: 1}


def test_a_folder_without_any_sizes_has_no_fault(tmp_path):
    write_sample(tmp_path, "a", xml_object(), size="")
    dataset = load_dataset(tmp_path)
    assert (dataset.sizes.tolist(), dataset.repairs) == ([[100, 200]], {})


def test_boxes_of_resized_pictures_are_scaled(tmp_path):
    size = "<size><width>400</width><height>200</height></size>"
    write_sample(tmp_path, "a", xml_object(corners=(21, 41, 100, 120)), size=size)
    dataset = load_dataset(tmp_path)
    assert dataset.boxes.tolist() == [[10, 20, 50, 60]]  # halves of [20, 40, 100, 120]
    assert dataset.repairs == {repair.RESIZED: 1}


@pytest.mark.parametrize(
    ("width", "height", "repairs"),
    [
        (100, 200, {}),  # annotated as shown
        (200, 100, {}),  # annotated as stored
        (300, 300, {repair.OTHER_SHAPE: 1}),
    ],
)
def test_a_picture_turned_by_exif(tmp_path, width, height, repairs):
    size = f"<size><width>{width}</width><height>{height}</height></size>"
    write_xml(tmp_path, "a", xml_object(corners=(1, 1, 50, 50)), size=size)
    write_picture(tmp_path / "JPEGImages" / "a.jpg", height=100, width=200, orientation=6)
    dataset = load_dataset(tmp_path)
    assert dataset.sizes.tolist() == ([[200, 100]] if repairs else [[height, width]])
    assert dataset.repairs == repairs


def test_a_picture_that_is_none_keeps_its_annotated_size(tmp_path):
    write_sample(tmp_path, "a", xml_object())
    (tmp_path / "JPEGImages" / "a.jpg").write_bytes(b"nothing")
    assert load_dataset(tmp_path).sizes.tolist() == [[100, 200]]
    write_xml(tmp_path, "a", xml_object(), size="")
    with pytest.raises(AnnotationError, match=r"a\.jpg: not a picture that can be decoded"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("pictures", "filename", "expected"),
    [
        (["a.png"], "a.jpg", "a.png"),  # converted since
        (["a.JPG"], None, "a.JPG"),
        (["a.jpg"], "b.jpg", "a.jpg"),
        (["a.jpg", "b.jpg"], "b.jpg", "a.jpg"),  # copied from another file: the stem counts
        (["b.jpg"], "b.jpg", "b.jpg"),
        (["b.png"], "/home/me/b.jpg", "b.png"),
        (["a.jpg", "a.png"], "a.png", "a.png"),
        (["a.jpg", "a.png"], None, "a.jpg"),
    ],
)
def test_which_picture_belongs_to_a_file(tmp_path, pictures, filename, expected):
    write_xml(tmp_path, "a", xml_object(), filename=filename)
    for name in pictures:
        write_picture(tmp_path / "images" / name)
    assert load_dataset(tmp_path).files == [f"images/{expected}"]


def test_xml_files_and_pictures_side_by_side(tmp_path):
    write_picture(tmp_path / "a.jpg")
    write_xml(tmp_path, "a", xml_object()).rename(tmp_path / "a.xml")
    (tmp_path / "Annotations").rmdir()
    dataset = load_dataset(tmp_path)
    assert (dataset.files, dataset.boxes.tolist()) == (["a.jpg"], [[10, 20, 50, 60]])


def test_pictures_without_annotations_are_left_out_and_said(tmp_path, caplog):
    write_sample(tmp_path, "a", xml_object())
    write_picture(tmp_path / "JPEGImages" / "b.jpg")
    with caplog.at_level(logging.INFO, "yolo"):
        assert load_dataset(tmp_path).image_ids == ["a"]
    assert "1 pictures without an annotation file, left out" in caplog.text


def test_missing_pictures_are_counted_and_named(tmp_path):
    write_sample(tmp_path, "a", xml_object())
    paths = [write_xml(tmp_path, stem, xml_object()) for stem in "bcde"]
    with pytest.raises(AnnotationError) as caught:
        load_dataset(tmp_path)
    reasons = "; ".join(f"{path}: there is no picture {path.stem!r}" for path in paths)
    assert str(caught.value) == (
        f"{tmp_path}: 4 of 5 cannot be used, and 5% may be left out: {reasons}; "
        "add the pictures, or name their folder (--images DIR)"
    )


def test_one_missing_picture_is_left_out_and_named(tmp_path, caplog):
    write_sample(tmp_path, "a", xml_object())
    path = write_xml(tmp_path, "b", xml_object(), filename=r"C:\pics\b.jpg")
    dataset = load_dataset(tmp_path)
    assert dataset.image_ids == ["a"]
    assert dataset.left_out == {str(path): f"{path}: there is no picture 'b.jpg'"}
    assert f"1 of 2 cannot be used and are left out: {path}: there is no picture 'b.jpg'" in caplog.text
    with pytest.raises(AnnotationError, match=rf"^{path}: there is no picture 'b.jpg'$"):
        load_dataset(tmp_path, strict=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotation>\n<object>\n</annotation>", r"a\.xml:3:3: not valid XML \(mismatched tag\)"),
        ("", r"a\.xml:1:1: not valid XML \(no element found\)"),
        ("{}", r"a\.xml:1:1: not valid XML"),
        ('<?xml version="1.0" encoding="nonsense"?><annotation/>', r"a\.xml.*: not valid XML"),
        (
            '<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>',
            r"a\.xml: defines entities or refers to other files",
        ),
        ("<annotation><object/></annotation>", r"a\.xml: object 1 has no <name>"),
        ("<annotation><object><name>cat</name></object></annotation>", r"a\.xml: object 1 has no <bndbox>"),
        (
            f"<annotation>{xml_object(corners=(1, 2, 'x', 4))}</annotation>",
            r"a\.xml: object 1: <xmax> expected a number, got 'x'",
        ),
        (
            "<annotation><object><name>cat</name><bndbox><xmin>1</xmin></bndbox></object></annotation>",
            r"a\.xml: object 1: <ymin> expected a number, got nothing",
        ),
    ],
)
def test_malformed_files(tmp_path, content, message):
    write_sample(tmp_path, "a").write_text(content)
    with pytest.raises(AnnotationError, match=message):
        load_dataset(tmp_path)


def test_a_file_too_large_is_not_read(tmp_path):
    with write_sample(tmp_path, "a").open("r+b") as file:
        file.truncate(8 * 2**20 + 1)
    with pytest.raises(AnnotationError, match=r"a\.xml: 9 MiB; one image's annotation file may have 8 MiB at most"):
        load_dataset(tmp_path)


def test_faults_of_the_folder(tmp_path, caplog):
    write_sample(tmp_path, "a", xml_object())
    path = write_list(tmp_path, "train", "a\nb 1\n")
    empty = write_list(tmp_path, "val", "\n")
    reason = f"{path}:2: there is no Annotations/b.xml; remove the line or add the file"
    assert load_dataset(tmp_path, "train").left_out == {f"{path}:2": reason}
    assert f"1 of 2 cannot be used and are left out: {reason}" in caplog.text
    with pytest.raises(AnnotationError, match=rf"^{path}:2: there is no Annotations/b\.xml; remove the line"):
        load_dataset(tmp_path, "train", strict=True)
    with pytest.raises(AnnotationError, match="no annotated pictures: split 'val' lists none"):
        load_dataset(tmp_path, "val")
    with pytest.raises(AnnotationError, match="there is no split 'test'; it has train, val"):
        load_dataset(tmp_path, "test")
    empty.write_bytes(b"a\n\xff\xfe")
    with pytest.raises(AnnotationError, match=rf"{empty}:2: not a text file in UTF-8"):
        load_dataset(tmp_path, "val")


def test_no_pictures_at_all(tmp_path):
    write_xml(tmp_path, "a", xml_object())
    write_xml(tmp_path, "b", xml_object())
    with pytest.raises(AnnotationError) as caught:
        load_dataset(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: 2 .xml in Annotations/, but no pictures of those names, such as 'a' for a.xml; put them into "
        "images/ beside it, or name their folder (--images DIR)"
    )
    (tmp_path / "a.heic").touch()
    with pytest.raises(AnnotationError, match=r"of a type that is not read, such as a\.heic; convert them to .jpg"):
        load_dataset(tmp_path)


def test_no_objects_at_all(tmp_path):
    write_sample(tmp_path, "a")
    with pytest.raises(AnnotationError, match="no annotation file has an object, and there is no list of classes"):
        load_dataset(tmp_path)
    assert load_dataset(tmp_path, classes=["cat"]).box_counts.tolist() == [0]


VALID = f"<annotation><filename>a.jpg</filename>{SIZE}{xml_object()}{xml_object('dog')}</annotation>".encode()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda cut, paste, length: VALID[:cut] + paste + VALID[cut + length :],
            st.integers(0, len(VALID)),
            st.binary(max_size=6),
            st.integers(0, 40),
        ),
    )
)
def test_whatever_a_file_holds_the_reader_gives_boxes_or_our_error(tmp_path, content):
    path = tmp_path / "Annotations" / "a.xml"
    if not path.is_file():
        write_sample(tmp_path, "a")
    path.write_bytes(content)
    dataset = dataset_or_fault(tmp_path, classes=["cat", "dog"])
    if isinstance(dataset, YoloError):
        assert "a.xml" in str(dataset)
    else:
        boxes = dataset.boxes
        assert ((boxes[:, :2] >= 0) & (boxes[:, :2] < boxes[:, 2:]) & (boxes[:, 2:] <= (200, 100))).all()


SIDE = st.integers(0, 100).map(float) | st.floats(0, 100, width=32)
LENGTH = st.integers(1, 100).map(float) | st.floats(0.125, 100, width=32)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(st.lists(st.tuples(SIDE, SIDE, LENGTH, LENGTH, st.integers(0, 1)), max_size=5))
def test_what_is_written_is_read(tmp_path, rows):
    table = np.array(rows, np.float32).reshape(-1, 5)
    boxes = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1)
    if not (tmp_path / "Annotations").is_dir():
        write_picture(tmp_path / "JPEGImages" / "ä.png", height=200, width=300)
        (tmp_path / "Annotations").mkdir()
    voc_xml.write_voc_annotation(
        tmp_path / "Annotations" / "ä.xml",
        filename="ä.png",
        size=(200, 300),
        boxes=boxes,
        labels=table[:, 4].astype(np.int32),
        classes=["cät <&>", "dog"],
    )
    dataset = load_dataset(tmp_path, classes=["cät <&>", "dog"])
    np.testing.assert_allclose(dataset.boxes, boxes, rtol=0, atol=1e-13)
    assert dataset.labels.tolist() == table[:, 4].tolist()
    assert dataset.sizes.tolist() == [[200, 300]]
    assert dataset.repairs == {}


def test_the_file_that_is_written(tmp_path):
    path = tmp_path / "a.xml"
    voc_xml.write_voc_annotation(
        path,
        filename="a.jpg",
        size=(100, 200),
        boxes=np.array([[0, 0, 200, 100], [1.5, 2, 3, 4]], np.float32),
        labels=np.array([1, 0], np.int32),
        classes=["cat", "dog"],
    )
    annotation = read_annotation(path)
    assert (annotation.filename, annotation.size) == ("a.jpg", (100, 200))
    assert annotation.objects == [
        ("dog", (1, 1, 200, 100), False),
        ("cat", (2.5, 3, 3, 4), False),
    ]
    assert "<xmin>1</xmin>" in path.read_text()
    assert [each.name for each in tmp_path.iterdir()] == ["a.xml"]


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(AnnotationError, match=r"a\.xml: cannot be written"):
        voc_xml.write_voc_annotation(
            tmp_path / "none" / "a.xml",
            filename="a.jpg",
            size=(1, 1),
            boxes=np.zeros((0, 4), np.float32),
            labels=np.zeros(0, np.int32),
            classes=[],
        )


def test_raccoons(shared):
    folder = shared / "data" / "raccoon"
    train, test, whole = (load_dataset(folder, split) for split in ("train", "test", None))
    assert available_splits(folder) == ("test", "train")
    assert [len(part) for part in (train, test, whole)] == [160, 40, 200]
    assert [len(part.boxes) for part in (train, test, whole)] == [173, 44, 217]
    assert train.classes == test.classes == whole.classes == ("raccoon",)
    assert train.image_ids[0] == "raccoon-1"
    assert train[0].size == (417, 650)
    assert train[0].boxes.tolist() == [[80, 87, 522, 408]]
    assert all(sample.path.is_file() for sample in whole)
