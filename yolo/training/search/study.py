"""Storage of a hyperparameter search: its trials, their results, and which to repeat (an Optuna study in SQLite)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from yolo.errors import ConfigError
from yolo.files.locks import locked_folder
from yolo.training.run.consistency import differences

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

logger = logging.getLogger("yolo.tuning")

STORE = "study.db"
RANDOM_TRIALS = 8
"""Random trials before the sampler uses their results."""
COMPARED = 4
"""Trials that are never pruned; later ones are compared with them."""
LARGEST_REPEATS = 2
"""Restarts of a trial that was running when the process died; bounded, as it may be the cause."""
CONDITIONS, REPEATED, SECONDS, REASON = "conditions", "repeated", "seconds", "reason"
"""Names of attributes in the study."""


@contextmanager
def opened(folder: Path, conditions: Mapping[str, Any], *, epochs: int) -> Iterator[optuna.Study]:
    """Open or create the study in a folder, which is locked against other processes meanwhile.

    Args:
        folder: folder of the search, created if missing.
        conditions: everything that must be unchanged when a search is resumed, as plain data.
        epochs: epochs of a trial.

    Raises:
        ConfigError: Optuna is not installed, another process writes into the folder, it holds another search, or its
            store cannot be written.
    """
    optuna = require_optuna()
    from sqlalchemy.engine import URL

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    with locked_folder(folder), named_faults(folder / STORE):
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


@contextmanager
def named_faults(store: Path) -> Iterator[None]:
    """Faults of the store become a ConfigError: the disk is full, for instance."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        inner = error.__cause__ if isinstance(error, StorageInternalError) else error
        reason = getattr(inner, "orig", inner)  # what SQLite says, without the statement and the advice around it
        raise ConfigError(f"{store}: cannot be read or written ({reason})") from error


def require_optuna() -> Any:
    """Import Optuna.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise ConfigError("tune needs Optuna: pip install 'yolov3-keras[tune]'") from error
    return optuna


def check_conditions(study: optuna.Study, conditions: Mapping[str, Any], folder: Path) -> None:
    """Store the conditions of a new search, or compare them with those of the one being resumed.

    Raises:
        ConfigError: a condition has changed.
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
    """Mark trials that were running when the process died as failed, and enqueue them again."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        repeated = trial.user_attrs.get(REPEATED, 0)
        if repeated < LARGEST_REPEATS:
            study.enqueue_trial(trial.params, user_attrs={REPEATED: repeated + 1})
            logger.info("the interrupted trial is repeated")


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """List the trials that ended by themselves: completed, pruned or failed."""
    return [trial for trial in study.trials if trial.state.is_finished() and SECONDS in trial.user_attrs]


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    """Return the completed trial with the highest AP, the first of equal ones; None if there is none."""
    whole = [trial for trial in finished(study) if trial.value is not None and trial.state.name == "COMPLETE"]
    return max(whole, key=lambda trial: trial.value or 0.0, default=None)


def sampler(seed: int, number: int) -> Any:
    """Make the sampler of a trial; seeded by its number, so that a resumed search chooses the same values."""
    from optuna.samplers import TPESampler

    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return TPESampler(n_startup_trials=RANDOM_TRIALS, seed=own)
