"""Wording of docstrings: every module has one, and each makes sense without the name above it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OPENINGS = ("Of ", "What ", "Those ", "That ", "So many ", "Let ", "As ", "From which ", "By what ", "To which ", "...")
"""Openings that only make sense together with the name above, or that hide the verb."""
LEAST_WORDS = 4
"""Smallest number of words in the first line of a module's docstring."""
FILES = sorted(
    path.relative_to(ROOT).as_posix() for folder in ("yolo", "scripts") for path in (ROOT / folder).rglob("*.py")
)


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of every docstring of a module, a class, a function or an attribute."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.lineno, text


def faults_of(source: str) -> list[str]:
    """Line and reason of each docstring that breaks a rule."""
    tree = ast.parse(source)
    first = (ast.get_docstring(tree) or "").partition("\n")[0]
    found = [] if len(first.split()) >= LEAST_WORDS else [f"1: the module's first line has under {LEAST_WORDS} words"]
    return found + [f"{line}: {text[:40]!r}" for line, text in docstrings(tree) if text.startswith(OPENINGS)]


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ('"""Boxes of an image, xyxy."""\nside = 1\n"""Pixels per cell."""', []),
        ("side = 1", ["1: the module's first line has under 4 words"]),
        ('"""Some boxes."""', ["1: the module's first line has under 4 words"]),
        ('"""Boxes of an image, xyxy."""\nside = 1\n"""Of a cell, in pixels."""', ["3: 'Of a cell, in pixels.'"]),
        ('"""What is done with boxes."""', ["1: 'What is done with boxes.'"]),
        ('"""Boxes of an image, xyxy."""\ndef f():\n    """Those that fit."""', ["3: 'Those that fit.'"]),
    ],
)
def test_the_rules(source: str, faults: list[str]) -> None:
    assert faults_of(source) == faults


@pytest.mark.parametrize("path", FILES)
def test_docstrings_make_sense_alone(path: str) -> None:
    assert faults_of((ROOT / path).read_text(encoding="utf-8")) == []
