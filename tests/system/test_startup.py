"""Keras as it is first imported through yolo: without TensorFlow's start-up lines, unless they are asked for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import os, sys
import yolo
assert "keras" not in sys.modules
yolo.Detector
print(os.environ["TF_CPP_MIN_LOG_LEVEL"], "keras" in sys.modules)
os.write(2, b"stderr is back")
"""


@pytest.mark.slow
@pytest.mark.parametrize("level", [None, "0"])
def test_keras_starts_quietly_unless_asked(level):
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    if level is not None:
        environment["TF_CPP_MIN_LOG_LEVEL"] = level
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.split() == [level or "3", "True"]
    if level is None:
        assert found.stderr == "stderr is back"
    assert found.stderr.endswith("stderr is back")


def test_stderr_is_silenced_for_c_code_too_and_comes_back(capfd):
    from yolo.system.startup import silenced_stderr

    with silenced_stderr():
        os.write(2, b"lost")
    os.write(2, b"kept")
    assert capfd.readouterr().err == "kept"


def test_a_process_without_stderr_is_no_fault(monkeypatch):
    from yolo.system import startup

    def closed(_):
        raise OSError

    monkeypatch.setattr(startup.os, "dup", closed)
    with startup.silenced_stderr():
        pass
