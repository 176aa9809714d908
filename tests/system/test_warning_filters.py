"""Filters of warnings: for the modules named alone, and without harm to other threads."""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from yolo.images import codec
from yolo.system.warning_filters import add_filter, filtering


def warn_in(module: str) -> None:
    warnings.warn_explicit("odd", UserWarning, "a.py", 1, module=module)


def test_only_the_named_modules_are_filtered():
    with filtering("ignore", r"some\."):
        warn_in("some.where")
        with pytest.raises(UserWarning):
            warn_in("somewhere")
        with filtering("error", r"some\.w"), pytest.raises(UserWarning):
            warn_in("some.where")
        warn_in("some.where")
    with pytest.raises(UserWarning):
        warn_in("some.where")


def test_the_filters_of_others_stay():
    before = list(warnings.filters)
    with filtering("ignore", "some"):
        warnings.filterwarnings("ignore", message="set meanwhile")
    assert warnings.filters[1:] == before
    warnings.resetwarnings()
    with filtering("ignore", "some"):
        warnings.resetwarnings()
    assert warnings.filters == []


def test_a_lasting_filter_is_added_once():
    add_filter("ignore", "some")
    after = list(warnings.filters)
    add_filter("ignore", "some")
    assert warnings.filters == after
    warn_in("some.where")


def test_threads_that_read_pictures_leave_no_filter_for_all(tmp_path, monkeypatch):
    """The first begins and ends before the second: with `warnings.catch_warnings`, its filters would stay behind."""
    second_began, first_ended = threading.Event(), threading.Event()

    def wait(image):
        if image.width == 9:
            waited = second_began.wait(20)
        else:
            second_began.set()
            waited = first_ended.wait(20)
        in_turn.append(waited)  # an error raised here would be taken for the decoder's
        return real(image)

    in_turn: list[bool] = []
    real = codec._look
    monkeypatch.setattr(codec, "_look", wait)
    for name, width in (("first.png", 9), ("second.png", 8)):
        Image.new("RGB", (width, 5)).save(tmp_path / name)
    with ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(codec.image_size, tmp_path / name) for name in ("first.png", "second.png"))
        assert first.result() == (5, 9)
        first_ended.set()
        assert second.result() == (5, 8)
    assert in_turn == [True, True]
    with pytest.raises(UserWarning):
        warn_in("some.where")


def test_an_added_filter_stays_before_those_set_later():
    with warnings.catch_warnings():
        for _ in range(2):
            add_filter("ignore", "odd_module")
            before = list(warnings.filters)
            add_filter("ignore", "odd_module")
            assert warnings.filters == before
            warn_in("odd_module")
            warnings.filterwarnings("error")
