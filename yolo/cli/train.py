"""`yolov3 train DATA`: trains a detector."""

from __future__ import annotations

import logging
import re
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
    prepare_output,
    start_keras,
)
from yolo.config import LetterboxMode, Precision, TrainConfig, canvas_size
from yolo.datasets.load import available_splits, load_dataset
from yolo.errors import AnnotationError, ConfigError
from yolo.files import to_json
from yolo.structs import Dataset

if TYPE_CHECKING:
    from yolo.model.detector import Detector

logger = logging.getLogger(__name__)

DEFAULT_SIZE = 416


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--config", action=ActionConfigFile, help="a YAML file of options, such as a run's config.yaml")
    add_data_arguments(parser, split="train if there is one, else everything")
    parser.add_argument(
        "--val",
        type=str | None,
        default=None,
        help="a split or another dataset to validate on (default: val if there is one, else a tenth)",
    )
    parser.add_argument("--model", type=str, default="yolov3", help="yolov3, yolov3-spp or yolov3-tiny")
    parser.add_argument("--weights", type=str | None, default=None, help="a .keras file to begin from")
    parser.add_argument(
        "--size",
        type=str | None,
        default=None,
        help="side of the canvas, or HEIGHTxWIDTH; multiples of 32 (default: that of --weights, else 416)",
    )
    parser.add_argument("--letterbox", type=LetterboxMode, default="letterbox", help="how pictures are put on it")
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
    detector = make_detector(arguments, dataset, size, config)
    from yolo.training.run_folder import RunFolder
    from yolo.training.trainer import train

    options = {key: arguments[key] for key in ("model", "anchors", "letterbox", "precision")}
    RunFolder(folder).write_config({**options, "size": "x".join(map(str, detector.canvas)), **asdict(config)})
    result = train(detector, dataset, validation=validation, out=folder, config=config, live=True)
    logger.info("best epoch %d; everything is in %s", result.best_epoch, folder)
    coco = result.metrics["coco"]
    pictures = result.metrics["images"]
    text = f"{folder / 'best.keras'}: AP50 {coco['AP50']:.4f}, AP {coco['AP']:.4f} on {pictures} pictures"
    print(to_json(result.metrics) if arguments.json else text)


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) of ``416`` or ``320x416``.

    Raises:
        ConfigError: it is neither, or not a multiple of 32.
    """
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text.strip())
    if match is None:
        raise ConfigError(f"size: expected a side such as 416, or HEIGHTxWIDTH such as 320x416, got {text!r}")
    return canvas_size((int(match[1]), int(match[2] or match[1])))


def load_data(arguments: Namespace) -> tuple[Dataset, Dataset | None]:
    """The pictures to learn from, and those to validate on if there are any."""
    dataset = load_dataset(arguments.data, choose_split(arguments, "train"), images=arguments.images)
    logger.info(
        "%s: %d pictures, %d boxes, %d classes",
        dataset.name,
        len(dataset),
        len(dataset.boxes),
        len(dataset.classes),
    )
    splits = available_splits(arguments.data)
    chosen = arguments.val or ("val" if "val" in splits and arguments.split != "val" else None)
    if chosen is None:
        return dataset, None
    if chosen in splits:
        return dataset, load_dataset(arguments.data, chosen, images=arguments.images, classes=dataset.classes)
    if not Path(chosen).exists():
        raise AnnotationError(
            f"--val {chosen}: neither a split of {arguments.data} ({', '.join(splits) or 'it has none'}) nor a dataset"
        )
    return dataset, load_dataset(chosen, classes=dataset.classes)


def next_folder() -> Path:
    """The first of runs/train-1, runs/train-2, ... that does not exist."""
    folders: Iterator[Path] = (Path("runs") / f"train-{number}" for number in count(1))
    return next(folder for folder in folders if not folder.exists())


def make_detector(
    arguments: Namespace, dataset: Dataset, size: tuple[int, int] | None, config: TrainConfig
) -> Detector:
    """A new detector, or the one in ``--weights``, whose model, anchors and letterbox stay."""
    from yolo.model.detector import Detector, load

    if arguments.weights is None:
        size = size or (DEFAULT_SIZE, DEFAULT_SIZE)
        anchors = choose_anchors(arguments, dataset, size)
        options: dict[str, Any] = {
            "anchors": anchors,
            "letterbox": arguments.letterbox,
            "seed": config.seed,
        }
        return Detector(arguments.model, classes=dataset.classes, size=size, **options)
    detector = load(arguments.weights)
    if size not in (None, detector.canvas):
        detector = detector.resized(size)
    if detector.classes != dataset.classes:
        raise ConfigError(
            f"{arguments.weights}: its classes are {', '.join(detector.classes)}, "
            f"those of {arguments.data} are {', '.join(dataset.classes)}"
        )
    logger.info("beginning from %s: %s at %d x %d", arguments.weights, detector.variant, *detector.canvas)
    return detector


def choose_anchors(arguments: Namespace, dataset: Dataset, size: tuple[int, int]) -> Any:
    """The anchors that ``--anchors`` asks for; ``auto`` fits them and says what that gains."""
    if arguments.anchors != "auto":
        file = Path(arguments.anchors)
        return read_anchors(file, size) if file.is_file() else published_anchors(arguments.anchors, size)
    from yolo.model.networks import VARIANTS

    if arguments.model not in VARIANTS:
        return None  # the detector says what is wrong
    current = published_anchors(VARIANTS[arguments.model].anchors, size)
    try:
        fitted = fit_anchors(dataset, len(current), size, seed=arguments.seed, mode=arguments.letterbox)
    except (AnnotationError, ConfigError) as error:
        logger.warning("%s; the published anchors are used", error)
        return current
    shapes = canvas_shapes(dataset, size, mode=arguments.letterbox)
    logger.info(
        "anchors fitted to the boxes: mean IoU %.3f (published ones: %.3f)",
        *(measure_anchors(shapes, each).mean_iou for each in (fitted, current)),
    )
    return fitted
