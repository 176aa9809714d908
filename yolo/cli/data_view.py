"""`yolov3 data view DATA`: contact sheets of a dataset's images with their boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from yolo.cli.common import parse_size
from yolo.cli.data_options import add_data_arguments, choose_split, listed, load_data, load_parts
from yolo.cli.options import add_config, make_config
from yolo.config import AugmentConfig, check
from yolo.errors import AnnotationError, ConfigError
from yolo.files.atomic import to_json

if TYPE_CHECKING:
    from PIL.Image import Image

    from yolo.datasets.contact_sheets import View
    from yolo.structs import Dataset

DEFAULT_OUT = "sheet.jpg"
MOST_TILES = 2_000


@dataclass(frozen=True)
class ViewConfig:
    """Options of the augmentation that is shown."""

    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Augmentation of --augmented."""


def add_arguments(parser: ArgumentParser) -> None:
    add_data_arguments(parser, split="all of them")
    parser.add_argument(
        "--out",
        type=str,
        default=DEFAULT_OUT,
        metavar="FILE",
        help="image file; further pages are FILE-2, FILE-3 and so on",
    )
    parser.add_argument("--count", type=int, default=20, help="number of images, 20 of which make a page")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the choice and the augmentation")
    parser.add_argument("--tile", type=int, default=360, help="longer side of an image on the sheet in pixels")
    parser.add_argument(
        "--only", type=str | None, metavar="A,B", help="only images with one of these classes; other boxes are grey"
    )
    parser.add_argument("--pictures", type=str | None, metavar="A,B", help="these images, by path or name")
    parser.add_argument(
        "--findings", type=str | None, metavar="FILE", help="what `yolov3 data check DATA --json` printed: its places"
    )
    parser.add_argument("--augmented", action="store_true", help="images as training sees them, augmented")
    parser.add_argument(
        "--config", type=str | None, metavar="FILE", help="config.yaml of a run, for the augmentation of --augmented"
    )
    parser.add_argument("--size", type=str, default="416", help="input size of --augmented: a side, or HEIGHTxWIDTH")
    add_config(parser, ViewConfig)
    parser.add_argument("--force", action="store_true", help="overwrite existing files")
    parser.add_argument("--json", action="store_true", help="print the results alone, as one JSON object, on stdout")


def run(arguments: Namespace) -> None:
    check_options(arguments)
    from yolo.datasets.contact_sheets import page_paths, write_sheets

    number, tiles = choose_tiles(arguments)
    paths = page_paths(Path(arguments.out), number)
    check_files(paths, force=arguments.force)
    write_sheets(tiles, paths)
    names = [str(path) for path in paths]
    print(to_json({"sheets": names, "pictures": number}) if arguments.json else "\n".join(names))


def check_options(arguments: Namespace) -> None:
    """Check the options against each other.

    Raises:
        ConfigError: one is out of range, or two exclude each other.
    """
    from yolo.images.suffixes import SUFFIXES

    check(0 < arguments.count <= MOST_TILES, "count", f"in 1..{MOST_TILES}", arguments.count)
    check(0 <= arguments.seed < 2**32, "seed", "in 0..2**32 - 1", arguments.seed)
    check(64 <= arguments.tile <= 2048, "tile", "in 64..2048", arguments.tile)
    check(Path(arguments.out).suffix.lower() in SUFFIXES, "out", "the name of a .jpg or .png file", arguments.out)
    given = [name for name in ("only", "pictures", "findings", "augmented") if arguments[name]]
    if len(given) > 1:
        raise ConfigError(f"--{given[0]} and --{given[1]} exclude each other; give one of them")
    if arguments.config is not None and not arguments.augmented:
        raise ConfigError("--config is for --augmented; give both")
    check_files([Path(arguments.out)], force=arguments.force)


def check_files(paths: Sequence[Path], *, force: bool) -> None:
    """Refuse files that exist, and folders that do not.

    Raises:
        ConfigError: naming the first of them.
    """
    for path in paths:
        if path.exists() and not (force and path.is_file()):
            raise ConfigError(f"{path}: exists; give another --out, or --force to write over a file")
        if not path.parent.is_dir():
            raise ConfigError(f"{path.parent}: no such folder; make it first")


def choose_tiles(arguments: Namespace) -> tuple[int, Iterator[Image]]:
    """Number of tiles, and the tiles, which are drawn one by one."""
    from yolo.datasets.contact_sheets import draw_tile, sample_views

    if arguments.augmented:
        return arguments.count, augmented_tiles(arguments)
    found = None
    if arguments.findings is not None:  # before the dataset, which may take long
        from yolo.datasets.finding_views import read_findings

        found = read_findings(Path(arguments.findings), arguments.count)
    parts = list(load_parts(arguments).values())
    if found is not None:
        return len(found), finding_tiles(parts, found, arguments.tile)
    if arguments.pictures is not None:
        views = pictures_named(parts, listed(arguments.pictures, "pictures"))
    else:
        names = listed(arguments.only or "", "only")
        check_classes(parts, names)
        views = sample_views(parts, arguments.count, seed=arguments.seed, names=names)
    if not views:
        raise AnnotationError(f"{arguments.data}: no picture to show; check --only and --split")
    return len(views), (draw_tile(view, arguments.tile) for view in views)


def check_classes(parts: Sequence[Dataset], names: Sequence[str]) -> None:
    """Check that the dataset has the classes of --only.

    Raises:
        ConfigError: it has not.
    """
    from yolo.structs import abridged

    known = list(dict.fromkeys(name for part in parts for name in part.classes))
    for name in names:
        if name not in known:
            raise ConfigError(f"only: there is no class {name!r}; there are {abridged(known)}")


def pictures_named(parts: Sequence[Dataset], files: Sequence[str]) -> list[View]:
    """Views of the images of --pictures.

    Raises:
        ConfigError: one of them is not in the dataset.
    """
    from yolo.datasets.contact_sheets import named_views

    views = []
    for file, view in named_views(parts, files):
        if view is None:
            raise ConfigError(f"pictures: {file} is no picture of the data set; give a path or a name as in it")
        views.append(view)
    return views


def finding_tiles(parts: Sequence[Dataset], found: Sequence[Any], side: int) -> Iterator[Image]:
    from yolo.datasets.contact_sheets import blank_tile, draw_tile, with_caption
    from yolo.datasets.finding_views import finding_views

    for each, view in finding_views(parts, found):
        if view is None:
            reason = each.detail or each.place or "no picture of the data set"
            yield with_caption(blank_tile(reason, side), f"{each.kind}: {Path(each.file).name}")
        else:
            yield draw_tile(view, side)


def augmented_tiles(arguments: Namespace) -> Iterator[Image]:
    """Images of training batches, by the pipeline that training has."""
    from yolo.datasets.pipeline.batches import training_batches
    from yolo.system.startup import start_keras
    from yolo.training.callbacks.preview import drawn

    augment = chosen_augmentation(arguments)
    dataset = load_data(arguments, choose_split(arguments, "train"))
    start_keras()  # TensorFlow makes the batches
    batch = min(8, arguments.count)
    batches = training_batches(
        dataset, parse_size(arguments.size), batch=batch, seed=arguments.seed, augment=augment, workers=1
    )
    return islice(drawn(batches, dataset.classes), arguments.count)


def chosen_augmentation(arguments: Namespace) -> AugmentConfig:
    """Augmentation of --config, or of the options.

    Raises:
        ConfigError: both are given, or the file holds no options of training.
    """
    typed = make_config(ViewConfig, arguments).augment
    if arguments.config is None:
        return typed
    if typed != AugmentConfig():
        raise ConfigError("--config and --augment exclude each other; give one of them")
    from yolo.cli.config_file import options_of
    from yolo.files.yaml_file import read_yaml

    content = options_of(arguments.config, read_yaml(arguments.config)).get("augment", {})
    options = options_of(arguments.config, content)
    try:
        return AugmentConfig(**options)
    except TypeError as error:
        raise ConfigError(f"{arguments.config}: augment: {error}; give a config.yaml of a run") from error
