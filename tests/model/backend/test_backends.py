"""The same values and gradients on TensorFlow and JAX, and on PyTorch where it is installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HELPERS = Path(__file__).parents[2] / "helpers"


def values_of(backend: str, folder: Path) -> dict[str, np.ndarray]:
    path = folder / f"{backend}.npz"
    command = [sys.executable, str(HELPERS / "backend_values.py"), str(path)]
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(path) as values:
        return dict(values)


@pytest.fixture(scope="module")
def tensorflow_values(tmp_path_factory):
    return values_of("tensorflow", tmp_path_factory.mktemp("tensorflow"))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_backends_agree(backend, tensorflow_values, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    found = values_of(backend, tmp_path)
    assert found.keys() == tensorflow_values.keys()
    assert sum("gradient" in name for name in found) == 10
    for name, expected in tensorflow_values.items():
        # A few optimizer steps through a whole network add up more rounding than one formula.
        tolerance = 2e-4 if name.startswith("fit") else 1e-5
        scale = np.abs(expected).max(initial=1e-6)
        np.testing.assert_allclose(found[name] / scale, expected / scale, atol=tolerance, err_msg=name)
