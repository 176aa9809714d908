"""Values and gradients of `yolo.ops` on the backend that KERAS_BACKEND names, written to an .npz.

Run by test_backends.py in a process of its own for each backend.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import get_args

import keras
import numpy as np
from cfg_texts import two_scales
from keras import ops

from yolo.config import LossConfig, NmsConfig, NmsKind
from yolo.model.detector import Detector
from yolo.ops.decode import decode
from yolo.ops.loss import yolo_loss
from yolo.ops.nms import suppress
from yolo.ops.slots import make_slots

CLASSES = 4
SLOTS = make_slots(
    (64, 96), (32, 16), [np.array([[40, 20], [30, 60]], np.float32), np.array([[8, 8], [10, 20]], np.float32)]
)
CONFIGS = {
    **{box: LossConfig(box=box, ignore_iou=0.3) for box in ("giou", "diou", "ciou", "squared")},
    "several": LossConfig(assign_iou=0.3, label_smoothing=0.1, ignore_iou=0.3),
}


def make_inputs():
    rng = np.random.default_rng(0)
    maps = [
        rng.normal(0, 1, (3, rows, columns, 2, 5 + CLASSES)).astype(np.float32) for rows, columns in ((2, 3), (4, 6))
    ]
    centre, size = rng.uniform(5, (90, 60), (3, 8, 2)), rng.uniform(5, 50, (3, 8, 2))
    targets = {
        "boxes": np.concatenate([centre - size / 2, centre + size / 2], -1).astype(np.float32),
        "labels": rng.integers(0, CLASSES, (3, 8)).astype(np.int32),
        "valid": rng.random((3, 8)) < 0.7,
        "ignore": rng.random((3, 8)) < 0.3,
    }
    return maps, targets


def gradients(function, maps):
    """Of a scalar function of the maps, as numpy arrays."""
    backend = keras.backend.backend()
    tensors = [ops.convert_to_tensor(each) for each in maps]
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(tensors)
        found = tape.gradient(value, tensors)
    elif backend == "jax":
        import jax

        found = compiled(jax.grad(function))(tensors)
    else:
        tensors = [each.requires_grad_() for each in tensors]
        function(tensors).backward()
        found = [each.grad for each in tensors]
    return [ops.convert_to_numpy(each) for each in found]


def compiled(function):
    """On JAX, which otherwise compiles each operation by itself."""
    if keras.backend.backend() != "jax":
        return function
    import jax

    return jax.jit(function)


def main(path):
    maps, targets = make_inputs()
    padded = {key: ops.convert_to_tensor(value) for key, value in targets.items()}
    tensors = [ops.convert_to_tensor(each) for each in maps]
    values = {}
    for name, config in CONFIGS.items():

        def total(tensors, config=config):
            return sum(ops.sum(term) for term in yolo_loss(tensors, SLOTS, config, **padded))

        def terms(tensors, config=config):
            return yolo_loss(tensors, SLOTS, config, **padded)._asdict()

        for term, value in compiled(terms)(tensors).items():
            values[f"{name} {term}"] = ops.convert_to_numpy(value)
        for scale, gradient in enumerate(gradients(total, maps)):
            values[f"{name} gradient {scale}"] = gradient
    predictions = compiled(partial(decode, slots=SLOTS))(tensors)
    for part, value in predictions._asdict().items():
        values[part] = ops.convert_to_numpy(value)
    for kind in get_args(NmsKind):
        nms = NmsConfig(conf=0.2, iou=0.4, kind=kind)
        kept = compiled(partial(suppress, config=nms, canvas=SLOTS.canvas))(predictions)
        values |= {f"kept {kind} {part}": ops.convert_to_numpy(value) for part, value in kept._asdict().items()}
    values |= train_two_steps()
    np.savez(path, **values)


def train_two_steps():
    """Losses of two steps of fit, and what the detector then says."""
    detector = Detector("net.cfg", cfg=two_scales(2, side=64), classes=["a", "b"])
    for layer in detector.network.layers:  # every backend draws its own numbers
        rng = np.random.default_rng(len(layer.name))
        layer.set_weights(
            [
                rng.normal(0, np.sqrt(2 / np.prod(w.shape[:-1])), w.shape) if "kernel" in v.path else w
                for v, w in zip(layer.weights, layer.get_weights(), strict=True)
            ]
        )
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    boxes = np.tile(np.array([[[8, 8, 40, 40], [20, 30, 60, 60]]], np.float32), (2, 1, 1))
    targets = {
        "boxes": boxes,
        "labels": np.array([[0, 1]] * 2, np.int32),
        "valid": np.ones((2, 2), bool),
        "ignore": np.zeros((2, 2), bool),
    }
    detector.compile(keras.optimizers.SGD(0.001))
    history = detector.fit(images, targets, batch_size=2, epochs=2, shuffle=False, verbose=0).history
    found = detector.find(images, NmsConfig(conf=0.0, max_detections=5))
    return {**{f"fit {key}": np.array(value) for key, value in history.items()}, "fit scores": found.scores}


if __name__ == "__main__":
    main(sys.argv[1])
