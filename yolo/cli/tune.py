"""`yolov3 tune DATA`: searches for better training options with short runs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from yolo.cli import train
from yolo.cli.common import check_output, parse_size
from yolo.cli.options import make_config
from yolo.config import TrainConfig, check
from yolo.errors import ConfigError
from yolo.files.atomic import to_json
from yolo.files.shipped import default_space_path
from yolo.system.startup import start_keras

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from yolo.model.detector import Detector

logger = logging.getLogger("yolo.tuning")

OUT = "runs/tune"
EPOCHS = 20
"""Default number of epochs of a trial."""


def add_arguments(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("search")
    group.add_argument("--trials", type=int, default=30, help="number of short runs, those before an interruption too")
    group.add_argument(
        "--space",
        type=str | None,
        metavar="FILE",
        help="YAML file of the search space (default: learning rate, weight decay, loss weights, augmentation)",
    )
    train.add_arguments(parser)
    parser.set_defaults({"out": OUT, "epochs": EPOCHS})


def run(arguments: Namespace) -> None:
    check_arguments(arguments)
    config = make_config(TrainConfig, arguments)
    size = None if arguments.size is None else parse_size(arguments.size)
    train.check_source(arguments)
    dataset, validation = train.load_both(arguments)
    start_keras()
    from yolo.training.search.space import read_space
    from yolo.training.search.study import require_optuna
    from yolo.training.search.tuning import Search, tune
    from yolo.training.setup import warn_of_overlap
    from yolo.training.trainer import with_whole_path

    require_optuna()
    folder = Path(arguments.out)
    check_folder(folder, force=arguments.force)
    train.set_precision(arguments.precision)
    if validation is not None:
        warn_of_overlap(dataset, validation)  # its trials' own warnings are silenced
    space = read_space(arguments.space or default_space_path(), config)
    detector = train.make_detector(arguments, dataset, size, config.seed)
    search = Search(
        make=lambda: copy_of(detector),
        dataset=dataset,
        validation=validation,
        config=with_whole_path(config),  # best.yaml may be used from another folder
        space=space,
        folder=folder,
        about=train.describe(arguments, detector),
        devices=arguments.devices,
        live=True,
    )

    def tell(best: FrozenTrial) -> None:
        report(best, search.folder, as_json=arguments.json)

    tell(tune(search, trials=arguments.trials, broken_off=tell))


def check_arguments(arguments: Namespace) -> None:
    """Reject options that a search does not support.

    Raises:
        ConfigError: an option is invalid, or only for `train`.
    """
    check(arguments.trials > 0, "trials", "> 0", arguments.trials)
    if arguments.data is None:
        raise ConfigError("tune: name the DATA to train on")
    if arguments.resume is not None or arguments.replay is not None:
        raise ConfigError("tune: to continue a search, repeat its command; --resume and --replay are options of train")
    alone = arguments.hosts in (None, "none") and arguments.rank is None and arguments.world is None
    if not alone:
        raise ConfigError("tune: a search runs on one host; leave out --hosts, --rank and --world")
    if arguments.tensorboard or arguments.callbacks or arguments.keep_checkpoints:
        raise ConfigError(
            "tune: trials are only shown in trials.csv and trials.png; leave out --tensorboard, --callbacks and "
            "--keep-checkpoints"
        )


def check_folder(folder: Path, *, force: bool) -> None:
    """Check that the folder belongs to a search, or is new.

    Raises:
        ConfigError: the folder holds other files and ``force`` is not given, or another process writes there.
    """
    from yolo.training.search.study import STORE

    if not (folder / STORE).exists():
        check_output(folder, force=force)


def copy_of(detector: Detector) -> Detector:
    """Copy a detector with its weights."""
    return detector.resized(detector.canvas)


def report(best: FrozenTrial, folder: Path, *, as_json: bool) -> None:
    """Print the result of a search."""
    found = folder / "best.yaml"
    logger.info("all trials are in %s; go on with: yolov3 train DATA --config %s", folder / "trials.csv", found)
    result = {"AP": best.value, "options": dict(best.params), "config": str(found)}
    print(to_json(result) if as_json else f"{found}: AP {best.value:.4f}")
