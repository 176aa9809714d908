"""Layers of a network by name: their outputs, the ones that explanations look at, and their filters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yolo.errors import ConfigError

if TYPE_CHECKING:
    import keras

    from yolo.model.detector import Detector
    from yolo.ops.boxes import Tensor

STAGES = 3
"""Largest number of the backbone's stages, the coarsest ones, among the default layers."""


def layer_outputs(network: keras.Model) -> dict[str, Tensor]:
    """Outputs of a network's operations by name, in the order of computation; only maps (B, h, w, channels).

    A nested model, such as a Keras backbone, has one entry per output: its name and that of the layer inside.
    """
    import keras

    found: dict[str, Tensor] = {}
    for operation in operations_of(network):
        if isinstance(operation, keras.Model):
            for inner, outer in zip(operation.outputs, outputs_of(operation), strict=True):
                found[f"{operation.name}/{inner._keras_history.operation.name}"] = outer
        elif not isinstance(operation, keras.layers.InputLayer):
            found[operation.name] = outputs_of(operation)[0]
    return {name: output for name, output in found.items() if len(getattr(output, "shape", ())) == 4}


def operations_of(network: keras.Model) -> list[Any]:
    """Operations of a functional or sequential model, in the order of computation."""
    import keras

    return list(network.layers if isinstance(network, keras.Sequential) else network.operations)


def outputs_of(operation: Any) -> list[Tensor]:
    """Symbolic outputs of an operation where it was first called; of a nested model not those of its own graph."""
    return list(operation._inbound_nodes[0].output_tensors)


def inputs_of(operation: Any) -> list[Tensor]:
    """Symbolic inputs of an operation where it was first called."""
    return list(operation._inbound_nodes[0].input_tensors)


def find_layer(network: keras.Model, name: str) -> Tensor:
    """Output of the layer with a name.

    Raises:
        ConfigError: there is none that makes maps; the message suggests near names.
    """
    known = layer_outputs(network)
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    advice = f"did you mean {' or '.join(near)}?" if near else f"there are {_ends(list(known))}"
    raise ConfigError(f"layer {name}: the network has no such feature map; {advice} (`yolov3 info` lists the layers)")


def _ends(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:3])}, ... {', '.join(names[-3:])}"


def default_layers(detector: Detector) -> list[str]:
    """Names of the layers whose maps are merged by default, in the order of computation.

    They are the last map of each stage of the backbone, for the coarsest `STAGES` of them. The maps before the heads
    are not among them: a head looks at one cell, so that they say where the slot is and nothing else. They are taken
    where there is no backbone.
    """
    known = layer_outputs(detector.network)
    before_heads = {id(head.input) for head in detector.heads}
    stages: dict[tuple[int, ...], str] = {}
    for name in backbone_layers(detector):
        if id(known[name]) not in before_heads:
            stages[tuple(known[name].shape[1:3])] = name
    return list(stages.values())[-STAGES:] or [name for name in known if id(known[name]) in before_heads]


def backbone_layers(detector: Detector) -> list[str]:
    """Names of the backbone's convolutions, the sums of their outputs, and the outputs of a nested backbone."""
    import keras

    known = layer_outputs(detector.network)
    inside: dict[int, str] = {}
    for name, output in known.items():
        operation = output._keras_history.operation
        is_sum = isinstance(operation, keras.layers.Add) and all(id(each) in inside for each in inputs_of(operation))
        number = name.removeprefix("conv_")
        is_early = number.isdigit() and int(number) < detector.architecture.backbone
        if is_sum or is_early or isinstance(operation, keras.Model):
            inside[id(output)] = name
    return list(inside.values())


def first_filters(network: keras.Model) -> tuple[str, NDArray[np.float32]]:
    """Name and kernel (h, w, 3, filters) of the first convolution over the image's colours.

    Raises:
        ConfigError: the network has none.
    """
    for name, kernel in kernels_of(network):
        if kernel.ndim == 4 and kernel.shape[2] == 3 and kernel.shape[3] > 1:
            return name, kernel
    raise ConfigError("filters: no convolution of this network looks at the three colours of the picture")


def kernels_of(network: keras.Model) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Names and kernels of a network's convolutions, those of nested models included, in the order of computation."""
    import keras

    for operation in operations_of(network):
        if isinstance(operation, keras.Model):
            yield from kernels_of(operation)
            continue
        inner = getattr(operation, "convolution", operation)
        kernel = getattr(inner, "kernel", None)
        if isinstance(operation, keras.layers.Layer) and kernel is not None:
            yield operation.name, np.asarray(keras.ops.convert_to_numpy(kernel), np.float32)
