"""Gradients inside a network, worked by hand, on TensorFlow and in a process of its own on JAX."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from yolo.model.backend.activations import trace


def check_by_hand() -> None:
    """The output is 2 a - b of two channels a = x, b = x^2 behind a tapped layer, so its gradient is 2 and -1 there."""
    images = keras.Input((2, 2, 1))
    both = layers.Concatenate()([images, layers.Multiply()([images, images])])
    head = layers.Conv2D(1, 1, use_bias=False)
    network = keras.Model(images, head(both))
    head.set_weights([np.array([2.0, -1.0], np.float32).reshape(1, 1, 2, 1)])
    values = np.array([[[1.0], [3.0]], [[0.0], [2.0]]], np.float32)[None]
    traced = trace(network, network.outputs, [both, network.inputs[0]], values)
    assert traced.outputs[0][0, ..., 0].tolist() == [[1, -3], [0, 0]]
    assert traced.activations[0][0, 0, 1].tolist() == [3, 9]
    weights = np.zeros_like(traced.outputs[0])
    weights[0, 0, 1] = 10.0
    inner, outer = traced.pull([weights])
    assert inner[0, 0, 1].tolist() == [20, -10]
    assert inner.sum() == 10
    assert outer[0, ..., 0].tolist() == [[0, 10 * (2 - 2 * 3)], [0, 0]]
    assert not np.any(traced.pull([np.zeros_like(weights)])[0])


def test_tensorflow():
    check_by_hand()


def test_jax():
    pytest.importorskip("jax")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"}
    code = "import test_activations; test_activations.check_by_hand()"
    folder = Path(__file__).parent
    environment["PYTHONPATH"] = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")]), *sys.path])
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
