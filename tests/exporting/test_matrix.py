"""The table of docs/EXPORT.md is complete, and two of its cells are measured again."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from yolo.conversion.conversion import PRECISIONS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "EXPORT.md").read_text(encoding="utf-8")
BOXES = re.compile(r"(\d\.\de[-+]\d\d) px, IoU ([01]\.\d{4})")
NETWORKS = {
    "yolov3-tiny",
    "yolov3",
    "yolov3-spp",
    "yolov3-voc.cfg",
    "MobileNetV2-YOLOv3-Nano-voc.cfg",
    "keras:MobileNetV2",
}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the converters


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script that measures, as a module."""
    spec = importlib.util.spec_from_file_location("export_matrix", ROOT / "scripts" / "export_matrix.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_network_has_every_format_and_precision(script: ModuleType) -> None:
    rows = script.read_rows(TEXT)
    networks = {network for network, _, _ in rows}
    assert networks == NETWORKS
    cells = [(each, precision) for each, known in PRECISIONS.items() for precision in known if precision != "int8"]
    assert set(rows) == {(network, *cell) for network in networks for cell in cells}
    for (_, _, precision), (boxes, scores) in rows.items():
        if boxes == "refused":
            assert precision != "float32"
            continue
        found = BOXES.fullmatch(boxes)
        assert found is not None
        assert precision != "float32" or (float(found[1]) < 0.01 and float(scores) < 1e-4)


def test_rows_are_replaced_and_kept(script: ModuleType) -> None:
    rows = script.read_rows(TEXT)
    changed = {**rows, ("a", "onnx", "float32"): ("1.0e-05 px, IoU 1.0000", "1.0e-07")}
    assert script.read_rows(script.with_rows(TEXT, changed)) == changed
    assert script.with_rows(TEXT, rows) == TEXT


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_cell_is_still_what_the_table_says(script: ModuleType, precision: str) -> None:
    boxes, scores = script.read_rows(TEXT)["yolov3-tiny", "openvino", precision]
    now = script.measured(script.scattered(script.made("yolov3-tiny")), "openvino", precision)
    for old, new in ((BOXES.match(boxes)[1], BOXES.match(now[0])[1]), (scores, now[1])):  # type: ignore[index]
        assert float(old) / 10 < float(new) < float(old) * 10  # kernels, and so roundings, differ between processors
