"""The script beside each export finds the boxes that `yolov3 detect` finds, without this package."""

from __future__ import annotations

import ast
import runpy
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

import yolo
from yolo.config import Contents, NmsConfig, NmsKind
from yolo.conversion.conversion import Conversion
from yolo.exporting.formats import open_written
from yolo.exporting.pictures import generated_pictures
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


@pytest.mark.parametrize("contents", ["maps", "predictions"])
def test_the_script_suppresses_as_the_detector_does(tiny: yolo.Detector, tmp_path: Path, contents: Contents) -> None:
    exported = yolo.export(tiny, tmp_path / "x.xml", format="openvino", contents=contents, size=(64, 128))
    counts = {}
    for kind, agnostic in product(get_args(NmsKind), (False, True)):
        nms = NmsConfig(conf=0.03, iou=0.3, kind=kind, beta=1.0, class_agnostic=agnostic)
        description = replace(exported.description, nms=nms)
        script = tmp_path / f"{kind}_{agnostic}.py"
        script.write_text(script_of("openvino", description, exported.path))
        (image,) = generated_pictures((64, 128), 1)
        boxes, scores, labels = runpy.run_path(str(script))["find"](image[None])
        kept = open_written("openvino", exported.path, description).find(image[None], nms)
        valid = kept.valid[0]
        np.testing.assert_array_equal(labels, kept.labels[0][valid])
        np.testing.assert_allclose(scores, kept.scores[0][valid], rtol=1e-4)
        np.testing.assert_allclose(boxes, kept.boxes[0][valid], atol=1e-3)
        counts[kind, agnostic] = sorted(scores.tolist())
    assert all(len(counts[kind, False]) > 5 for kind in get_args(NmsKind))
    different = {tuple(each) for each in counts.values()}
    assert len(different) == len(counts)  # each rule finds something else


def test_every_script_is_valid_and_imports_nothing_of_ours(tiny: yolo.Detector, small: yolo.Detector) -> None:
    formats, contents = ("onnx", "openvino", "litert", "saved_model"), ("maps", "predictions", "detections")
    for file_format, gives, detector, agnostic, kind in product(
        formats, contents, (tiny, small), (False, True), get_args(NmsKind)
    ):
        nms = NmsConfig(class_agnostic=agnostic, kind=kind)
        conversion = Conversion(contents=gives, nms=nms)  # type: ignore[arg-type]
        text = script_of(file_format, conversion.describe(detector), Path("x"))  # type: ignore[arg-type]
        tree = ast.parse(text)
        imports = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        assert imports
        assert not [name for name in imports if name.startswith("yolo")]
        assert "@" not in text
        assert max(map(len, text.splitlines())) <= 120
