"""Views of the places in a report of `yolov3 data check --json`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import make_dataset

from yolo.datasets.finding_views import finding_views, read_findings
from yolo.errors import AnnotationError, YoloError


def write(path, *findings) -> None:
    path.write_text(json.dumps({"pictures": 3, "findings": list(findings)}))


def test_places_are_shared_among_the_kinds(tmp_path):
    path = tmp_path / "report.json"
    many = [{"file": f"{number}.jpg", "place": "box 1 (cat)", "split": "train", "detail": ""} for number in range(9)]
    write(
        path, {"kind": "tiny", "places": many}, {"kind": "twins", "places": [{"file": "2.jpg", "detail": "as 1.jpg"}]}
    )
    found = read_findings(path, 4)
    assert [(each.kind, each.file) for each in found] == [
        ("tiny", "0.jpg"),
        ("tiny", "1.jpg"),
        ("tiny", "2.jpg"),
        ("twins", "2.jpg"),
    ]


def test_the_box_of_a_place_is_in_colour(tmp_path):
    path = tmp_path / "report.json"
    write(
        path,
        {"kind": "tiny", "places": [{"file": "somewhere/1.jpg", "place": "box 2 (dog)"}, {"file": "gone.xml"}]},
        {"kind": "twins", "examples": ["0.jpg", "0.jpg"]},
    )
    dataset = make_dataset([(1, 0, 0, 0, 5, 5, 0), (1, 1, 0, 0, 9, 9, 0)], pictures=2)
    (tiny, first), (gone, second), (_twins, third) = finding_views([dataset], read_findings(path, 10))
    assert (first.picture, first.caption) == (1, "tiny: 1.jpg, box 2 (dog)")
    assert first.chosen(np.array([0, 1])).tolist() == [False, True]
    assert (gone.file, second) == ("gone.xml", None)
    assert (third.picture, third.chosen) == (0, None)
    assert tiny.place == "box 2 (dog)"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", 'no report of `yolov3 data check --json`: it has no list "findings"'),
        ('{"findings": 3}', 'no report of `yolov3 data check --json`: it has no list "findings"'),
        ('{"findings": []}', "it names no place in a picture: there is nothing to show"),
        (
            '{"findings": [{"kind": "a", "places": [{"file": ""}, {"file": "fire hydrant"}]}]}',
            "it names no place in a picture",
        ),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(AnnotationError, match=r"report\.json: ") as caught:
        read_findings(tmp_path / "report.json", 10)
    assert message in str(caught.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(["findings", "kind", "places", "examples", "file", "place"]), below, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_any_content_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("report") / "report.json"
    path.write_text(json.dumps({"findings": [content]} if not isinstance(content, dict) else content))
    try:
        found = read_findings(path, 5)
    except YoloError:
        return
    assert 0 < len(found) <= 5
    assert len(list(finding_views([make_dataset([], pictures=2)], found))) == len(found)
