"""A loss that is not finite: what is kept of it, and how to look at that step again."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import NDArray

from yolo.config import LossConfig
from yolo.datasets.bridge import reported_failures
from yolo.errors import ConfigError
from yolo.files import remove_abandoned, write_whole
from yolo.model.canvases import network_on
from yolo.model.detector import Detector
from yolo.model.steps import NOT_FINITE, NOT_FINITE_GRADIENT
from yolo.ops.boxes import Tensor
from yolo.ops.loss import LossTerms
from yolo.training import checkpoint
from yolo.training.checkpoint import Checkpoint
from yolo.training.preview import draw_batches
from yolo.training.schedule import peak_rate
from yolo.training.stages import ordered_layers
from yolo.training.update_rules import SGD

if TYPE_CHECKING:
    from yolo.training.run import Run

logger = logging.getLogger(__name__)

LARGEST_FAULTS = 3
"""So many times, and the run ends."""
RATE_AFTER_FAULT = 0.5
"""The rate after a fault, as a share of that before."""
FOLDER = "faults"


def is_not_finite(error: Exception) -> bool:
    """Whether an error of TensorFlow's says that a step was stopped because of its loss or gradient."""
    return NOT_FINITE in str(error) or NOT_FINITE_GRADIENT in str(error)


def recover(run: Run) -> None:
    """Keep the batch whose loss was not finite, and go back to the last checkpoint with a lower rate.

    Raises:
        ConfigError: it happened too often, or there is no checkpoint to go back to.
    """
    if keras.backend.backend() == "jax":
        run.detector.jax_state_sync()
    state = run.state
    state.faults += 1
    state.rate_share *= RATE_AFTER_FAULT
    where = f"epoch {state.step // run.steps + 1}, step {state.step % run.steps + 1}"
    rate = peak_rate(run.config, run.batch) * state.rate_share
    advice = f"start again with a --learning_rate below {rate:.2g}"
    if run.folder is None or run.checkpoints is None:
        raise ConfigError(f"the loss is no longer finite ({where}); {advice}")
    fault = write_fault(run, run.folder.path) if run.devices.hosts.first else run.folder.path
    if state.faults >= LARGEST_FAULTS:
        raise ConfigError(f"the loss is no longer finite ({where}), the third time; {advice}, and look at {fault}")
    if state.fault_step == state.step:  # the weights of the last one lead here again
        if run.devices.hosts.first:
            run.checkpoints.discard(state.restart_step)
        run.devices.hosts.any(False)  # nobody looks for one before that
    checkpoint = run.checkpoints.latest()
    if checkpoint is None:
        raise ConfigError(f"the loss is no longer finite ({where}), and there is no checkpoint; {advice}")
    run.take_up(checkpoint)
    run.state = replace(
        run.state,
        faults=state.faults,
        rate_share=state.rate_share,
        fault_step=state.step,
        restart_step=checkpoint.step,
    )
    logger.warning(
        "the loss is not finite (%s): back to step %d at %g of the rate; the batch is in %s",
        where,
        run.state.step,
        state.rate_share,
        fault,
    )


def write_fault(run: Run, parent: Path) -> Path:
    """Keep the batch of the present step, a picture of it, and the weights it met, in the run's folder.

    The batch is made once more: it is a function of the seed and its place in the stream.

    Returns:
        The file that ``yolov3 train --replay`` takes.
    """
    start = run.state.step * run.batch
    with reported_failures():
        images, targets = next(iter(run.batches(start).as_numpy_iterator()))
    folder = parent / FOLDER
    folder.mkdir(exist_ok=True)
    remove_abandoned(folder)
    path = folder / f"step-{run.state.step:09}.npz"
    weights = {f"weights/{name}": value for name, value in values_of(run.detector).items()}
    batch = {"batch/images": images, **{f"batch/{name}": value for name, value in targets.items()}}
    about = {
        **run.describe(),
        "loss": asdict(run.detector.loss_config),
        "frozen": [number for number, layer in enumerate(ordered_layers(run.detector)) if not layer.trainable],
        "pictures": run.files_of(start),
    }
    write_whole(path, lambda temporary: checkpoint.write(temporary, {**batch, **weights}, about))
    draw_batches([(images, targets)], run.detector.classes, path.with_suffix(".jpg"), count=run.batch)
    return path


def replay(path: str | Path) -> dict[str, Any]:
    """The step that a fault's file holds, once more, in the precision of its run; no file is changed.

    Returns:
        ``step``; ``outcome``: what the step says, or the loss it ends with; ``pictures``: the files each is made of and
        the terms of its loss; ``not_finite``: weights, layers' outputs and, of a loss that is finite, gradients that
        are not finite.

    Raises:
        WeightsError: the file is damaged, or none.
        ConfigError: it is a checkpoint without a batch.
    """
    fault = checkpoint.read(path)
    batch = {name.removeprefix("batch/"): value for name, value in fault.arrays.items() if name.startswith("batch/")}
    if "images" not in batch:
        raise ConfigError(f"{path}: holds no batch; give a file of a run's {FOLDER} folder")
    images = batch.pop("images")
    with precision(fault.meta["precision"]):
        detector = detector_of(fault)
        suspects = [*weights_not_finite(detector), *outputs_not_finite(detector, images)]
        pictures = losses_of_pictures(detector, images, batch, fault.meta["pictures"])
        finite = all(math.isfinite(picture[term]) for picture in pictures for term in LossTerms._fields)
        if finite:  # else no gradient is
            suspects += gradients_not_finite(detector, images, batch)
        said = outcome(detector, images, batch)  # last, as it changes the weights
    if said == NOT_FINITE and finite:  # JAX only tells that the step was refused
        said = NOT_FINITE_GRADIENT
    return {"step": fault.step, "pictures": pictures, "not_finite": suspects, "outcome": said}


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Networks are built with a Keras dtype policy; afterwards the one before is in force again."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def detector_of(fault: Checkpoint) -> Detector:
    """The detector of a fault's file as it was before the step: its weights, its loss and what was frozen."""
    detector = Detector.from_config(fault.meta["detector"])
    for variable in detector.variables:
        variable.assign(fault.arrays[f"weights/{variable.path}"])
    layers = ordered_layers(detector)
    for number in fault.meta["frozen"]:
        layers[number].trainable = False
    clip_norm = fault.meta["config"]["clip_norm"] or None
    # A run's optimizer, unlike Keras', refuses a gradient that is not finite; its moments are of no account.
    detector.compile(optimizer=SGD(global_clipnorm=clip_norm), loss=LossConfig(**fault.meta["loss"]))
    return detector


def losses_of_pictures(
    detector: Detector, images: NDArray[np.uint8], targets: dict[str, NDArray[Any]], files: list[list[str]]
) -> list[dict[str, Any]]:
    """For each picture of a batch its files and the terms of its loss."""
    terms = detector.loss_terms(detector(images, training=True), targets)
    columns = {name: keras.ops.convert_to_numpy(term).tolist() for name, term in terms._asdict().items()}
    return [
        {"files": names, **{term: column[row] for term, column in columns.items()}} for row, names in enumerate(files)
    ]


def values_of(detector: Detector) -> dict[str, NDArray[Any]]:
    """The values of its variables by path; mirrored ones have to be read first."""
    return {each.path: keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(each)) for each in detector.variables}


def weights_not_finite(detector: Detector) -> list[str]:
    """The names of the variables that hold values that are not finite."""
    return [path for path, value in values_of(detector).items() if not np.isfinite(value.astype(np.float32)).all()]


def outputs_not_finite(detector: Detector, images: NDArray[np.uint8]) -> list[str]:
    """The names of the layers, in Darknet's order, whose outputs are not finite for a batch of any canvas."""
    layers, canvas = detector.convolutions, (images.shape[1], images.shape[2])
    network = detector.network if canvas == detector.canvas else network_on(detector, canvas)
    # A layer's own `output` is that in the graph of the detector's canvas.
    nodes = [node for level in network._nodes_by_depth.values() for node in level]
    by_layer = {id(node.operation): node.outputs[0] for node in nodes}
    inner = keras.Model(network.inputs, [by_layer[id(layer)] for layer in layers])
    outputs = inner(keras.ops.cast(images, "float32"), training=True)
    finite = [bool(keras.ops.all(keras.ops.isfinite(output))) for output in outputs]
    return [f"output of {layer.name}" for layer, good in zip(layers, finite, strict=True) if not good]


def gradients_not_finite(detector: Detector, images: NDArray[np.uint8], targets: dict[str, NDArray[Any]]) -> list[str]:
    """The variables whose gradients are not finite for a batch; if it is only their common norm, that.

    Nothing on other backends than TensorFlow and JAX.
    """
    variables = detector.trainable_variables

    def loss() -> Tensor:
        terms = detector.loss_terms(detector(images, training=True), targets)
        return sum(keras.ops.mean(term) for term in terms)

    gradients = gradients_of(loss, variables)
    largest = {name: np.abs(each).max() for name, each in gradients.items()}
    found = [f"gradient of {name}" for name, value in largest.items() if not np.isfinite(value)]
    with np.errstate(over="ignore"):  # float32, as in the step
        norm = sum(np.square(each, dtype=np.float32).sum() for each in gradients.values())
    if found or np.isfinite(norm):
        return found
    return [f"norm of the gradient (largest: {max(largest, key=lambda name: largest[name])})"]


def gradients_of(loss: Callable[[], Tensor], variables: Sequence[keras.Variable]) -> dict[str, NDArray[Any]]:
    """The gradient of a loss for each variable, by its path; none on other backends than TensorFlow and JAX."""
    values = [variable.value for variable in variables]
    found: Sequence[Tensor] = []
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                total = loss()
            found = tape.gradient(total, values, unconnected_gradients="zero")
        case "jax":
            import jax

            def of(values: list[Tensor]) -> Tensor:
                with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                    return loss()

            found = jax.grad(of)(values)
    arrays = [keras.ops.convert_to_numpy(each) for each in found]
    return {variable.path: each for variable, each in zip(variables, arrays, strict=False)}


def outcome(detector: Detector, images: NDArray[np.uint8], targets: dict[str, NDArray[Any]]) -> str:
    """What a training step on a batch says of itself."""
    try:
        loss = detector.train_on_batch(images, targets, return_dict=True)["loss"]
    except Exception as error:
        if not is_not_finite(error):
            raise
        return NOT_FINITE_GRADIENT if NOT_FINITE_GRADIENT in str(error) else NOT_FINITE
    return f"loss {float(loss):.6g}" if np.isfinite(loss) else NOT_FINITE
