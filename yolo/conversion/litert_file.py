"""Conversion to LiteRT (TensorFlow Lite): one file, its metadata appended as a zip archive."""

from __future__ import annotations

import json
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from yolo.conversion.conversion import MAPS, Conversion, check_precision
from yolo.conversion.description import Description
from yolo.conversion.entries import entries
from yolo.conversion.graph import INPUT, frozen, network_function
from yolo.conversion.saved_model_file import save_module

if TYPE_CHECKING:
    from yolo.model.detector import Detector

METADATA = "metadata.json"
"""Name of the metadata in the appended archive."""


def to_litert(detector: Detector, conversion: Conversion = MAPS) -> tuple[bytes, Description]:
    """Convert a detector to a ``.tflite`` file of its canvas and a fixed number of images a batch, by default one.

    Raises:
        OSError: there is no room for temporary files.
    """
    import tensorflow as tf

    check_precision("litert", conversion.precision)
    # LiteRT needs every size: an upsampled map of any size loses its number of channels.
    fixed = conversion.on_fixed_canvas(batch=conversion.batch or 1)
    # Variables must be constants for it; within a module, the names of inputs and outputs are kept.
    constant, module = frozen(network_function(detector, fixed)), tf.Module()
    names = sorted(fixed.describe(detector).outputs)  # as TensorFlow sorts a dict
    specs = [tf.TensorSpec.from_tensor(tensor, name=INPUT) for tensor in constant.inputs]
    module.function = tf.function(
        lambda images: dict(zip(names, constant(images), strict=True)), input_signature=specs, autograph=False
    )
    description = fixed.describe(detector)
    with tempfile.TemporaryDirectory() as folder:
        # Gradients, which some activations define, cannot be saved once variables are constants.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        save_module(module, Path(folder), signatures=module.function, options=options)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if conversion.precision == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        return with_description(converter.convert(), description), description


def with_description(model: bytes, description: Description) -> bytes:
    """Append a description, and what other programs read, to the bytes of a model."""
    file = BytesIO(model)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(METADATA, json.dumps(entries(description), indent=2))
    return file.getvalue()


def write_litert(model: bytes, path: Path) -> None:
    """Write the bytes of a model."""
    path.write_bytes(model)
