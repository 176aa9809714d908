"""`yolo.doctor`: every planted fault is found where it is, and nothing where there is none."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from damage import damaged
from doctor_pictures import SIZE, make, sound, write_scene
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from yolo import load_dataset
from yolo.datasets.annotations import repair
from yolo.datasets.annotations.repair import CLIPPED, EMPTY
from yolo.doctor.check import cheap_findings, check, scan_parts
from yolo.doctor.findings import Finding, Parts
from yolo.doctor.kinds import KINDS, REPAIRS, SEVERITIES, kind_of_repair
from yolo.doctor.report import to_text
from yolo.errors import MediaError
from yolo.images.codec import decode_image


def contents() -> list[bytes]:
    """A small picture in each of several formats."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8))
    found = []
    for kind, options in (("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("TIFF", {}), ("WEBP", {})):
        file = io.BytesIO()
        image.save(file, kind, **options)
        found.append(file.getvalue())
    return found


CONTENTS = contents()


class OneStore:
    """Storage of one picture."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self, index: int) -> bytes:
        return [self.content][index]


def found_in(parts: Parts, *, quick: bool = False, **options: Any) -> dict[str, Finding]:
    report = check(parts, scan_parts(parts, quick=quick, workers=2), **options)
    return {each.name: each for each in report.findings}


def files_of(found: Finding) -> list[str]:
    return [Path(each.file).name for each in found.spots]


def test_a_dataset_without_faults(tmp_path):
    parts: Parts = {"train": sound(tmp_path, "train", 0), "val": sound(tmp_path, "val", 20)}
    report = check(parts, scan_parts(parts), format_name="X")
    assert to_text(report, "data") == (
        "data: 28 pictures, 112 boxes, 2 classes, splits: train 14, val 14; X\nnothing found"
    )
    assert report.to_dict() == {
        "pictures": 28,
        "boxes": 112,
        "classes": 2,
        "splits": ["train", "val"],
        "format": "X",
        "errors": 0,
        "warnings": 0,
        "notes": 0,
        "findings": [],
    }
    assert found_in(parts, quick=True) == {}
    assert cheap_findings(parts) == []


def test_pictures_that_cannot_be_read(tmp_path):
    part = sound(tmp_path, "train", 0, 26)
    whole = part.path(3).read_bytes()
    part.path(3).write_bytes(whole[: len(whole) // 2])
    part.path(5).write_bytes(b"no picture")
    part.path(6).unlink()
    found = found_in({None: part})
    assert set(found) == {"unreadable"}
    assert [(each.file, each.detail) for each in found["unreadable"].spots] == [
        (str(part.path(3)), "the JPEG ends too early; copy or export the file again"),
        (str(part.path(5)), "not a picture that can be decoded"),
        (str(part.path(6)), "cannot be read (No such file or directory)"),
    ]
    assert files_of(found_in({None: part}, quick=True)["unreadable"]) == ["5.jpg", "6.jpg"]


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".tif"])
@pytest.mark.parametrize("share", [0.4, 0.95])
def test_other_formats_that_are_cut_off(tmp_path, suffix, share):
    part = sound(tmp_path, "train", 0)
    file = write_scene(tmp_path / "train" / f"cut{suffix}", 90)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    part = make(tmp_path / "train", {file.name: [("cat", [1, 2, 30, 40])]})
    assert files_of(found_in({None: part})["unreadable"]) == [file.name]


def fault_of(content: bytes, name: str) -> dict[int, str]:
    """What reading a picture for training says against it."""
    try:
        decode_image(content, name=name)
    except MediaError as error:
        return {0: str(error)}
    return {}


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_pictures_are_read_or_named(data):
    """No damage ends the check, and what training cannot read is told."""
    content = damaged(data, data.draw(st.sampled_from(CONTENTS), label="content"))
    part = make(Path("x"), {"a": [("cat", [1, 2, 30, 40])]}, store=OneStore(content))
    found = scan_parts({None: part}, workers=1)[None]
    assert found.faults == fault_of(content, "x/a")


def test_the_same_picture_twice(tmp_path):
    train, val = sound(tmp_path, "train", 0), sound(tmp_path, "val", 20)
    shutil.copy(train.path(2), tmp_path / "train" / "13.jpg")
    shutil.copy(train.path(4), val.path(5))
    found = found_in({"train": train, "val": val})
    assert set(found) == {"duplicate", "same_in_splits"}
    assert [str(each) for each in found["duplicate"].spots] == [f"{train.path(13)} (train): as {train.path(2)}"]
    assert [str(each) for each in found["same_in_splits"].spots] == [f"{train.path(4)} (train): as {val.path(5)} (val)"]
    assert found["same_in_splits"].kind.severity == "error"


def test_one_file_in_two_splits_is_found_without_reading_it(tmp_path):
    part = sound(tmp_path, "train", 0, 28)
    parts: Parts = {"train": part.subset(range(20)), "val": part.subset(range(19, 28))}
    assert files_of(found_in(parts, quick=True)["same_in_splits"]) == ["19.jpg"]
    assert [each.name for each in cheap_findings(parts)] == []  # train reports it by itself


def test_a_copy_by_its_name_size_and_boxes(tmp_path):
    train, val = sound(tmp_path, "train", 0), sound(tmp_path, "val", 20)
    write_scene(tmp_path / "val" / "3.jpg", 3, noise=2)
    copy = make(tmp_path / "val", {"3.jpg": list(zip(("cat", "dog", "cat", "dog"), train[3].boxes, strict=True))})
    assert [(each.name, files_of(each)) for each in cheap_findings({"train": train, "val": copy})] == [
        ("same_annotations", ["3.jpg"])
    ]
    assert cheap_findings({"train": train, "val": val}) == []


def test_near_twins(tmp_path):
    """Another size, quality or format is no other picture."""
    train, val = sound(tmp_path, "train", 0), sound(tmp_path, "val", 20)
    write_scene(tmp_path / "train" / "13.jpg", 2, noise=3)
    write_scene(val.path(5), 4, size=(192, 256), quality=40)
    sizes = val.sizes.copy()
    sizes[5] = 192, 256
    val = make(val.folder, {file: [] for file in val.files}, sizes=sizes)
    found = found_in({"train": train, "val": val})
    assert [str(each) for each in found["near_duplicate"].spots] == [f"{train.path(13)} (train): as {train.path(2)}"]
    assert [str(each) for each in found["near_in_splits"].spots] == [f"{val.path(5)} (val): as {train.path(4)} (train)"]
    assert "frames_in_splits" not in found


def test_frames_of_one_recording(tmp_path):
    train, val = sound(tmp_path, "train", 0), sound(tmp_path, "val", 20)
    shutil.move(train.path(0), tmp_path / "train" / "drive_0041.jpg")
    write_scene(tmp_path / "val" / "drive_0042.jpg", 0, noise=25)
    train = make(train.folder, {"drive_0041.jpg": [("cat", [1, 2, 30, 40])]})
    val = make(val.folder, {"drive_0042.jpg": [("cat", [1, 2, 30, 40])]})
    found = found_in({"train": train, "val": val})
    assert files_of(found["frames_in_splits"]) == ["drive_0042.jpg"]
    assert "--group" in found["frames_in_splits"].kind.remedy
    assert "near_in_splits" not in found


def test_flat_pictures_are_not_alike(tmp_path):
    content = {}
    for shade in (10, 11, 200):
        Image.new("RGB", SIZE[::-1], (shade, shade, shade)).save(tmp_path / f"{shade}.png")
        content[f"{shade}.png"] = [("cat", [1.0, 2, 30, 40])]
    assert not {"near_duplicate", "duplicate"} & set(found_in({None: make(tmp_path, content)}))


def test_boxes(tmp_path):
    part = sound(tmp_path, "train", 0, 30)
    write_scene(tmp_path / "train" / "boxes.jpg", 99)
    odd = make(
        tmp_path / "train",
        {
            **{file: [("cat", [10, 10, 40, 40])] * 0 for file in part.files},
            "boxes.jpg": [
                ("cat", [10, 10, 50, 50]),
                ("cat", [10.5, 10, 50, 50]),  # IoU 39.5 / 40
                ("cat", [13, 10, 50, 50]),  # 37 / 40 with the first, 37 / 39.5 with the second
                ("dog", [13, 10, 50, 50]),
                ("dog", [60, 10, 60.8, 20]),  # 0.8 * 3.25 = 2.6 px at 416
                ("dog", [60, 10, 61, 20]),  # 3.25 px
                ("dog", [0, 0, 127, 95]),  # 98.2 % of the area
                ("cat", [2, 60, 123, 66]),  # 20.2 : 1
                ("cat", [2, 70, 120, 76]),  # 19.7 : 1
            ],
        },
    )
    found = found_in({None: odd}, size=(416, 416))
    assert [str(each) for each in found["box_doubled"].spots] == [
        f"{tmp_path}/train/boxes.jpg: box 2 (cat): as box 1 (cat)"
    ]
    assert [each.place for each in found["two_classes"].spots] == ["box 4 (dog)"]
    assert [each.place for each in found["mostly_tiny"].spots] == ["box 5 (dog)"]  # one of nine
    assert [each.place for each in found["fills_picture"].spots] == ["box 7 (dog)"]
    assert [each.place for each in found["odd_shape"].spots] == ["box 8 (cat)"]
    assert found["few_boxes"].spots[0].detail == "9 boxes"
    assert found["mostly_empty"].count == 30
    assert "mostly_tiny" not in found_in({None: odd}, size=(608, 608))


def test_many_boxes_on_one_place_are_compared_quickly(tmp_path):
    part = make(tmp_path, {"a.jpg": [("cat", [10, 10, 50, 50])] * 5_000})
    (doubled,) = [each for each in cheap_findings({None: part}) if each.name == "box_doubled"]
    assert doubled.count == 4_999


def test_crowds_are_no_doubled_boxes(tmp_path):
    write_scene(tmp_path / "a.jpg", 0)
    ignore = np.array([False, True])
    part = make(tmp_path, {"a.jpg": [("cat", [10, 10, 50, 50])] * 2}, ignore=ignore)
    found = found_in({None: part})
    assert "box_doubled" not in found
    assert [str(each) for each in found["ignored"].spots] == [f"{tmp_path / 'a.jpg'}: 1"]


def test_class_names(tmp_path):
    content = {"a.jpg": [("cat", [10.0, 10, 50, 50]), ("Cat ", [60, 10, 90, 50]), ("tv", [10, 60, 50, 90])]}
    part = make(tmp_path, content, ("cat", "Cat ", "tv", "tvmonitor", "owl"))
    found = {each.name: each for each in check({None: part}, scan_parts({None: part}, quick=True)).findings}
    assert [each.detail for each in found["class_spelling"].spots] == ["1 box, Cat : 1 box"]
    assert [each.detail for each in found["class_synonym"].spots] == ["1 box, tvmonitor: 0 boxes"]
    assert [each.file for each in found["class_unused"].spots] == ["tvmonitor", "owl"]


def test_classes_that_a_split_lacks(tmp_path):
    box = [10.0, 10, 50, 50]
    train = make(tmp_path, {"a.jpg": [("cat", box)]}, ("cat", "dog", "owl"))
    val = make(tmp_path, {"b.jpg": [("dog", box)]}, ("cat", "dog", "owl"))
    found = {each.name: each for each in cheap_findings({"train": train, "val": val})}
    assert [str(each) for each in found["class_not_trained"].spots] == ["dog (train)"]
    assert [str(each) for each in found["class_not_measured"].spots] == ["cat (val)"]
    assert cheap_findings({"val": val}) == []


def test_rare_classes(tmp_path):
    many = [("cat", [10.0 + number / 4, 10, 11 + number, 50]) for number in range(101)]
    part = make(tmp_path, {"a.jpg": [*many, ("dog", [10, 10, 50, 50])]})
    found = check({None: part}, scan_parts({None: part}, quick=True)).findings
    assert [str(spot) for each in found if each.name == "class_rare" for spot in each.spots] == ["dog: 1 box"]


def test_colours_rotation_and_extreme_sizes(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    box = [("cat", [1.0, 2, 30, 20])]
    for mode in ("L", "P", "RGBA", "CMYK", "RGB"):
        image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)).convert(mode)
        image.save(tmp_path / f"{mode}.{'jpg' if mode == 'CMYK' else 'png'}")
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((*SIZE, 3), 40_000, np.uint16))
    write_scene(tmp_path / "turned.jpg", 1, exif=exif.tobytes())
    write_scene(tmp_path / "stored.jpg", 2, exif=exif.tobytes())
    write_scene(tmp_path / "small.jpg", 3, size=(20, 40))
    write_scene(tmp_path / "long.jpg", 4, size=(40, 240))
    names = ["L.png", "P.png", "RGBA.png", "CMYK.jpg", "RGB.png", "deep.png", "turned.jpg", "stored.jpg"]
    sizes = np.array([SIZE] * 6 + [SIZE[::-1], SIZE, (20, 40), (40, 240)], np.int32)
    part = make(tmp_path, dict.fromkeys([*names, "small.jpg", "long.jpg"], box), sizes=sizes)
    found = found_in({None: part})
    assert [(Path(each.file).name, each.detail) for each in found["colour_mode"].spots] == [
        ("L.png", "grey"),
        ("P.png", "palette"),
        ("RGBA.png", "alpha"),
        ("CMYK.jpg", "CMYK"),
        ("deep.png", "RGB, 16 bit"),
    ]
    assert [each.detail for each in found["rotated"].spots] == [
        "EXIF orientation 6, applied: its boxes are in the turned frame",
        "EXIF orientation 6, not applied: its boxes are in the frame as stored",
    ]
    assert [each.detail for each in found["extreme_picture"].spots] == ["40 x 20", "240 x 40"]
    assert "wrong_size" not in found


def test_sizes_that_are_not_the_pictures(tmp_path):
    write_scene(tmp_path / "a.jpg", 0)
    found = found_in({None: make(tmp_path, {"a.jpg": [("cat", [1, 2, 30, 40])]}, size=(90, 90))}, quick=True)
    assert [each.detail for each in found["wrong_size"].spots] == ["annotated 90 x 90, the picture has 128 x 96"]


def test_pictures_that_no_annotation_names(tmp_path):
    part = sound(tmp_path, "train", 0, 26)
    write_scene(tmp_path / "train" / "more.jpg", 77)
    (tmp_path / "train" / "notes.txt").write_text("no picture")
    found = found_in({None: part})
    assert {name: files_of(each) for name, each in found.items()} == {"unlisted": ["more.jpg"]}


def test_faults_of_a_file_in_two_splits_are_told_once(tmp_path):
    part = sound(tmp_path, "train", 0, 28)
    part.path(3).write_bytes(b"no picture")
    found = found_in({"train": part, "val": part})
    assert {name: each.count for name, each in found.items()} == {"unreadable": 1, "same_in_splits": 28}


def test_one_split_alone_is_not_all_there_is(tmp_path):
    part = sound(tmp_path, "train", 0, 30).subset(range(28))
    assert set(found_in({"train": part})) == {"unlisted"}
    assert found_in({"train": part}, whole=False) == {}


def test_what_the_readers_found(tmp_path):
    part = sound(tmp_path, "train", 0, 26)
    changes = {
        "repairs": {CLIPPED: 1200, EMPTY: 1},
        "repair_places": {CLIPPED: ["labels/a.txt:7"], EMPTY: ["a.xml: object 3"]},
        "left_out": {"b.xml": "b.xml: not XML", "c.jpg": "c.jpg: the file is empty"},
    }
    part = make(part.folder, dict.fromkeys(part.files, [("cat", [1, 2, 30, 40])] * 0), **changes)
    found = found_in({"train": part})
    assert (found["box_clipped"].count, list(map(str, found["box_clipped"].spots))) == (
        1200,
        ["labels/a.txt: line 7 (train)"],
    )
    assert list(map(str, found["box_empty"].spots)) == ["a.xml: object 3 (train)"]
    assert list(map(str, found["left_out"].spots)) == ["b.xml (train): not XML"]
    assert list(map(str, found["unreadable"].spots)) == ["c.jpg (train): the file is empty"]
    assert cheap_findings({"train": part})[0].name == "mostly_empty"  # and nothing that loading has said


def test_every_repair_has_a_severity_and_a_remedy():
    titles = {value for name, value in vars(repair).items() if name.isupper() and isinstance(value, str)}
    assert set(REPAIRS) == titles
    assert len({kind for kind, _, _ in REPAIRS.values()}) == len(titles)
    assert all(kind.severity in SEVERITIES and kind.title and kind.remedy for kind in KINDS.values())
    assert kind_of_repair("boxes of cheese") == ("repaired", ("warning", "boxes of cheese", "look at them"))


def test_the_documentation_lists_every_kind():
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+?) \| (.+) \|$", page, re.MULTILINE)
    documented = {name: (severity, title, remedy.replace("`", "")) for name, severity, title, remedy in rows}
    assert documented == KINDS


def test_the_text_names_five_places_and_how_many_more(tmp_path):
    part = sound(tmp_path, "train", 0, 28)
    parts: Parts = {"train": part, "val": part.subset(range(7))}
    lines = to_text(check(parts, scan_parts(parts)), str(tmp_path)).splitlines()
    assert lines[:10] == [
        f"{tmp_path}: 35 pictures, 140 boxes, 2 classes, splits: train 28, val 7",
        "",
        "error: pictures that are in two splits, so that the metrics flatter: 7",
        *(f"  train/{number}.jpg (train): as train/{number}.jpg (val)" for number in range(5)),
        "  and 2 more",
        "  -> remove them from one of the two; --fix takes them out of train",
    ]
    assert lines[-1] == "1 error, 0 warnings, 0 notes"


def test_a_report_is_plain_json(tmp_path):
    part = sound(tmp_path, "train", 0, 28)
    parts: Parts = {"train": part, "val": part.subset([3])}
    (found,) = json.loads(json.dumps(check(parts, scan_parts(parts)).to_dict()))["findings"]
    assert found == {
        "kind": "same_in_splits",
        "severity": "error",
        "message": KINDS["same_in_splits"].title,
        "remedy": KINDS["same_in_splits"].remedy,
        "count": 1,
        "examples": [f"{part.path(3)} (train): as {part.path(3)} (val)"],
        "places": [{"file": str(part.path(3)), "place": "", "split": "train", "detail": f"as {part.path(3)} (val)"}],
    }


def test_progress_counts_all_parts(tmp_path):
    parts: Parts = {"train": sound(tmp_path, "train", 0, 20), "val": sound(tmp_path, "val", 40, 3)}
    told: list[tuple[int, int]] = []
    scan_parts(parts, progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] in ([16, 20, 23], [4, 20, 23])
    assert {total for _, total in told} == {23}


def test_tfrecord_pictures_are_read_from_their_storage(tmp_path):
    part = sound(tmp_path, "train", 0, 3)

    class Store:
        def read(self, index: int) -> bytes:
            return part.path(index).read_bytes()

    packed = make(tmp_path / "nowhere", {file: [] for file in part.files}, store=Store())
    assert set(found_in({None: packed})) == {"few_boxes", "mostly_empty", "class_unused"}
    assert set(found_in({None: packed}, quick=True)) == {"few_boxes", "mostly_empty", "class_unused"}


def test_the_digits_of_the_demo_are_sound(tmp_path):
    from yolo.datasets.digits import make_digits

    data = make_digits(tmp_path / "digits", train=12, val=4, size=96, seed=0)
    parts: Parts = {name: load_dataset(data, name) for name in ("train", "val")}
    found = {each.name for each in check(parts, scan_parts(parts)).findings}
    assert found <= {"few_boxes", "class_unused", "class_not_trained", "class_not_measured"}
