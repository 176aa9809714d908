"""Keras callbacks by name: the hooks to Weights & Biases, MLflow, and whatever else speaks Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import keras

from yolo.distributed.hosts import Hosts
from yolo.errors import ConfigError

Spec = str | Sequence[str | Mapping[str, Mapping[str, Any] | None]] | Mapping[str, Mapping[str, Any] | None]
"""Names, separated by commas; or a list of names, some with arguments: ``[wandb, {my.Callback: {every: 3}}]``."""

PROJECT = "yolov3"
"""The project or experiment that runs belong to when no other is named."""


class Service(NamedTuple):
    """A place where runs are followed, whose callback needs a run to be begun."""

    callback: str
    begin: Callable[..., None]
    """Begins one with the user's arguments unless there is one; the service itself ends it with the program."""


def begin_wandb(**options: Any) -> None:
    """As `wandb.init`."""
    wandb: Any = import_module("wandb")
    if wandb.run is None:
        wandb.init(**{"project": PROJECT, **options})


def begin_mlflow(*, tracking_uri: str | None = None, experiment: str = PROJECT, **options: Any) -> None:
    """As `mlflow.start_run`, in an experiment, at the tracking server or folder of a URI."""
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
"""Short names; the arguments given with one are the run's."""

STEERING = (
    keras.callbacks.BackupAndRestore,
    keras.callbacks.EarlyStopping,
    keras.callbacks.LearningRateScheduler,
    keras.callbacks.ReduceLROnPlateau,
    keras.callbacks.SwapEMAWeights,
    keras.callbacks.TerminateOnNaN,
)
"""Keras' own callbacks that change the run they see."""


def load_callbacks(spec: Spec | None) -> list[keras.callbacks.Callback]:
    """The callbacks of a specification, in its order; nothing else is imported.

    Raises:
        ConfigError: a package is not installed, there is no such name in it, it is no Keras callback, or it does not
            take the arguments.
    """
    return [load_callback(name, arguments) for name, arguments in entries(spec or [])]


def load_for_host(spec: Spec | None, hosts: Hosts) -> list[keras.callbacks.Callback]:
    """The callbacks of a specification, of several hosts on the first alone: as many runs would be shown otherwise.

    Raises:
        ConfigError: as of `load_callbacks`; or one of several hosts would steer the run, which the others would not
            follow.
    """
    if not hosts.first:
        return []
    found = load_callbacks(spec)
    steering = [type(each).__name__ for each in found if isinstance(each, STEERING)]
    if steering and hosts.world > 1:
        raise ConfigError(
            f"callbacks: of several hosts the first alone has them, so that {steering[0]} cannot steer the run; "
            "leave it out (--patience, --schedule and --learning-rate steer all hosts)"
        )
    return found


def entries(spec: Spec) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each name and its arguments.

    Raises:
        ConfigError: the specification has another form.
    """
    if isinstance(spec, str):
        yield from ((name.strip(), {}) for name in spec.split(",") if name.strip())
    elif isinstance(spec, Mapping):
        for name, arguments in spec.items():
            if not isinstance(arguments, Mapping | None):
                raise ConfigError(f"callbacks: the arguments of {name} must be names and values, got {arguments!r}")
            yield str(name), {str(key): value for key, value in (arguments or {}).items()}
    elif isinstance(spec, Sequence):
        for entry in spec:
            yield from entries(entry)
    else:
        raise ConfigError(f"callbacks must be names, or names with their arguments, got {spec!r}")


def load_callback(name: str, arguments: Mapping[str, Any]) -> keras.callbacks.Callback:
    """The callback of a short name or import path; errors as of `load_callbacks`."""
    service = SERVICES.get(name)
    kind = find(service.callback if service else name)
    if not (isinstance(kind, type) and issubclass(kind, keras.callbacks.Callback)):
        raise ConfigError(f"callbacks: {name} is no class of Keras callbacks")
    try:
        if service is None:
            return kind(**arguments)
        service.begin(**arguments)
        return kind()
    except Exception as error:  # whatever the package raises, it is about what the user gave it
        raise ConfigError(f"callbacks: {name} cannot be made of {dict(arguments)} ({error})") from error


def find(path: str) -> Any:
    """What an import path such as ``keras.callbacks.CSVLogger`` names.

    Raises:
        ConfigError: there is nothing of this name.
    """
    module_name, _, attribute = path.rpartition(".")
    if not all(part.isidentifier() for part in path.split(".")) or not module_name:
        short = ", ".join(SERVICES)
        raise ConfigError(
            f"callbacks: {path!r} is no import path such as keras.callbacks.CSVLogger, and none of {short}"
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
    """Lets callbacks see the several fits of a run, one a stage, as one.

    Many begin anew when a training begins: they truncate their files or forget the best epoch.

    Args:
        callbacks: which see one beginning, and one end.
        finished: whether the run is, asked at the end of a fit.
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
