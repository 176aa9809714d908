"""A file imports only from units ranked below its own: imports in functions and for types alone included."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ORDER = [
    "errors",
    "config_types",
    "files",
    "config",
    "system",
    "images",
    "interchange",
    "structs",
    "scores",
    "class_names",
    "darknet",
    "anchor_shapes",
    "anchors",
    "ops",
    "model.backend",
    "model.networks",
    "model",
    "weights",
    "conversion",
    "runtimes",
    "datasets.annotations",
    "datasets.formats",
    "datasets.tfrecord",
    "datasets.writers",
    "datasets.picture",
    "datasets.augment",
    "datasets.pipeline",
    "datasets",
    "doctor",
    "distributed",
    "detect",
    "evaluation",
    "analysis",
    "explaining",
    "exporting",
    "bench",
    "report",
    "training.optimizer",
    "training.run",
    "training.callbacks",
    "training.engine",
    "training",
    "training.search",
    "cli",
]
"""From the bottom up. A unit is a file of `yolo/` or a folder, less what is listed of it by itself."""

RANK = {unit: rank for rank, unit in enumerate(ORDER)}

HEAVY = {
    *("tensorflow", "keras", "jax", "torch", "matplotlib", "albumentations", "sklearn", "pycocotools", "hotcoco"),
    *("jinja2", "pandas", "supervision", "playwright"),
    *("openvino", "onnx", "onnxruntime", "tf2onnx", "ai_edge_litert", "nncf", "litert_quantizer"),
}

FACE = {"", "__main__"}
"""The package's own `__init__` and `__main__`, which look at everything."""


def module_of(path: Path) -> str:
    """`yolo/ops/boxes.py` is `ops.boxes`."""
    parts = path.relative_to(ROOT / "yolo").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in sorted((ROOT / "yolo").rglob("*.py"))}


def unit_of(module: str) -> str:
    """The longest listed name that the module lies in; itself where none is."""
    parts = module.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in RANK), module)


def imported(source: str) -> set[str]:
    """The modules of ours that a piece of code imports, at any depth, less the leading `yolo.`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in whole if name.removeprefix("yolo.") in FILES}
            names |= modules or {node.module or ""}
    ours = {name.removeprefix("yolo.") for name in names if name.startswith("yolo.")}
    return ours | ({""} if "yolo" in names else set())


IMPORTS = {module: imported(path.read_text(encoding="utf-8")) for module, path in FILES.items()}


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """The nodes of one cycle, the first one again at the end; none: empty."""
    done: set[str] = set()

    def visit(node: str, trail: list[str]) -> list[str]:
        if node in trail:
            return [*trail[trail.index(node) :], node]
        if node not in done:
            for other in sorted(graph.get(node, ())):
                if found := visit(other, [*trail, node]):
                    return found
            done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := visit(node, []))), [])


def test_every_unit_is_ranked_and_every_rank_is_used():
    assert {unit_of(module) for module in FILES if module not in FACE} == set(ORDER)


@pytest.mark.parametrize("module", [module for module in FILES if module not in FACE])
def test_imports_point_downwards(module):
    own = unit_of(module)
    for name in sorted(IMPORTS[module]):
        other = unit_of(name)
        allowed = name == "" or other == own or RANK[other] < RANK[own]
        assert allowed, f"yolo.{module} imports yolo.{name}, which is not ranked below it"


def test_no_files_import_each_other_in_a_circle():
    assert cycle({module: names - FACE for module, names in IMPORTS.items() if module not in FACE}) == []


def test_a_circle_is_found_wherever_its_imports_stand():
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from yolo.anchors import Anchors\n"
    within = "def f():\n    from yolo import structs\n    import yolo.errors\n"
    assert imported(source) == {"anchors"}
    assert imported(within) == {"structs", "errors"}
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES.values()}), ids=lambda path: path.name)
def test_every_folder_says_its_one_reason(folder):
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))


@pytest.mark.parametrize("module", ["yolo", "yolo.cli.main"])
def test_nothing_heavy_is_imported_before_a_command_runs(module):
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)
    assert "numpy" not in loaded
