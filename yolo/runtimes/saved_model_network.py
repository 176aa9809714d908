"""SavedModel folders in TensorFlow, whose graphs are looked through before they are loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from yolo.conversion.description import KEY, Description, read_metadata
from yolo.errors import ConfigError, WeightsError
from yolo.files.atomic import is_file
from yolo.files.bounded import MIB, read_bytes
from yolo.files.yaml_file import read_yaml
from yolo.runtimes.checks import Shape, check_graph, first_line
from yolo.runtimes.interface import Images
from yolo.system.startup import import_keras
from yolo.weights.locate import SAVED_MODEL

METADATA = "metadata.yaml"
"""File with the metadata in the folder."""
SIGNATURES = (KEY, "serving_default")
"""Signatures whose outputs are those of the description, the first one that is there."""
LARGEST_GRAPH = 2048 * MIB
STATEFUL = {
    *("VarHandleOp", "ReadVariableOp", "AssignVariableOp", "VarIsInitializedOp", "DisableCopyOnRead"),
    *("PartitionedCall", "StatefulPartitionedCall", "While", "If", "Case", "Assert", "Placeholder", "NoOp"),
}
"""Operations with a state that a network may have."""
CHECKPOINT = {"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename"}
"""Operations of the functions by which TensorFlow writes and reads the variables."""
FILES = {"ReadFile", "MatchingFiles", "PyFuncStateless"}
"""Operations that read files or call Python, although TensorFlow counts them as stateless."""
SAVERS = ("__inference__traced_save", "__inference__traced_restore")


class SavedModelNetwork:
    """Network in the folder of a SavedModel.

    Args:
        folder: the folder.
        description: description of the network; None: the one in the folder.

    Raises:
        WeightsError: the folder is damaged, of another program, or its graph does more than compute.
    """

    runtime = "keras"
    parallel = 1  # one batch uses all cores

    def __init__(self, folder: Path, description: Description | None = None):
        import_keras()
        check_operations(folder)
        self._loaded, self._function = load_signature(folder)
        outputs = {name: shape_of(each) for name, each in self._function.structured_outputs.items()}
        self.description = description or read_description(folder, sorted(outputs))
        inputs = list(self._function.structured_input_signature[1].items())
        check_graph(self.description, [shape_of(each) for _, each in inputs], outputs, str(folder))
        self.precision = self.description.precision
        self._input = inputs[0][0]

    def __call__(self, images: Images) -> list[NDArray[Any]]:
        """Compute the outputs for images (B, H, W, 3)."""
        import tensorflow as tf

        outputs = self._function(**{self._input: tf.constant(images)})
        return [outputs[name].numpy() for name in self.description.outputs]


def load_signature(folder: Path) -> tuple[Any, Any]:
    """Load a SavedModel; return it, as it holds the variables, and the signature to call.

    Raises:
        WeightsError: it cannot be loaded, or has no such signature.
    """
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(folder))
        signatures = dict(loaded.signatures)
    except Exception as error:  # TensorFlow raises errors of any type for a damaged folder
        raise WeightsError(f"{folder}: a damaged SavedModel ({first_line(error)})") from error
    for name in SIGNATURES:
        if name in signatures:
            return loaded, signatures[name]
    raise WeightsError(f"{folder}: has none of the signatures {', '.join(SIGNATURES)}, only {sorted(signatures)!s:.80}")


def check_operations(folder: Path) -> None:
    """Check that a SavedModel's graph only computes: no files, no Python, no devices.

    Raises:
        WeightsError: it has other operations, or is no graph.
    """
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    path, model = folder / SAVED_MODEL, SavedModel()
    content = read_bytes(path, limit=LARGEST_GRAPH, error=WeightsError, what="the graph of a SavedModel")
    try:
        model.ParseFromString(content)
    except Exception as error:  # protobuf's, which is not a dependency of ours by itself
        raise WeightsError(f"{path}: not a SavedModel, or a damaged one") from error
    refused = sorted({operation for meta in model.meta_graphs for operation in _refused(meta.graph_def)})
    if refused:
        raise WeightsError(f"{folder}: not loaded, as its graph does more than compute: {', '.join(refused[:5])}")


def _refused(graph: Any) -> Iterator[str]:
    """Operations of a graph and its functions that are not allowed; those of checkpoints only where they belong."""
    from tensorflow.python.framework import op_def_registry

    savers = {each.signature.name for each in graph.library.function if each.signature.name.startswith(SAVERS)}
    functions = {each.signature.name for each in graph.library.function}
    for name, nodes in [("", graph.node), *((each.signature.name, each.node_def) for each in graph.library.function)]:
        for node in nodes:
            known = op_def_registry.get(node.op)
            plain = known is not None and not known.is_stateful and node.op not in FILES
            if name in savers and node.op in CHECKPOINT:
                continue
            if not plain and node.op not in STATEFUL and node.op not in functions:
                yield node.op
            if name and any(value.func.name in savers for value in node.attr.values()):
                yield f"{node.op} of {node.attr['f'].func.name}"


def shape_of(spec: Any) -> Shape:
    """Shape of an input or output; None for a length that is not fixed."""
    return None if spec.shape.rank is None else tuple(spec.shape.as_list())


def read_description(folder: Path, outputs: list[str]) -> Description:
    """Read the description in the folder of a SavedModel.

    Raises:
        WeightsError: there is none, or it is damaged.
    """
    path = folder / METADATA
    try:
        found = read_yaml(path, WeightsError) if is_file(path) else None
    except ConfigError as error:
        raise WeightsError(str(error)) from error
    entries = {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
    return read_metadata(entries, str(folder), outputs=outputs)
