"""OpenVINO models in int8, by NNCF."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.exporting.calibration import Canvases
from yolo.exporting.float_part import float_part
from yolo.system.telemetry import no_telemetry

CONVOLUTIONS = ("Convolution", "GroupConvolution")

Accuracy = Callable[[Any], float]
"""AP50 in 0..1 that a compiled model reaches."""


def quantize(model: Any, calibration: Canvases) -> Any:
    """Quantise an `openvino.Model` to int8, all but its float part.

    Activations are quantised asymmetrically (`MIXED`): leaky ReLU leaves few values below zero.

    Args:
        model: float32 model with one input, images (B, H, W, 3).
        calibration: pictures on the model's canvas.
    """
    nncf = _nncf()
    return nncf.quantize(
        model,
        nncf.Dataset(calibration),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(calibration),
        ignored_scope=nncf.IgnoredScope(names=float_operations(model), validate=False),
    )


def quantize_accurately(model: Any, calibration: Canvases, accuracy: Accuracy, *, largest_loss: float) -> Any:
    """Quantise as `quantize` does, then put back to float the layers that cost most, until little AP50 is lost.

    Args:
        model: float32 model.
        calibration: pictures on the model's canvas.
        accuracy: AP50 that a compiled model reaches.
        largest_loss: AP50 in 0..1 that may be lost.
    """
    nncf = _nncf()

    def validate(compiled: Any, _: Iterable[NDArray[np.float32]]) -> tuple[float, None]:
        return accuracy(compiled), None

    pictures = nncf.Dataset(calibration)
    return nncf.quantize_with_accuracy_control(
        model,
        pictures,
        pictures,
        validate,
        max_drop=largest_loss,
        drop_type=nncf.DropType.ABSOLUTE,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(calibration),
        ignored_scope=nncf.IgnoredScope(names=float_operations(model), validate=False),
    )


def float_operations(model: Any) -> list[str]:
    """Names of the operations of an `openvino.Model` that stay in float."""
    inputs, convolutions = {}, set()
    for operation in model.get_ordered_ops():
        name, kind = operation.get_friendly_name(), operation.get_type_name()
        if kind in CONVOLUTIONS:
            convolutions.add(name)
        if kind != "Constant":
            sources = (each.get_source_output().get_node() for each in operation.inputs())
            inputs[name] = [each.get_friendly_name() for each in sources if each.get_type_name() != "Constant"]
    return float_part(inputs, convolutions)


def _nncf() -> Any:
    no_telemetry()
    import nncf

    return nncf
