"""Runs in the tests of training draw no pictures, at which few of them look."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def nothing_drawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that look at the pictures of a run are marked `draws`."""
    if request.node.get_closest_marker("draws") is None:
        monkeypatch.setattr("yolo.training.engine.loop.draw_first_batches", lambda *_: None)
        monkeypatch.setattr("yolo.training.run.folder.RunFolder.draw_curves", lambda *_: None)
        monkeypatch.setattr("yolo.training.engine.loop.write_run_report", lambda *_: None)
