"""`yolov3 train DATA`: trains a detector."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jsonargparse import ActionConfigFile, ArgumentParser, Namespace  # type: ignore[attr-defined]

from yolo.anchors import canvas_shapes, fit_anchors, measure_anchors, published_anchors, read_anchors
from yolo.cli import presets
from yolo.cli.common import (
    WEIGHTS_HELP,
    add_config,
    add_data_arguments,
    add_weights_options,
    check_output,
    choose_split,
    make_config,
    parse_size,
    prepare_output,
)
from yolo.cli.hosts import add_host_arguments, on_hosts
from yolo.cli.resume_options import changeable, check_given, completed, describe_command, write_data_file
from yolo.config import NewClasses, Precision, TrainConfig
from yolo.datasets.load import available_splits, find_split, load_dataset
from yolo.errors import AnnotationError, ConfigError
from yolo.files.atomic import exists, is_file, is_folder, to_json
from yolo.structs import Dataset
from yolo.system.startup import start_keras
from yolo.training.run.checkpoint import FOLDER as CHECKPOINTS

if TYPE_CHECKING:
    from yolo.model.detector import Detector
    from yolo.training.trainer import TrainResult

logger = logging.getLogger(__name__)

DEFAULT_MODEL = "yolov3"


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
        if not is_folder(Path(arguments.resume) / CHECKPOINTS):
            raise ConfigError(f"{arguments.resume}: holds no checkpoint to go on from; begin the run again")
        return on_hosts(arguments, go_on)
    if arguments.data is None:
        raise ConfigError("train: name the DATA to learn from, or a run to go on with (--resume DIR)")
    return on_hosts(arguments, begin_run)


def begin_run(arguments: Namespace) -> None:
    """Train a new detector."""
    config = make_config(TrainConfig, arguments)
    size = None if arguments.size is None else parse_size(arguments.size)
    check_source(arguments)
    dataset, validation = load_data(arguments)
    start_keras()
    from yolo.distributed.hosts import present_hosts

    hosts = present_hosts()
    if hosts.first and arguments.out:
        check_output(arguments.out, force=arguments.force)
    precision = set_precision(arguments.precision)
    detector = make_detector(arguments, dataset, size, config.seed)
    if hosts.first:  # not before: a command that is refused leaves no folder
        arguments.out = str(prepare_output(arguments.out or next_folder(), force=arguments.force))
    folder = Path(hosts.share(arguments.out or ""))
    from yolo.training.callbacks.user_callbacks import load_for_host
    from yolo.training.run.folder import RunFolder
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
    """Where a run computes and what it shows, which a resumed one may do otherwise."""
    return {"live": True, "devices": arguments.devices, "tensorboard": arguments.tensorboard}


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
    metric = result.best_metric
    logger.info("best.keras is of epoch %d, chosen by %s; everything is in %s", result.best_epoch, metric, folder)
    coco, pictures = result.metrics["coco"], result.metrics["images"]
    text = f"{folder / 'best.keras'}: AP50 {coco['AP50']:.4f}, AP {coco['AP']:.4f} on {pictures} pictures"
    print(to_json(result.metrics) if as_json else text)


def check_source(arguments: Namespace) -> None:
    """Refuse --weights that are missing, or lie in the run's own folder, where they would be written over.

    Raises:
        YoloError: they are, or do.
    """
    from yolo.weights.locate import IMAGENET, find_start

    if arguments.weights in (None, IMAGENET):
        return
    path = find_start(arguments.weights)
    if arguments.out and Path(path).resolve().parent == Path(arguments.out).resolve():
        raise ConfigError(f"--weights {arguments.weights}: lies in the run's own folder; give another --out")


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
    given = find_split("val", splits) if split == "train" else None
    chosen = (find_split(arguments.val, splits) or arguments.val) if arguments.val else given
    if chosen is None:
        return dataset, None
    if chosen in splits:
        validation = load_dataset(arguments.data, chosen, images=arguments.images, classes=dataset.classes)
    elif exists(chosen):
        validation = load_dataset(chosen, classes=dataset.classes)
    else:
        has = ", ".join(splits) or "it has none"
        raise AnnotationError(f"--val {chosen}: neither a split of {arguments.data} ({has}) nor a dataset")
    warn_of_overlap(dataset, validation)
    return dataset, validation


def warn_of_overlap(dataset: Dataset, validation: Dataset) -> None:
    """Say so if the metrics will come from pictures that are learned."""
    learned = {dataset.path(index) for index in range(len(dataset))}
    shared = sum(validation.path(index) in learned for index in range(len(validation)))
    if shared:
        logger.warning(
            "%d of the %d validation pictures are trained on too: the metrics flatter", shared, len(validation)
        )


def next_folder() -> Path:
    """The first of runs/train-1, runs/train-2, ... that does not exist."""
    folders: Iterator[Path] = (Path("runs") / f"train-{number}" for number in count(1))
    return next(folder for folder in folders if not folder.exists())


def describe(arguments: Namespace, detector: Detector) -> dict[str, Any]:
    """The options that, given again with the same data, make the same detector."""
    given = ("model", "backbone", "weights", "cfg", "names", "new", "anchors", "precision")
    return {
        **{name: arguments[name] for name in given},
        "size": "x".join(map(str, detector.canvas)),
        "letterbox": detector.letterbox,
    }


def make_detector(arguments: Namespace, dataset: Dataset, size: tuple[int, int] | None, seed: int) -> Detector:
    """A new detector for the dataset's classes, begun from ``--weights`` if there are any.

    Raises:
        YoloError: the options do not fit each other, or the weights do not fit the network.
    """
    from yolo.model.detector import Detector
    from yolo.weights.pretrained import begin, read_source

    source = read_source(arguments.weights, cfg=arguments.cfg, names=arguments.names, offline=arguments.offline)
    options = network_options(arguments, source)
    if size is not None:
        options["size"] = size
    anchors = choose_anchors(arguments.anchors, dataset, options, seed=seed)
    if anchors is not None:
        options["anchors"] = anchors
    detector = Detector(**options, classes=dataset.classes, seed=seed)
    if arguments.weights is not None:
        begin(detector, source or arguments.weights, new=arguments.new, seed=seed, offline=arguments.offline)
        logger.info("beginning from %s: %s at %d x %d", arguments.weights, detector.variant, *detector.canvas)
    return detector


def network_options(arguments: Namespace, source: Detector | None) -> dict[str, Any]:
    """Which network to build: the one that is named, else that of the weights, else the default.

    Raises:
        ConfigError: several are named.
    """
    wanted = arguments.model or arguments.backbone
    if arguments.model and arguments.backbone:
        raise ConfigError(f"--model {arguments.model} and --backbone {arguments.backbone}: give one of them")
    if arguments.cfg and arguments.weights is None:  # it describes the weights; without any it can only be the model
        if wanted:
            raise ConfigError(f"--model {wanted} and --cfg {arguments.cfg}, but no --weights: give one of them")
        wanted = arguments.cfg
    letterbox = {} if arguments.letterbox is None else {"letterbox": arguments.letterbox}
    if source is not None and wanted in (None, source.variant):
        config = source.get_config()
        kept = ("model", "cfg", "anchors", "size", "letterbox", "nms")
        return {**{name: config[name] for name in kept}, **letterbox}
    return {"model": wanted or arguments.cfg or DEFAULT_MODEL, **letterbox}


def choose_anchors(wanted: str | None, dataset: Dataset, options: dict[str, Any], *, seed: int) -> Any:
    """The anchors of a file or a published set, or those fitted to the boxes; None: the network's own.

    They are fitted (``auto``) where nothing else is said and there are no weights that have learned others.
    """
    if wanted is None and "anchors" in options:
        return None
    from yolo.model.architecture import design

    given = {name: options.get(name) for name in ("cfg", "anchors", "size", "letterbox")}
    shape = design(options["model"], classes=len(dataset.classes), **given)
    if wanted not in (None, "auto"):
        return read_anchors(wanted, shape.canvas) if is_file(wanted) else published_anchors(wanted, shape.canvas)
    current = np.concatenate(shape.anchors[::-1])
    try:
        fitted = fit_anchors(dataset, len(current), shape.canvas, seed=seed, mode=shape.letterbox)
    except (AnnotationError, ConfigError) as error:
        logger.warning("%s; the network's own anchors are used", error)
        return None
    shapes = canvas_shapes(dataset, shape.canvas, mode=shape.letterbox)
    logger.info(
        "anchors fitted to the boxes: mean IoU %.3f (the network's own: %.3f)",
        *(measure_anchors(shapes, each).mean_iou for each in (fitted, current)),
    )
    return fitted
