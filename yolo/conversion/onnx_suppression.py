"""Suppression by ONNX' own operator, as tf2onnx cannot convert ours, which iterates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from yolo.config import NmsConfig
from yolo.conversion.conversion import Conversion
from yolo.conversion.decoding import Tensors, best_slots, decoded
from yolo.conversion.graph import maps_specs
from yolo.errors import ConfigError

if TYPE_CHECKING:
    from yolo.model.detector import Detector

NONE = -1.0
"""Score of what is no candidate."""


def check_suppression(nms: NmsConfig) -> None:
    """Check that ONNX has an operator for a kind of suppression.

    Raises:
        ConfigError: it has none.
    """
    if nms.kind != "default":
        raise ConfigError(f"nms {nms.kind}: ONNX suppresses by IoU alone; give --nms default, or --outputs predictions")


def candidates_function(detector: Detector, conversion: Conversion) -> Any:
    """Make a function from raw maps to the candidates of suppression.

    It returns ``candidates`` (B, K, 4) xyxy, ``candidate_scores`` (B, C, K) with `NONE` for pairs that are not among
    the best ones, and ``candidate_classes`` (B, C, K). If suppression is across classes, C is 1: the best class.
    """
    import tensorflow as tf

    nms = detector.score_rules.raw(conversion.nms or detector.nms)

    def run(*maps: Any) -> Tensors:
        found = best_slots(decoded(detector, maps), nms.max_candidates)
        scores = found.objectness[..., None] * found.classes
        pairs = tf.reshape(scores, (tf.shape(scores)[0], -1))
        best = tf.math.top_k(pairs, min(nms.max_candidates, pairs.shape[1] or nms.max_candidates)).values
        scores = tf.where((scores >= best[:, -1:, None]) & (scores >= nms.conf), scores, NONE)
        scores = tf.transpose(scores, (0, 2, 1))
        classes = tf.zeros_like(scores, tf.int32) + tf.range(scores.shape[1])[:, None]
        if nms.class_agnostic:
            classes = tf.argmax(scores, axis=1, output_type=tf.int32)[:, None]
            scores = tf.reduce_max(scores, axis=1, keepdims=True)
        return {"candidates": tf.identity(found.boxes), "candidate_scores": scores, "candidate_classes": classes}

    return tf.function(run, input_signature=maps_specs(detector, conversion), autograph=False)


CANDIDATES = ["candidate_classes", "candidate_scores", "candidates"]


def operator_model(nms: NmsConfig, opset: int) -> Any:
    """Make an `onnx.ModelProto` of the operator: from candidates to ``picked`` (N, 3), image, class and box of each."""
    from onnx import TensorProto, helper, numpy_helper

    constants = {
        "most": np.array([nms.max_detections], np.int64),
        "iou": np.array([nms.iou], np.float32),
        "lowest": np.array([NONE / 2], np.float32),  # scores below `conf` are NONE already
    }
    names = ["candidates", "candidate_scores"]
    node = helper.make_node("NonMaxSuppression", [*names, *constants], ["picked"], name="suppression")
    graph = helper.make_graph(
        [node],
        "suppression",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None, None]) for name in names],
        [helper.make_tensor_value_info("picked", TensorProto.INT64, [None, 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def ranking_function(detector: Detector, conversion: Conversion) -> Any:
    """Make a function from the candidates and those picked of them to the detections, best first and padded."""
    import tensorflow as tf

    nms, batch = conversion.nms or detector.nms, conversion.batch
    groups = 1 if nms.class_agnostic else len(detector.classes)

    def run(classes: Any, scores: Any, boxes: Any, picked: Any) -> Tensors:
        kept = tf.tensor_scatter_nd_update(tf.fill(tf.shape(scores), NONE), picked, tf.gather_nd(scores, picked))
        kept = tf.pad(
            tf.reshape(kept, (tf.shape(kept)[0], -1)), [[0, 0], [0, nms.max_detections]], constant_values=NONE
        )
        ranked, order = tf.math.top_k(kept, nms.max_detections)
        valid = ranked >= 0.0
        order = tf.where(valid, order, 0)
        slot = order % tf.shape(scores)[2]
        labels = tf.gather(tf.reshape(classes, (tf.shape(scores)[0], -1)), order, batch_dims=1)
        return {
            "boxes": tf.where(valid[..., None], tf.gather(boxes, slot, batch_dims=1), 0.0),
            "scores": tf.maximum(ranked, 0.0),
            "labels": tf.where(valid, labels, 0),
            "valid": valid,
        }

    specs = [
        tf.TensorSpec((batch, groups, None), tf.int32, name="candidate_classes"),
        tf.TensorSpec((batch, groups, None), tf.float32, name="candidate_scores"),
        tf.TensorSpec((batch, None, 4), tf.float32, name="candidates"),
        tf.TensorSpec((None, 3), tf.int64, name="picked"),
    ]
    return tf.function(run, input_signature=specs, autograph=False)
