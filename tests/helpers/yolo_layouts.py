"""Folders of small pictures and text files, by the names of their files."""

from __future__ import annotations

from pathlib import Path

from pictures import write_picture

ROW = "1 0.5 0.5 0.25 0.5\n"
BOX = [75, 25, 125, 75]


def write(folder: Path, files: dict[str, str]) -> Path:
    """Pictures of 100 x 200 and text files; the name says which."""
    for name, text in files.items():
        path = folder / name
        if path.suffix.lower() in {".jpg", ".png"}:
            write_picture(path)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return folder
