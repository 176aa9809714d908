"""Fuzz tests of network and weights files: every fault is a YoloError with the file's name, found at little cost."""

from __future__ import annotations

import re
import tracemalloc

import numpy as np
import pytest
from cfg_texts import YOLO, conv, draw_weights, section, sections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import yolo
from yolo.darknet.cfg import LARGEST_FILE, MOST_LAYERS, read_cfg
from yolo.darknet.edit import retarget
from yolo.darknet.names import read_names
from yolo.darknet.network import head_of
from yolo.darknet.plan import LARGEST_MAP, LARGEST_SIDE, MOST_WEIGHTS, make_detector_plan, make_plan
from yolo.darknet.weights import Header, read_weights, write_weights
from yolo.errors import ConfigError, WeightsError, YoloError
from yolo.model.detector import Detector
from yolo.weights.load import recognise

fuzz = settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

VALID = sections(
    "# Every kind of section",
    conv(8, 3, "leaky", stride=2, pad=1, batch_normalize=1),
    ("maxpool", {"size": 2, "stride": 1}),
    ("avgpool", {}),
    conv(8, activation="logistic"),
    ("scale_channels", {"from": "-3"}),
    ("dropout", {"probability": 0.2}),
    ("route", {"layers": -1, "groups": 2, "group_id": 1}),
    conv(4, 3, "mish", groups=4, pad=1),
    ("shortcut", {"from": "-2", "activation": "linear"}),
    conv(4),
    ("sam", {"from": "-2"}),
    ("reorg", {"stride": 2}),
    ("upsample", {"stride": 2}),
    conv(14),
    YOLO + "\nscale_x_y=1.05\njitter=.3",
    ("route", {"layers": "0, 1"}),
    conv(7),  # 1 x (5 + 2)
    section("yolo", {"mask": 1, "anchors": "4,6, 10,8", "classes": 2, "num": 2}),
)
LINES = VALID.split("\n")

NUMBERS = st.one_of(
    st.sampled_from(
        [
            "",
            "0",
            "-1",
            "1",
            "2",
            "3",
            "-99999999999999999999",
            "1e308",
            "1e999",
            "nan",
            "-inf",
            "0x10",
            ".5",
            "1_0",
            "٣",
        ]
    ),
    st.integers(-(10**12), 10**12).map(str),
    st.floats().map(str),
    st.integers(1, 4000).map(lambda count: "9" * count),
    st.lists(st.integers(-9, 99).map(str), max_size=400).map(",".join),
)
ANYTHING = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["[", "]", "[]", "[yolo]", "[route]", "[region]", "=", "a=", "\x00", "\ud800", "\u2028", "#", "\r", "x" * 9999]
    ),
    st.tuples(st.sampled_from(sorted({line.partition("=")[0] for line in LINES})), NUMBERS).map("=".join),
)
PLACES = st.integers(0, len(LINES) - 1)
MUTATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("delete"), PLACES),
        st.tuples(st.just("double"), PLACES, PLACES),
        st.tuples(st.just("swap"), PLACES, PLACES),
        st.tuples(st.just("value"), PLACES, NUMBERS),
        st.tuples(st.just("line"), PLACES, ANYTHING),
    ),
    min_size=1,
    max_size=6,
)


def mutated(mutations):
    lines = list(LINES)
    for kind, place, *more in mutations:
        here = place % len(lines)
        match kind:
            case "delete":
                del lines[here]
            case "double":
                lines.insert(more[0], lines[here])
            case "swap":
                other = more[0] % len(lines)
                lines[here], lines[other] = lines[other], lines[here]
            case "value":
                lines[here] = lines[here].partition("=")[0] + "=" + more[0]
            case "line":
                lines.insert(here, more[0])
    return "\n".join(lines)


WITH_LINE = re.compile(r"a\.cfg:\d+: ")
WITHOUT_LINE = re.compile(r"a\.cfg: no \[yolo\] or \[region\] section")


def outcome(call):
    """What a call gives, or the message of its YoloError."""
    try:
        return call(), None
    except YoloError as error:
        return None, str(error)


def plan_or_fault(text):
    """The plan of a text, whose numbers are then within bounds; None where it is refused, as it should be."""
    plan, message = outcome(lambda: make_detector_plan(text, "a.cfg"))
    if plan is None:
        line = WITH_LINE.match(message)
        assert line or WITHOUT_LINE.match(message), message
        assert not line or 1 <= int(line[0][6:-2]) <= text.count("\n") + 1
        assert len(message) < 2000
        return None
    assert len(plan.layers) <= MOST_LAYERS
    assert sum(each.weights for each in plan.convolutions) <= MOST_WEIGHTS
    for layer in plan.layers:
        assert min(layer.shape) >= 1
        assert max(layer.shape[:2]) <= LARGEST_SIDE
        assert np.prod(layer.shape, dtype=object) <= LARGEST_MAP
        assert all(-1 <= index < layer.index for index in layer.inputs)
    return plan


def test_the_valid_text_is_valid():
    plan = plan_or_fault(VALID)
    assert [head_of(head).stride for head in plan.heads] == [2, 2]
    detector = Detector("a.cfg", cfg=VALID, classes=["a", "b"])
    assert [raw.shape[1:] for raw in detector(np.zeros((1, 32, 32, 3)))] == [(16, 16, 2, 7), (16, 16, 1, 7)]


@fuzz
@given(MUTATIONS)
def test_mutated_network_files(mutations):
    text = mutated(mutations)
    plan = plan_or_fault(text)
    if plan is not None:
        classes = head_of(plan.heads[0]).classes + 1
        again = retarget(text, "a.cfg", canvas=plan.canvas, letterbox="letterbox", classes=classes)
        found = make_detector_plan(again, "a.cfg")
        assert (found.canvas, found.letterbox) == (plan.canvas, "letterbox")
        assert [head_of(head).classes for head in found.heads] == [classes] * len(plan.heads)


@fuzz
@given(st.one_of(st.text(max_size=300), st.lists(ANYTHING, max_size=30).map("\n".join)))
def test_random_texts(text):
    plan_or_fault(text)
    plan_or_fault("[net]\nwidth=32\nheight=32\n" + text)


@fuzz
@given(content=st.binary(max_size=300))
def test_random_bytes(tmp_path, content):
    path = tmp_path / "a.cfg"
    path.write_bytes(content)
    text, message = outcome(lambda: read_cfg(path))
    if text is None:
        assert message == f"{path}: not a Darknet network file"
    else:
        plan_or_fault(text)
    names, message = outcome(lambda: read_names(path))
    assert names or message.startswith(f"{path}:")


def peak_of(call):
    """What a call gives, and the most memory it held."""
    tracemalloc.start()
    try:
        return call(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


HOSTILE = {
    "many sections": "[net]\nwidth=32\nheight=32\n" + "[dropout]\n" * 30_000,
    "many sources": sections(conv(1), ("route", {"layers": ",".join("0" * 200_000)})),
    "many anchors": sections(conv(1), ("yolo", {"anchors": "1," * 199_999 + "1"})),
    "a long number": sections(conv("1" * 400_000)),
    "a long list of masks": sections(conv(1), ("yolo", {"anchors": "1,2", "mask": "0," * 200_000})),
    "a long line": "[net]\n" + "x" * 1_000_000,
    "many options": "[net]\n" + "\n".join(f"a{index}=1" for index in range(60_000)),
    "doubling": sections(*[("upsample", {"stride": 2})] * 60),
    "joining": sections(conv(1), *[("route", {"layers": "-1,-1"})] * 60),
    "many weights": sections(conv(100_000), conv(100_000)),
    "a large canvas": sections(conv(200), size=(16_384, 16_384)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_network_files_are_refused_before_a_layer_is_made(name, monkeypatch):
    monkeypatch.setattr("yolo.model.detector.assemble", lambda *_: pytest.fail("layers were made"))
    text = HOSTILE[name]
    assert len(text) < LARGEST_FILE
    plan, peak = peak_of(lambda: plan_or_fault(text))
    assert plan is None
    assert peak < 40 * len(text) + 2_000_000
    with pytest.raises(ConfigError, match=r"^a\.cfg:"):
        Detector("a.cfg", cfg=text, classes=["a"])


# Weights

PLAN = make_plan(VALID).convolutions
BIG = make_plan(sections(conv(64, 3, batch_normalize=1), conv(128, 3), conv(14))).convolutions


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "a.weights"
    write_weights(path, Header(seen=5), draw_weights(PLAN))
    return path.read_bytes()


def read_or_fault(path, convolutions, **options):
    found, message = outcome(lambda: read_weights(path, convolutions, **options))
    if found is None:
        assert message.startswith(f"{path}: ")
        assert len(message) < len(str(path)) + 300
    return found


@fuzz
@given(data=st.data(), partial=st.booleans())
def test_truncated_weights(tmp_path, content, data, partial):
    kept = data.draw(st.integers(0, len(content) - 1))
    path = tmp_path / "a.weights"
    path.write_bytes(content[:kept])
    ends = 20 + 4 * np.cumsum([each.weights for each in PLAN])
    found = read_or_fault(path, PLAN, partial=partial)
    if partial and kept in ends:
        assert len(found[1]) == list(ends).index(kept) + 1
    else:
        assert found is None


@fuzz
@given(data=st.data())
def test_flipped_bits(tmp_path, content, data):
    flipped = bytearray(content)
    places = st.one_of(st.integers(0, 19), st.integers(0, len(content) - 1))
    for place, bit in data.draw(st.lists(st.tuples(places, st.integers(0, 7)), min_size=1, max_size=5)):
        flipped[place] ^= 1 << bit
    path = tmp_path / "a.weights"
    path.write_bytes(flipped)
    found = read_or_fault(path, PLAN)
    if found is not None:  # what is read is what the file holds
        write_weights(tmp_path / "b.weights", *found)
        assert (tmp_path / "b.weights").read_bytes() == bytes(flipped)


@fuzz
@given(content=st.binary(max_size=200))
def test_random_weights(tmp_path, content):
    path = tmp_path / "a.weights"
    path.write_bytes(content)
    read_or_fault(path, PLAN)
    read_or_fault(path, PLAN, partial=True)
    with pytest.raises(WeightsError, match=re.escape(str(path))):
        recognise(path)


@pytest.mark.parametrize("change", ["none", "shorter", "longer", "flipped"])
def test_reading_weights_takes_little_more_than_the_file(tmp_path, change):
    path = tmp_path / "a.weights"
    write_weights(path, Header(), draw_weights(BIG))
    size = path.stat().st_size
    assert size > 300_000
    with path.open("r+b") as file:
        if change == "shorter":
            file.truncate(size - 4)
        elif change == "longer":
            file.truncate(50 * size)  # sparse
        elif change == "flipped":
            file.seek(4)
            file.write(b"\1")
    found, peak = peak_of(lambda: read_or_fault(path, BIG))
    assert (found is None) == (change != "none")
    assert peak < 2 * size


def test_a_network_far_larger_than_its_weights_is_never_built(tmp_path, monkeypatch):
    monkeypatch.setattr("yolo.model.detector.assemble", lambda *_: pytest.fail("layers were made"))
    text = sections(conv(10_000), conv(100_000), conv(14), YOLO)  # a billion weights
    (tmp_path / "a.cfg").write_text(text)
    (tmp_path / "a.weights").write_bytes(Header().to_bytes() + bytes(1000))

    def refused():
        with pytest.raises(
            WeightsError, match=r"a\.weights: 1020 bytes, but the network needs \d{10}: .*within conv_0"
        ):
            yolo.load(tmp_path / "a.weights", cfg=tmp_path / "a.cfg", names=["a", "b"])

    assert peak_of(refused)[1] < 10_000_000
