"""`yolov3 train DATA`: trains a detector."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ActionConfigFile, ArgumentParser, Namespace  # type: ignore[attr-defined]

from yolo.anchors import canvas_shapes, fit_anchors, measure_anchors, published_anchors, read_anchors
from yolo.cli.common import (
    add_config,
    add_data_arguments,
    choose_split,
    make_config,
    parse_size,
    prepare_output,
    start_keras,
)
from yolo.config import LetterboxMode, Precision, TrainConfig
from yolo.datasets.load import available_splits, load_dataset
from yolo.errors import AnnotationError, ConfigError
from yolo.files import exists, is_file, to_json
from yolo.structs import Dataset

if TYPE_CHECKING:
    from yolo.model.detector import Detector

logger = logging.getLogger(__name__)

DEFAULT_SIZE = 416
DEFAULT_MODEL = "yolov3"
DEFAULT_LETTERBOX: LetterboxMode = "letterbox"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--config", action=ActionConfigFile, help="a YAML file of options, such as a run's config.yaml")
    add_data_arguments(parser, split="train if there is one, else everything")
    parser.add_argument(
        "--val",
        type=str | None,
        default=None,
        help="a split or another dataset to validate on (default: val if there is one, else a tenth)",
    )
    parser.add_argument(
        "--model",
        type=str | None,
        default=None,
        help="yolov3, yolov3-spp or yolov3-tiny (default: that of --weights, else yolov3)",
    )
    parser.add_argument("--weights", type=str | None, default=None, help="a .keras file to begin from")
    parser.add_argument(
        "--size",
        type=str | None,
        default=None,
        help="side of the canvas, or HEIGHTxWIDTH; multiples of 32 (default: that of --weights, else 416)",
    )
    parser.add_argument(
        "--letterbox",
        type=LetterboxMode | None,
        default=None,
        help="how pictures are put on it (default: that of --weights, else letterbox)",
    )
    parser.add_argument(
        "--anchors",
        type=str,
        default="auto",
        help="a file, a published set, or auto: fitted to the pictures",
    )
    parser.add_argument("--precision", type=Precision, default="float32", help="arithmetic of the network")
    parser.add_argument(
        "--out", type=str | None, default=None, help="folder of the run (default: the next runs/train-N)"
    )
    parser.add_argument("--force", action="store_true", help="write into --out although it is not empty")
    add_config(parser, TrainConfig)


def run(arguments: Namespace) -> None:
    config = make_config(TrainConfig, arguments)
    size = None if arguments.size is None else parse_size(arguments.size)
    dataset, validation = load_data(arguments)
    folder = prepare_output(arguments.out or next_folder(), force=arguments.force)
    start_keras()
    import keras

    keras.config.set_dtype_policy(arguments.precision)
    detector = make_detector(arguments, dataset, size, config.seed)
    from yolo.training.run_folder import RunFolder
    from yolo.training.trainer import train

    RunFolder(folder).write_config({**describe(arguments, detector), **asdict(config)})
    result = train(detector, dataset, validation=validation, out=folder, config=config, live=True)
    logger.info("best epoch %d; everything is in %s", result.best_epoch, folder)
    coco = result.metrics["coco"]
    pictures = result.metrics["images"]
    text = f"{folder / 'best.keras'}: AP50 {coco['AP50']:.4f}, AP {coco['AP']:.4f} on {pictures} pictures"
    print(to_json(result.metrics) if arguments.json else text)


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
    return {
        "model": detector.variant,
        "weights": arguments.weights,
        "size": "x".join(map(str, detector.canvas)),
        "letterbox": detector.letterbox,
        "anchors": arguments.anchors,
        "precision": arguments.precision,
    }


def make_detector(arguments: Namespace, dataset: Dataset, size: tuple[int, int] | None, seed: int) -> Detector:
    """A new detector, or the one in ``--weights``."""
    from yolo.model.detector import Detector

    if arguments.weights is not None:
        return load_weights(arguments, size)
    model, mode = arguments.model or DEFAULT_MODEL, arguments.letterbox or DEFAULT_LETTERBOX
    size = size or (DEFAULT_SIZE, DEFAULT_SIZE)
    anchors = choose_anchors(arguments.anchors, dataset, model, size, mode=mode, seed=seed)
    return Detector(model, classes=dataset.classes, anchors=anchors, size=size, letterbox=mode, seed=seed)


def load_weights(arguments: Namespace, size: tuple[int, int] | None) -> Detector:
    """The detector in ``--weights``, on another canvas if one is asked for.

    Raises:
        ConfigError: an option asks for what the file does not hold.
    """
    from yolo.model.loading import load

    detector = load(arguments.weights)
    for option, held in (("model", detector.variant), ("letterbox", detector.letterbox)):
        if arguments[option] not in (None, held):
            raise ConfigError(f"--{option} {arguments[option]}: {arguments.weights} has {held}; leave the option out")
    if arguments.anchors != "auto":
        raise ConfigError(f"--anchors: {arguments.weights} has its own; leave the option out")
    if size not in (None, detector.canvas):
        detector = detector.resized(size)
    logger.info("beginning from %s: %s at %d x %d", arguments.weights, detector.variant, *detector.canvas)
    return detector


def choose_anchors(
    wanted: str, dataset: Dataset, model: str, size: tuple[int, int], *, mode: LetterboxMode, seed: int
) -> Any:
    """The anchors of a file or a published set; ``auto`` fits them and says what that gains."""
    if wanted != "auto":
        return read_anchors(wanted, size) if is_file(wanted) else published_anchors(wanted, size)
    from yolo.model.networks import VARIANTS

    if model not in VARIANTS:
        return None  # the detector says what is wrong
    current = published_anchors(VARIANTS[model].anchors, size)
    try:
        fitted = fit_anchors(dataset, len(current), size, seed=seed, mode=mode)
    except (AnnotationError, ConfigError) as error:
        logger.warning("%s; the published anchors are used", error)
        return current
    shapes = canvas_shapes(dataset, size, mode=mode)
    logger.info(
        "anchors fitted to the boxes: mean IoU %.3f (published ones: %.3f)",
        *(measure_anchors(shapes, each).mean_iou for each in (fitted, current)),
    )
    return fitted
