"""Darknet's network files as text: sections, options, and faults with their line. Lists of names."""

from __future__ import annotations

import pytest

from yolo.darknet.cfg import LARGEST_FILE, read_cfg, split_sections
from yolo.darknet.names import read_names, usual_names, write_names
from yolo.errors import ConfigError


def one(*lines):
    """The section of these options, whose first line is 3."""
    return split_sections("\n".join(["[net]", "[conv]", *lines]), "a.cfg")[1]


def fault(call):
    with pytest.raises(ConfigError) as raised:
        call()
    return str(raised.value)


# Lexing


def test_sections_and_options_with_their_lines():
    text = "# a comment\n\n[net]\nwidth = 416 # in pixels\n ; another\n\n"
    text += "[ yolo ]\nanchors = 10, 13,  16,30\n#classes=3\nx=a=b"
    net, yolo = split_sections(text, "a.cfg")
    assert (net.kind, net.line) == ("net", 3)
    assert (yolo.kind, yolo.line, yolo.source) == ("yolo", 7, "a.cfg")
    assert {key: (option.value, option.line) for key, option in net.options.items()} == {"width": ("416", 4)}
    assert {key: (option.value, option.line) for key, option in yolo.options.items()} == {
        "anchors": ("10,13,16,30", 8),
        "x": ("a=b", 10),
    }


@pytest.mark.parametrize("ending", ["\n", "\r\n", " \t\r\n"])
def test_line_endings_and_blanks_mean_nothing(ending):
    net, layer = split_sections(ending.join(["[net]", "a=1", "[b]", "\tc = 2 3"]) + ending, "a.cfg")
    assert (net.options["a"].value, layer.options["c"].value, layer.options["c"].line) == ("1", "23", 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.cfg:1: not a Darknet network file: its first section has to be [net]"),
        ("\n\n[yolo]\n", "a.cfg:3: not a Darknet network file: its first section has to be [net]"),
        ("[net]\nwidth 416\n", "a.cfg:2: expected [section] or key=value, got 'width416'"),
        ("[net]\n=3\n", "a.cfg:2: expected [section] or key=value, got '=3'"),
        ("width=3\n[net]", "a.cfg:1: expected [section] or key=value, got 'width=3'"),
        ("[net]\n\n[yolo\n", "a.cfg:3: [yolo: a section ends with ]"),
        ("[net]\n" + "x" * 10_000, f"a.cfg:2: expected [section] or key=value, got '{'x' * 60}...'"),
    ],
)
def test_faults_of_lines(text, message):
    assert fault(lambda: split_sections(text, "a.cfg")) == message


def test_network_is_another_name_of_net():
    assert split_sections("[network]\na=1", "a.cfg")[0].options["a"].value == "1"


def test_an_option_given_twice():
    assert one("a=1", "b=2", "a=1").integer("a") == 1
    assert (
        fault(lambda: one("a=1", "b=2", "a=1", "a=3").integer("a")) == "a.cfg:3: [conv] a=1: given again as 3 in line 6"
    )
    one("rate=1", "rate=2").finish({"rate"})  # nobody asks for it


# Options


@pytest.mark.parametrize(
    ("text", "expected"), [("7", 7), ("-0", 0), ("1e3", 1000), ("3.0", 3), ("+5", 5), ("1000000", 10**6)]
)
def test_whole_numbers(text, expected):
    found = one(f"a={text}").integer("a")
    assert found == expected
    assert isinstance(found, int)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "a number is expected"),
        ("x", "a number is expected"),
        ("0x10", "a number is expected"),
        ("1_000", "a number is expected"),
        ("٣", "a number is expected"),
        ("3,4", "a number is expected"),
        ("1.5", "a whole number is expected"),
        ("-1", "expected a number in 0..1e+06"),
        ("1000001", "expected a number in 0..1e+06"),
        ("nan", "expected a number in 0..1e+06"),
        ("inf", "expected a number in 0..1e+06"),
        ("1e999", "expected a number in 0..1e+06"),
    ],
)
def test_what_is_no_whole_number(text, problem):
    assert fault(lambda: one("b=1", f"a={text}").integer("a")) == f"a.cfg:4: [conv] a={text}: {problem}"


def test_numbers_and_lists():
    section = one("a=.5", "b=1.25,-2, 3e-1,", "c=-1, 61", "d=1", "e=0")
    assert section.number("a") == 0.5
    assert section.number("none", 0.25) == 0.25
    assert section.numbers("b") == [1.25, -2.0, 0.3]
    assert section.integers("c", low=-5) == [-1, 61]
    assert section.integer("none", 9) == 9
    assert (section.flag("d"), section.flag("e"), section.flag("none")) == (True, False, False)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda s: s.integers("c", low=-5), "a.cfg:4: [conv] c=1,-6: expected a number in -5..1e+06"),
        (lambda s: s.numbers("d"), "a.cfg:5: [conv] d=1,nan: expected a number in -inf..inf"),
        (lambda s: s.number("e"), "a.cfg:6: [conv] e=-inf: expected a number in -inf..inf"),
        (lambda s: s.flag("a"), "a.cfg:3: [conv] a=2: expected a number in 0..1"),
        (lambda s: s.number("a", high=1.5), "a.cfg:3: [conv] a=2: expected a number in -inf..1.5"),
        (lambda s: s.integer("a", low=3), "a.cfg:3: [conv] a=2: expected a number in 3..1e+06"),
        (lambda s: s.integer("none"), "a.cfg:2: [conv]: none is missing"),
        (lambda s: s.choice("a", ("x", "y"), "x"), "a.cfg:3: [conv] a=2: not supported; there are x, y"),
        (lambda s: s.only(a="1"), "a.cfg:3: [conv] a=2: not supported (only 1)"),
        (lambda s: s.fault("no"), "a.cfg:2: [conv]: no"),
    ],
)
def test_faults_of_options(read, message):
    assert fault(lambda: read(one("a=2", "c=1,-6", "d=1,nan", "e=-inf"))) == message


def test_options_nobody_asks_for():
    section = one("a=2", "b=3", "c=4")
    section.integer("a")
    assert fault(lambda: section.finish({"c"})) == (
        "a.cfg:4: [conv] b=3: unknown option; remove the line if it does not change what the network computes"
    )
    section.only(b="3")
    section.finish({"c"})


def test_messages_stay_short():
    text = "9" * 100_000
    assert (
        fault(lambda: one(f"a={text}").integer("a"))
        == f"a.cfg:3: [conv] a={'9' * 58}...: expected a number in 0..1e+06"
    )
    assert len(fault(lambda: one("a=1", f"a={text}").integer("a"))) < 120
    assert len(fault(lambda: one(f"{text}=1").finish(()))) < 200
    assert len(fault(lambda: split_sections(f"[net]\n[{text}]", "a.cfg")[1].fault("no"))) < 100


# Files


def test_comments_may_be_in_any_encoding(tmp_path):
    path = tmp_path / "a.cfg"
    path.write_bytes(b"\xef\xbb\xbf[net]\n# gr\xfc\xdfe\nwidth=32\n")
    assert split_sections(read_cfg(path), "a.cfg")[0].integer("width") == 32


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"[net]\n\0", "not a Darknet network file"),
        (b"#" * (LARGEST_FILE + 1), "5 MiB; a Darknet network file may have 4 MiB at most"),
    ],
)
def test_files_that_are_none(tmp_path, content, message):
    path = tmp_path / "a.cfg"
    if content is not None:
        path.write_bytes(content)
    assert fault(lambda: read_cfg(path)) == f"{path}: {message}"


def test_the_largest_file_is_read_and_no_folder(tmp_path):
    (tmp_path / "a.cfg").write_bytes(b"#" * LARGEST_FILE)
    assert len(read_cfg(tmp_path / "a.cfg")) == LARGEST_FILE
    assert fault(lambda: read_cfg(tmp_path)) == f"{tmp_path}: cannot be read (is a folder, not a file)"


# Names


def test_names_are_lines(tmp_path):
    path = tmp_path / "a.names"
    path.write_bytes("\ufeffcat\r\n\n  traffic light \nBär\n".encode())
    assert read_names(path) == ["cat", "traffic light", "Bär"]
    assert read_names(path, 3) == ["cat", "traffic light", "Bär"]
    write_names(path, ["a b", "ä"])
    assert path.read_bytes() == "a b\nä\n".encode()


@pytest.mark.parametrize(
    ("content", "count", "message"),
    [
        (b"a\nb\n", 3, ": 2 names; the network has 3 classes"),
        (b"\n \n", None, ": no names; expected one a line"),
        (b"a\nb\n a\n", None, ":3: 'a' stands in line 1 already"),
        (b"a\nb\xff\n", None, ":2: not a text file in UTF-8; save it as UTF-8"),
        (b"a\0\n", None, ": not a list of names, one a line"),
        (b"a" * 2**20 + b"b", None, ": 2 MiB; a list of names may have 1 MiB at most"),
        (None, None, ": no such file"),
    ],
)
def test_faults_of_names(tmp_path, content, count, message):
    path = tmp_path / "a.names"
    if content is not None:
        path.write_bytes(content)
    assert fault(lambda: read_names(path, count)) == f"{path}{message}"


def test_usual_names():
    voc, coco = usual_names(20), usual_names(80)
    assert (voc[0], voc[11], voc[19], len(voc)) == ("aeroplane", "dog", "tvmonitor", 20)
    assert (coco[0], coco[16], coco[79], len(coco)) == ("person", "dog", "toothbrush", 80)
    assert usual_names(3) is None
