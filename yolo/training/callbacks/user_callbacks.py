"""Keras callbacks by name: Weights & Biases, MLflow, or any import path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import keras

from yolo.distributed.hosts import Hosts
from yolo.errors import ConfigError

Spec = str | Sequence[str | Mapping[str, Mapping[str, Any] | None]] | Mapping[str, Mapping[str, Any] | None]
"""Callback names separated by commas; or a list of names, with arguments if needed: ``[wandb, {my.Callback: {every:
3}}]``."""

PROJECT = "yolov3"
"""Project or experiment of runs for which no other is named."""


class Service(NamedTuple):
    """Experiment tracking service whose callback needs a started run."""

    callback: str
    begin: Callable[..., None]
    """Starts a run with the user's arguments, unless there is one; the service ends it when the program ends."""


def begin_wandb(**options: Any) -> None:
    """Start a run with the arguments of `wandb.init`."""
    wandb: Any = import_module("wandb")
    if wandb.run is None:
        wandb.init(**{"project": PROJECT, **options})


def begin_mlflow(*, tracking_uri: str | None = None, experiment: str = PROJECT, **options: Any) -> None:
    """Start a run with the arguments of `mlflow.start_run`, in an experiment at a tracking URI."""
    mlflow: Any = import_module("mlflow")
    if mlflow.active_run() is None:
        if tracking_uri is not None:
            mlflow.set_tracking_uri(tracking_uri)
        mlflow.set_experiment(experiment)
        mlflow.start_run(**options)


SERVICES = {
    "wandb": Service("wandb.integration.keras.WandbMetricsLogger", begin_wandb),
    "mlflow": Service("mlflow.keras.MlflowCallback", begin_mlflow),
}
"""Services by short name; arguments given with a name go to the run."""

STEERING = (
    keras.callbacks.BackupAndRestore,
    keras.callbacks.EarlyStopping,
    keras.callbacks.LearningRateScheduler,
    keras.callbacks.ReduceLROnPlateau,
    keras.callbacks.SwapEMAWeights,
    keras.callbacks.TerminateOnNaN,
)
"""Keras callbacks that change the run they observe."""


def load_callbacks(spec: Spec | None) -> list[keras.callbacks.Callback]:
    """Load the callbacks of a specification, in its order; nothing else is imported.

    Raises:
        ConfigError: a package is not installed, does not have the name, the object is not a Keras callback, or it does
            not accept the arguments.
    """
    return [load_callback(name, arguments) for name, arguments in entries(spec or [])]


def load_for_host(spec: Spec | None, hosts: Hosts) -> list[keras.callbacks.Callback]:
    """Load the callbacks of a specification on rank 0 only, so that services show a single run.

    Raises:
        ConfigError: as in `load_callbacks`; or a callback would steer rank 0, and other hosts would not follow.
    """
    if not hosts.first:
        return []
    found = load_callbacks(spec)
    steering = [type(each).__name__ for each in found if isinstance(each, STEERING)]
    if steering and hosts.world > 1:
        raise ConfigError(
            f"callbacks: only rank 0 of several hosts has them, so that {steering[0]} cannot steer the run; "
            "leave it out (--patience, --schedule and --learning-rate steer all hosts)"
        )
    return found


def entries(spec: Spec) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the arguments of each callback.

    Raises:
        ConfigError: the specification is malformed.
    """
    if isinstance(spec, str):
        yield from ((name.strip(), {}) for name in spec.split(",") if name.strip())
    elif isinstance(spec, Mapping):
        for name, arguments in spec.items():
            if arguments is not None and not isinstance(arguments, Mapping):
                raise ConfigError(f"callbacks: the arguments of {name} must be names and values, got {arguments!r}")
            yield str(name), {str(key): value for key, value in (arguments or {}).items()}
    elif isinstance(spec, Sequence):
        for entry in spec:
            yield from entries(entry)
    else:
        raise ConfigError(f"callbacks must be names, or names with their arguments, got {spec!r}")


def load_callback(name: str, arguments: Mapping[str, Any]) -> keras.callbacks.Callback:
    """Load a callback by short name or import path, with the errors of `load_callbacks`."""
    service = SERVICES.get(name)
    kind = find(service.callback if service else name)
    if not (isinstance(kind, type) and issubclass(kind, keras.callbacks.Callback)):
        raise ConfigError(f"callbacks: {name} is not a Keras callback class")
    try:
        if service is None:
            return kind(**arguments)
        service.begin(**arguments)
        return kind()
    except Exception as error:  # any error of the package is about the user's arguments
        raise ConfigError(f"callbacks: {name} cannot be made with {dict(arguments)} ({error})") from error


def find(path: str) -> Any:
    """Import the object at a path such as ``keras.callbacks.CSVLogger``.

    Raises:
        ConfigError: there is no such object.
    """
    module_name, _, attribute = path.rpartition(".")
    if not all(part.isidentifier() for part in path.split(".")) or not module_name:
        short = ", ".join(SERVICES)
        raise ConfigError(
            f"callbacks: {path!r} is neither an import path such as keras.callbacks.CSVLogger nor one of {short}"
        )
    package = module_name.partition(".")[0]
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name == package:
            raise ConfigError(
                f"callbacks: {path} needs a package that is missing: pip install {package} "
                "(or, if it is a module of your own, put its folder on PYTHONPATH)"
            ) from error
        raise ConfigError(f"callbacks: {path} cannot be imported ({error})") from error
    except ImportError as error:
        raise ConfigError(f"callbacks: {path} cannot be imported ({error})") from error
    if not hasattr(module, attribute):
        raise ConfigError(f"callbacks: {module_name} has no {attribute}")
    return getattr(module, attribute)


class OneFit(keras.callbacks.Callback):
    """Makes the several fits of a run, one per stage, look like a single fit to callbacks.

    Many callbacks reset on `on_train_begin`: they truncate their files or forget the best epoch.

    Args:
        callbacks: callbacks that get one beginning and one end.
        finished: whether the run is finished, asked at the end of each fit.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback], finished: Callable[[], bool]):
        super().__init__()
        self.callbacks, self.finished, self.begun = list(callbacks), finished, False

    def set_params(self, params: Any) -> None:
        super().set_params(params)
        self._tell("set_params", params)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self._tell("set_model", model)

    def on_train_begin(self, logs: Any = None) -> None:
        if not self.begun:
            self._tell("on_train_begin", logs)
        self.begun = True

    def on_train_end(self, logs: Any = None) -> None:
        if self.finished():
            self._tell("on_train_end", logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._tell("on_epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._tell("on_epoch_end", epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._tell("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._tell("on_train_batch_end", batch, logs)

    def _tell(self, event: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(*arguments)
