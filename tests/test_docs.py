"""The documentation holds together: links, paths, the folder tree, the examples, the messages, the CI workflow."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image
from test_layers import ORDER

from yolo.datasets.load import load_dataset

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
OWN = [page for page in PAGES if page.name != "CHANGELOG.md"]
"""Pages that describe the present; the changelog may name what is gone."""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        linked = page.parent / file if file else page
        assert linked.is_file(), target
        if anchor:
            assert anchor in anchors(linked), target


@pytest.mark.parametrize("page", OWN, ids=name_of)
def test_paths_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"`((?:yolo|tests|scripts|docs|\.github)/(?:[\w./-]*(?:\.\w+|/))?)`", text):
        if "NAME" not in path and path != "yolo/shipped/":  # of an installed package
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))], ids=name_of)
def test_options_are_written_with_dashes(page):
    options = re.findall(r"--[a-z][\w.-]*", page.read_text(encoding="utf-8"))
    assert not [option for option in options if "_" in option]


def test_the_architecture_lists_every_unit_in_the_order_of_the_layers():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    tree = text.partition("## The tree")[2].partition("\n## ")[0]
    units = re.findall(r"^    ([\w/]+) {2,}\S", tree, re.MULTILINE)
    assert [unit.rstrip("/").replace("/", ".") for unit in units] == ORDER
    assert [unit.endswith("/") for unit in units] == [(ROOT / "yolo" / unit).is_dir() for unit in units]


@pytest.mark.parametrize("page", ["README.md", "docs/formats.md"])
def test_the_examples_of_formats_load(page, tmp_path):
    (description,), (coco, *labelme) = blocks(page, "yaml"), blocks(page, "json")
    for split in ("train", "val"):
        picture = tmp_path / "yolo" / "images" / split / "0001.jpg"
        picture.parent.mkdir(parents=True)
        Image.new("RGB", (640, 480)).save(picture)
        labels = tmp_path / "yolo" / "labels" / split / "0001.txt"
        labels.parent.mkdir(parents=True)
        labels.write_text("1 0.5 0.5 0.25 0.5\n")
    (tmp_path / "yolo" / "data.yaml").write_text(description)
    (tmp_path / "mine.json").write_text(coco)
    read = load_dataset(tmp_path / "yolo", split="val")
    assert (read.classes, read.boxes.tolist()) == (("cat", "dog"), [[240, 120, 400, 360]])
    read = load_dataset(tmp_path / "mine.json")
    assert (read.classes, read.boxes.tolist()) == (("cat",), [[10, 20, 210, 120]])
    for content in labelme:
        (tmp_path / "labelme" / "labels").mkdir(parents=True)
        (tmp_path / "labelme" / "labels" / "0001.json").write_text(content)
        (tmp_path / "labelme" / "images").mkdir()
        Image.new("RGB", (640, 480)).save(tmp_path / "labelme" / "images" / "0001.jpg")
        read = load_dataset(tmp_path / "labelme")
        assert (read.classes, read.boxes.tolist()) == (("cat",), [[20, 10, 60, 50]])


def messages(page: str) -> list[str]:
    """The first cells of the tables of messages, one message each."""
    text = (ROOT / page).read_text(encoding="utf-8")
    tables = re.findall(r"^\| message \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    cells = [row.split(" | ")[0] for table in tables for row in table.splitlines()]
    return [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]


def source_text() -> str:
    """All code, with the literals of a text that is split over several lines put together."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "yolo").rglob("*.py")))
    return re.sub(r'"\s*\n\s*f?"', "", code)


def test_the_messages_are_those_of_the_code():
    code = source_text()
    assert len(messages("README.md")) == 10
    for message in messages("README.md") + messages("docs/troubleshooting.md"):
        parts = [part.strip() for part in re.split(r"\.\.\.|\b\d+\b", message)]
        for part in filter(lambda part: len(part) > 3, parts):
            assert part in code, f"{message!r}: no message has {part!r}"


def test_ci_runs_on_every_system_and_version_that_setup_names():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    classifiers = setup["metadata"]["classifiers"]
    job = workflow["jobs"]["check"]
    matrix = job["strategy"]["matrix"]
    assert matrix["python"] == re.findall(r"Python :: (3\.\d+)", classifiers)
    assert ("MacOS" in classifiers, "Linux" in classifiers) == (True, True)
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos"}
    assert setup["options"]["python_requires"] == f">={matrix['python'][0]}"
    assert job["runs-on"] == "${{ matrix.os }}"
    assert {"run": ".ci/run", "env": {"PYTHON": "python"}} in job["steps"]


@pytest.mark.parametrize("script", [".ci/run"])
def test_the_ci_script_is_sound_shell(script):
    assert (ROOT / script).stat().st_mode & 0o100
    subprocess.run(["bash", "-n", ROOT / script], check=True)


def test_make_takes_the_interpreter_it_is_given(tmp_path):
    made = subprocess.run(
        ["make", "--dry-run", f"VENV={tmp_path}/env", f"PYTHON={sys.executable}", "docs"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{sys.executable} -m venv {tmp_path}/env" in made.stdout
    assert "mkdocs build" in made.stdout
    assert "--strict" in made.stdout


def test_every_page_of_the_site_is_in_its_menu():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = [page for entry in config["nav"] for page in entry.values()]
    assert sorted(listed) == sorted(page.name for page in ROOT.glob("docs/*.md"))
    assert config["strict"] is True
    assert config["theme"]["font"] is False  # nothing is loaded from elsewhere


def test_the_api_page_has_every_public_name():
    import yolo

    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert [name for name in yolo.__all__ if f"::: yolo.{name}\n" not in page] == []
