"""The reader of YOLO text labels with a data.yaml, on crooked files."""

from __future__ import annotations

import logging
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import dataset_or_fault, write_picture

from yolo import AnnotationError, YoloError, load_dataset
from yolo.datasets.annotations import repair
from yolo.datasets.load import available_splits

DESCRIPTION = "train: images/train\nval: images/val\nnames: [cat, dog]\n"


def write_description(folder: Path, text: str = DESCRIPTION, name="data.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def write_sample(folder: Path, name: str, labels: str | None = None, **picture) -> Path:
    """A picture below images/ and its label file below labels/."""
    path = write_picture(folder / "images" / name, **picture)
    if labels is not None:
        file = (folder / "labels" / name).with_suffix(".txt")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(labels, encoding="utf-8")
    return path


def load_labels(folder: Path, labels: str):
    """The dataset of one picture, 100 high and 200 wide."""
    write_sample(folder, "train/a.jpg", labels)
    return load_dataset(write_description(folder), "train")


def test_small_dataset(tmp_path):
    write_sample(tmp_path, "train/b.jpg", "1 0.5 0.5 0.25 0.5\n0 0.25 0.5 0.5 1\n")
    write_sample(tmp_path, "train/a.png", "", height=30, width=40)
    write_sample(tmp_path, "val/sub/ö c.jpg", "\ufeff0 0.5 0.5 1 1\r\n\r\n")
    path = write_description(tmp_path)
    dataset = load_dataset(path)
    assert (dataset.name, dataset.split) == ("data", None)
    assert dataset.classes == ("cat", "dog")
    assert dataset.category_ids == (0, 1)
    assert dataset.files == ["images/train/a.png", "images/train/b.jpg", "images/val/sub/ö c.jpg"]
    assert dataset.image_ids == ["a", "b", "ö c"]
    assert dataset.sizes.tolist() == [[30, 40], [100, 200], [100, 200]]
    assert dataset.box_counts.tolist() == [0, 2, 1]
    assert dataset.boxes.tolist() == [[75, 25, 125, 75], [0, 0, 100, 100], [0, 0, 200, 100]]
    assert dataset.labels.tolist() == [1, 0, 0]
    assert not dataset.ignore.any()
    assert dataset.repairs == {}
    assert all(sample.path.is_file() for sample in dataset)
    assert available_splits(path) == ("train", "val")
    assert load_dataset(path, "val").image_ids == ["ö c"]
    assert load_dataset(tmp_path, "val").split == "val"  # the folder around it


@pytest.mark.parametrize(
    ("line", "expected", "fault"),
    [
        ("0 0.5 0.5 1 1", [0, 0, 200, 100], None),
        ("0.0 .5 5e-1 1 1", [0, 0, 200, 100], None),
        ("0 0.25 0.25 0.75 0.1", [0, 20, 125, 30], repair.CLIPPED),
        ("0 0.5 0.5 1.004 1", [0, 0, 200, 100], repair.ROUNDED),
        ("0 0.500001 0.5 0.999999 1", [0.0003, 0, 200, 100], None),  # six decimals
        ("0 0.5 0.5 -0.5 1", [50, 0, 150, 100], repair.INVERTED),
        ("0 0.5 0.5 0 1", None, repair.EMPTY),
        ("0 1.5 0.5 0.5 1", None, repair.OUTSIDE),
        ("0 nan 0.5 0.5 1", None, repair.NOT_FINITE),
        ("0 1e308 0.5 1e308 1", None, repair.NOT_FINITE),
        ("0 0.1 0.2 0.5 0.2 0.3 0.6", [20, 20, 100, 60], None),  # a triangle
        ("0 0.1 0.2 0.5 0.2 0.5 0.6 0.1 0.6", [20, 20, 100, 60], None),
        ("0 0.1 0.2 nan 0.2 0.3 0.6", None, repair.NOT_FINITE),
    ],
)
def test_lines(tmp_path, caplog, line, expected, fault):
    with caplog.at_level(logging.INFO, "yolo"):
        dataset = load_labels(tmp_path, f"\n{line}\n")
    np.testing.assert_allclose(dataset.boxes, [expected] if expected else np.zeros((0, 4)), atol=1e-4)
    assert dataset.repairs == ({fault: 1} if fault else {})
    if fault:
        assert f"{fault}: 1 ({tmp_path / 'labels/train/a.txt'}:2)" in caplog.text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5", "expected 5 numbers, got 3"),
        ("0 0.5 0.5 1 1 7", "expected 5 numbers, got 6, of which the last is no confidence"),
        ("0 1 1 1 1 1 1 1", "expected 5 numbers, got 8"),
        ("0 0.5 0.5 one 1", r"expected 5 numbers, but 'one' is none \(class x y width height\)"),
        ("0,0.5,0.5,1,1", r"numbers separated by commas or semicolons \('0,0\.5,0\.5,1,1'\); separate them by blanks"),
        ("0, 0.5, 0.5, 1, 1", r"numbers separated by commas or semicolons \('0,'\)"),
        ("0;0.5;0.5;1;1", "numbers separated by commas or semicolons"),
        ("0 0,5 0,5 1 1", r"a comma as the decimal point \('0,5'\); write 0\.5$"),
        ("cat 0.5 0.5 1 1", "class 'cat' is a name; write its number in the list of classes, counted from 0"),
        ("2 0.5 0.5 1 1", r"class 2 is not in names \(0 to 1\)"),
        ("-1 0.5 0.5 1 1", "class -1 is not in names"),
        ("0.5 0.5 0.5 1 1", r"class 0\.5 is not in names"),
        ("nan 0.5 0.5 1 1", "class nan is not in names"),
        ("1e300 0.5 0.5 1 1", r"class 1e\+300 is not in names"),
    ],
)
def test_lines_that_are_no_object(tmp_path, line, message):
    with pytest.raises(AnnotationError, match=message) as caught:
        load_labels(tmp_path, f"0 0.5 0.5 1 1\n{line}\n")
    assert f"{tmp_path / 'labels/train/a.txt'}:2: " in str(caught.value)


def test_a_label_file_that_is_no_text(tmp_path):
    write_sample(tmp_path, "train/a.jpg", "")
    (tmp_path / "labels/train/a.txt").write_bytes(b"0 .5 .5 1 1\n\xff\xff")
    with pytest.raises(AnnotationError, match=r"a\.txt:2: not a text file in UTF-8"):
        load_dataset(write_description(tmp_path), "train")


def test_repeated_lines_are_dropped_and_counted(tmp_path, caplog):
    dataset = load_labels(tmp_path, "0 .5 .5 1 1\n1 .5 .5 1 1\n0 0.50 .5 1 1\n")
    assert dataset.labels.tolist() == [0, 1]
    assert dataset.repairs == {repair.REPEATED: 1}
    assert f"{tmp_path / 'labels/train/a.txt'}:3" in caplog.text


def test_pictures_without_a_label_file_have_no_objects(tmp_path, caplog):
    write_sample(tmp_path, "train/a.jpg", "0 .5 .5 1 1")
    write_sample(tmp_path, "train/b.jpg")
    with caplog.at_level(logging.INFO, "yolo"):
        dataset = load_dataset(write_description(tmp_path), "train")
    assert dataset.box_counts.tolist() == [1, 0]
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.getMessage() == (
        f"{tmp_path / 'data.yaml'}: {repair.UNLABELLED}: 1 ({tmp_path / 'images/train/b.jpg'})"
    )


def test_no_label_file_at_all_is_a_warning(tmp_path, caplog):
    write_sample(tmp_path, "train/a.jpg")
    assert load_dataset(write_description(tmp_path), "train").box_counts.tolist() == [0]
    (record,) = [each for each in caplog.records if each.levelname == "WARNING"]
    assert record.levelno == logging.WARNING
    assert f"none of its 1 pictures has a label file (no {tmp_path / 'labels/train/a.txt'}" in record.getMessage()


def test_the_last_images_folder_becomes_labels(tmp_path):
    folder = tmp_path / "images" / "set"
    write_sample(folder, "train/a.jpg", "0 .5 .5 1 1")
    assert len(load_dataset(write_description(folder), "train").boxes) == 1


def test_labels_beside_the_pictures(tmp_path):
    write_picture(tmp_path / "images" / "train" / "a.jpg").with_suffix(".txt").write_text("0 .5 .5 1 1")
    assert len(load_dataset(write_description(tmp_path), "train").boxes) == 1


def test_sizes_are_those_after_the_exif_rotation(tmp_path):
    write_sample(tmp_path, "train/a.jpg", "0 .5 .25 1 .5", height=100, width=200, orientation=6)
    dataset = load_dataset(write_description(tmp_path), "train")
    assert dataset.sizes.tolist() == [[200, 100]]
    assert dataset.boxes.tolist() == [[0, 0, 100, 100]]


def test_a_picture_that_cannot_be_read(tmp_path):
    path = write_sample(tmp_path, "train/a.jpg", "")
    path.write_bytes(b"nothing")
    with pytest.raises(AnnotationError, match=rf"{path}: not a picture that can be decoded; remove"):
        load_dataset(write_description(tmp_path), "train")


def test_stems_that_clash(tmp_path):
    write_sample(tmp_path, "train/a.jpg", "")
    write_sample(tmp_path, "val/a.jpg", "")
    assert load_dataset(write_description(tmp_path)).image_ids == ["images/train/a.jpg", "images/val/a.jpg"]


@pytest.mark.parametrize(
    "names",
    [
        "[cat, dog]",
        "{0: cat, 1: dog}",
        "{1: dog, 0: cat}",
        "{'0': cat, '1': dog}",
        "\n  - ' cat '\n  - dog",
        "\n  0: cat\n  1: dog\nnc: 2",
    ],
)
def test_names(tmp_path, names):
    write_sample(tmp_path, "train/a.jpg", "1 .5 .5 1 1")
    path = write_description(tmp_path, f"train: images/train\nnames: {names}\ndownload: https://x.y/z.zip\n")
    dataset = load_dataset(path)
    assert (dataset.classes, dataset.labels.tolist()) == (("cat", "dog"), [1])


def test_numbers_as_names(tmp_path):
    write_sample(tmp_path, "train/a.jpg", "")
    assert load_dataset(write_description(tmp_path, "train: images\nnames: [0, 1]")).classes == ("0", "1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping with names, train and val"),
        ("- a\n- b", "expected a mapping"),
        ("names: [cat\ntrain: x", r"data\.yaml:2:6: not valid YAML"),
        ("a: b\n\x07: 3", r"data\.yaml:2: not valid YAML"),
        ("train: 2020-13-45", "not valid YAML"),
        ("names: [cat]\nformat: ''", "format: '' is not known"),
        ("nc: 1", "it names no pictures; give train and val"),
        ("train: images", r"names: expected the list of class names, got None"),
        ("train: images\nnames: cat", "names: expected the list of class names, got 'cat'"),
        ("train: images\nnames: []", "names: the list of classes is empty"),
        ("train: images\nnames: [cat, cat]", "names: class 'cat' is twice in the list"),
        ("train: images\nnames: [cat, yes]", "names: class 1: True is no text; put it in quotes"),
        ("train: images\nnames: {0: cat, 2: dog}", "names: class 1 is missing; number them from 0"),
        ("train: images\nnames: [cat]\nnc: 2", "nc is 2, but names has 1"),
        ("train: images\nnames: [cat]\nnc: [2]", r"nc is \[2\], but names has 1"),
        ("train: nowhere\nnames: [cat]", "train: there is no 'nowhere' beside this file$"),
        (
            "train: nowhere\npath: x\nnames: [cat]",
            r"there is no 'nowhere' beside this file, nor in 'x' \(path\)",
        ),
        ("train: 5\nnames: [cat]", "train: expected a folder or a file, got 5"),
        ("train: [images, 5]\nnames: [cat]", "train: expected a folder or a file, got 5"),
        ("train: empty\nnames: [cat]", "train: there are no pictures in .*empty"),
        ("train: empty.txt\nnames: [cat]", r"train: there are no pictures in .*empty\.txt"),
        ("train: images\nformat: xyz", "format: 'xyz' is not known; give voc"),
        ("format: voc\npath: images", "path: .*images is no VOC folder"),
        ("format: voc\npath: nowhere", "path: there is no folder 'nowhere' beside this file or here"),
        ("train: " + "x" * 5000 + "\nnames: [cat]", "train: there is no 'xxx"),
    ],
)
def test_descriptions_that_are_wrong(tmp_path, text, message):
    write_sample(tmp_path, "a.jpg", "")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").touch()
    path = write_description(tmp_path, text)
    with pytest.raises(AnnotationError, match=message) as caught:
        load_dataset(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("yaml_place", "path", "entry"),
    [
        ("set/data.yaml", None, "images/train"),
        ("set/data.yaml", ".", "images/train/"),
        ("set/data.yaml", "/elsewhere/set", "images/train"),  # written on another machine
        ("set/data.yaml", None, "../train/images"),  # as Roboflow has it
        ("set/data.yaml", None, "../../train/images"),
        ("set/data.yaml", None, "images\\\\train"),
        ("data.yaml", "set", "images/train"),
        ("configs/data.yaml", "../set", "images/train"),
        ("configs/deep/data.yaml", "set", "images/train"),  # from where we are
    ],
)
def test_where_the_pictures_may_lie(tmp_path, monkeypatch, yaml_place, path, entry):
    folder = tmp_path / "set"
    write_sample(folder, "train/a.jpg", "0 .5 .5 1 1")
    if entry.endswith("train/images"):
        (folder / "train").mkdir()
        for name in ("images", "labels"):
            (folder / name / "train").rename(folder / "train" / name)
    monkeypatch.chdir(tmp_path)
    text = f'train: "{entry}"\nnames: [cat]\n' + (f"path: {path}\n" if path else "")
    dataset = load_dataset(write_description(tmp_path, text, yaml_place))
    assert dataset[0].path.samefile(next(folder.rglob("a.jpg")))
    assert len(dataset.boxes) == 1


def test_lists_of_pictures_and_of_places(tmp_path):
    for name in ("train/a.jpg", "train/b.jpg", "more/c.jpg", "more/d.jpg"):
        write_sample(tmp_path, name, "0 .5 .5 1 1")
    list_file = tmp_path / "lists" / "train.txt"
    list_file.parent.mkdir()
    list_file.write_text("../images/train/b.jpg\r\n\r\nimages\\train\\a.jpg\n./images/more/c.jpg\n")
    text = "train: [lists/train.txt, images/more]\nnames: [cat]"
    dataset = load_dataset(write_description(tmp_path, text))
    assert dataset.image_ids[:3] == ["b", "a", "c"]
    assert [Path(file).name for file in dataset.files].count("d.jpg") == 1
    assert all(sample.path.is_file() for sample in dataset)


def test_a_picture_listed_twice_is_taken_once(tmp_path, caplog):
    path = write_sample(tmp_path, "train/a.jpg", "0 .5 .5 1 1")
    (tmp_path / "train.txt").write_text("images/train/a.jpg\nimages/train/a.jpg\n")
    dataset = load_dataset(write_description(tmp_path, "train: train.txt\nval: images\nnames: [cat]"))
    assert (len(dataset), dataset.repairs) == (1, {repair.LISTED_TWICE: 2})
    assert str(path) in caplog.text


def test_a_listed_picture_that_is_missing(tmp_path):
    write_sample(tmp_path, "train/a.jpg", "")
    (tmp_path / "train.txt").write_text("images/train/a.jpg\n\nimages/train/b.jpg\n")
    path = write_description(tmp_path, "train: train.txt\nnames: [cat]")
    reason = f"{tmp_path / 'train.txt'}:3: there is no picture 'images/train/b.jpg'; remove the line or add it"
    assert load_dataset(path).left_out == {f"{tmp_path / 'train.txt'}:3": reason}
    with pytest.raises(AnnotationError, match=re.escape(reason)):
        load_dataset(path, strict=True)
    (tmp_path / "train.txt").write_text("images/train/b.jpg\nc.jpg")
    with pytest.raises(
        AnnotationError, match=r"train\.txt:1: there is no picture .*, nor any other of its 2, in .*--images"
    ):
        load_dataset(path)


def test_classes_in_another_order(tmp_path):
    write_sample(tmp_path, "train/a.jpg", "0 .5 .5 1 1\n1 .5 .5 1 1")
    path = write_description(tmp_path)
    dataset = load_dataset(path, "train", classes=["dog", "fox", "cat"])
    assert (dataset.labels.tolist(), dataset.category_ids) == ([2, 0], (1, 2, 0))
    with pytest.raises(AnnotationError, match=r"a\.txt:2: class 'dog' is not in the list \(cat\)"):
        load_dataset(path, "train", classes=["cat"])


NUMBER = st.one_of(st.floats(), st.floats(0, 1), st.integers()).map(str)
LINES = st.lists(
    st.builds(
        lambda label, sides: " ".join([label, *sides]),
        st.sampled_from(["0", "1"]) | NUMBER,
        st.lists(NUMBER, min_size=4, max_size=4) | st.lists(NUMBER, max_size=9),
    ),
    max_size=3,
).map(lambda lines: "\n".join(lines).encode())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(LINES | st.binary(max_size=60))
def test_whatever_a_label_file_holds_the_reader_gives_boxes_or_our_error(tmp_path, content):
    if not (tmp_path / "data.yaml").is_file():
        write_sample(tmp_path, "train/a.jpg", "")
        write_description(tmp_path)
    (tmp_path / "labels/train/a.txt").write_bytes(content)
    dataset = dataset_or_fault(tmp_path, split="train")
    if isinstance(dataset, YoloError):
        assert "a.txt:" in str(dataset)
    else:
        boxes = dataset.boxes
        assert ((boxes[:, :2] >= 0) & (boxes[:, :2] < boxes[:, 2:]) & (boxes[:, 2:] <= (200, 100))).all()


# Without slashes: a dataset at / is legal, and takes long.
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="/\\"), max_size=6)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT)
VALID = DESCRIPTION.encode() + b"path: .\nnc: 2\n"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(
    st.binary(max_size=80)
    | st.builds(
        lambda cut, paste, length: VALID[:cut] + paste + VALID[cut + length :],
        st.integers(0, len(VALID)),
        TEXT.map(lambda text: text.encode(errors="surrogatepass")),
        st.integers(0, 20),
    )
    | st.builds(
        lambda key, value: VALID + f"{key}: {value!r}\n".encode(errors="surrogatepass"),
        st.sampled_from(["names", "train", "val", "path", "nc", "format", "images"]),
        VALUES | st.lists(VALUES, max_size=3) | st.dictionaries(st.integers(0, 3), VALUES, max_size=3),
    )
)
def test_whatever_a_description_holds_the_reader_gives_boxes_or_our_error(tmp_path, content):
    path = tmp_path / "data.yaml"
    if not path.is_file():
        for split in ("train", "val"):
            write_sample(tmp_path, f"{split}/a.jpg", "0 .5 .5 1 1")
    path.write_bytes(content)
    dataset = dataset_or_fault(path)
    if isinstance(dataset, YoloError):
        assert "data.yaml" in str(dataset) or "a.txt" in str(dataset)
    else:
        assert np.isfinite(dataset.boxes).all()


def test_coco128_written_as_yolo_txt_reads_the_same(tmp_path, shared):
    source = load_dataset(shared / "data" / "coco128" / "instances.json").subset(range(20))
    lines = []
    (tmp_path / "labels").mkdir()
    (tmp_path / "images").symlink_to(source.folder.resolve())
    for sample in source:
        (height, width), (x1, y1, x2, y2) = sample.size, sample.boxes.astype(np.float64).T
        columns = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height
        rows = zip(sample.labels, *columns, strict=True)
        text = "".join(f"{label} {x:.9f} {y:.9f} {w:.9f} {h:.9f}\n" for label, x, y, w, h in rows)
        (tmp_path / "labels" / f"{sample.path.stem}.txt").write_text(text)
        lines.append(f"images/{sample.path.name}\n")
    (tmp_path / "list.txt").write_text("".join(lines))
    names = "".join(f"  {label}: {name}\n" for label, name in enumerate(source.classes))
    dataset = load_dataset(write_description(tmp_path, f"train: list.txt\nnames:\n{names}"))
    assert dataset.classes == source.classes
    assert dataset.offsets.tolist() == source.offsets.tolist()
    assert dataset.labels.tolist() == source.labels.tolist()
    np.testing.assert_array_equal(dataset.sizes, source.sizes)
    np.testing.assert_allclose(dataset.boxes, source.boxes, atol=1e-3)
    assert math.isclose(float(dataset.boxes.sum()), float(source.boxes.sum()), rel_tol=1e-5)
