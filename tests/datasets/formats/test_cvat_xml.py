"""The reader of CVAT's XML: images, videos, shapes, subsets, and faults."""

from __future__ import annotations

import math
import tracemalloc

import pytest
from damage import damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import dataset_or_fault, write_picture

from yolo import AnnotationError, load_dataset
from yolo.datasets.annotations import repair
from yolo.datasets.formats import cvat_elements
from yolo.datasets.load import available_splits, recognise

META = """<meta><task><id>7</id><size>3</size><mode>annotation</mode><labels>
<label><name>dog</name><color>#ff0000</color><type>any</type><attributes></attributes></label>
<label><name>cat</name><type>rectangle</type></label>
<label><name>pose</name><type>skeleton</type></label>
<label><name>nose</name><type>points</type><parent>pose</parent></label>
</labels><original_size><width>200</width><height>100</height></original_size></task></meta>"""
BOX = '<box label="cat" source="manual" occluded="0" xtl="10.50" ytl="20.00" xbr="30.25" ybr="40.00" z_order="0"></box>'


def write_xml(folder, content, name="annotations.xml", meta=META):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
        f"{meta}\n{content}\n</annotations>",
        encoding="utf-8",
    )
    return path


def image(name, shapes="", number=0, more=""):
    return f'<image id="{number}" name="{name}"{more} width="200" height="100">\n{shapes}\n</image>'


def load_shapes(folder, shapes):
    """The dataset of one image, 100 high and 200 wide, with some shapes."""
    write_picture(folder / "images" / "a.jpg")
    return load_dataset(write_xml(folder, image("a.jpg", shapes)))


def test_an_export_of_images(tmp_path):
    write_picture(tmp_path / "images" / "a.jpg")
    write_picture(tmp_path / "images" / "sub" / "ö b.png")
    shapes = BOX + '<tag label="dog" source="manual"></tag>'
    write_xml(tmp_path, image("a.jpg", shapes) + image("sub/ö b.png", number=1))
    dataset = load_dataset(tmp_path)
    assert recognise(tmp_path).format == "CVAT XML"
    assert dataset.classes == ("dog", "cat", "pose")
    assert dataset.files == ["images/a.jpg", "images/sub/ö b.png"]
    assert dataset.boxes.tolist() == [[10.5, 20, 30.25, 40]]
    assert dataset.labels.tolist() == [1]
    assert dataset.box_counts.tolist() == [1, 0]
    assert dataset.repairs == {}
    assert available_splits(tmp_path) == ()


@pytest.mark.parametrize(
    ("shape", "box", "counted"),
    [
        # 20 x 40 about (50, 50), a quarter turn: 40 x 20
        ('<box label="cat" xtl="40" ytl="30" xbr="60" ybr="70" rotation="90.0"/>',
         [30, 40, 70, 60], repair.ROTATED),
        # a square of 20, an eighth turn: its diagonal
        ('<box label="cat" xtl="40" ytl="40" xbr="60" ybr="60" rotation="45"/>',
         [50 - 200**0.5, 50 - 200**0.5, 50 + 200**0.5, 50 + 200**0.5], repair.ROTATED),
        ('<polygon label="cat" points="10.5,20;30,25;12,40"/>', [10.5, 20, 30, 40], repair.OUTLINED),
        ('<polyline label="cat" points="30,25;10,20"/>', [10, 20, 30, 25], repair.OUTLINED),
        ('<mask label="cat" rle="1, 2" left="5" top="6" width="7" height="8"/>', [5, 6, 12, 14], None),
        ('<ellipse label="cat" cx="50" cy="40" rx="20" ry="10"/>', [30, 30, 70, 50], repair.OUTLINED),
        ('<ellipse label="cat" cx="50" cy="40" rx="20" ry="10" rotation="90"/>', [40, 20, 60, 60], repair.OUTLINED),
        ('<cuboid label="cat" xtl1="1" ytl1="2" xbl1="1" ybl1="20" xtr1="9" ytr1="2" xbr1="9" ybr1="20" '
         'xtl2="30" ytl2="4" xbl2="30" ybl2="18" xtr2="22" ytr2="4" xbr2="22" ybr2="18"/>',
         [1, 2, 30, 20], repair.OUTLINED),
        ('<skeleton label="pose"><points label="nose" points="5,6" outside="0"/><points label="nose" points="9,8"/>'
         '<points label="nose" points="90,80" outside="1"/></skeleton>', [5, 6, 9, 8], repair.OUTLINED),
    ],
)  # fmt: skip
def test_shapes(tmp_path, shape, box, counted):
    dataset = load_shapes(tmp_path, shape)
    assert dataset.boxes[0].tolist() == pytest.approx(box, abs=1e-4)
    assert dataset.repairs == ({} if counted is None else {counted: 1})


def test_points_have_no_box_and_objects_need_a_label(tmp_path):
    points = '<points label="cat" points="1,2;3,4"/>'
    dataset = load_shapes(tmp_path, points + BOX.replace('label="cat"', 'label=" "') + BOX)
    assert dataset.boxes.tolist() == [[10.5, 20, 30.25, 40]]
    assert dataset.repairs == {repair.NO_AREA_SHAPES: 1, repair.NAMELESS: 1}
    place = f"{tmp_path}/annotations.xml: image 0 a.jpg: shape "
    assert [*dataset.repair_places.values()] == [[f"{place}1"], [f"{place}2"]]


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ('<box label="cat" xtl="x" ytl="1" xbr="2" ybr="3"/>', "box: xtl: expected a number, got 'x'"),
        ('<box label="cat" ytl="1" xbr="2" ybr="3"/>', "box: xtl: expected a number, got nothing"),
        ('<box label="cat" xtl="1" ytl="1" xbr="2" ybr="3" rotation="nan"/>',
         "box: rotation: expected a number of degrees, got nan"),
        ('<polygon label="cat" points="1,2,3"/>', "polygon: points: expected x,y;x,y;..., got '1,2,3'"),
        ('<polygon label="cat" points=""/>', "polygon: it has no points"),
    ],
)  # fmt: skip
def test_shapes_that_cannot_be_used_are_left_out(tmp_path, shape, reason):
    dataset = load_shapes(tmp_path, shape + BOX)
    assert len(dataset.boxes) == 1
    place = f"{tmp_path}/annotations.xml: image 0 a.jpg: shape 1"
    assert dataset.left_out == {place: f"{place}: {reason}"}
    with pytest.raises(AnnotationError) as caught:
        load_dataset(tmp_path / "annotations.xml", strict=True)
    assert str(caught.value) == f"{place}: {reason}"


def test_a_polygon_with_nan_is_dropped(tmp_path):
    dataset = load_shapes(tmp_path, '<polygon label="cat" points="1,2;nan,4;5,6"/>' + BOX)
    assert dataset.repairs[repair.NOT_FINITE] == 1
    assert math.isfinite(dataset.boxes.sum())


def test_subsets_are_splits(tmp_path):
    for name in ("Train/a.jpg", "Validation/a.jpg"):
        write_picture(tmp_path / "images" / name)
    entries = [image("a.jpg", BOX, more=' subset="Train" task_id="1"'), image("a.jpg", "", 1, ' subset="Validation"')]
    write_xml(tmp_path, "\n".join(entries))
    assert available_splits(tmp_path) == ("train", "validation")
    assert load_dataset(tmp_path, "train").files == ["images/Train/a.jpg"]
    assert load_dataset(tmp_path, "val").files == ["images/Validation/a.jpg"]
    assert load_dataset(tmp_path, "val").classes == ("dog", "cat", "pose")
    assert load_dataset(tmp_path).box_counts.tolist() == [1, 0]


def test_a_single_subset_named_after_a_split_is_one(tmp_path):
    write_picture(tmp_path / "images" / "train" / "a.jpg")
    write_xml(tmp_path, image("a.jpg", BOX, more=' subset="Train"'))
    assert available_splits(tmp_path) == ("train",)
    assert len(load_dataset(tmp_path, "train").boxes) == 1


def test_a_single_subset_of_another_name_is_no_split(tmp_path):
    write_picture(tmp_path / "a.jpg")
    write_xml(tmp_path, image("a.jpg", BOX, more=' subset="default"'))
    assert available_splits(tmp_path) == ()


def test_files_of_splits(tmp_path):
    for split in ("train", "val"):
        write_picture(tmp_path / "images" / split / "a.jpg")
        write_xml(tmp_path, image("a.jpg", BOX), f"annotations/{split}.xml")
    assert available_splits(tmp_path) == ("train", "val")
    assert load_dataset(tmp_path, "val").files == ["images/val/a.jpg"]


def track(shapes, name="cat", number=0):
    return f'<track id="{number}" label="{name}" source="manual">\n{shapes}\n</track>'


def box_at(frame, left, outside=0):
    return (
        f'<box frame="{frame}" keyframe="1" outside="{outside}" occluded="0" '
        f'xtl="{left}" ytl="20" xbr="{left + 10}" ybr="30" z_order="0"></box>'
    )


def test_a_video(tmp_path):
    for number in range(3):
        write_picture(tmp_path / "images" / f"frame_{number:06d}.png")
    shapes = box_at(0, 10) + box_at(1, 20) + box_at(2, 20, outside=1)
    polygon = '<polygon frame="1" outside="0" points="1,2;3,4"></polygon>'
    write_xml(tmp_path, track(shapes) + track(polygon, "dog", 1))
    dataset = load_dataset(tmp_path)
    assert dataset.files == [f"images/frame_{number:06d}.png" for number in range(3)]
    assert dataset.boxes.tolist() == [[10, 20, 20, 30], [20, 20, 30, 30], [1, 2, 3, 4]]
    assert dataset.labels.tolist() == [1, 1, 0]
    assert dataset.box_counts.tolist() == [1, 2, 0]  # the last frame is background
    assert dataset.repair_places == {repair.OUTLINED: [f"{tmp_path}/annotations.xml: frame 1: track 1"]}


def test_a_video_of_images_with_their_own_names(tmp_path):
    """Images that were uploaded as a video keep their names: frames count them in their order."""
    for name in ("1.png", "2.png", "3.png"):
        write_picture(tmp_path / "images" / name)
    write_xml(tmp_path, track(box_at(1, 10)))
    assert load_dataset(tmp_path).box_counts.tolist() == [0, 1, 0]


def test_a_video_without_its_frames(tmp_path):
    path = write_xml(tmp_path, track(box_at(1, 10)))
    with pytest.raises(AnnotationError) as caught:
        load_dataset(path)
    assert str(caught.value) == (
        f"{path}: none of its 1 pictures is found, such as 'frame_000001', in {tmp_path}; "
        "name their folder (--images DIR)"
    )


def test_tracks_of_several_tasks(tmp_path):
    write_picture(tmp_path / "frame_000001.png")
    tracks = track(box_at(1, 10)).replace("<track", '<track task_id="1"') + track(box_at(1, 10), number=1)
    with pytest.raises(AnnotationError, match="tracks of 2 tasks, whose frames have the same numbers; export each"):
        load_dataset(write_xml(tmp_path, tracks))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotations><version>1.1</version><image ", r":1:\d+: not valid XML \(unclosed token\); mend or export the"),
        ("<annotations><version>1.1</version><box></annotations>", r":1:\d+: not valid XML \(mismatched tag\)"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations><meta></meta></annotations>', "no dataset|not a dataset"),
    ],
)
def test_damaged_xml(tmp_path, content, message):
    write_picture(tmp_path / "a.jpg")
    (tmp_path / "annotations.xml").write_text(content)
    with pytest.raises(AnnotationError, match=message):
        load_dataset(tmp_path / "annotations.xml")


def test_entities_are_refused(tmp_path):
    path = tmp_path / "annotations.xml"
    path.write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>')
    with pytest.raises(AnnotationError, match="defines entities or refers to other files; remove that"):
        list(cvat_elements.read_elements(path))


def test_memory_is_that_of_one_element(tmp_path):
    """The whole tree of 4000 images would take over 4 MB."""
    path = write_xml(tmp_path, image("a.jpg", BOX) * 4000)
    tracemalloc.start()
    assert sum(1 for each in cvat_elements.read_elements(path) if each.tag == "image") == 4000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_voc_files_are_of_voc(tmp_path):
    write_picture(tmp_path / "a.jpg")
    (tmp_path / "a.xml").write_text(
        "<annotation><object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
        "</object></annotation>"
    )
    assert recognise(tmp_path).format == "VOC"


SOUND = f"<annotations><version>1.1</version>{META}{image('a.jpg', BOX)}{track(box_at(0, 3))}</annotations>".encode()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_gives_a_dataset_or_an_error(tmp_path, data):
    if not (tmp_path / "a.jpg").exists():
        write_picture(tmp_path / "a.jpg")
    (tmp_path / "annotations.xml").write_bytes(damaged(data, SOUND))
    dataset_or_fault(tmp_path)
