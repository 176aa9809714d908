"""Which operations of a graph stay in float, on a graph drawn by hand."""

from __future__ import annotations

from yolo.exporting.float_part import float_part

#  scale -> first -> relu -> middle -> head_a -> decode
#                      \-> skip ----> head_b -/
GRAPH = {
    "scale": [],
    "first": ["scale"],
    "relu": ["first"],
    "middle": ["relu"],
    "head_a": ["middle"],
    "skip": ["relu", "middle"],
    "head_b": ["skip"],
    "decode": ["head_a", "head_b"],
}


def test_what_lies_between_the_first_convolution_and_the_heads_is_quantised() -> None:
    kept = float_part(GRAPH, {"first", "middle", "head_a", "head_b"})
    assert kept == ["scale", "first", "head_a", "head_b", "decode"]


def test_a_single_convolution_is_first_and_head() -> None:
    assert float_part({"scale": [], "only": ["scale"], "decode": ["only"]}, {"only"}) == ["scale", "only", "decode"]
