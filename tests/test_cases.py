"""Inputs as people really have them (`YOLO_SHARED`/data/cases): each opens right, or is refused with what to do.

The pictures are drawn: a red box on grey where the object is, so that a box can be held against the pixels.
"""

from __future__ import annotations

import csv
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from cfg_texts import conv, detector, one_layer
from step_by_step import training_step_by_step

from yolo import Dataset, YoloError, load_dataset
from yolo.cli.main import main
from yolo.darknet.cfg import read_cfg
from yolo.darknet.names import read_names
from yolo.darknet.plan import make_plan
from yolo.datasets.annotations import repair
from yolo.datasets.load import available_splits
from yolo.model.detector import Detector

EDGE = 2.5
"""Largest distance in pixels of a box from the red one: JPEG smears its edge."""


@dataclass(frozen=True)
class Opens:
    """Expected content of a case that opens."""

    pictures: int = 1
    boxes: int = 1
    split: str | None = "train"
    """Split to read, where there are any."""
    ignored: int = 0
    classes: tuple[str, ...] = ("cat",)
    told: str = ""
    """Words that the log has to have."""
    red: bool = True
    """Whether the boxes lie on the red ones."""


@dataclass(frozen=True)
class Refused:
    """Expected refusal of a case: words of the message."""

    message: str
    split: str | None = "train"


PLAIN = """
coco_ann_no_id coco_backslash coco_backslash_nested coco_bbox_strings coco_bom coco_category_zero coco_gif
coco_exif_stored coco_exif_turned coco_http_url coco_ids_big_gap coco_iscrowd_bool coco_labelstudio_result
coco_images_default_cvat coco_minimal coco_no_size coco_rle coco_size_minus1 coco_size_strings coco_string_ids_both
coco_string_image_id coco_plain_train_json coco_labelme_json coco_via_json mac_zip pic_extraneous
pic_trailing_bytes voc_abs_path voc_annots_images voc_difficult_unspecified voc_doctype voc_doctype_plain
voc_exif_stored voc_filename_differs voc_filename_noext voc_filename_other_ext voc_float_coords voc_gbk_undeclared
voc_imagesets_crlf_numbers voc_jfif voc_jpeg_dollar voc_leading_blank_line voc_loose_folder voc_lower_jpegimages
voc_mixed_case_folder voc_no_size voc_part_before_box voc_part_nested voc_roboflow_names voc_size_zero
voc_space_in_coords voc_uppercase_ext voc_utf16 voc_utf8_bom voc_xmls_below yolo_abs_path yolo_abs_train
yolo_autosplit yolo_class_float yolo_cvat11 yolo_folder_no_yaml yolo_jpegimages yolo_kpt_shape_yaml yolo_label_bom
yolo_label_utf16 yolo_labelimg_classes_in_labels yolo_names_file yolo_obb9 yolo_percent_unicode yolo_polygon
yolo_roboflow_parents yolo_sci yolo_splits_as_folders_no_val yolo_trailing_tabs_crlf yolo_traintxt_abs
yolo_traintxt_win yolo_val_missing_folder yolo_valid_only_txt yolo_win_yaml yolo_yaml_othername
"""
"""Cases of one picture with one box of the class cat."""
ODD_PICTURES = """
pic_16bit pic_16bit_grey pic_1bit pic_bmp_as_jpg pic_cmyk pic_gif_animated pic_gif_as_jpg pic_la pic_palette
pic_png_as_jpg pic_progressive pic_rgba pic_space_hash pic_tiff_multi pic_uppercase pic_webp_as_jpg
"""
"""Cases of an odd picture beside a good one, both with a box."""

CASES: dict[str, Opens | Refused] = {
    **dict.fromkeys(PLAIN.split(), Opens()),
    # COCO
    "coco_annots_none_category": Opens(boxes=0),
    "coco_bbox_null": Opens(told="bbox"),
    "coco_bbox_xyxy": Opens(red=False, told="check them"),
    "coco_cat_zero_in_ann_only": Refused(r"annotations\[\d\].*category_id"),
    "coco_category_name_int": Opens(classes=("7",)),
    "coco_dup_category_name": Opens(boxes=2, told="merged", red=False),
    "coco_dup_image_id": Refused(r"images\[1\]\.id: .*(taken|twice)"),
    "coco_dup_image_same_record": Opens(told="twice"),
    "coco_missing_pictures": Opens(red=False, told="--images"),
    "coco_missing_some": Refused("2 of 6 .*p2.jpg"),
    "coco_nan": Opens(told=repair.NOT_FINITE),
    "coco_negative_width": Opens(boxes=2, red=False, told=repair.INVERTED),
    "coco_no_annotations_key": Refused('no list "annotations"'),
    "coco_no_categories_key": Refused('no list "categories"'),
    "coco_order_train_val": Opens(classes=("cat", "dog")),
    "coco_rle_crowd": Opens(ignored=1),
    "coco_same_name_subfolders": Opens(pictures=2, boxes=2),
    "coco_seg_only": Opens(told=repair.OUTLINED),
    "coco_size_scaled": Opens(told=repair.RESIZED),
    "coco_size_swapped": Opens(told=repair.SWAPPED_SIDES),
    "coco_unknown_image": Opens(told="not listed, skipped: 1"),
    "coco_val_more_classes": Opens(),
    "coco_zero_picture": Opens(red=False),
    "coco_zero_wh": Opens(told=repair.EMPTY),
    "eval_motorbike": Opens(classes=("motorbike",)),
    "eval_motorcycle": Opens(classes=("motorcycle",)),
    "eval_subset80": Opens(classes=("cat", "dog")),
    "eval_pet": Opens(classes=("pet",)),
    # odd pictures in a YOLO set
    **dict.fromkeys(ODD_PICTURES.split(), Opens(2, 2)),
    "pic_exif6": Opens(pictures=2, boxes=2, red=False),  # the red box is where it was before turning
    **{f"pic_{name}": Opens(2, 2, red=False) for name in ("16bit_dark", "tiff_float", "tiny_1x1", "truncated", "wide")},
    "pic_many_broken_yolo": Refused(r"3 of 6 .*p1\.jpg.*p3\.jpg.*p4\.jpg"),
    "pic_zero_bytes": Opens(told="a1.jpg"),
    # in training
    "t_150_boxes": Opens(3, 450, red=False),
    "t_background_mostly": Opens(8, 1),
    "t_batch_gt_data": Opens(3, 3),
    "t_class_never": Opens(4, 4, classes=("cat", "dog", "bird")),
    "t_full_picture": Opens(4, 4, red=False),
    "t_identical_boxes": Opens(6, 6),
    "t_identical_long": Opens(6, 6, classes=("bar",), red=False),
    "t_no_boxes": Opens(4, 0),
    "t_one_picture": Opens(),
    "t_one_picture_no_val": Opens(),
    "t_sub_pixel": Opens(4, 8, red=False),
    "t_tiny_pictures": Opens(4, 4, red=False),
    "t_val_backslash_coco": Opens(4, 4),
    "t_wide": Opens(3, 3, red=False),
    # VOC
    "voc_comma_decimal": Refused("a1.xml: .*write decimals with a point"),
    "voc_difficult_true": Opens(ignored=1),
    "voc_empty_bndbox": Opens(told="a1.xml"),
    "voc_gbk_declared": Opens(classes=("\u732b",)),
    "voc_gbk_undeclared_name": Refused("UTF-8"),
    "voc_inverted": Opens(told=repair.INVERTED),
    "voc_missing_name": Opens(told="name"),
    "voc_name_case_blank": Opens(boxes=2, classes=("Cat", "cat"), red=False),
    "voc_negative_and_over": Opens(red=False, told=repair.CLIPPED),
    "voc_polygon": Opens(boxes=2, red=False, told=repair.OUTLINED),
    "voc_roboflow_splits": Opens(),
    "voc_scaled_picture": Opens(told=repair.RESIZED),
    "voc_two_pictures_one_xml_bad": Refused(r"2 of 3 .*a2\.xml.*a3\.xml"),
    "voc_wh_swapped": Opens(told=repair.SWAPPED_SIDES),
    "voc_zero_picture": Opens(2, 2),
    # YOLO
    "yolo_commas": Refused("comma"),
    "yolo_conf6": Opens(told="confidence"),
    "yolo_dup_classes": Refused("class 'cat' is twice"),
    "yolo_dup_stem": Opens(2, 2),
    "yolo_empty_labels": Opens(boxes=0),
    "yolo_gif_jfif": Opens(2, 2),
    "yolo_keypoints": Opens(),
    "yolo_keypoints17": Opens(),
    "yolo_label_classname": Refused("name"),
    "yolo_labels_in_split": Opens(boxes=0, told="without a label file"),
    "yolo_list_of_folders": Opens(2, 2),
    "yolo_mixed_seg": Opens(boxes=2, red=False),
    "yolo_names_bool": Refused("True is no text"),
    "yolo_names_from_1": Refused("number them from 0"),
    "yolo_names_inline_str": Refused("names: "),
    "yolo_names_str_keys": Opens(classes=("cat", "dog")),
    "yolo_nc_mismatch": Refused("nc is 2"),
    "yolo_nc_only": Refused("names"),
    "yolo_negative": Opens(told="dropped"),
    "yolo_no_labels": Opens(boxes=0, told="without a label file"),
    "yolo_one_based": Refused("count classes from 1; subtract 1"),
    "yolo_orphan_labels": Opens(told="a9.txt"),
    "yolo_pixels": Refused("pixels"),
    "yolo_seg_5pt_two": Opens(red=False),
    "yolo_x1y1x2y2": Opens(red=False, told=repair.CLIPPED),
    "yolo_yaml_dq_escape": Refused("single quotes"),
    "yolo_yaml_dq_tab": Refused("single quotes"),
    "yolo_yaml_gbk": Opens(classes=("\xe8",)),  # its bytes are UTF-8 as well
    "yolo_yaml_gbk2": Refused("UTF-8"),
    "yolo_yaml_tabs": Refused(r"data\.yaml:\d"),
}
OTHERS = {"cfg_oddities", "names_oddities"}
"""Cases that are no datasets, with tests of their own."""


@pytest.fixture
def folder(shared) -> Path:
    return shared / "data" / "cases"


def test_every_case_has_its_row(folder):
    with (folder / "cases.csv").open(encoding="utf-8") as file:
        listed = {row["case"] for row in csv.DictReader(file)}
    assert listed == set(CASES) | OTHERS


def read(path: Path, split: str | None) -> Dataset:
    splits = available_splits(path)
    return load_dataset(path, split if split in splits else next(iter(splits), None))


@pytest.mark.parametrize("name", [name for name, each in CASES.items() if isinstance(each, Opens)])
def test_a_case_opens(folder, name, caplog):
    expected, path = CASES[name], folder / name
    assert isinstance(expected, Opens)
    caplog.set_level(logging.INFO, "yolo")
    dataset = read(path, expected.split)
    assert (len(dataset), len(dataset.boxes)) == (expected.pictures, expected.boxes)
    assert dataset.classes == expected.classes
    assert dataset.ignore.sum() == expected.ignored
    assert expected.told in caplog.text
    if expected.red:
        for index in range(len(dataset)):
            assert_on_red(dataset, index)


def assert_on_red(dataset: Dataset, index: int) -> None:
    """Hold the boxes of an image against the red box in its pixels, if it can be read and is coloured."""
    try:
        image = dataset.image(index).astype(int)
    except YoloError:
        return
    rows, columns = np.nonzero(image[..., 0] - image[..., 1:].max(axis=-1) > 60)
    if len(rows):
        red = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        for box in dataset[index].boxes:
            assert np.abs(box - red).max() <= EDGE, (dataset.files[index], box, red)


@pytest.mark.parametrize("name", [name for name, each in CASES.items() if isinstance(each, Refused)])
def test_a_case_is_refused(folder, name):
    expected = CASES[name]
    assert isinstance(expected, Refused)
    with pytest.raises(YoloError, match=expected.message) as caught:
        read(folder / name, expected.split)
    assert str(folder / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_single_coco_file_opens_like_its_folder(folder):
    for path in sorted(folder.glob("coco_*/ann.json")):
        if isinstance(CASES[path.parent.name], Opens):
            assert load_dataset(path).fingerprint == load_dataset(path.parent).fingerprint


def test_validation_of_another_order_and_of_more_classes(folder):
    order = folder / "coco_order_train_val"
    train = load_dataset(order, "train")
    assert load_dataset(order, "val", classes=train.classes).labels.tolist() == train.labels.tolist() == [0]
    with pytest.raises(YoloError, match="class 'bird' is not in the list"):
        load_dataset(folder / "coco_val_more_classes", "val", classes=["cat"])


def test_splits(folder):
    assert available_splits(folder / "voc_roboflow_splits") == ("train", "valid", "test")
    with pytest.raises(YoloError, match=r"valid/images"):
        load_dataset(folder / "yolo_roboflow_parents", "val")
    with pytest.raises(YoloError, match="images/val"):
        load_dataset(folder / "yolo_val_missing_folder", "val")


def test_nothing_of_a_case_is_changed(folder):
    """Most tests above have run by now, and none has written into the folder."""
    assert not [path for path in folder.rglob("*") if path.suffix in (".npz", ".cache")]


LOADED_CFG = {"crlf", "bom", "inline_comment", "semicolon", "spaces_around", "rect", "anchors_float"}


def test_darknet_files(folder):
    for path in sorted((folder / "cfg_oddities").glob("*.cfg")):
        fault = cfg_fault(path)
        assert fault is None or (path.stem not in LOADED_CFG and str(path) in fault), fault


def cfg_fault(path: Path) -> str | None:
    try:
        make_plan(read_cfg(path), path)
    except YoloError as error:
        return str(error)
    return None


def test_names_files(folder):
    names = folder / "names_oddities"
    assert read_names(names / "blank_crlf_bom.names", 2) == ["cat", "dog"]
    for name in ("latin1", "dup"):
        with pytest.raises(YoloError, match=name):
            read_names(names / f"{name}.names", 2)


@pytest.mark.parametrize("case", ["coco_missing_pictures", "coco_annots_none_category", "t_no_boxes", "yolo_no_labels"])
def test_training_on_nothing_is_refused(folder, case, tmp_path, capsys):
    path = folder / case
    words = ["--model", "yolov3-tiny", "--size", "64", "--epochs", "1", "--out", str(tmp_path / "run")]
    assert main(["train", str(path), *words]) == 2
    captured = capsys.readouterr()
    assert case in captured.err or "images" in captured.err
    assert not (tmp_path / "run" / "best.keras").exists()


@pytest.mark.parametrize("case", ["t_identical_boxes", "t_identical_long", "t_one_picture", "t_tiny_pictures"])
@pytest.mark.parametrize("count", ["6", "9"])
def test_anchors_can_always_be_fitted(folder, case, count, capsys):
    assert main(["anchors", str(folder / case), "--count", count, "--json"]) == 0
    assert '"best_possible_recall": 1.0' in capsys.readouterr().out


TRAINED = """
t_150_boxes t_background_mostly t_batch_gt_data t_class_never t_full_picture t_identical_boxes t_identical_long
t_one_picture t_one_picture_no_val t_sub_pixel t_tiny_pictures t_wide pic_wide pic_tiny_1x1 pic_truncated
t_val_backslash_coco
"""
"""Cases that a detector trains on, whatever they look like."""


@pytest.mark.slow
@pytest.mark.parametrize("case", TRAINED.split())
def test_a_case_trains(folder, case, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("yolo.images.plots.plot_training", lambda *_, **__: None)  # no matter of the pictures
    network = tmp_path / "one.cfg"
    network.write_text(one_layer(8))
    words = [
        "--model",
        str(network),
        "--size",
        "64",
        "--epochs",
        "1",
        "--batch",
        "16" if case == "t_batch_gt_data" else "2",
    ]
    words += ["--workers", "1", "--out", str(tmp_path / "run"), "--json"]
    with training_step_by_step():
        assert main(["train", str(folder / case), *words]) == 0
    captured = capsys.readouterr()
    assert "loss nan" not in captured.err
    assert json.loads(captured.out)["images"] > 0
    if case == "pic_truncated":
        assert "a1.jpg" in (tmp_path / "run" / "quarantine.csv").read_text()


@pytest.fixture(scope="module")
def of_voc(shared, tmp_path_factory):
    """A detector of the classes of VOC, that has learnt nothing."""
    names = read_names(shared / "data" / "darknet" / "voc.names")
    head = f"[yolo]\nmask=0,1\nanchors=10,20, 30,15\nclasses={len(names)}\nnum=2"
    text = detector(conv(8, 3, stride=32, pad=1), head=head, filters=2 * (5 + len(names)))
    path = tmp_path_factory.mktemp("voc") / "voc.keras"
    Detector("voc.cfg", cfg=text, classes=names).save(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "measured"),
    [("eval_motorcycle", "motorbike"), ("eval_motorbike", "motorbike"), ("eval_subset80", "cat"), ("eval_pet", None)],
)
def test_a_model_of_other_classes_is_measured(of_voc, folder, case, measured, capsys):
    # Options stand between the arguments on purpose.
    code = main(["eval", str(of_voc), "--size", "96", str(folder / case / "ann.json"), "--json"])
    captured = capsys.readouterr()
    if measured is None:
        assert (code, captured.out) == (2, "")
        assert "none of its classes (pet) is known to the model (aeroplane" in captured.err
    else:
        assert code == 0
        instances = {name: row["instances"] for name, row in json.loads(captured.out)["classes"].items()}
        assert instances[measured] == sum(instances.values()) > 0
