"""Values in messages: short, whatever they are."""

from __future__ import annotations

import pytest

from yolo.files.quoted import quoted


def nested(levels: int) -> list[object]:
    value: list[object] = ["x"]
    for _ in range(levels):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("value", "length", "text"),
    [
        ("cat", 60, "'cat'"),
        (None, 60, "None"),
        ([1, 2.5, "a"], 60, "[1, 2.5, 'a']"),
        ({"b": 1, "a": [2]}, 60, "{'b': 1, 'a': [2]}"),  # in its own order
        ("x" * 100, 20, "'xxxxxxxxxxxxxxxx..."),
        (list(range(10**6)), 20, "[0, 1, 2, 3, 4, 5..."),
        ({each: each for each in range(10**6)}, 20, "{0: 0, 1: 1, 2: 2..."),
        (10**50, 60, str(10**50)),
        pytest.param(10**5000, 60, "a number of thousands of digits", id="many digits"),
    ],
)
def test_values(value, length, text):
    assert quoted(value, length) == text


def test_lists_of_lists_are_not_written_out():
    """As Python writes it, this has 2 ** 200 entries."""
    text = quoted(nested(200))
    assert text.startswith("[[[[[...], [...]]")
    assert len(text) == 60
