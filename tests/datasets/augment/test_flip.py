"""Flips: classes that must not be mirrored, and classes that swap."""

from __future__ import annotations

import numpy as np
import pytest
from augmented import CLASSES, HEIGHT, WIDTH, augmented, config, picture, scene

from yolo.datasets.augment.flip import FlipRules
from yolo.errors import ConfigError

LEFT = (20, 30, 60, 70)
MIRRORED = [100, 30, 140, 70]


def flips(count: int, labels: list[int], **rules: object) -> list[tuple[list[float], list[int]]]:
    """First box and labels of a picture with these labels on one spot, augmented ``count`` times."""
    results = []
    for seed in range(count):
        _, objects = augmented(config(**rules), picture(scene(LEFT), [LEFT] * len(labels), labels), seed=seed)
        results.append((objects.boxes[0].tolist(), objects.labels.tolist()))
    return results


def test_a_picture_that_shows_a_no_flip_class_is_never_mirrored() -> None:
    assert flips(5, [0, 2], flip=1.0, no_flip=["c"]) == [([*map(float, LEFT)], [0, 2])] * 5
    assert flips(5, [0, 1], flip=1.0, no_flip=["c"]) == [(MIRRORED, [0, 1])] * 5


def test_a_flip_swaps_names_both_ways() -> None:
    swapped = flips(1, [0, 1, 2, 3], flip=1.0, swap_on_flip={"a": "c"})
    assert swapped == [(MIRRORED, [2, 1, 0, 3])]
    assert flips(1, [0, 1, 2, 3], flip=1.0, swap_on_flip={"a": "c", "c": "a"}) == swapped


def test_without_a_flip_names_stay() -> None:
    assert flips(1, [0, 2], flip=0.0, swap_on_flip={"a": "c"}) == [([*map(float, LEFT)], [0, 2])]


def test_a_rule_does_not_shift_the_other_draws() -> None:
    """The same seed draws the same zoom, whether the flip was forbidden or not."""
    for seed in range(10):
        widths = [
            np.diff(
                augmented(config(flip=0.5, scale=0.4, **rules), picture(scene(LEFT), LEFT), seed=seed)[1].boxes[0, ::2]
            )
            for rules in ({}, {"no_flip": ["a"]})
        ]
        np.testing.assert_allclose(*widths, atol=1e-3)


def test_tiles_of_a_mosaic_are_mirrored_each_by_itself() -> None:
    """Class 1 lies on the left third of its picture and must not be mirrored; class 0 alike, but may be."""
    image = np.full((HEIGHT, WIDTH, 3), 127, np.uint8)
    image[:, : WIDTH // 3] = 200
    image[:, -WIDTH // 3 :] = 40
    group = [picture(image.copy(), (0, 0, WIDTH, HEIGHT), [label]) for label in (0, 1, 0, 1)]
    mirrored = {0: 0, 1: 0}
    for seed in range(40):
        canvas, objects = augmented(config(flip=0.5, mosaic=1.0, no_flip=["b"]), group, seed=seed)
        for box, label in zip(objects.boxes, objects.labels, strict=True):
            x1, y1, x2, y2 = np.rint(box).astype(int)
            row = canvas[(y1 + y2) // 2, x1:x2, 0].astype(int)
            mirrored[int(label)] += row[-1] > row[0]
    assert mirrored[1] == 0
    assert mirrored[0] > 10


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"no_flip": ["cat"]}, r"augment\.no_flip: there is no class 'cat'; there are a, b, c, d$"),
        ({"swap_on_flip": {"a": "cat"}}, r"augment\.swap_on_flip: there is no class 'cat'"),
        ({"swap_on_flip": {"cat": "a"}}, r"augment\.swap_on_flip: there is no class 'cat'"),
        ({"swap_on_flip": {"a": "b", "b": "c"}}, r"cannot turn 'b' into both 'a' and 'c'"),
        ({"swap_on_flip": {"a": "b", "c": "b"}}, r"cannot turn 'b' into both 'a' and 'c'"),
    ],
)
def test_mistaken_rules(rules: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FlipRules(config(**rules), CLASSES)


def test_many_classes_are_not_all_named() -> None:
    with pytest.raises(ConfigError, match=r"there are 0, .*, 19, \.\.\.$"):
        FlipRules(config(no_flip=["cat"]), tuple(map(str, range(80))))
