"""`yolov3 train DATA`: trains a detector."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from yolo.cli import presets
from yolo.cli.common import (
    add_weights_options,
    check_output,
    hold_output,
    parse_size,
    prepare_output,
)
from yolo.cli.config_file import BoundedConfigFile
from yolo.cli.data_options import add_data_arguments, choose_split, load_data, load_other
from yolo.cli.hosts import add_host_arguments, on_hosts
from yolo.cli.options import add_config, make_config
from yolo.cli.resume_options import changeable, check_given, completed, describe_command, write_data_file
from yolo.config import NewClasses, Precision, TrainConfig
from yolo.datasets.annotations.splits import find_split
from yolo.datasets.load import available_splits
from yolo.errors import AnnotationError, ConfigError
from yolo.files.atomic import exists, is_folder, to_json
from yolo.files.locks import check_free
from yolo.structs import Dataset, counted
from yolo.system.startup import start_keras
from yolo.training.run.checkpoint import FOLDER as CHECKPOINTS

if TYPE_CHECKING:
    from yolo.model.detector import Detector
    from yolo.training.result import TrainResult

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        action=BoundedConfigFile,
        metavar="FILE",
        help="YAML file of options, such as a run's config.yaml; overridden by typed options",
    )
    parser.add_argument("--preset", type=str | None, metavar="NAME", help=presets.HELP)
    add_data_arguments(parser, split="train if there is one, else all", required=False, names=False)
    parser.add_argument_group("data").add_argument(
        "--val",
        type=str | None,
        metavar="DATA",
        help="split or other dataset to validate on (default: val if there is one, else a tenth of the images)",
    )
    add_network_arguments(parser)
    add_weights_options(parser)
    add_run_arguments(parser)
    add_host_arguments(parser)
    add_config(parser, TrainConfig)


def add_network_arguments(parser: ArgumentParser) -> None:
    """Add the options of the network and its initial weights."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        type=str | None,
        help="network: yolov3, yolov3-spp, yolov3-tiny or a Darknet .cfg file "
        "(default: that of --weights, else yolov3)",
    )
    group.add_argument(
        "--backbone",
        type=str | None,
        metavar="NAME",
        help="Keras network (keras.applications) below YOLOv3's heads, such as keras:EfficientNetB0; "
        "instead of --model",
    )
    group.add_argument(
        "--weights",
        type=str | None,
        help="pretrained weights: a .keras or .h5 file, the folder of a run, Darknet .weights (with --cfg, or the .cfg "
        "beside them), a published name such as yolov3-coco, or imagenet with --backbone",
    )
    group.add_argument(
        "--new", type=NewClasses, default="fresh", help="initial head filters of classes unknown to --weights"
    )
    group.add_argument(
        "--size",
        type=str | int | None,
        help="input size: one side, or HEIGHTxWIDTH; multiples of 32 (default: that of --weights, else 416)",
    )
    group.add_argument(
        "--anchors",
        type=str | None,
        help="anchors: a file, a published set, or auto to fit them to the boxes (default: those of --weights, else "
        "auto)",
    )
    group.add_argument(
        "--precision", type=Precision, default="auto", help="numeric precision; auto: bfloat16 where supported"
    )


def add_run_arguments(parser: ArgumentParser) -> None:
    """Add the options of the run: devices, output folder, callbacks, resume."""
    group = parser.add_argument_group("run")
    group.add_argument("--out", type=str | None, metavar="DIR", help="folder of the run (default: runs/train-N)")
    group.add_argument("--force", action="store_true", help="write into --out even if it is not empty")
    group.add_argument(
        "--resume",
        type=str | None,
        metavar="DIR",
        help="resume the run in this folder; give DATA, --val and --images only if its images were moved",
    )
    group.add_argument(
        "--replay",
        type=str | None,
        metavar="FILE",
        help="repeat a step whose loss was non-finite, from a file in the run's faults folder",
    )
    group.add_argument(
        "--devices",
        type=str | None,
        help="devices to train on, such as gpu:0,gpu:1 or their number (default: all GPUs among which the batch can be "
        "split evenly, else the CPU)",
    )
    group.add_argument("--tensorboard", action="store_true", help="write TensorBoard logs to OUT/tensorboard")
    group.add_argument(
        "--keep_checkpoints",
        action="store_true",
        help="keep the checkpoints when the run is finished",
    )
    group.add_argument(
        "--callbacks",
        type=str | list[str | dict[str, dict[str, Any] | None]] | None,
        metavar="NAMES",
        help="Keras callbacks by import path, separated by commas, or as YAML with arguments; wandb and mlflow for "
        "short; with several hosts only the first one calls them",
    )


def run(arguments: Namespace) -> int:
    if arguments.replay is not None:
        replay(arguments)
        return 0
    if arguments.resume is not None:
        if not exists(arguments.resume):
            raise ConfigError(f"{arguments.resume}: no such folder")
        if not is_folder(Path(arguments.resume) / CHECKPOINTS):
            check_free(arguments.resume, remedy="wait for it or end it")  # it may have begun just now
            raise ConfigError(f"{arguments.resume}: holds no checkpoint to go on from; begin the run again")
        return on_hosts(arguments, go_on)
    if arguments.data is None:
        raise ConfigError("name the DATA to learn from, or a run to go on with (--resume DIR)")
    return on_hosts(arguments, begin_run)


def begin_run(arguments: Namespace) -> None:
    """Train a new detector."""
    from yolo.datasets.augment.augmenter import Augmenter

    config = make_config(TrainConfig, arguments)
    size = None if arguments.size is None else parse_size(arguments.size)
    check_source(arguments)
    dataset, validation = load_both(arguments)
    Augmenter(config.augment, dataset.classes)  # refuses unknown classes and faults in the albumentations file
    start_keras()
    from yolo.distributed.hosts import present_hosts
    from yolo.training.run.folder import RunFolder, next_folder

    hosts = present_hosts()
    if hosts.first and arguments.out:
        check_output(arguments.out, force=arguments.force)
    if hosts.first:
        report_findings(arguments.data, dataset, validation, size)
    precision = set_precision(arguments.precision)
    detector = make_detector(arguments, dataset, size, config.seed)
    if hosts.first:  # only after all checks: a refused command leaves no folder
        arguments.out = str(prepare_output(arguments.out or next_folder(), force=arguments.force))
    folder = Path(hosts.broadcast_text(arguments.out or ""))
    from yolo.training.callbacks.user_callbacks import load_for_host
    from yolo.training.trainer import train, with_whole_path

    config = with_whole_path(config)  # config.yaml may be used in another folder too
    if hosts.first:
        RunFolder(folder).write_config({**describe(arguments, detector), **asdict(config)})
        write_data_file(folder, arguments)
    result = train(
        detector,
        dataset,
        validation=validation,
        out=folder,
        config=config,
        command=describe_command(arguments, precision),
        callbacks=load_for_host(arguments.callbacks, hosts),
        **how(arguments),
    )
    if hosts.first:
        report(result, folder, as_json=arguments.json)


def go_on(arguments: Namespace) -> None:
    """Resume a stopped run; DATA, --val and --images, if given, say where its images are now.

    Raises:
        ConfigError: there is nothing to go on with, or options are given that the run did not begin with.
    """
    start_keras()
    from yolo.distributed.hosts import present_hosts
    from yolo.training.callbacks.user_callbacks import load_for_host
    from yolo.training.trainer import last_checkpoint, resume

    hosts = present_hosts()
    if hosts.first and is_folder(arguments.resume):
        hold_output(arguments.resume, remedy="wait for it or end it")
    checkpoint = last_checkpoint(arguments.resume)
    command = checkpoint.meta["command"]
    if not command:
        raise ConfigError(f"{arguments.resume}: this run was begun in Python; go on with it there (yolo.resume)")
    folder = Path(arguments.resume)
    config = check_given(arguments.given, checkpoint.meta, folder)
    set_precision(command["precision"])
    arguments = completed(arguments, command)
    dataset, validation = load_both(arguments)
    if hosts.first:
        write_data_file(folder, arguments)
    _, result = resume(
        folder,
        dataset,
        validation=validation,
        checkpoint=checkpoint,
        callbacks=load_for_host(arguments.callbacks, hosts),
        **how(arguments),
        command={**command, **changeable(arguments)},
        **vars(config),
    )
    if hosts.first:
        report(result, folder, as_json=arguments.json)


def how(arguments: Namespace) -> dict[str, Any]:
    """Arguments of `train` that a resume may change: devices, what is shown and what is kept."""
    same = ("devices", "tensorboard", "keep_checkpoints")
    return {"live": True, **{name: arguments[name] for name in same}}


def replay(arguments: Namespace) -> None:
    """Repeat a recorded step whose loss was non-finite, and print what it does."""
    start_keras()
    from yolo.training.engine.replay import replay as replay_step

    found = replay_step(arguments.replay)
    if arguments.json:
        print(to_json(found))
        return
    for picture in found["pictures"]:
        losses = ", ".join(f"{name} {value:.6g}" for name, value in picture.items() if name != "files")
        print(f"{', '.join(picture['files'])}: {losses}")
    for name in found["not_finite"]:
        print(f"not finite: {name}")
    print(f"step {found['step']}: {found['outcome']}")


def set_precision(name: Precision) -> str:
    """Set the Keras precision of an option, and return its resolved name."""
    import keras

    from yolo.model.backend.precision import choose_precision

    policy = choose_precision(name)
    keras.config.set_dtype_policy(policy)
    return policy


def report(result: TrainResult, folder: Path, *, as_json: bool) -> None:
    """Print the result of a run."""
    metric = result.best_metric
    logger.info("best.keras is of epoch %d, chosen by %s; everything is in %s", result.best_epoch, metric, folder)
    coco, pictures = result.metrics["coco"], result.metrics["images"]
    text = f"{folder / 'best.keras'}: AP50 {coco['AP50']:.4f}, AP {coco['AP']:.4f} on {pictures} pictures"
    print(to_json(result.metrics) if as_json else text)


def check_source(arguments: Namespace) -> None:
    """Refuse --weights that are missing, or in the run's own folder, where they would be overwritten.

    Raises:
        YoloError: the weights are refused.
    """
    from yolo.weights.locate import IMAGENET, find_start

    if arguments.weights in (None, IMAGENET):
        return
    path = find_start(arguments.weights)
    if arguments.out and Path(path).resolve().parent == Path(arguments.out).resolve():
        raise ConfigError(f"--weights {arguments.weights}: lies in the run's own folder; give another --out")


def load_both(arguments: Namespace) -> tuple[Dataset, Dataset | None]:
    """Load the training images, and the validation images if there are any."""
    split = choose_split(arguments, "train", "trainval")
    dataset = load_data(arguments, split)
    logger.info(
        "%s: %s, %s, %s",
        dataset.name,
        counted(len(dataset), "picture"),
        counted(len(dataset.boxes), "box"),
        counted(len(dataset.classes), "class"),
    )
    splits = available_splits(arguments.data)
    # Splits other than train may contain the images of val.
    given = find_split("val", splits) if split == "train" else None
    chosen = (find_split(arguments.val, splits) or arguments.val) if arguments.val else given
    if chosen is None:
        return dataset, None
    if chosen in splits:
        validation = load_data(arguments, chosen, classes=dataset.classes)
    elif exists(chosen):
        validation = load_other(chosen, arguments, None, classes=dataset.classes)
    else:
        has = ", ".join(splits) or "it has none"
        raise AnnotationError(f"--val {chosen}: neither a split of {arguments.data} ({has}) nor a dataset")
    return dataset, validation


def report_findings(data: str, dataset: Dataset, validation: Dataset | None, size: tuple[int, int] | None) -> None:
    """Log in one line how much looks wrong with the data, as far as that shows without reading images."""
    from yolo.doctor.check import CANVAS, cheap_findings

    parts: dict[str | None, Dataset] = {"train": dataset}
    if validation is not None:
        parts["val"] = validation
    found = cheap_findings(parts, size=size or CANVAS)
    if found:
        titles = "; ".join(f"{each.kind.title}: {each.count}" for each in found)
        logger.warning("%s: yolov3 data check %s (%s)", counted(len(found), "finding"), data, titles)


def describe(arguments: Namespace, detector: Detector) -> dict[str, Any]:
    """Options that make the same detector again from the same data."""
    given = ("model", "backbone", "weights", "cfg", "names", "new", "anchors", "precision")
    return {
        **{name: arguments[name] for name in given},
        "size": "x".join(map(str, detector.canvas)),
        "letterbox": detector.letterbox,
    }


def make_detector(arguments: Namespace, dataset: Dataset, size: tuple[int, int] | None, seed: int) -> Detector:
    """Make the detector that the options describe.

    Raises:
        YoloError: the options do not fit each other, or the weights do not fit the network.
    """
    from yolo.training import setup

    if arguments.model and arguments.backbone:
        raise ConfigError(f"--model {arguments.model} and --backbone {arguments.backbone}: give one of them")
    same = ("weights", "anchors", "letterbox", "new", "cfg", "names", "offline")
    options = {name: arguments[name] for name in same}
    return setup.make_detector(dataset, model=arguments.model or arguments.backbone, size=size, seed=seed, **options)
