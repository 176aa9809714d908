"""Report pages as text: escaped, sealed by their policy, valid, small, and without empty sections."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from report_cases import NOTHING, three_pictures

from yolo.analysis.analysis import analyse
from yolo.evaluation.results import DetectionColumns
from yolo.report.about import command_text, describe, environment_rows, present_command, speed_rows
from yolo.report.content import Content
from yolo.report.report import render_report
from yolo.structs import Dataset

VOID = {"meta", "link", "img", "input", "br", "hr"}
SECTIONS = ("metrics", "pictures", "curves", "thresholds", "confusion", "errors", "slices", "calibration")


class Outline(HTMLParser):
    """Elements that are open, identifiers, and what breaks the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.faults: list[str] = []
        self.headings: list[int] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "img" and not values.get("alt"):
            self.faults.append("a picture without a text")
        if "style" in values or any(name.startswith("on") for name in values):
            self.faults.append(f"{tag}: forbidden by the policy: {values}")
        if tag == "svg" and not ({"aria-label", "aria-hidden"} & set(values)):
            self.faults.append("a chart without a text")
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.links += [values[name] for name in ("href", "src") if name in values]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes something else")


def outline_of(page: str) -> Outline:
    found = Outline()
    found.feed(page)
    found.close()
    return found


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    dataset, found = three_pictures(tmp_path_factory.mktemp("pictures"))
    analysis = analyse(dataset, found, resamples=50)
    return Content(
        title="model & <data>",
        metrics=analysis.metrics,
        analysis=analysis,
        history={"loss": [3.0, 2.0], "AP50": [0.1, 0.5], "AP": [float("nan"), 0.2]},
        parts={"val": dataset},
        anchors={"model": np.array([[10, 20], [40, 40]])},
        canvas=(160, 160),
        about={**describe(speed={"images": 3, "seconds": 0.5}), "command": ["yolov3", "eval", "a b", "c'd"]},
    )


@pytest.fixture(scope="module")
def page(content):
    return render_report(content)


def test_it_is_valid_and_has_all_sections(page):
    outline = outline_of(page)
    assert (outline.faults, outline.open) == ([], [])
    assert len(set(outline.ids)) == len(outline.ids)
    assert set(outline.ids) >= {*SECTIONS, "learning", "data", "about"}
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(outline.headings, outline.headings[1:], strict=False))
    assert {link[1:] for link in outline.links if link.startswith("#")} <= set(outline.ids)


def test_nothing_is_loaded_from_elsewhere(page):
    assert all(link.startswith(("#", "data:")) for link in outline_of(page).links)
    assert not re.search(r"@import|url\((?!data:)", page)


def test_names_are_text(page):
    assert "<script>alert" not in page
    assert "model &amp; &lt;data&gt;" in page
    assert "&lt;script&gt;alert(" in page  # the class, in the tables
    assert r"\u003cscript\u003ealert(" in page  # and in the data of the slider
    assert page.count("<script") == 2


def test_the_policy_lets_in_this_style_and_this_script_alone(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1].replace("&#39;", "'")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[1]
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_the_command_and_the_speed(page, content):
    assert command_text(content.about) == "yolov3 eval 'a b' 'c'\"'\"'d'"
    assert "yolov3 eval &#39;a b&#39;" in page
    assert speed_rows(content.about, {}) == [
        ("Evaluation, reading and suppression included", "6.0 pictures a second, 166.7 ms each")
    ]
    assert dict(environment_rows(content.about))["Python"]
    assert command_text({}) is None


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["/usr/bin/yolov3", "demo"], ["yolov3", "demo"]),
        (["/x/yolo/__main__.py", "eval", "w"], ["yolov3", "eval", "w"]),
        (["/x/train.py", "--epochs", "3"], None),
    ],
)
def test_only_our_own_commands_are_repeated(argv, expected, monkeypatch):
    monkeypatch.setattr("sys.argv", argv)
    assert present_command() == expected


def test_sections_without_data_are_left_out(content):
    page = render_report(Content(title="t", metrics=content.metrics))
    outline = outline_of(page)
    assert (outline.faults, outline.open) == ([], [])
    assert [each for each in outline.ids if each in SECTIONS] == ["metrics"]
    assert {link for link in outline.links if link.startswith("#")} == {"#metrics"}


def test_without_pictures_the_figures_remain(content, tmp_path):
    gone = replace(content.analysis.dataset, folder=tmp_path / "gone")
    outline = outline_of(render_report(replace(content, analysis=replace(content.analysis, dataset=gone))))
    assert "pictures" not in outline.ids
    assert "curves" in outline.ids


def test_a_model_that_finds_nothing(content):
    analysis = analyse(content.analysis.dataset, NOTHING, resamples=5)
    page = render_report(replace(content, analysis=analysis, metrics=analysis.metrics))
    assert "Nothing that it finds is right" in page
    assert outline_of(page).faults == []


def test_noise_of_many_classes_stays_small(tmp_path):
    """The pictures that compress worst, 300 classes and 60,000 detections."""
    random = np.random.default_rng(0)
    count, each = 26, 2300
    for number in range(count):
        cv2.imwrite(str(tmp_path / f"{number}.png"), random.integers(0, 256, (500, 500, 3), np.uint8))
    corners = random.uniform(0, 400, (count * 12, 2))
    boxes = np.concatenate([corners, corners + random.uniform(10, 90, corners.shape)], axis=1).astype(np.float32)
    dataset = Dataset(
        classes=tuple(f"class {number}" for number in range(300)),
        files=[f"{number}.png" for number in range(count)],
        sizes=np.full((count, 2), 500, np.int32),
        offsets=np.arange(count + 1) * 12,
        boxes=boxes,
        labels=random.integers(0, 300, len(boxes)).astype(np.int32),
        ignore=np.zeros(len(boxes), bool),
        areas=(boxes[:, 2:] - boxes[:, :2]).prod(axis=1),
        image_ids=list(range(count)),
        category_ids=tuple(range(300)),
        folder=tmp_path,
    )
    rows = np.repeat(np.arange(len(boxes)), count * each // len(boxes))
    found = DetectionColumns(
        dataset.box_pictures[rows],
        dataset.labels[rows],
        random.uniform(0.05, 1, len(rows)),
        boxes[rows] + random.normal(0, 8, (len(rows), 4)).astype(np.float32),
    )
    analysis = analyse(dataset, found, resamples=2)
    content = Content(title="t", metrics=analysis.metrics, analysis=analysis, parts={None: dataset})
    size = len(render_report(content).encode())
    assert size < 5_000_000, f"{size:,}"
