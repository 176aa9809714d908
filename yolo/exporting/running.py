"""Exported files run by their own programs, for the comparison with Keras; detection uses `yolo.runtimes`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.config import Format
from yolo.conversion.description import Description
from yolo.conversion.saved_model_file import signature_of
from yolo.system.telemetry import no_telemetry

Outputs = list[NDArray[Any]]
"""Outputs of a file, in the order of `Description.outputs`."""
Run = Callable[[NDArray[np.float32]], Outputs]
"""Function from images (B, H, W, 3), RGB in 0..255, on the canvas, to the outputs."""


def runner(file_format: Format, path: Path, description: Description) -> Run:
    """Load a file into its own program, computing in its own precision, and return the function that runs it."""
    return RUNNERS[file_format](path, description)


def _saved_model(path: Path, description: Description) -> Run:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signature = signature_of(loaded)

    def run(images: NDArray[np.float32], _: Any = loaded) -> Outputs:  # a signature does not keep its variables alive
        results = signature(images=tf.constant(images))
        return [results[name].numpy() for name in description.outputs]

    return run


def _onnx(path: Path, description: Description) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda images: session.run(description.outputs, {session.get_inputs()[0].name: images})


def _openvino(path: Path, description: Description) -> Run:
    no_telemetry()
    import openvino

    # A processor with bfloat16 would compute in that: here the file is compared, not the processor.
    compiled = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(images: NDArray[np.float32]) -> Outputs:
        results = compiled(images)
        return [np.array(results[name]) for name in description.outputs]

    return run


def _litert(path: Path, description: Description) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    signature = interpreter.get_signature_runner()

    def run(images: NDArray[np.float32]) -> Outputs:
        results = signature(**{next(iter(signature.get_input_details())): images})
        return [results[name] for name in description.outputs]

    return run


RUNNERS: dict[Format, Callable[[Path, Description], Run]] = {
    "saved_model": _saved_model,
    "onnx": _onnx,
    "openvino": _openvino,
    "litert": _litert,
}
