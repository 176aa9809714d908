"""The progress line and what it adds to the history: numbers worked by hand on a clock that is set."""

from __future__ import annotations

import logging
import math
import mmap
import os
import sys
import types
from types import SimpleNamespace

import keras
import pytest

from yolo.system import used_memory as memory
from yolo.system.notices import in_notebook
from yolo.system.used_memory import accelerator_memory, peak_memory, resident_memory
from yolo.training.callbacks import display, progress
from yolo.training.callbacks.progress import DataClock, Progress, duration, recent

LOGS = {"loss": 6.0, "box_loss": 1.0, "objectness_loss": 2.0, "class_loss": 3.0}


@pytest.fixture
def now(monkeypatch):
    """The time, which passes when the test says so; and memory that is known."""

    class Time:
        seconds = 100.0

    monkeypatch.setattr(progress.time, "perf_counter", lambda: Time.seconds)
    monkeypatch.setattr(progress, "resident_memory", lambda: 2.5e9)
    monkeypatch.setattr(progress, "accelerator_memory", lambda: math.nan)
    return Time


def train_steps(shown, now, seconds, *, first=1.0, wait=0.0):
    """An epoch's beginning and some steps, each of so many seconds; the first one of another length."""
    shown.on_train_begin()
    shown.on_epoch_begin(shown.epoch)
    for step, lasts in enumerate([first, *seconds]):
        shown.on_train_batch_begin(step)
        now.seconds += wait
        shown.clock._arrive()
        now.seconds += lasts - wait
        shown.on_train_batch_end(step, LOGS)


def test_the_line_by_hand(now):
    shown = Progress(DataClock(), epochs=3, steps=10, batch=4, live=False)
    train_steps(shown, now, [2.0, 2.0, 2.0], first=6.0)
    # 16 pictures in 12 s. A step lasts 2 s, the compiling first one aside: 6 are left, then two epochs of 20 s.
    assert shown.line(4, LOGS) == (
        "epoch 1/3  step 4/10  loss 6.00 (box 1.00, objectness 2.00, class 3.00)  1.3 images/s  "
        "left: epoch 0:12, run 0:52  waiting for data 0%  2.5 GB"
    )


def test_evaluation_counts_as_in_the_epochs_so_far(now):
    history = [{"images_per_second": 2.0, "evaluation_seconds": 7.0}, {"images_per_second": 2.0}]
    shown = Progress(DataClock(), epochs=4, steps=10, batch=4, live=False, history=history)
    shown.epoch = 2
    train_steps(shown, now, [1.0] * 9)
    # The epoch's end: its evaluation of 7 s, and an epoch of 10 steps at 2 pictures/s with evaluation.
    assert shown.time_left(10) == ["left: run 0:34", "left 0:34"]
    # Before the second step nothing is known of this epoch but what the last ones say: 2 s a step.
    assert shown.time_left(1) == ["left: epoch 0:18, run 0:52", "left 0:52"]


def test_nothing_is_foretold_from_one_compiling_step(now):
    shown = Progress(DataClock(), epochs=4, steps=10, batch=4, live=False)
    train_steps(shown, now, [], first=30.0)
    assert shown.time_left(1) == [""]
    assert "left" not in shown.line(1, LOGS)


def test_an_epoch_taken_up_in_its_middle(now, caplog):
    """Steps are those of the epoch, rates those of what this program did of it."""
    shown = Progress(DataClock(), epochs=2, steps=10, batch=4, live=False, first_step=6)
    train_steps(shown, now, [2.0, 2.0], first=4.0)
    assert "step 9/10" in shown.line(3, LOGS)
    assert "left: epoch 0:02, run 0:22" in shown.line(3, LOGS)
    now.seconds += 2.0
    logs = dict(LOGS)
    with caplog.at_level(logging.INFO):
        shown.on_epoch_end(0, logs)
    assert "step 10/10" in caplog.text
    assert logs["images_per_second"] == pytest.approx(4 * 4 / 10.0)
    assert logs["train_seconds"] == pytest.approx(10.0)
    # The next epoch is a whole one.
    shown.on_epoch_begin(1)
    assert "step 2/10" in shown.line(2, LOGS)


def test_what_the_history_gets(now):
    shown = Progress(DataClock(), epochs=1, steps=4, batch=8, live=False)
    train_steps(shown, now, [2.0, 2.0, 2.0], first=4.0, wait=0.5)
    logs = dict(LOGS)
    shown.on_epoch_end(0, logs)
    # The first step's wait cannot be told from compiling: three of 0.5 s are left, of 10 s.
    assert logs == {
        **LOGS,
        "images_per_second": pytest.approx(3.2),
        "data_wait": pytest.approx(0.15),
        "train_seconds": pytest.approx(10.0),
        "memory_gb": pytest.approx(2.5),
    }


def test_the_wait_of_later_epochs_first_steps_counts(now):
    shown = Progress(DataClock(), epochs=2, steps=2, batch=1, live=False)
    train_steps(shown, now, [2.0], first=2.0, wait=1.0)
    shown.on_epoch_end(0, {})
    shown.on_epoch_begin(1)
    for step in range(2):
        shown.on_train_batch_begin(step)
        now.seconds += 1.0
        shown.clock._arrive()
        now.seconds += 1.0
        shown.on_train_batch_end(step, LOGS)
    logs: dict[str, float] = {}
    shown.on_epoch_end(1, logs)
    assert logs["data_wait"] == pytest.approx(0.5)


def test_memory_of_an_accelerator_is_shown_where_it_is_known(now, monkeypatch):
    monkeypatch.setattr(progress, "accelerator_memory", lambda: 7e9)
    shown = Progress(DataClock(), epochs=1, steps=4, batch=8, live=False)
    train_steps(shown, now, [2.0])
    logs: dict[str, float] = {}
    shown.on_epoch_end(0, logs)
    assert (logs["memory_gb"], logs["gpu_memory_gb"]) == (2.5, 7.0)
    assert shown.line(2, LOGS).endswith("2.5 GB, 7.0 GB on the GPU")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            190,
            "epoch 3/100  step 1001/14786  loss 6.00 (box 1.00, objectness 2.00, class 3.00)  400.0 images/s  "
            "left: epoch 4:36, run 8:02:41  waiting for data 25%  12.5 GB, 70.0 GB on the GPU",
        ),
        (
            140,
            "epoch 3/100  step 1001/14786  loss 6.00  400.0 images/s  left: epoch 4:36, run 8:02:41  "
            "waiting for data 25%  12.5 GB, 70.0 GB on the GPU",
        ),
        (100, "3/100  step 1001/14786  loss 6.00  400.0 images/s  left 8:02:41  data 25%  12.5 GB, GPU 70.0 GB"),
        (80, "3/100  1001/14786  loss 6.00  400.0/s  left 8:02:41  data 25%  GPU 70.0 GB"),
        (70, "3/100  1001/14786  400.0/s  left 8:02:41  data 25%  GPU 70.0 GB"),
        (20, "3/100  1001/14786  "),
    ],
)
def test_a_live_line_fits_the_terminal(now, monkeypatch, capsys, columns, expected):
    """The terminal of stderr: stdout may be a file."""
    monkeypatch.setattr(display.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(display.sys.stderr, "fileno", lambda: 2, raising=False)
    monkeypatch.setattr(display.os, "get_terminal_size", lambda number: os.terminal_size((columns * (number == 2), 24)))
    monkeypatch.setattr(progress, "resident_memory", lambda: 12.5e9)
    monkeypatch.setattr(progress, "accelerator_memory", lambda: 70e9)
    shown = Progress(DataClock(), epochs=100, steps=14786, batch=8, live=True)
    shown.epoch = 2
    train_steps(shown, now, [0.02] * 1000, first=0.02, wait=0.005)
    line = capsys.readouterr().err.split("\r")[-1]
    assert shown.live_line(1001, LOGS) == expected
    assert len(line.removesuffix(display.CLEAR)) < columns


@pytest.mark.parametrize("size", [OSError, (0, 0)])
def test_without_a_terminal_the_environment_tells_the_width(monkeypatch, size):
    def ask(_=None):
        if size is OSError:
            raise OSError
        return os.terminal_size(size)

    monkeypatch.setattr(os, "get_terminal_size", ask)
    monkeypatch.setenv("COLUMNS", "123")
    assert display.terminal_columns() == 123


def test_the_live_line_is_not_drawn_at_every_step_of_a_fast_network(now, monkeypatch, capsys):
    monkeypatch.setattr(display.sys.stderr, "isatty", lambda: True, raising=False)
    shown = Progress(DataClock(), epochs=3, steps=100, batch=4, live=True)
    train_steps(shown, now, [0.03125] * 31, first=0.03125)  # a second in all, in exact binary fractions
    assert capsys.readouterr().err.count("\r") == 8  # every fourth step: 0.125 s


@pytest.mark.parametrize("live", [True, False])
def test_off_a_terminal_a_plain_line_says_every_half_minute_where_the_run_is(now, capsys, caplog, live):
    shown = Progress(DataClock(), epochs=3, steps=100, batch=4, live=live)
    with caplog.at_level(logging.INFO):
        train_steps(shown, now, [8.0] * 9, first=8.0)  # plain lines are due at 32 and 64 of 80 s
        now.seconds += 9.0
        shown.show_validation(8, 20)  # 25 s after the last line
        now.seconds += 6.0
        shown.show_validation(24, 20)  # the last batch is not full
    assert capsys.readouterr() == ("", "")
    expected = [
        "epoch 1/3  step 4/100  loss 6.00 (box 1.00, objectness 2.00, class 3.00)  0.5 images/s  "
        "left: epoch 12:48, run 39:28  waiting for data 0%  2.5 GB",
        "epoch 1/3  step 8/100  loss 6.00 (box 1.00, objectness 2.00, class 3.00)  0.5 images/s  "
        "left: epoch 12:16, run 38:56  waiting for data 0%  2.5 GB",
        "epoch 1/3  validation: image 20/20",
    ]
    assert caplog.messages == (expected if live else [])


class Kernel:
    """What IPython gives in a notebook."""

    kernel = object()


@pytest.mark.parametrize(("shell", "there"), [(Kernel(), True), (object(), False), (None, False)])
def test_a_notebook_is_a_shell_with_a_kernel(monkeypatch, shell, there):
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert in_notebook() is there


def test_in_a_notebook_the_line_is_drawn_anew_on_stdout_without_terminal_codes(now, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=Kernel))
    shown = Progress(DataClock(), epochs=3, steps=100, batch=4, live=True)
    train_steps(shown, now, [1.0], first=1.0)
    second = shown.live_line(2, LOGS)
    now.seconds += 1.0
    shown.show_validation(4, 20)
    shown.display.clear()
    found = capsys.readouterr()
    _, first, *rest = found.out.split("\r")
    third = "epoch 1/3  validation: image 4/20"
    assert rest == [second.ljust(len(first)), third.ljust(len(second)), " " * len(third), ""]
    assert "\x1b" not in found.out
    assert found.err == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (65, "1:05"), (3599.6, "1:00:00"), (3661, "1:01:01"), (360_000, "100:00:00")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_recent_is_the_median_of_the_last_epochs_that_know():
    history = [{"a": 100.0}] * 3 + [{"b": 1.0}] + [{"a": value} for value in (1.0, 9.0, 2.0, 3.0, 50.0)]
    assert recent(history, "a") == 3.0
    assert recent(history, "b") == 1.0
    assert recent([], "a") is None


# Memory


def test_resident_memory_grows_with_what_is_taken():
    with mmap.mmap(-1, 200_000_000) as pages:  # fresh from the system; an array may get pages used before
        before = resident_memory()
        pages[:: mmap.PAGESIZE] = bytes(len(range(0, len(pages), mmap.PAGESIZE)))
        assert 150e6 < resident_memory() - before < 300e6


def test_peak_memory_without_proc(monkeypatch, tmp_path):
    import resource

    monkeypatch.setattr(memory, "STATUS", tmp_path / "none")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    monkeypatch.setattr(sys, "platform", "darwin")
    assert peak_memory() == pytest.approx(peak, rel=0.05)
    monkeypatch.setattr(sys, "platform", "freebsd")
    assert peak_memory() == pytest.approx(1024 * peak, rel=0.05)


def test_peak_memory_on_windows(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "STATUS", tmp_path / "none")
    monkeypatch.setattr(memory.psutil, "Process", lambda: SimpleNamespace(memory_info=windows_memory))
    assert (resident_memory(), peak_memory()) == (4000, 9000)


def windows_memory():
    return SimpleNamespace(rss=4000, peak_wset=9000)


def test_accelerators_are_added_up(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    monkeypatch.setattr(memory, "_tensorflow_memory", lambda: [3, 4])
    assert accelerator_memory() == 7
    monkeypatch.setattr(memory, "_tensorflow_memory", list)
    assert math.isnan(accelerator_memory())


def test_jax_devices_that_do_not_tell_are_left_out(monkeypatch):
    jax = pytest.importorskip("jax")

    class Device:
        def __init__(self, stats):
            self.memory_stats = lambda: stats

    monkeypatch.setattr(jax, "local_devices", lambda: [Device(None), Device({"bytes_in_use": 5})])
    assert memory._jax_memory() == [5]
