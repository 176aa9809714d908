"""The notebook of the tutorial is the tutorial."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "make_notebook.py"))
cells, notebook = SCRIPT["cells"], SCRIPT["notebook"]

PAGE = """# Title

Some text.

```sh
yolov3 one
yolov3 two
```

    not run

```
printed
```

```python
import yolo
x = 1
```
"""


def test_blocks_become_cells():
    assert list(cells(PAGE)) == [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Title\n", "\n", "Some text."]},
        {
            "cell_type": "code",
            "execution_count": None,
            "metadata": {},
            "outputs": [],
            "source": ["!yolov3 one\n", "!yolov3 two"],
        },
        {"cell_type": "markdown", "metadata": {}, "source": ["    not run\n", "\n", "```\n", "printed\n", "```"]},
        {
            "cell_type": "code",
            "execution_count": None,
            "metadata": {},
            "outputs": [],
            "source": ["import yolo\n", "x = 1"],
        },
    ]


def test_nothing_of_a_page_is_lost():
    text = "".join("".join(cell["source"]) for cell in cells(PAGE))
    for word in PAGE.replace("```sh", "").replace("```python", "").split():
        assert word in text


@pytest.mark.parametrize("page", ["tutorial"])
def test_the_notebook_is_the_page(page):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    kept = (ROOT / "docs" / f"{page}.ipynb").read_text(encoding="utf-8")
    assert kept == notebook(text), f"python scripts/make_notebook.py docs/{page}.md makes it anew"
    assert {cell["cell_type"] for cell in json.loads(kept)["cells"]} == {"markdown", "code"}
