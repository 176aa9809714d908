"""Outlines of JSON files: the keys by which formats are told apart."""

import json

from yolo.datasets.annotations.json_file import outline


def test_keys_at_the_top_and_below(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": {"b": [{"c": 1}]}, "d": "e: {"}')
    keys = outline(path)
    assert (keys.is_list, keys.keys, keys.inner) == (False, {"a", "d"}, {"b", "c"})


def test_escaped_texts(tmp_path):
    """A quote, a backslash and an escaped letter, alone and at the end."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"a\\": 'x"', "b": "ä\\", "c": {"\n": 1}}]))
    keys = outline(path)
    assert (keys.is_list, keys.keys, keys.inner) == (True, {"a\\\\", "b", "c"}, {"\\n"})


def test_a_text_longer_than_the_glance(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"version": 1, "imageData": "A" * 2_000_000, "shapes": []}))
    assert outline(path).keys == {"version", "imageData"}
