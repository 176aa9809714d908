"""Candidates: what runs which file, under which name."""

from __future__ import annotations

import pytest

from yolo.bench import candidates
from yolo.bench.candidates import KINDS, Candidate, find_candidates, labels, short_names
from yolo.errors import ConfigError

REASON = candidates.reason_missing


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """Everything but LiteRT is installed."""
    monkeypatch.setattr(candidates, "reason_missing", lambda each: "not there" if each.runtime == "litert" else "")


def kinds(found):
    return [(each.runtime, each.precision, each.missing) for each in found]


def test_a_weights_file_runs_in_everything():
    found = find_candidates(["a.keras"], pictures=True)
    assert [(each.runtime, each.precision) for each in found] == list(KINDS)
    assert [each.runtime for each in found if each.missing] == ["litert", "litert"]
    assert [each.converted for each in found] == [False, False, True, True, True, True, True, True, True]
    assert [each.runtime for each in found if each.calibrated] == ["openvino", "onnx", "litert"]


def test_int8_needs_pictures():
    assert {each.precision for each in find_candidates(["a.keras"])} == {"float32", "bfloat16"}
    found = find_candidates(["a.keras"], precisions=["int8"], pictures=True)
    assert kinds(found) == [("openvino", "int8", ""), ("onnx", "int8", ""), ("litert", "int8", "not there")]
    with pytest.raises(ConfigError, match=r"^--precisions int8: is calibrated on pictures; give --data$"):
        find_candidates(["a.keras"], precisions=["float32", "int8"])


def test_int8_without_its_package_says_which_extra_brings_it(monkeypatch):
    monkeypatch.setattr("yolo.exporting.quantisers.find_spec", lambda name: None if name == "nncf" else object())
    monkeypatch.setattr(candidates, "check_installed", lambda *_, **__: None)
    assert not REASON(Candidate("a.keras", "openvino", "float32"))
    assert not REASON(Candidate("a.keras", "onnx", "int8"))
    reason = REASON(Candidate("a.keras", "openvino", "int8"))
    assert reason == "precision int8: needs nncf, not installed; pip install 'yolov3-keras[quantize]'"


def test_an_exported_file_runs_in_its_runtime_and_precision():
    found = find_candidates(["a.xml", "b.onnx", "c.tflite"], precisions=["bfloat16"])
    assert kinds(found) == [
        ("openvino", "auto", ""),
        ("onnx", "auto", ""),
        ("openvino", "auto", ""),  # which reads ONNX too
        ("litert", "auto", "not there"),
    ]
    assert not any(each.converted for each in found)


def test_runtimes_and_precisions_choose():
    found = find_candidates(["a.keras", "a.keras"], runtimes=["keras", "onnx"], precisions=["float32"])
    assert kinds(found) == [("keras", "float32", ""), ("onnx", "float32", "")]


def test_a_choice_without_a_candidate_is_refused():
    with pytest.raises(ConfigError, match=r"no candidate runs a.keras in onnx with bfloat16; leave out"):
        find_candidates(["a.keras"], runtimes=["onnx"], precisions=["bfloat16"])


def test_labels_name_the_file_only_where_there_are_several():
    a, b = Candidate("a/best.keras", "keras", "float32"), Candidate("b/best.keras", "openvino", "auto")
    assert labels([a]) == ["keras float32"]
    assert labels([a, b]) == ["a/best.keras keras float32", "b/best.keras openvino"]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["runs/a.keras", "b.onnx"], ["a.keras", "b.onnx"]),
        (["runs/a/best.keras", "runs/b/best.keras"], ["a/best.keras", "b/best.keras"]),
        (["x/best.keras", "best.keras"], ["x/best.keras", "best.keras"]),
        (["a.keras", "a.keras"], ["a.keras", "a.keras"]),
        ([], []),
    ],
)
def test_short_names_tell_files_apart(paths, expected):
    assert short_names(paths) == expected
