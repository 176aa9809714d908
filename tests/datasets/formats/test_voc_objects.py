"""Objects and files of VOC as tools write them: flags, outlines, encodings; and what is left out of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import write_picture

from yolo import AnnotationError, YoloError, load_dataset
from yolo.datasets.annotations import repair
from yolo.datasets.annotations.xml_file import root_name

BOX = "<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>50</xmax><ymax>60</ymax></bndbox>"
SIZE = "<size><width>200</width><height>100</height></size>"
CAT = f"<object><name>cat</name>{BOX}</object>"


def load(folder, content, **options):
    """Load a folder with one annotation file of that content, text or bytes."""
    write_picture(folder / "JPEGImages" / "a.jpg")
    path = folder / "Annotations" / "a.xml"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_dataset(folder, **options)


def annotation(*objects, size=SIZE):
    return f"<annotation>{size}{''.join(objects)}</annotation>"


@pytest.mark.parametrize(
    ("text", "difficult"),
    [("1", True), ("true", True), (" True ", True), ("1.0", True), ("yes", True)]
    + [("0", False), ("false", False), ("Unspecified", False), ("", False), ("0.0", False)],
)
def test_difficult(tmp_path, text, difficult):
    content = annotation(f"<object><name>cat</name><difficult>{text}</difficult>{BOX}</object>")
    assert load(tmp_path, content).ignore.tolist() == [difficult]


@pytest.mark.parametrize(
    ("outline", "expected"),
    [
        ("<polygon><x1>10</x1><y1>10</y1><x2>40</x2><y2>12</y2><x3>30</x3><y3>40</y3></polygon>", [10, 10, 40, 40]),
        (
            "<polygon><username>me</username><pt><x>5</x><y>6</y></pt><pt><x>25</x><y>16</y></pt></polygon>",
            [5, 6, 25, 16],
        ),
        ("<bndbox><x0>8</x0><y0>9</y0><x1>20</x1><y1>9</y1><x2>20</x2><y2>30</y2></bndbox>", [8, 9, 20, 30]),
        ("<robndbox><cx>50</cx><cy>40</cy><w>20</w><h>10</h><angle>0</angle></robndbox>", [40, 35, 60, 45]),
        (
            f"<robndbox><cx>50</cx><cy>40</cy><w>20</w><h>10</h><angle>{math.pi / 2}</angle></robndbox>",
            [45, 30, 55, 50],
        ),
    ],
)
def test_outlines_give_their_bounding_boxes(tmp_path, outline, expected):
    dataset = load(tmp_path, annotation(CAT, f"<object><name>cat</name>{outline}</object>"))
    np.testing.assert_allclose(dataset.boxes, [[10, 20, 50, 60], expected], atol=1e-5)
    assert dataset.repairs == {repair.OUTLINED: 1}


def test_a_box_counts_more_than_an_outline(tmp_path):
    outline = "<polygon><x1>1</x1><y1>1</y1><x2>2</x2><y2>2</y2></polygon>"
    dataset = load(tmp_path, annotation(f"<object><name>cat</name>{outline}{BOX}</object>"))
    assert (dataset.boxes.tolist(), dataset.repairs) == ([[10, 20, 50, 60]], {})


def test_parts_and_deleted_objects_are_no_objects(tmp_path):
    part = f"<object><part><name>head</name>{BOX}</part><name>cat</name>{BOX}</object>"
    deleted = f"<object><name>dog</name><deleted>1</deleted>{BOX}</object>"
    dataset = load(tmp_path, annotation(part, deleted))
    assert (dataset.classes, len(dataset.boxes)) == (("cat",), 1)


def test_colabeler(tmp_path):
    item = f"<item><name>cat</name>{BOX}</item>"
    dataset = load(tmp_path, f"<doc><path>D:\\a.jpg</path><outputs><object>{item}</object></outputs>{SIZE}</doc>")
    assert dataset.boxes.tolist() == [[10, 20, 50, 60]]


@pytest.mark.parametrize(
    ("faulty", "missing"),
    [
        (f"<object><name/>{BOX}</object>", "<name>"),
        ("<object><name>cat</name></object>", "<bndbox>"),
        ("<object><name>cat</name><bndbox></bndbox></object>", "sides in its <bndbox>"),
        ("<object><name>cat</name><bndbox><xmin/><ymin/><xmax/><ymax/></bndbox></object>", "sides in its <bndbox>"),
    ],
)
def test_an_object_without_name_or_box_is_left_out(tmp_path, caplog, faulty, missing):
    dataset = load(tmp_path, annotation(faulty, CAT))
    path = tmp_path / "Annotations" / "a.xml"
    reason = f"{path}: object 1 has no {missing}; add it or remove the object"
    assert dataset.boxes.tolist() == [[10, 20, 50, 60]]
    assert dataset.left_out == {f"{path}: object 1": reason}
    assert f"objects: 1 of 2 cannot be used and are left out: {reason}" in caplog.text
    with pytest.raises(AnnotationError, match=rf"^{reason}$"):
        load_dataset(tmp_path, strict=True)


def test_too_many_objects_without_names(tmp_path):
    with pytest.raises(
        AnnotationError, match=r"objects: 2 of 3 cannot be used, and 5% may be left out: .*object 1 has"
    ):
        load(tmp_path, annotation(f"<object>{BOX}</object>", f"<object>{BOX}</object>", CAT))


def test_a_repair_names_the_objects_number_in_the_file(tmp_path, caplog):
    wide = f"<object><name>cat</name>{BOX.replace('50', '250')}</object>"
    load(tmp_path, annotation(f"<object>{BOX}</object>", CAT, wide))
    assert f"clipped: 1 ({tmp_path / 'Annotations' / 'a.xml'}: object 3)" in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        "\n \n<?xml version='1.0'?>" + annotation(CAT),
        "\ufeff\n<?xml version='1.0' encoding='utf-8'?>" + annotation(CAT),
        "<?xml version='1.0' encoding='utf8'?>" + annotation(CAT),
        "<?xml version='1.0' encoding='utf-16'?>" + annotation(CAT),  # .NET, written in UTF-8
        ("<?xml version='1.0' encoding='utf-16'?>" + annotation(CAT)).encode("utf-16"),
        annotation("<filename>字.jpg</filename>", CAT).encode("gbk"),  # the stem finds the picture
        annotation("<owner>Black & White</owner>", CAT),
        "<!DOCTYPE annotation SYSTEM 'annotation.dtd'>" + annotation(CAT),
    ],
)
def test_crooked_files_are_read(tmp_path, content):
    dataset = load(tmp_path, content)
    assert (dataset.boxes.tolist(), dataset.classes) == ([[10, 20, 50, 60]], ("cat",))


@pytest.mark.parametrize(
    ("encoding", "codec", "name"),
    [
        ("gb2312", "gbk", "猫"),
        ("GBK", "gbk", "猫"),
        ("gb18030", "gb18030", "猫"),
        ("Big5", "big5", "貓"),
        ("Shift_JIS", "cp932", "ネコ"),
        ("EUC-KR", "euc-kr", "고양이"),
        ("windows-1251", "cp1251", "кот"),
        ("iso-8859-1", "latin-1", "käfer"),
    ],
)
def test_declared_encodings(tmp_path, encoding, codec, name):
    for start in ("", "\n"):
        content = f"{start}<?xml version='1.0' encoding='{encoding}'?>{annotation(CAT.replace('cat', name))}"
        assert load(tmp_path, content.encode(codec)).classes == (name,)


def test_a_name_in_an_encoding_that_is_not_declared(tmp_path):
    with pytest.raises(AnnotationError, match=r"a\.xml: object 1: <name> is not UTF-8, and the file declares no other"):
        load(tmp_path, annotation(CAT.replace("cat", "字")).encode("gbk"))
    with pytest.raises(AnnotationError, match=r"a\.xml:1: not valid XML \(it is not UTF-8, and declares no other enc"):
        load(tmp_path, annotation("<字/>", CAT).encode("gbk"))


@pytest.mark.parametrize("encoding", ["punycode", "unicode_escape", "hex", "rot13", "idna"])
def test_codecs_that_are_no_encodings_are_not_tried(tmp_path, encoding):
    with pytest.raises(AnnotationError, match="not valid XML"):
        load(tmp_path, f"\n<?xml version='1.0' encoding='{encoding}'?>" + annotation(CAT))


def test_entities_are_refused_in_every_encoding(tmp_path):
    content = "\n<?xml version='1.0' encoding='gbk'?><!DOCTYPE a [<!ENTITY b '猫'>]><annotation>&b;</annotation>"
    with pytest.raises(AnnotationError, match="defines entities or refers to other files"):
        load(tmp_path, content.encode("gbk"))


def test_decimals_with_a_comma(tmp_path):
    with pytest.raises(AnnotationError, match=r"<xmax> expected a number, got '60,5'; write decimals with a point"):
        load(tmp_path, annotation(CAT.replace("<xmax>50", "<xmax>60,5")))


def test_all_broken_files_are_named_at_once(tmp_path):
    load(tmp_path, annotation(CAT))
    for stem, content in {"b": "<annotation>", "c": "", "d": "<annotation/>"}.items():
        write_picture(tmp_path / "JPEGImages" / f"{stem}.jpg")
        (tmp_path / "Annotations" / f"{stem}.xml").write_text(content)
    with pytest.raises(AnnotationError, match=r"2 of 4 cannot be used, and 5% .*b\.xml:1:13: .*; .*c\.xml:1:1: "):
        load_dataset(tmp_path)
    (tmp_path / "Annotations" / "b.xml").write_text("<annotation/>")
    dataset = load_dataset(tmp_path)
    assert (dataset.image_ids, list(dataset.left_out)) == (["a", "b", "d"], [str(tmp_path / "Annotations" / "c.xml")])


def test_classes_that_differ_by_case_are_said(tmp_path, caplog):
    dataset = load(tmp_path, annotation(CAT, CAT.replace("cat", " Cat "), CAT.replace("cat", "dog")))
    assert dataset.classes == ("Cat", "cat", "dog")
    assert "differ only by case or blanks are kept apart: 'Cat' (1 objects) and 'cat' (1 objects)" in caplog.text


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"<annotation>", "annotation"),
        (
            b"\xef\xbb\xbf\n<?xml version='1.0'?><!-- <x> --><!DOCTYPE a [<!ELEMENT b>]>\n<Annotations v='1'>",
            "annotations",
        ),
        ("<annotation>".encode("utf-16"), "annotation"),
        (b"", None),
        (b"{}", None),
    ],
)
def test_root_name(tmp_path, content, name):
    (tmp_path / "a.xml").write_bytes(content)
    assert root_name(tmp_path / "a.xml") == name
    assert root_name(tmp_path / "none.xml") is None


TAGS = ["annotation", "object", "name", "bndbox", "xmin", "polygon", "x1", "y1", "robndbox", "cx", "difficult", "size"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(TAGS), st.sampled_from(["", "cat", "1", "nan", "1e999", "1,5", "&", "猫"])),
        max_size=8,
    ),
    st.sampled_from(["", "gbk", "utf-16", "big5", "nonsense"]),
    st.sampled_from(["utf-8", "gb18030", "utf-16"]),
)
def test_any_elements_in_any_encoding_give_boxes_or_our_error(tmp_path, tags, declared, codec):
    body = annotation("<object><name>cat</name>", *(f"<{tag}>{text}</{tag}>" for tag, text in tags), "</object>", CAT)
    start = f"<?xml version='1.0' encoding='{declared}'?>" if declared else ""
    try:
        dataset = load(tmp_path, (start + body).encode(codec))
    except YoloError as error:
        assert "a.xml" in str(error)  # noqa: PT017 - some are read
    else:
        assert np.isfinite(dataset.boxes).all()
