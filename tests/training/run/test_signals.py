"""Signals during a run: the first is noted, its echo means nothing, a second one ends the program."""

from __future__ import annotations

import signal

import pytest

from yolo.system.signal_handlers import STOP_SIGNALS
from yolo.training.run import signals as interruption
from yolo.training.run.signals import interruptible


class EndedError(Exception):
    """What the program's own handler does."""


@pytest.fixture
def ends():
    """A handler in place of the program's own, which would end the tests."""

    def end(*_):
        raise EndedError

    before = {number: signal.signal(number, end) for number in STOP_SIGNALS}
    yield end
    for number, handler in before.items():
        signal.signal(number, handler)


def deliver(number):
    """Call the handler of a signal; a real one would end the tests where a library has put its own handler below."""
    signal.getsignal(number)(number, None)


def test_a_signal_that_comes_twice_at_once_is_one(ends):
    """Slurm and systemd send it to every process, and the one that watches passes it on."""
    with interruptible() as run:
        deliver(signal.SIGTERM)
        deliver(signal.SIGTERM)
        assert run.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is ends


@pytest.mark.usefixtures("ends")
def test_a_second_signal_ends_the_program(monkeypatch):
    monkeypatch.setattr(interruption, "ECHO_SECONDS", -1.0)
    with interruptible():
        deliver(signal.SIGTERM)
        with pytest.raises(EndedError):
            deliver(signal.SIGTERM)


def test_another_signal_is_no_echo(ends):
    with interruptible() as run:
        deliver(signal.SIGTERM)
        with pytest.raises(EndedError):
            deliver(signal.SIGINT)
        assert run.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGINT) is ends
