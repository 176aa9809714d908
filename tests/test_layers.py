"""A file imports only from layers below its own, imports inside functions included."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = [
    {"errors"},
    {"files", "memory", "kinds"},
    {"structs", "config", "resources", "downloads"},
    {"images", "letterbox", "draw", "plots", "darknet", "published", "archives"},
    {"anchors"},
    {"ops"},
    {"model"},
    {"datasets"},
    {"evaluation", "detect"},
    {"training"},
    {"cli"},
]
"""From the bottom up; a name is a file of `yolo/` or one of its folders."""

UPWARD = {("structs", "draw"), ("structs", "images")}
"""`Detections.draw` is fixed; it imports when it is called."""

HEAVY = {"tensorflow", "keras", "jax", "torch", "matplotlib", "albumentations", "sklearn", "pycocotools"}


def part_of(module: str) -> str:
    """`yolo.ops.boxes` belongs to `ops`."""
    return module.split(".")[1] if "." in module else ""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(tree: ast.AST) -> set[str]:
    """The modules a piece of code imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


FILES = sorted((ROOT / "yolo").rglob("*.py"))
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}


def test_every_part_has_a_layer():
    parts = {part_of(module_of(path)) for path in FILES} - {"", "__main__"}
    assert parts == set(RANK)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_downwards(path):
    module = module_of(path)
    if part_of(module) in ("", "__main__"):
        return  # the package's own face looks at everything
    own = part_of(module)
    for name in imported(ast.parse(path.read_text())):
        part = part_of(name) if name.startswith("yolo.") else own
        allowed = part == own or RANK[part] < RANK[own] or (own, part) in UPWARD
        assert allowed or part == "__version__", f"{module} imports {name} from a layer that is not below its own"


def test_no_cycles_within_a_part():
    """Imports at module level, which run when a file is loaded, form no cycle."""
    graph = {
        module_of(path): {
            name
            for node in ast.parse(path.read_text()).body
            for name in imported(node if isinstance(node, ast.Import | ast.ImportFrom) else ast.Module([], []))
        }
        for path in FILES
        if module_of(path) != "yolo"
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"import cycle: {' -> '.join((*trail, module))}"
        if module in graph and module not in done:
            for name in graph[module]:
                visit(name, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("module", ["yolo", "yolo.cli.main"])
def test_nothing_heavy_is_imported_before_a_command_runs(module):
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)
    assert "numpy" not in loaded
