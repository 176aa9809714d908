"""Files written whole or not at all, and what a killed process leaves of them."""

from __future__ import annotations

import os
import time

from yolo.files.atomic import TEMPORARY, remove_abandoned, write_whole


def test_temporary_files_are_known_by_their_names(tmp_path):
    seen = []

    def write(path):
        seen.append(path.name)
        path.touch()

    for name in ("a.npz", "metrics.json", "none", "two.parts.rgb"):
        write_whole(tmp_path / name, write)
        assert TEMPORARY.fullmatch(seen[-1])
        assert not TEMPORARY.fullmatch(name)


def test_what_was_left_goes_and_nothing_else(tmp_path):
    kept = [tmp_path / name for name in ("best.keras", ".git", ".12-", ".config-1a.keras", "12-1a.keras")]
    left = [tmp_path / name for name in (".12-1a.keras", ".12-7f0012ff", ".3-0.png")]
    for path in (*kept, *left):
        path.touch()
    (tmp_path / ".4-5").mkdir()  # no file of ours
    remove_abandoned(tmp_path)
    assert set(tmp_path.iterdir()) == {*kept, tmp_path / ".4-5"}
    remove_abandoned(tmp_path / "missing")


def test_young_ones_may_stay(tmp_path):
    old, young = tmp_path / ".1-a.rgb", tmp_path / ".2-b.rgb"
    for path in (old, young):
        path.touch()
    os.utime(old, (time.time() - 100, time.time() - 100))
    remove_abandoned(tmp_path, older_than=50)
    assert list(tmp_path.iterdir()) == [young]
