"""Image files of folders, in order and each once."""

from __future__ import annotations

import os
import random
import string
from pathlib import Path

from yolo.images.listing import RealFolders, list_images, without_repeats
from yolo.images.suffixes import SUFFIXES


def test_list_images_finds_pictures_of_all_subfolders(tmp_path):
    for name in ("b.JPG", "a.png", "notes.txt", "sub/c.webp", "sub/.hidden.jpg", "._a.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "folder.jpg").mkdir()
    assert [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)] == [
        "a.png",
        "b.JPG",
        "sub/c.webp",
    ]


def test_linked_folders_repeat_no_picture(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").touch()
    (tmp_path / "a" / "2.png").symlink_to("1.png")  # of another name: meant
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to("a")
    found = [tmp_path / "a" / "1.png", tmp_path / "a" / "2.png"]
    assert list_images(tmp_path) == found
    assert without_repeats([*found, tmp_path / "b" / "1.png", tmp_path / "a" / "up" / "a" / "2.png"]) == found


def test_order_is_that_of_paths(tmp_path):
    """Sorted as `Path` sorts: by the parts, so that what is in a folder `a` precedes `a.b` and `a-b.jpg`."""
    draw = random.Random(0)
    letters = string.ascii_letters + "-. _~"
    for _ in range(200):
        parts = ["".join(draw.choices(letters, k=draw.randint(1, 3))) + "x" for _ in range(draw.randint(1, 3))]
        path = tmp_path.joinpath(*parts[:-1], parts[-1] + draw.choice([".jpg", ".PNG", ".txt"]))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    listed = [each for each in tmp_path.rglob("*") if each.suffix.lower() in SUFFIXES and not each.name.startswith(".")]
    assert len(listed) > 80
    assert list_images(tmp_path) == sorted(listed)


def test_links_that_lead_nowhere_are_no_images(tmp_path):
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    (tmp_path / "gone.jpg").symlink_to("none.jpg")
    assert list_images(tmp_path) == []


def test_real_paths(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").touch()
    (tmp_path / "a" / "link.png").symlink_to("1.png")
    (tmp_path / "b").symlink_to("a")
    folders = RealFolders()
    for path in (tmp_path / "a" / "1.png", tmp_path / "b" / "1.png", tmp_path / "b" / ".." / "a" / "link.png"):
        assert folders.resolve(path) == os.path.realpath(path) == str((tmp_path / "a" / "1.png").resolve())
    assert folders.locate(tmp_path / "b" / "link.png") == str((tmp_path / "a").resolve() / "link.png")
    assert folders.resolve(Path("none/x.jpg")) == str(Path("none/x.jpg").resolve())
