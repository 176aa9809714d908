"""The script beside each export finds the boxes that `yolov3 detect` finds, without this package."""

from __future__ import annotations

import ast
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import yolo
from yolo.config import NmsConfig
from yolo.conversion.conversion import Conversion
from yolo.exporting.sample_script import script_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the converters
GUARD = """
import runpy, sys
sys.modules["yolo"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a script in a process where this package cannot be imported."""


@pytest.mark.parametrize(
    "case",
    [
        ("onnx", "maps", "tiny"),
        ("onnx", "detections", "small"),
        ("openvino", "predictions", "tiny"),
        ("litert", "maps", "small"),
        ("saved_model", "detections", "tiny"),
    ],
)
def test_the_script_finds_the_same_boxes(
    request: pytest.FixtureRequest, photo: Path, tmp_path: Path, case: tuple[str, str, str]
) -> None:
    file_format, contents, name = case
    detector: yolo.Detector = request.getfixturevalue(name)
    suffix = {"onnx": ".onnx", "litert": ".tflite"}.get(file_format, "")
    path = tmp_path / f"x y{suffix}"
    exported = yolo.export(detector, path, format=file_format, contents=contents)  # type: ignore[arg-type]
    command = [sys.executable, "-c", GUARD, str(exported.script), str(photo)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout.splitlines()
    expected = detector.detect(photo)
    assert len(lines) == len(expected) > 0
    found = [line.rsplit(" ", 5) for line in lines]
    assert [row[0] for row in found] == [detector.classes[label] for label in expected.labels]
    np.testing.assert_allclose([float(row[1]) for row in found], expected.scores, atol=2e-4)
    np.testing.assert_allclose([[float(side) for side in row[2:]] for row in found], expected.boxes, atol=0.05)


def test_every_script_is_valid_and_imports_nothing_of_ours(tiny: yolo.Detector, small: yolo.Detector) -> None:
    formats, contents = ("onnx", "openvino", "litert", "saved_model"), ("maps", "predictions", "detections")
    for file_format, gives, detector, agnostic in product(formats, contents, (tiny, small), (False, True)):
        conversion = Conversion(contents=gives, nms=NmsConfig(class_agnostic=agnostic))  # type: ignore[arg-type]
        text = script_of(file_format, conversion.describe(detector), Path("x"))  # type: ignore[arg-type]
        tree = ast.parse(text)
        imports = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        assert imports
        assert not [name for name in imports if name.startswith("yolo")]
        assert "@" not in text
        assert max(map(len, text.splitlines())) <= 120
