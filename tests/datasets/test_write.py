"""`write_dataset`: names, frames, splits, what lies in the way, and what cannot be read or written."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures import ORIENTATION, write_picture
from PIL import Image
from small_datasets import make_dataset

from yolo import AnnotationError, ConfigError, load_dataset
from yolo.datasets.tfrecord.writer import write_tfrecords
from yolo.datasets.write import write_dataset
from yolo.datasets.writers.names import Names, clean, own_names, plan_names
from yolo.structs import Dataset


@pytest.fixture
def source(tmp_path) -> Dataset:
    """Pictures of `make_dataset`."""
    (tmp_path / "source").mkdir()
    return make_dataset(tmp_path / "source", (1, 0, 3, 2))


def pictures_of(folder: Path, *files: str) -> Dataset:
    """Pictures of these names with a box each."""
    for file in files:
        write_picture(folder / file)
    count = len(files)
    return Dataset(
        classes=("a",),
        files=list(files),
        sizes=np.full((count, 2), (100, 200), np.int32),
        offsets=np.arange(count + 1),
        boxes=np.array([[10, 20, 30, 40 + index] for index in range(count)], np.float32),
        labels=np.zeros(count, np.int32),
        ignore=np.zeros(count, bool),
        areas=np.array([20 * (20 + index) for index in range(count)], np.float32),
        image_ids=list(range(count)),
        category_ids=(0,),
        folder=folder,
    )


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("own", "flat", "by_stem", "expected"),
    [
        (["a.jpg", "b.jpg"], False, True, ["a.jpg", "b.jpg"]),
        (["a.jpg", "a.png"], False, True, ["a.jpg", "a_2.png"]),
        (["a.jpg", "a.png"], False, False, ["a.jpg", "a.png"]),
        (["a.jpg", "A.JPG"], False, False, ["a.jpg", "A_2.JPG"]),  # one file on some systems
        (["a.jpg", "a.png", "a_2.jpg"], False, True, ["a.jpg", "a_3.png", "a_2.jpg"]),  # who owns it keeps it
        (["s/a.jpg", "t/a.jpg"], False, True, ["s/a.jpg", "t/a.jpg"]),
        (["s/a.jpg", "t/a.jpg", "t/a.png"], True, True, ["a.jpg", "t_a.jpg", "a_2.png"]),
        (["é.jpg", "e\u0301.jpg"], True, True, ["é.jpg", "e\u0301_2.jpg"]),
    ],
)
def test_names(own, flat, by_stem, expected):
    assert plan_names(own, Names(by_stem=by_stem), flat=flat) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["images/train/a.jpg", "images/train/b.jpg"], ["a.jpg", "b.jpg"]),
        (["images/train/x/a.jpg", "images/train/b.jpg"], ["x/a.jpg", "b.jpg"]),
        (["VOC2007/JPEGImages/a.jpg", "VOC2012/JPEGImages/a.jpg"], ["VOC2007/a.jpg", "VOC2012/a.jpg"]),
        (["/far/away/a.jpg", "/far/b.jpg"], ["away/a.jpg", "b.jpg"]),
        (["../x/a.jpg", "../y/.a.jpg"], ["x/a.jpg", "y/_.a.jpg"]),
        (["a.jpg"], ["a.jpg"]),
    ],
)
def test_folders_that_tell_pictures_apart_are_kept(tmp_path, files, expected):
    data = pictures_of(tmp_path, "a.jpg")
    assert own_names(replace(data.subset([0] * len(files)), files=files)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a b.jpg", "a b.jpg"), (" a .jpg", "a.jpg"), ("a\nb\\c.jpg", "a_b_c.jpg"), ("\udcff.jpg", "_.jpg")],
)
def test_characters_that_annotations_cannot_hold(name, expected):
    assert clean(name) == expected


def test_names_that_clash_are_reported(tmp_path):
    data = pictures_of(tmp_path / "source", "s/a.png", "t/a.png", "t/a.jpg")
    report = write_dataset({None: data}, tmp_path / "out", to="voc")
    assert report.renamed == {
        str(data.path(1)): "JPEGImages/t_a.png",
        str(data.path(2)): "JPEGImages/a_2.jpg",
    }
    assert report.not_held["subfolders of pictures"] == 3
    found = load_dataset(tmp_path / "out")
    assert {Path(each.path).name: each.boxes[0, 3] for each in found} == {"a.png": 40, "t_a.png": 41, "a_2.jpg": 42}


def test_a_picture_of_several_lists_of_voc_is_written_once(tmp_path):
    data = pictures_of(tmp_path / "source", "a.png", "b.png")
    parts = {"train": data.subset([0]), "val": data.subset([1]), "trainval": data}
    write_dataset(parts, tmp_path / "out", to="voc")
    assert sorted(each.name for each in (tmp_path / "out" / "JPEGImages").iterdir()) == ["a.png", "b.png"]
    assert [len(load_dataset(tmp_path / "out", split)) for split in parts] == [1, 1, 2]


def test_two_pictures_of_one_name_in_two_splits(tmp_path):
    first, second = (pictures_of(tmp_path / name, "a.png") for name in ("s", "t"))
    second = replace(second, boxes=second.boxes + 1)
    for to in ("voc", "yolo", "coco"):
        write_dataset({"train": first, "val": second}, tmp_path / to, to=to)
        assert [load_dataset(tmp_path / to, split).boxes[0, 0] for split in ("train", "val")] == [10, 11]


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_from_before_the_rotation(tmp_path, orientation):
    pixels = np.zeros((60, 100, 3), np.uint8)
    pixels[10:20, 30:70] = 255
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = pictures_of(tmp_path / "source", "a.png")
    Image.fromarray(pixels).save(data.path(0), exif=exif.tobytes())
    data = replace(data, sizes=np.array([[60, 100]], np.int32), boxes=np.array([[30, 10, 70, 20]], np.float32))
    for to in ("voc", "coco", "yolo"):
        write_dataset({"train": data}, tmp_path / to, to=to)
        found = load_dataset(tmp_path / to, "train")
        assert found.sizes.tolist() == ([[100, 60]] if to == "yolo" else [[60, 100]])
        image, (x1, y1, x2, y2) = found.image(0), found.boxes[0].round().astype(int)
        assert image[y1:y2, x1:x2].min() == 255
        assert (image > 0).sum() == 3 * 10 * 40


def test_sizes_that_are_not_the_pictures_are_written_as_they_are(tmp_path):
    data = replace(pictures_of(tmp_path / "source", "a.png"), sizes=np.array([[400, 400]], np.int32))
    write_dataset({"train": data}, tmp_path / "out", to="voc")
    found = load_dataset(tmp_path / "out", "train")
    assert found.sizes.tolist() == [[100, 200]]
    assert found.boxes.tolist() == [[10, 20, 30, 40]]


def test_pictures_that_cannot_be_read_are_left_out(source, tmp_path):
    source.path(2).write_bytes(b"broken")
    source.path(3).unlink()
    report = write_dataset({None: source}, tmp_path / "out", to="yolo")
    assert report.left_out == {
        str(source.path(2)): f"{source.path(2)}: not a picture that can be decoded",
        str(source.path(3)): f"{source.path(3)}: cannot be read (No such file or directory)",
    }
    assert (report.pictures, report.boxes) == (2, 1)
    assert len(load_dataset(tmp_path / "out")) == 2


def test_no_picture_can_be_read(source, tmp_path):
    source.path(0).write_bytes(b"")
    with pytest.raises(AnnotationError, match=r"none of the 1 pictures can be read: .*0\.png: the file is empty"):
        write_dataset({"train": source.subset([0])}, tmp_path / "out", to="voc")


def test_pictures_of_shards_become_files_named_by_their_content(tmp_path):
    data = pictures_of(tmp_path / "source", "a.png", "b.png")
    cv2.imwrite(str(tmp_path / "c.jpg"), np.zeros((100, 200, 3), np.uint8))
    data.path(1).write_bytes((tmp_path / "c.jpg").read_bytes())
    (tmp_path / "shards").mkdir()
    packed = write_tfrecords(data, tmp_path / "shards").dataset
    report = write_dataset({None: packed}, tmp_path / "out", to="coco", pictures="link")
    assert sorted(each.name for each in (tmp_path / "out" / "images").iterdir()) == ["a.png", "b.jpg"]
    assert list(report.renamed.values()) == ["images/b.jpg"]
    for index, file in enumerate(("a.png", "b.jpg")):
        assert (tmp_path / "out" / "images" / file).read_bytes() == data.path(index).read_bytes()


def test_links_and_none(source, tmp_path):
    write_dataset({None: source}, tmp_path / "link", to="coco", pictures="link")
    link = tmp_path / "link" / "images" / "0.png"
    assert link.is_symlink()
    assert link.resolve() == source.path(0).resolve()
    write_dataset({None: source}, tmp_path / "none", to="coco", pictures="none")
    assert not (tmp_path / "none" / "images").exists()
    found = load_dataset(tmp_path / "none", images=source.folder)
    assert found.boxes.tolist() == source.boxes.tolist()


def test_a_copy_is_no_link(source, tmp_path):
    write_dataset({None: source}, tmp_path / "out", to="coco")
    assert not (tmp_path / "out" / "images" / "0.png").is_symlink()


def test_the_lists_of_classes_of_several_parts_become_one(source, tmp_path):
    second = replace(source, classes=("b", "c"), category_ids=(2, 7))
    write_dataset({"train": source, "val": second}, tmp_path / "out", to="coco")
    for split, part in (("train", source), ("val", second)):
        found = load_dataset(tmp_path / "out", split)
        assert found.classes == ("a", "b", "c")
        assert found.category_ids == (1, 2, 7)
        assert [found.classes[each] for each in found.labels] == [part.classes[each] for each in part.labels]


def test_category_ids_that_contradict_each_other_are_numbered_anew(source, tmp_path):
    second = replace(source, classes=("b", "c"), category_ids=(2, 1))
    write_dataset({"train": source, "val": second}, tmp_path / "out", to="coco")
    assert load_dataset(tmp_path / "out", "train").category_ids == (0, 1, 2)


@pytest.mark.parametrize(
    ("splits", "held"),
    [(["train2017", "val2017"], ["train", "val"]), (["trainval"], [None]), (["train"], ["train"]), ([None], [None])],
)
def test_splits_of_formats_that_hold_the_usual_ones_alone(source, tmp_path, splits, held):
    report = write_dataset(dict.fromkeys(splits, source), tmp_path / "out", to="yolo")
    assert list(report.parts) == held
    assert report.not_held.get("splits of other names than train, val and test", 0) == sum(
        old != new for old, new in zip(splits, held, strict=True)
    )


def test_several_splits_of_unusual_names(source, tmp_path):
    message = "split 'fold1': the format holds train, val, valid, validation, test alone; write it by itself"
    with pytest.raises(ConfigError, match=message):
        write_dataset({"train": source, "fold1": source}, tmp_path / "out", to="yolo")
    assert not (tmp_path / "out").exists()
    write_dataset({"train": source, "fold1": source}, tmp_path / "out", to="coco")
    assert len(load_dataset(tmp_path / "out", "fold1")) == len(source)


def test_empty_parts_are_left_out(source, tmp_path):
    report = write_dataset({"train": source, "val": source.subset([])}, tmp_path / "out", to="voc")
    assert list(report.parts) == ["train"]
    with pytest.raises(AnnotationError, match="dataset: no pictures to write; check the folder and the split"):
        write_dataset({"val": source.subset([])}, tmp_path / "other", to="voc")


def test_a_folder_that_is_not_empty(source, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="out: exists; give another OUT, or --force to write into it"):
        write_dataset({None: source}, tmp_path / "out", to="yolo")
    write_dataset({None: source}, tmp_path / "out", to="yolo", force=True)
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("to", ["voc", "coco", "yolo", "labelme", "csv"])
def test_files_of_an_earlier_conversion_are_removed(source, tmp_path, to):
    write_dataset({"train": source.subset([0, 2]), "val": source.subset([3])}, tmp_path / "out", to=to)
    write_dataset({"train": source.subset([0])}, tmp_path / "out", to=to, force=True)
    write_dataset({"train": source.subset([0])}, tmp_path / "fresh", to=to)
    assert files_below(tmp_path / "out") == files_below(tmp_path / "fresh")
    assert sorted(tmp_path.joinpath("out").rglob("*/")) == sorted(
        tmp_path / "out" / each.relative_to(tmp_path / "fresh") for each in (tmp_path / "fresh").rglob("*/")
    )


def test_pictures_of_somebody_else_would_become_part_of_the_dataset(source, tmp_path):
    write_picture(tmp_path / "out" / "images" / "train" / "mine.png")
    with pytest.raises(ConfigError, match="out/images: holds files of another origin"):
        write_dataset({"train": source}, tmp_path / "out", to="yolo", force=True)
    assert list(files_below(tmp_path / "out")) == ["images/train/mine.png"]


def test_a_journal_removes_nothing_elsewhere(source, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "out" / "link").symlink_to(tmp_path)
    (tmp_path / "out" / ".converted").write_text(f"../mine.txt\n{tmp_path / 'mine.txt'}\nlink/mine.txt\n")
    write_dataset({None: source}, tmp_path / "out", to="voc", force=True)
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("out", [".", "images/train", "images/train/out"])
def test_the_source_is_never_written_into(tmp_path, out):
    data = pictures_of(tmp_path, "images/train/a.png", "images/train/b.png")
    before = files_below(tmp_path)
    with pytest.raises(ConfigError, match="the dataset itself is there; give another OUT"):
        write_dataset({None: data}, tmp_path / out, to="voc", force=True)
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("name", ["2.png", "0.txt", "data.yaml"])
def test_a_full_disk(source, tmp_path, monkeypatch, name):
    write = Path.write_bytes
    suffix = Path(name).suffix

    def full(path: Path, data: bytes) -> int:
        if path.suffix == suffix:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ConfigError, match=rf"out/.*\{suffix}: cannot be written \(No space left on device\)"):
        write_dataset({"train": source}, tmp_path / "out", to="yolo", workers=1)
    assert not any(file.name.startswith(".") for file in (tmp_path / "out").rglob("*") if file.name != ".converted")
    assert not (tmp_path / "out" / "data.yaml").exists()


def test_a_folder_that_cannot_be_made(source, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file.*: cannot be written"):
        write_dataset({None: source}, tmp_path / "file" / "out", to="voc")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "kitti"}, "to must be one of coco, csv, cvat, fiftyone, labelme, tfrecord, voc, yolo, got kitti"),
        ({"to": "voc", "pictures": "move"}, "pictures must be one of copy, link, none, got move"),
    ],
)
def test_options(source, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        write_dataset({None: source}, tmp_path / "out", **options)


def test_progress(source, tmp_path):
    told = []
    write_dataset(
        {"train": source, "val": source}, tmp_path / "out", to="voc", progress=lambda *each: told.append(each)
    )
    assert told == [(4, 8), (8, 8)]
