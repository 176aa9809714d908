"""A user's albumentations file: its effect on images and boxes, and messages about mistakes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from augmented import CLASSES, HEIGHT, WIDTH, augmented, config, picture, scene

from yolo.datasets.augment import albumentations_file
from yolo.datasets.augment.albumentations_file import MIRRORING, UserTransforms, _made, albumentations
from yolo.datasets.augment.augmenter import Augmenter
from yolo.errors import ConfigError

BOX = (20, 30, 60, 70)


def written(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_flip_takes_the_boxes_along(tmp_path: Path) -> None:
    path = written(tmp_path, "- HorizontalFlip: {p: 1.0}\n")
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    shown = picture(image, [BOX, (0, 0, 10, 10)], [2, 3], [False, True])
    flipped, objects = augmented(config(albumentations=path), shown)
    np.testing.assert_array_equal(flipped, image[:, ::-1])
    np.testing.assert_allclose(objects.boxes, [[100, 30, 140, 70], [150, 0, 160, 10]], atol=1e-3)
    np.testing.assert_array_equal(objects.labels, [2, 3])
    np.testing.assert_array_equal(objects.ignore, [False, True])


def test_boxes_that_leave_are_dropped_with_their_labels(tmp_path: Path) -> None:
    """Moved left by half the canvas: the first is gone, the second cut to a half."""
    path = written(tmp_path, "- Affine: {translate_percent: {x: [-0.5, -0.5], y: [0, 0]}, p: 1.0}")
    boxes = [[0, 0, 60, 40], [60, 0, 100, 40], [100, 10, 150, 40]]
    for threshold, labels in ((0.4, [1, 2]), (0.6, [2])):
        _, objects = augmented(
            config(albumentations=path, min_visibility=threshold), picture(scene(BOX), boxes, [0, 1, 2])
        )
        np.testing.assert_array_equal(objects.labels, labels)
        np.testing.assert_allclose(objects.boxes[-1], [20, 10, 70, 40], atol=0.01)


def test_colours_leave_boxes_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "- InvertImg: {p: 1.0}\n")
    image, objects = augmented(config(albumentations=path), picture(scene(BOX), BOX))
    np.testing.assert_array_equal(image, 255 - scene(BOX))
    np.testing.assert_array_equal(objects.boxes, [BOX])


@pytest.mark.parametrize(
    "text",
    [
        "- OneOf: {p: 1.0, transforms: [{InvertImg: {p: 1}}, {HorizontalFlip: {p: 1.0}}]}",
        "- SomeOf: {n: 1, transforms: [{InvertImg: {p: 1}}, {OneOf: {p: 1, transforms: [{HorizontalFlip: {p: 1}}]}}]}",
    ],
)
def test_one_of_several(tmp_path: Path, text: str) -> None:
    augmenter = Augmenter(config(albumentations=written(tmp_path, text)), CLASSES)
    inverted = flipped = 0
    for seed in range(60):
        image, objects = augmented(augmenter, picture(scene(BOX), BOX), seed=seed)
        if (image == 255 - scene(BOX)).all():
            inverted += 1
            np.testing.assert_array_equal(objects.boxes, [BOX])
        else:
            flipped += 1
            np.testing.assert_array_equal(image, scene(BOX)[:, ::-1])
            np.testing.assert_allclose(objects.boxes, [[100, 30, 140, 70]], atol=1e-3)
    assert min(inverted, flipped) > 15


def test_a_mere_name_takes_the_defaults(tmp_path: Path) -> None:
    transforms = UserTransforms(written(tmp_path, "- ToGray\n- Blur:\n"), min_visibility=0.1)
    assert [each.p for each in transforms._borrow().transforms] == [0.5, 0.5]


def test_without_boxes(tmp_path: Path) -> None:
    path = written(tmp_path, "- Rotate: {p: 1.0}")
    _, objects = augmented(config(albumentations=path), picture(scene(BOX), []))
    assert objects.boxes.shape == (0, 4)
    assert objects.boxes.dtype == np.float32


def test_a_call_depends_on_its_seed_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "- Rotate\n- RandomBrightnessContrast\n- GaussNoise")
    settings, shown = config(albumentations=path), picture(scene(BOX), BOX)
    augmenter = Augmenter(settings, CLASSES)
    alone = [augmented(settings, shown, seed=seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for number, (image, objects) in enumerate(
            pool.map(lambda seed: augmented(augmenter, shown, seed=seed % 8), range(24))
        ):
            np.testing.assert_array_equal(image, alone[number % 8][0])
            np.testing.assert_array_equal(objects.boxes, alone[number % 8][1].boxes)
    assert len({image.tobytes() for image, _ in alone}) > 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- Blurr: {p: 0.1}", r"entry 1 \(Blurr\): albumentations [\d.]+ has no such transform; did you mean Blur\?"),
        ("- Blur\n- Blur: {radius: 3}", r"entry 2 \(Blur\): Argument\(s\) 'radius' are not valid"),
        ("- Blur: {p: 7}", r"entry 1 \(Blur\): .*less than or equal to 1"),
        ("- Blur: 3", r"entry 1 \(Blur\): expected arguments such as \{p: 0\.1\}, got 3"),
        ("- OneOf: [Blur, {Blurr: {}}]", r"entry 1 \(OneOf\) \(Blurr\): albumentations"),
        ("- OneOf: []", r"entry 1 \(OneOf\): expected a list of transforms as its argument"),
        ("- SomeOf: {n: 5, transforms: [Blur]}", r"entry 1 \(SomeOf\): `n` is greater"),
        ("- Compose: [Blur]", r"entry 1 \(Compose\): albumentations [\d.]+ has no such transform"),
        ("- __class__", r"entry 1 \(__class__\): albumentations"),
        ("- OverlayElements", r"entry 1 \(OverlayElements\): it does not move boxes with the picture"),
        ("- Mosaic", r"entry 1 \(Mosaic\): albumentations failed: Mosaic requires"),
        (
            "- Resize: {height: 30, width: 30, p: 0.01}",
            r"\(Resize\): it turns a uint8 picture \(96, 128, 3\) into uint8 \(30, 30, 3\)",
        ),
        ("- ToFloat", r"entry 1 \(ToFloat\): it turns a uint8 picture .* into float32"),
        ("- {Blur: {}, ToGray: {}}", r"entry 1: expected one transform such as"),
        ("- 3", r"entry 1: expected one transform such as Blur: \{p: 0\.1\}, got 3"),
        ("Blur: {p: 0.1}", r"expected a list of transforms such as"),
        ("", r"expected a list of transforms such as"),
        ("- [", r"mine\.yaml:1:4: not valid YAML "),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        UserTransforms(written(tmp_path, text), min_visibility=0.1)
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


RULES = [{"no_flip": ["a"]}, {"swap_on_flip": {"a": "b"}}]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("- Blur\n- HorizontalFlip: {p: 0.01}", r"entry 2 \(HorizontalFlip\): HorizontalFlip"),
        ("- VerticalFlip", "VerticalFlip"),
        ("- Transpose", "Transpose"),
        ("- D4", "D4"),
        ("- SquareSymmetry", "SquareSymmetry"),
        ("- Affine: {scale: {x: [-1, -1], y: [1, 1]}}", "Affine"),
        ("- OneOf: [Blur, {Sequential: [ToGray, Transpose]}]", r"entry 1 \(OneOf\): Transpose"),
    ],
)
def test_what_mirrors_is_refused_where_classes_differ_in_a_mirror(tmp_path: Path, text: str, name: str) -> None:
    path = written(tmp_path, text)
    for rules in RULES:
        with pytest.raises(ConfigError, match=rf"mine\.yaml: .*{name} mirrors pictures without regard to augment\.no_"):
            Augmenter(config(albumentations=path, **rules), CLASSES)


@pytest.mark.parametrize("text", ["- Rotate", "- OneOf: [Rotate, Blur]", "- Affine: {scale: [0.5, 1.5]}"])
def test_what_only_turns_is_allowed_there(tmp_path: Path, text: str) -> None:
    for rules in RULES:
        assert Augmenter(config(albumentations=written(tmp_path, text), **rules), CLASSES)


def handedness(kind: type) -> set[float]:
    """The signs of a triangle's area, before positive, after a transform with its defaults; empty: it needs arguments.

    A shuffle tears it apart, and what drops points says nothing.
    """
    corners, canvas = np.array([[20, 20], [40, 20], [20, 40]], np.float32), np.zeros((64, 64, 3), np.uint8)
    rules = albumentations.KeypointParams(format="xy", remove_invisible=False)
    signs = set()
    for seed in range(12):
        try:
            chain = albumentations.Compose([kind(p=1.0)], keypoint_params=rules, seed=seed)
            a, b, c = chain(image=canvas, keypoints=corners)["keypoints"]
        except Exception:
            break
        signs.add(float(np.sign(np.linalg.det([b - a, c - a]))))
    return signs


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_all_that_mirror_are_known() -> None:
    """Every transform of albumentations that moves points is asked what it does to a triangle."""
    kinds = {
        name: kind
        for name, kind in vars(albumentations).items()
        if isinstance(kind, type) and issubclass(kind, albumentations.DualTransform) and name != "RandomGridShuffle"
    }
    mirroring = {name for name, kind in kinds.items() if -1.0 in handedness(kind)}
    assert mirroring == {name for name, kind in kinds.items() if issubclass(kind, MIRRORING)}
    assert len(mirroring) == 6  # TimeReverse, which cannot be named in a file, is the sixth


def test_the_documented_file_does_what_it_says(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "RECIPES.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    transforms = UserTransforms(written(tmp_path, example), min_visibility=0.1, may_mirror=False)
    made = transforms._borrow().transforms
    assert [(type(each).__name__, each.p) for each in made] == [
        ("RandomBrightnessContrast", 0.5),
        ("Blur", 0.1),
        ("OneOf", 0.1),
        ("Affine", 0.3),
    ]
    assert made[3].rotate == (-5.0, 5.0)
    for seed in range(10):
        _, objects = augmented(config(albumentations=written(tmp_path, example)), picture(scene(BOX), BOX), seed=seed)
        assert len(objects.boxes) == 1


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read \(No such file"):
        UserTransforms(tmp_path / "nowhere.yaml", min_visibility=0.1)


def test_what_only_fails_later_is_named_too(tmp_path: Path) -> None:
    """Too high a crop for this canvas, though not for the one it was tried on."""
    path = written(tmp_path, "- RandomCrop: {height: 96, width: 128, p: 1.0}")
    with pytest.raises(ConfigError, match=r"mine\.yaml: it turns a uint8 picture \(96, 160, 3\)"):
        augmented(config(albumentations=path), picture(scene(BOX), BOX))


def test_import_leaves_the_environment_alone() -> None:
    module = "yolo.datasets.augment.albumentations_file"
    program = f"import os; import {module}; assert 'NO_ALBUMENTATIONS_UPDATE' not in os.environ"
    environment = {key: value for key, value in os.environ.items() if key != "NO_ALBUMENTATIONS_UPDATE"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_other_threads_may_warn_while_transforms_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread of the data loader makes transforms anew, and making them touches no other module's warnings."""
    transforms = UserTransforms(written(tmp_path, "- Blur: {p: 1}"), min_visibility=0.1)
    monkeypatch.setattr(albumentations_file, "build", lambda *_: pytest.fail("made anew"))
    one, other = transforms._borrow(), transforms._borrow()
    assert one is not other
    assert one.transforms[0] is not other.transforms[0]

    class Kind:
        def __init__(self) -> None:
            warnings.warn_explicit("odd", UserWarning, "a.py", 1, module="another")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _made(Kind, {}, "here")
