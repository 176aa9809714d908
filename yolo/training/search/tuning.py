"""Hyperparameter search: short training runs, the unpromising ones pruned (Optuna)."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import yaml

from yolo.config import HARMLESS, TrainConfig
from yolo.errors import AnnotationError, ConfigError
from yolo.files.atomic import write_text
from yolo.files.csv_table import write_csv
from yolo.model.detector import Detector
from yolo.structs import Dataset
from yolo.training.callbacks.progress import duration
from yolo.training.result import TrainResult
from yolo.training.run.consistency import describe_dataset
from yolo.training.run.state import NotFiniteError
from yolo.training.search.space import Space, Value, changed, present_values
from yolo.training.search.study import REASON, SECONDS, best_trial, finished, opened, repeat_interrupted, sampler
from yolo.training.trainer import train

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial, Trial

logger = logging.getLogger("yolo.tuning")  # not below yolo.training, which is silenced during a trial


@dataclass(frozen=True, kw_only=True)
class Search:
    """Everything that defines a search."""

    make: Callable[[], Detector]
    """Makes a new, untrained detector for each trial."""
    dataset: Dataset
    validation: Dataset | None
    """Validation data; None: a fixed tenth of the dataset, as in training."""
    config: TrainConfig
    """Options shared by all trials; the first trial has them unchanged."""
    space: Space
    folder: Path
    about: Mapping[str, Any]
    """Further command line options of the trials, copied to best.yaml."""
    devices: str | None = None
    """Devices as in `choose_devices`."""
    live: bool = False
    """Whether to show the progress of trials on the terminal."""

    def conditions(self) -> dict[str, Any]:
        """Everything that must be unchanged when the search is resumed."""
        return {
            "space": {name: str(each) for name, each in self.space.items()},
            "config": {name: value for name, value in asdict(self.config).items() if name not in HARMLESS},
            "about": dict(self.about),
            "dataset": describe_dataset(self.dataset),
            "validation": None if self.validation is None else describe_dataset(self.validation),
        }


def tune(search: Search, *, trials: int, broken_off: Callable[[FrozenTrial], Any] = lambda _best: None) -> FrozenTrial:
    """Search until there are ``trials`` trials, those of earlier calls included; returns the best one.

    Each trial trains a new detector for ``config.epochs``; its value is the best AP of its epochs. A trial that is
    below the median of the others after an epoch is pruned. After each trial best.yaml, trials.csv and trials.png are
    written to the folder.

    Args:
        search: definition of the search.
        trials: number of trials in total.
        broken_off: called with the best trial so far, if any, when an exception such as Ctrl-C ends the search.

    Raises:
        ConfigError: Optuna is not installed, another process writes into the folder, it holds another search, or no
            trial was completed.
        AnnotationError: AP is undefined, because the validation data has no box.
    """
    with opened(search.folder, search.conditions(), epochs=search.config.epochs) as study:
        repeat_interrupted(study)
        if not study.trials:
            study.enqueue_trial(present_values(search.config, search.space))
        try:
            while (number := len(finished(study))) < trials:
                study.sampler = sampler(search.config.seed, number)
                carry_out(search, study, total=trials)
                write_results(search, study)
            write_results(search, study)
        except BaseException:
            if so_far := best_trial(study):
                logger.info("stopped after %d of %d trials; repeat the command to resume", len(finished(study)), trials)
                broken_off(so_far)
            raise
        best = best_trial(study)
        if best is None:
            reasons = {str(trial.user_attrs.get(REASON)) for trial in finished(study)}
            raise ConfigError(f"{search.folder}: no trial came to its end: {'; '.join(sorted(reasons))}")
        return best


def carry_out(search: Search, study: optuna.Study, *, total: int) -> None:
    """Run one trial and store its result in the study.

    Raises:
        AnnotationError: AP is undefined.
    """
    from optuna.trial import TrialState

    trial = study.ask({name: each.distribution() for name, each in search.space.items()})
    number = len(finished(study)) + 1
    logger.info("trial %d/%d  %s", number, total, describe_values(trial.params))
    began = time.perf_counter()
    pruning = Pruning(trial, search.config.epochs)
    try:
        result = train_quietly(search, trial.params, pruning)
    except ConfigError as error:  # incompatible options, or a non-finite loss
        diverged = isinstance(error.__context__, NotFiniteError)
        trial.set_user_attr(REASON, str(error))
        # A diverged run detects nothing: AP 0, from which the sampler learns; incompatible options have no AP.
        value, state = (0.0, TrialState.COMPLETE) if diverged else (None, TrialState.FAIL)
        logger.warning("trial %d/%d  %s", number, total, error)
    else:
        value = best_ap(result)
        state = TrialState.PRUNED if pruning.pruned else TrialState.COMPLETE
    trial.set_user_attr(SECONDS, time.perf_counter() - began)
    study.tell(trial, None if state == TrialState.PRUNED else value, state=state)
    log_trial(study, number=number, total=total)


class Pruning(keras.callbacks.Callback):
    """Callback that reports AP to Optuna after each epoch, and stops the run if the trial is to be pruned."""

    def __init__(self, trial: Trial, epochs: int):
        super().__init__()
        self.trial, self.epochs, self.pruned = trial, epochs, False

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        ap = (logs or {})["AP"]
        if math.isnan(ap):
            raise AnnotationError(
                "AP is undefined: the validation pictures have no box to find; name others with --val"
            )
        self.trial.report(ap, epoch)
        if epoch + 1 < self.epochs and self.trial.should_prune():
            self.pruned = self.model.stop_training = True


def train_quietly(search: Search, values: Mapping[str, Value], pruning: Pruning) -> TrainResult:
    """Train for a trial, without log messages, and free its memory afterwards."""
    training = logging.getLogger("yolo.training")
    level = training.level
    training.setLevel(logging.ERROR)
    try:
        return train(
            search.make(),
            search.dataset,
            validation=search.validation,
            config=changed(search.config, values),
            callbacks=[pruning],
            out=None,
            live=search.live,
            devices=search.devices,
        )
    finally:
        training.setLevel(level)
        keras.utils.clear_session()


def best_ap(result: TrainResult) -> float:
    """Best AP of a run's epochs; 0 if there is none."""
    return max((row["AP"] for row in result.history), default=0.0)


def log_trial(study: optuna.Study, *, number: int, total: int) -> None:
    """Log the result of the last trial and the time left."""
    done, best = finished(study), best_trial(study)
    last = done[-1]
    seconds = float(np.mean([trial.user_attrs[SECONDS] for trial in done]))
    leading = "" if best is None else f"  best {best.value:.4f} (trial {done.index(best) + 1})"
    ends = {"COMPLETE": f"AP {last.value or 0.0:.4f}", "PRUNED": "cut short", "FAIL": "failed"}
    logger.info(
        "trial %d/%d  %s  in %s%s  left %s",
        number,
        total,
        ends[last.state.name],
        duration(last.user_attrs[SECONDS]),
        leading,
        duration((total - number) * seconds),
    )


def describe_values(values: Mapping[str, Value]) -> str:
    """Format the values of a trial on one line."""
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items()
    )


def write_results(search: Search, study: optuna.Study) -> None:
    """Write best.yaml (for ``yolov3 train --config``), trials.csv and trials.png.

    Raises:
        ConfigError: a file cannot be written.
    """
    trials, best = finished(study), best_trial(study)
    write_table(search, trials)
    from yolo.images.plots import plot_trials

    values = [trial.value if trial.state.name == "COMPLETE" else None for trial in trials]
    cut = [max(trial.intermediate_values.values(), default=0.0) for trial in trials]
    plot_trials([math.nan if value is None else value for value in values], cut, search.folder / "trials.png")
    if best is not None:
        write_text(search.folder / "best.yaml", describe_best(search, best))


def describe_best(search: Search, best: FrozenTrial) -> str:
    """Format the options of the best trial as YAML, without ``epochs``, which is the user's choice."""
    options = {**search.about, **asdict(changed(search.config, best.params))}
    del options["epochs"]
    head = f"# AP {best.value:.4f} after at most {search.config.epochs} epochs, the best of a search.\n"
    return head + yaml.safe_dump(options, sort_keys=False, allow_unicode=True)


def write_table(search: Search, trials: list[FrozenTrial]) -> None:
    """Write trials.csv, a row per trial: state, AP, epochs, seconds, the values of its options, reason of a failure."""
    header = ["trial", "state", "AP", "epochs", "seconds", *search.space, "reason"]
    rows = [table_row(number, trial, list(search.space)) for number, trial in enumerate(trials, 1)]
    write_csv(search.folder / "trials.csv", header, rows)


def table_row(number: int, trial: FrozenTrial, names: Sequence[str]) -> list[Any]:
    """Format one trial as a row of trials.csv."""
    reached = trial.value if trial.value is not None else max(trial.intermediate_values.values(), default=0)
    seconds, epochs = f"{trial.user_attrs[SECONDS]:.1f}", len(trial.intermediate_values)
    own = [trial.params.get(name) for name in names]
    return [number, trial.state.name.lower(), f"{reached:.6g}", epochs, seconds, *own, trial.user_attrs.get(REASON, "")]
