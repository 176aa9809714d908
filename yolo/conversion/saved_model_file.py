"""Conversion to TensorFlow's SavedModel: a folder, its metadata in metadata.yaml."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from yolo.conversion.conversion import MAPS, Conversion, check_precision
from yolo.conversion.description import KEY, Description
from yolo.conversion.entries import entries
from yolo.conversion.graph import network_function

if TYPE_CHECKING:
    from yolo.model.detector import Detector

METADATA = "metadata.yaml"
SERVING = "serving_default"


class SavedModel(NamedTuple):
    """Content of a SavedModel."""

    module: Any
    """`tf.Module` that holds functions and variables."""
    signatures: dict[str, Any]
    """Functions that are served, by name."""


def to_saved_model(detector: Detector, conversion: Conversion = MAPS) -> tuple[SavedModel, Description]:
    """Convert a detector to functions that are served.

    With detections, the signature ``serving_default`` has the outputs of TensorFlow's detectors, and one by the name
    `KEY` those of the other formats; else ``serving_default`` has them.
    """
    import tensorflow as tf

    check_precision("saved_model", conversion.precision)
    function, description = network_function(detector, conversion), conversion.describe(detector)
    module = tf.Module()
    module.network, module.function = function.network, function
    signatures = {SERVING: function}
    if conversion.contents == "detections":
        signatures = {SERVING: _serving(function), KEY: function}
    return SavedModel(module, signatures), description


def _serving(function: Any) -> Any:
    """Function with outputs as TensorFlow's Object Detection API names and scales them.

    Boxes are (ymin, xmin, ymax, xmax) as fractions of the canvas; classes are numbered from 1.
    """
    import tensorflow as tf

    @tf.function(input_signature=function.input_signature, autograph=False)
    def serve(images: Any) -> dict[str, Any]:
        kept = function(images)
        sides = tf.cast(tf.shape(images)[1:3], tf.float32)
        yxyx = tf.gather(kept["boxes"], [1, 0, 3, 2], axis=-1) / tf.tile(sides, [2])
        return {
            "detection_boxes": yxyx,
            "detection_scores": kept["scores"],
            "detection_classes": tf.cast(kept["labels"], tf.float32) + tf.cast(kept["valid"], tf.float32),
            "num_detections": tf.reduce_sum(tf.cast(kept["valid"], tf.float32), axis=-1),
        }

    return serve


def save_module(module: Any, folder: Path, **options: Any) -> None:
    """Save a `tf.Module` as a SavedModel.

    Raises:
        OSError: it cannot be written, which is an error of TensorFlow's own.
    """
    import tensorflow as tf

    try:
        tf.saved_model.save(module, str(folder), **options)
    except tf.errors.OpError as error:
        reason = error.message.rpartition("; ")[2].partition(" [Op:")[0]
        raise OSError(errno.EIO, reason, str(folder)) from error


def write_saved_model(model: SavedModel, description: Description, folder: Path) -> None:
    """Write the folder of a SavedModel.

    Raises:
        OSError: it cannot be written.
    """
    import yaml

    save_module(model.module, folder, signatures=model.signatures)
    text = yaml.safe_dump(entries(description), sort_keys=False, allow_unicode=True)
    (folder / METADATA).write_text(text, encoding="utf-8")
