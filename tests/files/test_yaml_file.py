"""YAML of the user's: values, faults with their places, and aliases of aliases."""

from __future__ import annotations

import re

import pytest
import yaml
from damage import damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yolo.errors import AnnotationError, ConfigError, YoloError
from yolo.files.yaml_file import LARGEST_YAML, MOST_ALIASED, read_yaml

SOUND = """
path: &base ../data   # a comment
names: {0: cat, 1: "dog"}
train: [a, b]
nc: 2
more: {<<: &m {x: 1.5, y: 2020-01-02}, z: *base, twice: [*m, *m]}
"""


def write(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def laughs(key: str, levels: int = 60) -> str:
    """Aliases of aliases: a list that stands for 2 ** levels values."""
    lines = ["a0: &a0 [x, x]", *(f"a{each}: &a{each} [*a{each - 1}, *a{each - 1}]" for each in range(1, levels))]
    return "\n".join([*lines, f"{key}: *a{levels - 1}"])


def test_values_are_those_of_pyyaml(tmp_path):
    assert read_yaml(write(tmp_path, SOUND)) == yaml.safe_load(SOUND)
    assert read_yaml(write(tmp_path, "")) is None
    assert read_yaml(write(tmp_path, "\ufeff[1]")) == [1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", r":1:6: not valid YAML \(expected ',' or '\]'"),
        ("a: 1\nb: \x07", r":2: not valid YAML \(special characters are not allowed\)"),
        ("a: 2020-13-01", r": not valid YAML \(ValueError: month must be in 1..12"),
        ("a: !!python/object/apply:os.system [ls]", r":1:4: not valid YAML \(could not determine a constructor"),
        ("[" * 5000, r": not valid YAML \(its lists are nested too deeply\)"),
        ("a: &a [*a]", r":1:4: not valid YAML \(an alias within what it repeats\)"),
        ("a: " + "9" * 500, r":1:4: not valid YAML \(a number of 500 characters\)"),
        ("a: 1" + ":59" * 100_000, r":1:4: not valid YAML \(a number of 300001 characters\)"),
        ("a: 1\n---\nb: 2", r":2:1: not valid YAML \(but found another document\)"),
        (laughs("names"), r":1:1: not valid YAML \(its aliases repeat more than 1,000,000 values; write them out\)"),
        ("a: &a {x: 1, y: 2}\n" + "\n".join(
            f"k{each}: &{'abcdefghijklmnopqrstuvwxyz'[each + 1]} "
            f"{{<<: [*{'abcdefghijklmnopqrstuvwxyz'[each]}, *{'abcdefghijklmnopqrstuvwxyz'[each]}]}}"
            for each in range(24)
        ), "its aliases repeat more than"),
        ("a: &a " + "x" * 10_000 + "\nb: [" + "*a, " * 200 + "]", "its aliases repeat more than"),
    ],
)  # fmt: skip
def test_faults_name_file_and_place(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(AnnotationError, match=re.escape(str(path)) + ".*" + message) as caught:
        read_yaml(path, AnnotationError)
    assert len(str(caught.value)) < len(str(path)) + 200


def test_aliases_below_the_limit_are_read(tmp_path):
    text = "a: &a " + "x" * 1000 + "\nb: [" + "*a, " * (MOST_ALIASED // 1100) + "]"
    assert read_yaml(write(tmp_path, text))["b"][-1] == "x" * 1000


def test_a_file_too_large_is_not_parsed(tmp_path):
    with pytest.raises(ConfigError, match=r"a\.yaml: 5 MiB; a YAML file may have 4 MiB at most"):
        read_yaml(write(tmp_path, "#" * (LARGEST_YAML + 1)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_give_values_or_an_error_with_the_files_name(tmp_path, data):
    path = tmp_path / "a.yaml"
    path.write_bytes(damaged(data, SOUND.encode()))
    try:
        read_yaml(path)
    except YoloError as error:
        assert str(error).startswith(f"{path}:")  # noqa: PT017 - most are values
