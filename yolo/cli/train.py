"""`yolov3 train DATA`: trains a detector."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ActionConfigFile, ArgumentParser, Namespace  # type: ignore[attr-defined]

from yolo.cli import presets
from yolo.cli.common import (
    WEIGHTS_HELP,
    add_config,
    add_data_arguments,
    add_weights_options,
    choose_split,
    make_config,
    parse_size,
    prepare_output,
)
from yolo.cli.hosts import add_host_arguments, on_hosts
from yolo.cli.resume_options import changeable, check_given, completed, describe_command
from yolo.config import NewClasses, Precision, TrainConfig
from yolo.datasets.load import available_splits, load_dataset
from yolo.errors import AnnotationError, ConfigError
from yolo.files.atomic import exists, to_json
from yolo.structs import Dataset
from yolo.system.startup import start_keras

if TYPE_CHECKING:
    from yolo.model.detector import Detector
    from yolo.training.result import TrainResult

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--config", action=ActionConfigFile, help="a YAML file of options, such as a run's config.yaml")
    add_data_arguments(parser, split="train if there is one, else everything", required=False)
    parser.add_argument(
        "--resume",
        type=str | None,
        default=None,
        help="go on with the run in this folder; DATA, --val and --images only if its pictures lie elsewhere now",
    )
    parser.add_argument(
        "--replay",
        type=str | None,
        default=None,
        help="look once more at a step whose loss was not finite: a file of a run's faults folder",
    )
    parser.add_argument(
        "--val",
        type=str | None,
        default=None,
        help="a split or another dataset to validate on (default: val if there is one, else a tenth)",
    )
    add_network_arguments(parser)
    parser.add_argument("--preset", type=str | None, default=None, help=presets.HELP)
    add_run_arguments(parser)
    add_host_arguments(parser)
    add_weights_options(parser)
    add_config(parser, TrainConfig)


def add_network_arguments(parser: ArgumentParser) -> None:
    """What is trained, and what it begins from."""
    parser.add_argument(
        "--model",
        type=str | None,
        default=None,
        help="yolov3, yolov3-spp, yolov3-tiny or a Darknet .cfg file (default: that of --weights, else yolov3)",
    )
    parser.add_argument(
        "--backbone",
        type=str | None,
        default=None,
        help="in place of --model: a keras.applications network below YOLOv3's heads, such as keras:EfficientNetB0",
    )
    parser.add_argument(
        "--weights",
        type=str | None,
        default=None,
        help=f"what to begin from: {WEIGHTS_HELP}; darknet53.conv.74 and the like, .h5, "
        "or imagenet with --backbone; what does not fit begins anew",
    )
    parser.add_argument(
        "--new", type=NewClasses, default="fresh", help="filters of classes that --weights does not know"
    )
    parser.add_argument(
        "--size",
        type=str | None,
        default=None,
        help="side of the canvas, or HEIGHTxWIDTH; multiples of 32 (default: that of --weights, else 416)",
    )
    parser.add_argument(
        "--anchors",
        type=str | None,
        default=None,
        help="a file, a published set, or auto: fitted to the pictures (default: those of --weights, else auto)",
    )
    parser.add_argument(
        "--precision",
        type=Precision,
        default="auto",
        help="arithmetic of the network (default: bfloat16 where the processor has it)",
    )


def add_run_arguments(parser: ArgumentParser) -> None:
    """Where the run computes and writes, and what shows it."""
    parser.add_argument("--tensorboard", action="store_true", help="write what TensorBoard shows to OUT/tensorboard")
    parser.add_argument(
        "--keep_checkpoints", action="store_true", help="keep the checkpoints of the finished run (default: drop them)"
    )
    parser.add_argument(
        "--callbacks",
        type=str | list[str | dict[str, dict[str, Any] | None]] | None,
        default=None,
        help="Keras callbacks by import path, separated by commas; wandb and mlflow for short; with arguments as YAML; "
        "of several hosts the first alone has them, so that they may watch a run but not change it",
    )
    parser.add_argument(
        "--devices",
        type=str | None,
        default=None,
        help="where to train, such as gpu:0,gpu:1 or a number of devices (default: all GPUs "
        "that the batch can be shared out among evenly, else the CPU)",
    )
    parser.add_argument(
        "--out", type=str | None, default=None, help="folder of the run (default: the next runs/train-N)"
    )
    parser.add_argument("--force", action="store_true", help="write into --out although it is not empty")


def run(arguments: Namespace) -> int:
    if arguments.replay is not None:
        replay(arguments)
        return 0
    if arguments.resume is not None:
        return on_hosts(arguments, go_on)
    if arguments.data is None:
        raise ConfigError("train: name the DATA to learn from, or a run to go on with (--resume DIR)")
    return on_hosts(arguments, begin_run)


def begin_run(arguments: Namespace) -> None:
    """Train a new detector."""
    config = make_config(TrainConfig, arguments)
    size = None if arguments.size is None else parse_size(arguments.size)
    dataset, validation = load_data(arguments)
    start_keras()
    from yolo.distributed.hosts import present_hosts
    from yolo.training.run.folder import RunFolder, next_folder

    hosts = present_hosts()
    if hosts.first:
        arguments.out = str(prepare_output(arguments.out or next_folder(), force=arguments.force))
    folder = Path(hosts.share(arguments.out or ""))
    check_source(arguments.weights, folder)
    precision = set_precision(arguments.precision)
    detector = make_detector(arguments, dataset, size, config.seed)
    from yolo.training.callbacks.user_callbacks import load_for_host
    from yolo.training.trainer import train, with_whole_path

    config = with_whole_path(config)  # config.yaml may be used in another folder too
    if hosts.first:
        RunFolder(folder).write_config({**describe(arguments, detector), **asdict(config)})
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
    """Go on with a run that was stopped; DATA, --val and --images, if given, say where its pictures are now.

    Raises:
        ConfigError: there is nothing to go on with, or options are given that the run did not begin with.
    """
    start_keras()
    from yolo.distributed.hosts import present_hosts
    from yolo.training.callbacks.user_callbacks import load_for_host
    from yolo.training.trainer import last_checkpoint, resume

    checkpoint, hosts = last_checkpoint(arguments.resume), present_hosts()
    command = checkpoint.meta["command"]
    if not command:
        raise ConfigError(f"{arguments.resume}: this run was begun in Python; go on with it there (yolo.resume)")
    folder = Path(arguments.resume)
    config = check_given(arguments.given, checkpoint.meta, folder)
    set_precision(command["precision"])
    arguments = completed(arguments, command)
    dataset, validation = load_data(arguments)
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
    """The arguments of `train` that say where a run computes and what it shows and keeps; a resume may change them."""
    same = ("devices", "tensorboard", "keep_checkpoints")
    return {"live": True, **{name: arguments[name] for name in same}}


def replay(arguments: Namespace) -> None:
    """Print what a step whose loss was not finite does."""
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
    """Let Keras compute with a precision; its name, chosen if it was to be."""
    import keras

    from yolo.model.backend.precision import choose_precision

    policy = choose_precision(name)
    keras.config.set_dtype_policy(policy)
    return policy


def report(result: TrainResult, folder: Path, *, as_json: bool) -> None:
    """Print what came of a run."""
    logger.info("best epoch %d; everything is in %s", result.best_epoch, folder)
    coco, pictures = result.metrics["coco"], result.metrics["images"]
    text = f"{folder / 'best.keras'}: AP50 {coco['AP50']:.4f}, AP {coco['AP']:.4f} on {pictures} pictures"
    print(to_json(result.metrics) if as_json else text)


def check_source(weights: str | None, folder: Path) -> None:
    """A run does not write over what it begins from.

    Raises:
        ConfigError: it would.
    """
    if weights is not None and Path(weights).resolve().parent == folder.resolve():
        raise ConfigError(f"--weights {weights}: lies in the run's own folder; give another --out")


def load_data(arguments: Namespace) -> tuple[Dataset, Dataset | None]:
    """The pictures to learn from, and those to validate on if there are any."""
    split = choose_split(arguments, "train", "trainval")
    dataset = load_dataset(arguments.data, split, images=arguments.images)
    logger.info(
        "%s: %d pictures, %d boxes, %d classes",
        dataset.name,
        len(dataset),
        len(dataset.boxes),
        len(dataset.classes),
    )
    splits = available_splits(arguments.data)
    # Any other split than train may hold the pictures of val too.
    given = next((name for name in ("val", "valid") if name in splits), None) if split == "train" else None
    chosen = arguments.val or given
    if chosen is None:
        return dataset, None
    if chosen in splits:
        validation = load_dataset(arguments.data, chosen, images=arguments.images, classes=dataset.classes)
    elif exists(chosen):
        validation = load_dataset(chosen, classes=dataset.classes)
    else:
        has = ", ".join(splits) or "it has none"
        raise AnnotationError(f"--val {chosen}: neither a split of {arguments.data} ({has}) nor a dataset")
    return dataset, validation


def describe(arguments: Namespace, detector: Detector) -> dict[str, Any]:
    """The options that, given again with the same data, make the same detector."""
    given = ("model", "backbone", "weights", "cfg", "names", "new", "anchors", "precision")
    return {
        **{name: arguments[name] for name in given},
        "size": "x".join(map(str, detector.canvas)),
        "letterbox": detector.letterbox,
    }


def make_detector(arguments: Namespace, dataset: Dataset, size: tuple[int, int] | None, seed: int) -> Detector:
    """The detector that the options describe.

    Raises:
        YoloError: the options do not fit each other, or the weights do not fit the network.
    """
    from yolo.training import setup

    if arguments.model and arguments.backbone:
        raise ConfigError(f"--model {arguments.model} and --backbone {arguments.backbone}: give one of them")
    same = ("weights", "anchors", "letterbox", "new", "cfg", "names", "offline")
    options = {name: arguments[name] for name in same}
    return setup.make_detector(dataset, model=arguments.model or arguments.backbone, size=size, seed=seed, **options)
