"""One HTML file: templates, style sheet and script put together, with a policy that lets nothing else in."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from yolo.files.atomic import write_text

TEMPLATES = Path(__file__).parent / "templates"


def render(name: str, values: Mapping[str, Any]) -> str:
    """Fill a template; all texts are escaped.

    Args:
        name: template's name without its extension.
        values: values of its names.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["chart"] = Markup  # markup of `yolo.report.svg`, which escapes what it holds
    style, script = ((TEMPLATES / file).read_text(encoding="utf-8") for file in ("report.css", "report.js"))
    page = environment.get_template(f"{name}.html.j2").render(
        **values,
        style=Markup(style),  # noqa: S704 - our own files
        script=Markup(script),  # noqa: S704
        policy=policy(style, script),
    )
    return page.encode("utf-8", "replace").decode()  # names of files may hold bytes that are no text


def policy(style: str, script: str) -> str:
    """Content security policy of a page: this style sheet, this script, embedded pictures, and nothing else."""
    return (
        f"default-src 'none'; img-src data:; style-src '{digest(style)}'; script-src '{digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def digest(text: str) -> str:
    return f"sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}"


def write_page(path: Path, page: str) -> None:
    """Write a page, whole or not at all.

    Raises:
        ConfigError: the file cannot be written.
    """
    write_text(path, page)
