"""ONNX graph of a TensorFlow function, by tf2onnx, with the large weights kept out of its way.

tf2onnx copies all weights in every pass of its optimizer, of which there are dozens: a full YOLOv3 took it more than a
minute. So it sees a graph whose kernels are inputs, and they are put in afterwards.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.conversion.graph import frozen

OPSET = 17
LARGE = 1024
"""Number of values from which on a kernel is kept out."""


def graph_of(function: Any, outputs: Sequence[str]) -> Any:
    """Convert a TensorFlow function that returns a dict to an `onnx.ModelProto` with the outputs' names."""
    concrete = frozen(function)
    graph, kernels = without_kernels(concrete.graph.as_graph_def())
    inputs = [tensor.name for tensor in concrete.inputs]
    with quiet():
        import tf2onnx

        model, _ = tf2onnx.convert.from_graph_def(
            graph,
            input_names=[*inputs, *(f"{name}:0" for name in kernels)],
            output_names=[tensor.name for tensor in concrete.outputs],
            opset=OPSET,
        )
    compute_constant_outputs(model)
    with_kernels(model, {f"{name}:0": kernel for name, kernel in kernels.items()})
    names = [tensor.name for tensor in concrete.outputs]
    rename(model, dict(zip(names, sorted(outputs), strict=True)))  # as TensorFlow sorts a dict
    rename(model, {name: name.removesuffix(":0") for name in inputs})
    return model


def without_kernels(graph: Any) -> tuple[Any, dict[str, NDArray[np.float32]]]:
    """Replace the kernels in a GraphDef by placeholders; returns it and the kernels by name."""
    import tensorflow as tf

    kernels = {}
    for node in graph.node:
        if node.op == "Const" and node.attr["value"].tensor.dtype == tf.float32.as_datatype_enum:
            dims = [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim]
            if len(dims) == 4 and np.prod(dims) >= LARGE:
                kernels[node.name] = tf.make_ndarray(node.attr["value"].tensor)
                node.op = "Placeholder"
                node.attr["shape"].shape.CopyFrom(node.attr["value"].tensor.tensor_shape)
                del node.attr["value"]
    return graph, kernels


def with_kernels(model: Any, kernels: dict[str, NDArray[np.float32]]) -> None:
    """Turn inputs of a model into weights, with all that is computed from weights alone computed now."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    graph = model.graph
    for entry in [entry for entry in graph.input if entry.name in kernels]:
        graph.input.remove(entry)
    known = dict(kernels)
    values = {each.name: each for each in graph.initializer}
    for node in list(graph.node):
        # Reshapes and transposes of kernels; nothing else is made of weights alone.
        if not any(name in known for name in node.input):
            continue
        if not all(name in known or name in values for name in node.input):
            continue
        inputs = {
            name: known[name] if name in known else onnx.numpy_helper.to_array(values[name]) for name in node.input
        }
        results = ReferenceEvaluator(node).run(None, inputs)
        known.update(zip(node.output, results, strict=True))
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    graph.initializer.extend(
        onnx.numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in known.items() if name in used
    )
    for each in [each for each in graph.initializer if each.name not in used]:
        graph.initializer.remove(each)


def compute_constant_outputs(model: Any) -> None:
    """Copy outputs that were folded to constants by a node, so that they are kept, renamed and joined as the others."""
    import onnx

    constants = {each.name: each for each in model.graph.initializer}
    for name in [each.name for each in model.graph.output if each.name in constants]:
        constants[name].name = f"{name}/constant"
        for node in model.graph.node:
            node.input[:] = [f"{each}/constant" if each == name else each for each in node.input]
        model.graph.node.append(onnx.helper.make_node("Identity", [f"{name}/constant"], [name]))


def joined(first: Any, *others: Any) -> Any:
    """Join models, each of which takes values of those before it by their names; the outputs are those of the last."""
    import onnx

    for index, other in enumerate(others):
        part = onnx.compose.add_prefix(other, f"part_{index}/", rename_inputs=False, rename_outputs=False).graph
        first.graph.node.extend(part.node)
        first.graph.initializer.extend(part.initializer)
        first.graph.value_info.extend(part.value_info)
        del first.graph.output[:]
        first.graph.output.extend(part.output)
    return first


def rename(model: Any, names: dict[str, str]) -> None:
    """Rename values of a graph, its inputs and outputs among them."""
    for node in model.graph.node:
        node.output[:] = [names.get(name, name) for name in node.output]
        node.input[:] = [names.get(name, name) for name in node.input]
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        value.name = names.get(value.name, value.name)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence TensorFlow's notes on the functions that tf2onnx uses."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
