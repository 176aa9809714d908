"""Subprocesses for tests: with another backend, other devices, or killed on the way."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from yolo.training.run.checkpoint import Checkpoints

HELPERS = Path(__file__).parent


def start(*arguments, backend="tensorflow", **options) -> subprocess.Popen[str]:
    """A Python process that finds the tests' helpers."""
    path = os.pathsep.join([str(HELPERS), str(HELPERS.parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, env=environment, text=True, **pipes)


def finish(process, seconds=300) -> tuple[int, str, str]:
    """Its exit code, stdout and stderr."""
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, out, err


def succeed(process, seconds=300) -> None:
    code, _, err = finish(process, seconds)
    assert code == 0, err


HOLD = """
import sys, time
from pathlib import Path
from yolo.files.locks import locked_file
with locked_file(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def holding(lock: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a lock file until it is killed, at the end at the latest."""
    process = start("-c", HOLD, lock)
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def free_ports() -> int:
    """The lower of two neighbouring ports that nobody has."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            if port == 2**16 - 1:
                continue
            try:
                with socket.create_server(("127.0.0.1", port + 1)):
                    return port
            except OSError:
                continue


def assert_same_run(folder, other, *, tolerance) -> None:
    """Losses and variables of two finished runs within a tolerance, relative to each variable's largest number."""
    found, expected = (Checkpoints(each).latest() for each in (folder, other))
    assert found.step == expected.step > 0
    assert set(found.arrays) == set(expected.arrays)
    for name, array in expected.arrays.items():
        largest = np.abs(array).max()
        np.testing.assert_allclose(found.arrays[name], array, rtol=0, atol=tolerance * largest, err_msg=name)
    for row, wanted in zip(found.meta["state"]["history"], expected.meta["state"]["history"], strict=True):
        for name in ("loss", "box_loss", "objectness_loss", "class_loss", "learning_rate"):
            np.testing.assert_allclose(row[name], wanted[name], rtol=tolerance, err_msg=name)
        for name in ("AP", "AP50"):  # the order of equal scores may differ
            np.testing.assert_allclose(row[name], wanted[name], atol=1e-4, err_msg=name)
