"""Detection by Keras itself: by a copy of the network made for inference on a processor, else as it is."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import keras

from yolo.config import RuntimePrecision
from yolo.model.backend.precision import accelerator, best_precision, computing_in
from yolo.model.backend.replicas import is_distributed
from yolo.runtimes.choose import choose_precision
from yolo.runtimes.detector import RuntimeDetector
from yolo.runtimes.interface import AnyDetector
from yolo.runtimes.tensorflow_network import TensorFlowNetwork
from yolo.weights.load import load

logger = logging.getLogger(__name__)


def load_keras_detector(path: str | Path, precision: RuntimePrecision, *, why: str = "", **options: Any) -> AnyDetector:
    """Load a weights file for detection by Keras.

    On a GPU, a TPU, several devices or another backend than TensorFlow it is the detector itself, compiled with
    decoding and suppression, in float32 unless ``precision`` says otherwise. On a processor it is a copy of its network
    with batch norm folded, in bfloat16 where the processor multiplies it.

    Args:
        path: a weights file as `yolo.load` takes it.
        precision: value of ``--precision``.
        why: reason for the runtime, for the log.
        **options: further arguments of `yolo.load`.
    """
    wanted = choose_precision(precision, "keras")
    on_processor = keras.backend.backend() == "tensorflow" and accelerator() == "cpu" and not is_distributed()
    if on_processor and wanted != "float16":
        best = "float32" if best_precision().policy == "float32" else "bfloat16"
        computed = best if wanted == "auto" else wanted
        detector = load(path, **options)
        network = TensorFlowNetwork(detector, precision=computed)
        logger.info("runtime keras, %s%s", computed, why)
        return RuntimeDetector(network.description, network, str(path))
    policy = "float32" if wanted in ("auto", "float32") else f"mixed_{wanted}"
    with computing_in(policy):
        itself = load(path, **options)
    logger.info("runtime keras, %s%s", policy, why)
    return itself
