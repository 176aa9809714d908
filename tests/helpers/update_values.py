"""Weights and averages after each of several steps, on the backend that KERAS_BACKEND names, written to an .npz.

Run by test_update_rules.py in a process of its own for each backend, and on TensorFlow for two replicas.
"""

from __future__ import annotations

import sys

import keras
import numpy as np

from yolo.training.optimizer.update_rules import SGD, AdamW

SHAPES = {"a/kernel": (3, 4), "a/bias": (4,), "b/kernel": (4, 2)}
SLOW, SHARE = "b/kernel", 0.25
STEPS = 6
COMMON = {"learning_rate": 0.05, "weight_decay": 0.3, "global_clipnorm": 2.0}
CASES = {
    "adamw": (AdamW, {}),
    "sgd": (SGD, {"momentum": 0.9, "nesterov": True}),
    "plain": (SGD, {"momentum": 0.0}),
    "averaged": (AdamW, {"use_ema": True, "ema_momentum": 0.3}),
    "accumulated": (SGD, {"momentum": 0.9, "use_ema": True, "ema_momentum": 0.3, "gradient_accumulation_steps": 3}),
    "scaled": (AdamW, {"use_ema": True, "ema_momentum": 0.3}),
}
OVERFLOW = 2
"""The step of the scaled case whose gradient overflows."""


def numbers():
    """First weights, and the gradients of every step; the first ones are below the clip norm, the others above."""
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    gradients = [
        {name: (scale * rng.normal(size=shape)).astype(np.float32) for name, shape in SHAPES.items()}
        for scale in np.linspace(0.05, 2, STEPS)
    ]
    return weights, gradients


def make(kind, options, *, scaled):
    """The variables and a rule for them, which may scale the loss."""
    weights, _ = numbers()
    variables = {name: keras.Variable(value, name=name.replace("/", "_")) for name, value in weights.items()}
    rule = kind(**COMMON, **options)
    rule.scales_loss = scaled
    rule.exclude_from_weight_decay(var_list=[variables["a/bias"]])
    rule.build(list(variables.values()))
    rule.slow_down([variables[SLOW]], SHARE)
    return variables, rule


def stepper(variables, rule, replicas):
    """A compiled function that applies gradients; of several replicas each has its part of them."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def apply(gradients):
            # Unequal parts, so that clipping each by itself would show.
            index = tf.distribute.get_replica_context().replica_id_in_sync_group
            part = 1.0 if replicas == 1 else tf.where(tf.equal(index, 0), 0.9, 0.1)
            rule.apply([gradients[name] * part for name in SHAPES], list(variables.values()))

        return tf.function(lambda gradients: tf.distribute.get_strategy().run(apply, args=(gradients,)))
    import jax

    stateless = jax.jit(rule.stateless_apply, donate_argnums=(0, 2))  # as in fit

    def step(gradients):
        state = [each.value for each in rule.variables], [each.value for each in variables.values()]
        weights, own = stateless(state[0], [gradients[name] for name in SHAPES], state[1])
        for variable, value in zip([*variables.values(), *rule.variables], [*weights, *own], strict=True):
            variable.assign(value)

    return step


def run(name, replicas=1):
    """{step, variable or average: value}."""
    variables, rule = make(*CASES[name], scaled=name == "scaled")
    step, values = stepper(variables, rule, replicas), {}
    for number, gradients in enumerate(numbers()[1]):
        if rule.scales_loss:
            values[f"{name} {number} scale"] = scale = float(rule.loss_scale * 1.0)
            scale *= np.inf if number == OVERFLOW else 1.0
            step({path: (scale * value).astype(np.float32) for path, value in gradients.items()})
        else:
            step(gradients)
        for index, (path, variable) in enumerate(variables.items()):
            values[f"{name} {number} {path}"] = keras.ops.convert_to_numpy(variable.value)
            if rule.use_ema:
                average = rule._model_variables_moving_average[index]
                values[f"{name} {number} {path} average"] = keras.ops.convert_to_numpy(average.value)
    return values


def main(path, replicas):
    values = {}
    if replicas == 1:
        for name in CASES:
            values |= run(name)
    else:
        import tensorflow as tf

        device = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * replicas)
        with tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(replicas)]).scope():
            for name in CASES:
                values |= run(name, replicas)
    np.savez(path, **values)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
