"""Where a folder's figures come from: the command, the model, the data, the machine, the speed; as a JSON file."""

from __future__ import annotations

import json
import math
import shlex
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from yolo.bench.machine import describe_machine
from yolo.files.atomic import to_json, write_text

FILE = "about.json"
PACKAGES = ("tensorflow", "keras", "numpy", "opencv-python-headless", "albumentations", "hotcoco")
"""Packages whose versions a report names beside those that run networks."""


def describe(**values: Any) -> dict[str, Any]:
    """Describe the present process: its command, the machine and the versions, with further values as they are."""
    machine = describe_machine()
    machine["packages"] |= {name: metadata.version(name) for name in PACKAGES if is_installed(name)}
    return {"command": present_command(), "machine": machine, **values}


def is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def present_command() -> list[str] | None:
    """Words of the command line that runs, if it is one of ours; None in a program of the user's."""
    program = Path(sys.argv[0]).name if sys.argv else ""
    folder = Path(sys.argv[0]).parent.name if sys.argv else ""
    ours = program in ("yolov3", "yolov3.exe") or (folder == "yolo" and program == "__main__.py")
    return ["yolov3", *sys.argv[1:]] if ours else None


def write_about(folder: Path, about: Mapping[str, Any]) -> None:
    """Write the description into a folder.

    Raises:
        ConfigError: the file cannot be written.
    """
    write_text(folder / FILE, to_json(about, indent=2) + "\n")


def read_about(folder: Path) -> dict[str, Any]:
    """Read the description in a folder; empty if there is none, or it is damaged."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def command_text(about: Mapping[str, Any]) -> str | None:
    """Command as it can be typed into a shell."""
    words = about.get("command")
    return shlex.join(map(str, words)) if isinstance(words, list) and words else None


def environment_rows(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows of the table of the environment: name and value."""
    machine, model = about.get("machine") or {}, about.get("model") or {}
    memory = machine.get("memory_bytes")
    rows = [(str(name).replace("_", " ").capitalize(), str(value)) for name, value in model.items() if value]
    rows += [
        ("Processor", str(machine.get("processor", ""))),
        ("Cores", str(machine.get("cores", ""))),
        ("Memory", f"{memory / 2**30:.1f} GiB" if isinstance(memory, int | float) else ""),
        ("System", str(machine.get("system", ""))),
        ("Python", str(machine.get("python", ""))),
    ]
    packages = machine.get("packages") or {}
    rows += [(name, str(version)) for name, version in packages.items()]
    return [(name, value) for name, value in rows if value]


def speed_rows(about: Mapping[str, Any], history: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows of the table of speeds: of evaluation, and of training by its last epochs."""
    speed = about.get("speed") or {}
    rows = []
    if speed.get("seconds") and speed.get("images"):
        each = 1000 * speed["seconds"] / speed["images"]
        text = f"{speed['images'] / speed['seconds']:.1f} pictures a second, {each:.1f} ms each"
        rows.append(("Evaluation, reading and suppression included", text))
    rates = [value for value in history.get("images_per_second", ()) if math.isfinite(value)]
    if rates:
        rows.append(("Training, last epoch", f"{rates[-1]:.1f} pictures a second"))
    seconds = sum(value for value in history.get("train_seconds", ()) if math.isfinite(value))
    if seconds:
        rows.append(("Training in all", f"{seconds / 60:.1f} minutes"))
    return rows
