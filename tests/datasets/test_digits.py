"""The digits dataset: an ordinary VOC folder, determined by its seed, with boxes on the ink."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from defusedxml import ElementTree

from yolo.datasets.digits import (
    CLASSES,
    CONTRAST,
    COUNTS,
    LARGEST_OVERLAP,
    LUMA,
    draw_ink,
    find_place,
    load_photographs,
    make_digits,
    make_scene,
    overlap,
    paste,
    pick_colour,
    split_digits,
)
from yolo.images.codec import read_image


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_digits(tmp_path_factory.mktemp("digits") / "new", train=6, val=3, size=160, seed=5)


@pytest.fixture(scope="module")
def scenes():
    digits = split_digits(0)["train"]
    photographs = load_photographs()
    return [make_scene(photographs, digits, 192, np.random.default_rng(seed)) for seed in range(40)]


def fingerprint(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_folder_is_a_voc_dataset(folder):
    assert (folder / "ImageSets/Main/train.txt").read_text().split() == [f"train_{number:05d}" for number in range(6)]
    assert (folder / "ImageSets/Main/val.txt").read_text().split() == [
        "val_00000",
        "val_00001",
        "val_00002",
    ]
    assert len(list(folder.rglob("*"))) == 4 + 2 + 9 + 9  # folders, lists, pictures, annotations
    for path in (folder / "Annotations").iterdir():
        root = ElementTree.parse(path).getroot()
        image = read_image(folder / "JPEGImages" / root.findtext("filename"))
        assert image.shape == (160, 160, 3)
        assert [root.findtext(f"size/{side}") for side in ("width", "height", "depth")] == [
            "160",
            "160",
            "3",
        ]
        assert 1 <= len(root.findall("object")) <= 8
        for found in root.findall("object"):
            assert found.findtext("name") in CLASSES
            box = [float(found.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")]
            assert 1 <= box[0] < box[2] <= 160  # VOC counts pixels from 1
            assert 1 <= box[1] < box[3] <= 160


def test_the_reader_gives_the_scenes_back(folder):
    from yolo.datasets.load import load_dataset

    dataset = load_dataset(folder, split="val")
    digits = split_digits(5)["val"]
    photographs = load_photographs()
    expected = [make_scene(photographs, digits, 160, np.random.default_rng([5, 1, number])) for number in range(3)]
    for sample, scene in zip(dataset, expected, strict=True):
        np.testing.assert_array_equal(sample.boxes, scene.boxes)
        assert [dataset.classes[label] for label in sample.labels] == [CLASSES[label] for label in scene.labels]
        assert not sample.ignore.any()
        np.testing.assert_allclose(read_image(sample.path).astype(int), scene.image, atol=80)


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    first, second = (make_digits(tmp_path / name, train=3, val=2, seed=7) for name in "ab")
    other = make_digits(tmp_path / "c", train=3, val=2, seed=8)
    assert fingerprint(first) == fingerprint(second)
    pictures = "JPEGImages/train_00000.jpg"
    assert fingerprint(first)[pictures] != fingerprint(other)[pictures]


def test_more_scenes_leave_the_first_as_they_are(tmp_path, folder):
    more = fingerprint(make_digits(tmp_path, train=7, val=4, size=160, seed=5))
    few = fingerprint(folder)
    scenes = [name for name in few if name.startswith("JPEGImages")]
    assert len(scenes) == 9
    assert all(few[name] == more[name] for name in scenes)


def test_the_splits_have_no_digit_in_common():
    digits = split_digits(3)
    train, val = ({grey.tobytes() for grey in digits[split].greys} for split in ("train", "val"))
    assert len(digits["train"].labels) + len(digits["val"].labels) == 1797
    assert len(digits["val"].labels) == 359
    assert not train & val
    for split in ("train", "val"):
        assert np.bincount(digits[split].labels).min() > 20  # every class in both
        assert 0 <= digits[split].greys.min() < digits[split].greys.max() == 1


def test_scenes_are_moderately_full(scenes):
    counts = [len(scene.labels) for scene in scenes]
    assert min(counts) >= 2
    assert max(counts) == COUNTS[1]
    assert set(np.concatenate([scene.labels for scene in scenes]).tolist()) == set(range(10))
    for scene in scenes:
        assert scene.image.shape == (192, 192, 3)
        assert scene.image.dtype == np.uint8
        assert (scene.boxes[:, :2] >= 0).all()
        assert (scene.boxes[:, 2:] <= 192).all()
        for index, box in enumerate(scene.boxes):
            assert all(overlap(box, other) <= LARGEST_OVERLAP for other in scene.boxes[:index])


def test_digits_are_neither_tiny_nor_huge(scenes):
    heights = np.concatenate([scene.boxes[:, 3] - scene.boxes[:, 1] for scene in scenes])
    assert heights.min() >= 0.1 * 192
    assert heights.max() <= 0.5 * 192


@pytest.mark.parametrize("seed", range(20))
def test_the_box_is_tight_around_the_ink(seed):
    rng = np.random.default_rng(seed)
    digits = split_digits(0)["train"]
    ink = draw_ink(digits.greys[seed], 192, rng)
    assert ink.min() >= 0
    assert ink.max() == 1
    for border in (ink[0], ink[-1], ink[:, 0], ink[:, -1]):
        assert border.max() >= 0.5
    image = np.full((192, 192, 3), 100, np.float32)
    box = paste(image, ink, (30, 40), rng).astype(int)
    assert box.tolist() == [40, 30, 40 + ink.shape[1], 30 + ink.shape[0]]
    rows, columns = np.nonzero((image != 100).any(axis=-1))
    assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == box.tolist()


@pytest.mark.parametrize("grey", [0, 60, 127, 128, 200, 255])
def test_ink_stands_out_from_any_ground(grey):
    ground = np.full((5, 5, 3), grey, np.float32)
    for seed in range(50):
        colour = pick_colour(ground, np.random.default_rng(seed))
        assert abs(float(colour @ LUMA) - grey) >= CONTRAST
        assert colour.min() >= 0
        assert colour.max() <= 255


def test_overlap_by_hand():
    box = np.array([0, 0, 10, 10], np.float32)
    assert overlap(box, np.array([5, 5, 15, 15], np.float32)) == pytest.approx(0.25)
    assert overlap(box, np.array([2, 2, 4, 4], np.float32)) == pytest.approx(1.0)  # of the smaller one
    assert overlap(box, np.array([10, 0, 20, 10], np.float32)) == 0.0


def test_no_place_in_a_full_scene():
    full = [np.array([0, 0, 64, 64], np.float32)]
    assert find_place((10, 10), full, 64, np.random.default_rng(0)) is None
    assert find_place((64, 64), [], 64, np.random.default_rng(0)) == (0, 0)
