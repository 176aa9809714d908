"""Makes a Jupyter notebook of a page of the documentation: `python scripts/make_notebook.py docs/tutorial.md`.

Blocks of shell commands and of Python become cells that run; blocks without a language, what a command prints, and the
text around them become text. The notebook has no outputs, so that the same page always gives the same bytes.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
RUNNABLE = ("sh", "python")


def cells(page: str) -> Iterator[dict[str, Any]]:
    """Cells of a page, in its order."""
    text, end = "", 0
    for block in BLOCK.finditer(page):
        text += page[end : block.start()]
        end = block.end()
        if block[1] not in RUNNABLE:
            text += block[0]
            continue
        if text.strip():
            yield text_cell(text)
        text = ""
        yield code_cell(block[2] if block[1] == "python" else shell(block[2]))
    if (text + page[end:]).strip():
        yield text_cell(text + page[end:])


def shell(commands: str) -> str:
    """Shell commands as Jupyter runs them."""
    return "".join(f"!{line}\n" for line in commands.splitlines() if line)


def text_cell(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.strip("\n").splitlines(keepends=True)}


def code_cell(code: str) -> dict[str, Any]:
    source = code.strip().splitlines(keepends=True)
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source}


def notebook(page: str) -> str:
    """Content of the notebook (nbformat 4.5)."""
    listed = [{"id": f"cell-{number}", **cell} for number, cell in enumerate(cells(page))]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {"cells": listed, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def main() -> None:
    for name in sys.argv[1:]:
        page = Path(name)
        target = page.with_suffix(".ipynb")
        target.write_text(notebook(page.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"{target} written")


if __name__ == "__main__":
    main()
