"""Bounded reading of the user's YAML files; every error names the place in the file.

An alias (``*name``) repeats the value of its anchor (``&name``); a few lines of nested aliases expand to more values
than fit into memory. So the file is first parsed into nodes, which share repeated values, and measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from yolo.errors import ConfigError, YoloError
from yolo.files.bounded import MIB, read_text

LARGEST_YAML = 4 * MIB
"""Limit of a YAML file in bytes: PyYAML takes a second and 100 MB per MiB."""
MOST_ALIASED = 1_000_000
"""Limit of the characters and values that aliases repeat."""
LONGEST_NUMBER = 400
"""Limit of characters of a number or date: Python takes quadratic time to parse one."""
NUMBERS = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp")}


def read_yaml(path: str | Path, error: type[YoloError] = ConfigError) -> Any:
    """Read a YAML file of plain values.

    Raises:
        YoloError: of the class ``error``: the file is missing, not YAML, or too large with its aliases expanded.
    """
    text = read_text(path, limit=LARGEST_YAML, error=error, what="a YAML file")
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        check_node(node)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise error(f"{path}{place}: not valid YAML ({fault.problem}){remedy(fault.problem or '')}") from fault
    except yaml.reader.ReaderError as fault:
        line = text.count("\n", 0, fault.position) + 1
        raise error(f"{path}:{line}: not valid YAML ({fault.reason})") from fault
    except RecursionError as fault:
        raise error(f"{path}: not valid YAML (its lists are nested too deeply)") from fault
    except Exception as fault:  # PyYAML lets other errors out, e.g. a ValueError for a date with month 13
        raise error(f"{path}: not valid YAML ({type(fault).__name__}: {fault!s:.100})") from fault


def remedy(problem: str) -> str:
    """Advice about the two most frequent mistakes."""
    if "unknown escape character" in problem or "escape sequence" in problem:
        return r"; in double quotes \ begins an escape: write / in place of \, or use single quotes"
    if "\\t" in problem:
        return "; indent with blanks, not with tabs"
    return ""


def check_node(root: yaml.Node) -> None:
    """Check the size of a document with its aliases expanded.

    Raises:
        yaml.MarkedYAMLError: aliases repeat too much or contain themselves, or a number is too long.
    """
    sizes: dict[int, int | None] = {}
    """Size of each node with its aliases expanded, by the node's id; None: being measured."""
    _measure(root, sizes)
    own = sum(_own_size(node) for node in _nodes(root))
    total = sizes[id(root)] or 0
    if total - own > MOST_ALIASED:
        raise yaml.MarkedYAMLError(
            problem=f"its aliases repeat more than {MOST_ALIASED:,} values; write them out",
            problem_mark=root.start_mark,
        )


def _measure(node: yaml.Node, sizes: dict[int, int | None]) -> int:
    if id(node) in sizes:
        size = sizes[id(node)]
        if size is None:
            raise yaml.MarkedYAMLError(problem="an alias within what it repeats", problem_mark=node.start_mark)
        return size
    sizes[id(node)] = None
    if node.tag in NUMBERS and len(node.value) > LONGEST_NUMBER:
        raise yaml.MarkedYAMLError(problem=f"a number of {len(node.value)} characters", problem_mark=node.start_mark)
    size = _own_size(node) + sum(_measure(child, sizes) for child in _children(node))
    sizes[id(node)] = size
    return size


def _nodes(root: yaml.Node) -> list[yaml.Node]:
    """Yield each node of a document once."""
    found, waiting = {id(root): root}, [root]
    while waiting:
        for child in _children(waiting.pop()):
            if id(child) not in found:
                found[id(child)] = child
                waiting.append(child)
    return list(found.values())


def _own_size(node: yaml.Node) -> int:
    return 1 + (len(node.value) if isinstance(node, yaml.ScalarNode) else 0)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [each for pair in node.value for each in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
