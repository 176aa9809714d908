"""The store of a search: which trials there are, what came of them, and which are to be repeated (Optuna)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from yolo.errors import ConfigError
from yolo.training.run.consistency import differences

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

logger = logging.getLogger("yolo.tuning")

STORE = "study.db"
RANDOM_TRIALS = 8
"""Trials before the sampler begins to learn from them."""
COMPARED = 4
"""Trials that run to their end before others are measured by them."""
LARGEST_REPEATS = 2
"""How often a trial is begun again that ended with the program: it may be what ended it."""
CONDITIONS, REPEATED, SECONDS, REASON = "conditions", "repeated", "seconds", "reason"
"""Names in the store."""


@contextmanager
def opened(folder: Path, conditions: Mapping[str, Any], *, epochs: int) -> Iterator[optuna.Study]:
    """The study in a folder, which no other process works on meanwhile.

    Args:
        folder: of the search; it is made if there is none.
        conditions: what must not change when a search goes on, as plain data.
        epochs: of a trial.

    Raises:
        ConfigError: Optuna is missing, or the folder holds another search.
    """
    optuna = require_optuna()
    from sqlalchemy.engine import URL

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        address = URL.create("sqlite", database=str(folder / STORE)).render_as_string()
        storage = optuna.storages.RDBStorage(address)
        try:
            study = optuna.create_study(
                storage=storage,
                study_name="yolov3",
                direction="maximize",
                load_if_exists=True,
                pruner=optuna.pruners.MedianPruner(COMPARED, n_warmup_steps=max(1, epochs // 4)),
            )
            check_conditions(study, conditions, folder)
            yield study
        finally:
            storage.remove_session()
            storage.engine.dispose()


def require_optuna() -> Any:
    """The package.

    Raises:
        ConfigError: it is missing.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise ConfigError("tune needs Optuna: pip install 'yolov3-keras[tune]'") from error
    return optuna


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """While it lasts, no other process searches in the folder; the system ends it with this one, however that ends.

    Raises:
        ConfigError: another one does.
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows: the user has to see to it
        yield
        return
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f"{folder}: another process searches there; give another --out") from error
        yield


def check_conditions(study: optuna.Study, conditions: Mapping[str, Any], folder: Path) -> None:
    """Note what the search begins with, or see that it is the same as then.

    Raises:
        ConfigError: something has changed.
    """
    before = study.user_attrs.get(CONDITIONS)
    if before is None:
        study.set_user_attr(CONDITIONS, dict(conditions))
        return
    changed = differences(before, json.loads(json.dumps(conditions)))  # as the store gives them back
    if changed:
        shown = "; ".join(f"{name}: {old} -> {new}" for name, (old, new) in changed.items())
        raise ConfigError(f"{folder}: holds a search that began otherwise ({shown}); give another --out")


def repeat_interrupted(study: optuna.Study) -> None:
    """Count trials that ended with the program as failed, and begin them again."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        repeated = trial.user_attrs.get(REPEATED, 0)
        if repeated < LARGEST_REPEATS:
            study.enqueue_trial(trial.params, user_attrs={REPEATED: repeated + 1})
            logger.info("the trial that was interrupted is begun again")


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that count: those that ended by themselves, whatever the end."""
    return [trial for trial in study.trials if trial.state.is_finished() and SECONDS in trial.user_attrs]


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    """The one with the highest AP, of equal ones the first; trials that were cut short do not count."""
    whole = [trial for trial in finished(study) if trial.value is not None and trial.state.name == "COMPLETE"]
    return max(whole, key=lambda trial: trial.value or 0.0, default=None)


def sampler(seed: int, number: int) -> Any:
    """What chooses the next trial's values: the same after an interruption as without it."""
    from optuna.samplers import TPESampler

    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return TPESampler(n_startup_trials=RANDOM_TRIALS, seed=own)
