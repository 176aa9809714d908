"""`yolov3 data split DATA OUT`: divides a dataset into train, val and test, or into folds."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jsonargparse import ArgumentParser, Namespace

from yolo.cli.common import check_output, prepare_output
from yolo.cli.data_options import add_data_arguments, load_parts
from yolo.config import check
from yolo.errors import ConfigError
from yolo.files.atomic import to_json
from yolo.structs import abridged

if TYPE_CHECKING:
    from yolo.structs import Dataset

logger = logging.getLogger(__name__)

DEFAULT_VAL = 0.2
BY = ("classes", "none")
PATHS = ("absolute", "relative")


def add_arguments(parser: ArgumentParser) -> None:
    add_data_arguments(parser, split="all of them, as one")
    parser.add_argument("out", type=str, help="new folder; the images stay where they are")
    parser.add_argument("--val", type=float | None, help=f"share of the images for val (default: {DEFAULT_VAL})")
    parser.add_argument("--test", type=float, default=0.0, help="share of the images for test")
    parser.add_argument("--folds", type=int | None, metavar="K", help="K folds for cross-validation instead of --val")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the division")
    parser.add_argument(
        "--group",
        type=str | None,
        metavar="PATTERN",
        help="regular expression: images whose names have the same first group in it stay together",
    )
    parser.add_argument(
        "--stratify", type=str, default=BY[0], help="what each split gets its share of: classes, or none"
    )
    parser.add_argument(
        "--paths", type=str, default=PATHS[0], help="paths of the images: absolute, or relative to the files"
    )
    parser.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    parser.add_argument("--json", action="store_true", help="print the results alone, as one JSON object, on stdout")


def run(arguments: Namespace) -> None:
    check_options(arguments)
    check_output(arguments.out, force=arguments.force)
    from yolo.datasets.split import groups_by_pattern

    dataset = load_whole(arguments)
    groups = None if arguments.group is None else groups_by_pattern(dataset, arguments.group)
    single = sum(isinstance(each, int) for each in groups or ())
    if single:
        logger.warning("%d of %d file names do not match the pattern: each is a group of its own", single, len(dataset))
    parted = divide(dataset, groups, arguments)
    group_of = dict(zip(map(str, dataset.files), groups or range(len(dataset)), strict=True))
    report: dict[str, Any] = {
        "folder": arguments.out,
        "pictures": len(dataset),
        "seed": arguments.seed,
        "group": arguments.group,
        "groups": len(set(group_of.values())),
    }
    described = {place: describe(parts, group_of) for place, parts in parted.items()}
    write(parted, arguments)
    if arguments.folds is None:
        report["splits"] = described[""]
    else:
        report["folds"] = [{"folder": place, "splits": splits} for place, splits in described.items()]
    print(to_json(report) if arguments.json else to_text(report, named_groups=groups is not None))


def load_whole(arguments: Namespace) -> Dataset:
    """Load the split of --split, else all splits as one dataset.

    Raises:
        YoloError: it cannot be read, or the images of several splits are not files of their own.
    """
    from yolo.datasets.split import join_datasets
    from yolo.datasets.split_files import check_files

    parts = list(load_parts(arguments).values())
    for part in parts:
        check_files(part)
    joined = join_datasets(parts, name=parts[0].name)
    repeated = sum(map(len, parts)) - len(joined)
    if repeated:
        logger.warning("%d pictures are in several splits, or several times in one: each is taken once", repeated)
    return joined


def check_options(arguments: Namespace) -> None:
    """Check the options against each other.

    Raises:
        ConfigError: one is out of range, or two exclude each other.
    """
    check(arguments.stratify in BY, "stratify", " or ".join(BY), arguments.stratify)
    check(arguments.paths in PATHS, "paths", " or ".join(PATHS), arguments.paths)
    check(0 <= arguments.test < 1, "test", ">= 0 and below 1", arguments.test)
    if arguments.folds is not None:
        check(arguments.val is None, "val", "left out with --folds, each of which is the val of one", arguments.val)
        return
    arguments.val = DEFAULT_VAL if arguments.val is None else arguments.val
    check(0 <= arguments.val < 1, "val", ">= 0 and below 1", arguments.val)
    if arguments.val + arguments.test >= 1:
        raise ConfigError(f"val {arguments.val:g} and test {arguments.test:g} leave nothing to train on; lower them")


def divide(dataset: Dataset, groups: list[str | int] | None, arguments: Namespace) -> dict[str, dict[str, Dataset]]:
    """Divide the dataset as the options say: the splits of each folder, which is empty without folds."""
    from yolo.datasets.split import fold_dataset, split_dataset

    options: dict[str, Any] = {"seed": arguments.seed, "groups": groups, "stratify": arguments.stratify == "classes"}
    if arguments.folds is not None:
        folds = fold_dataset(dataset, arguments.folds, test=arguments.test, **options)
        return {f"fold-{number}": parts for number, parts in enumerate(folds)}
    shares = {"train": 1 - arguments.val - arguments.test, "val": arguments.val, "test": arguments.test}
    return {"": split_dataset(dataset, {name: share for name, share in shares.items() if share}, **options)}


def write(parted: Mapping[str, Mapping[str, Dataset]], arguments: Namespace) -> None:
    from yolo.datasets.split_files import write_splits

    out = prepare_output(arguments.out, force=arguments.force)
    chosen = ("val", "test", "folds", "seed", "group", "stratify")
    options = ", ".join(f"{name} {arguments[name]}" for name in chosen if arguments[name] is not None)
    description = f"yolov3 data split of {Path(arguments.data).name}: {options}"
    for place, parts in parted.items():
        write_splits(parts, out / place, relative=arguments.paths == "relative", description=description)


def describe(parts: Mapping[str, Dataset], group_of: Mapping[str, str | int]) -> list[dict[str, Any]]:
    """Report of each split."""
    whole = sum(map(len, parts.values()))
    return [
        {
            "name": name,
            "pictures": len(part),
            "share": round(len(part) / whole, 4),
            "groups": len({group_of[str(file)] for file in part.files}),
            "boxes": len(part.boxes),
            "classes": dict(
                zip(part.classes, np.bincount(part.labels, minlength=len(part.classes)).tolist(), strict=True)
            ),
        }
        for name, part in parts.items()
    ]


def to_text(report: dict[str, Any], *, named_groups: bool) -> str:
    if "splits" in report:
        lines = table(report["splits"], named_groups=named_groups) + ["", *class_table(report["splits"])]
    else:
        lines = [
            line
            for fold in report["folds"]
            for line in (f"{fold['folder']}:", *table(fold["splits"], named_groups=named_groups), "")
        ]
    place = report["folder"] if "splits" in report else f"{report['folder']}/{report['folds'][0]['folder']}"
    return "\n".join([*lines, *absences(report), f"train on it: yolov3 train {place}"])


def table(splits: list[dict[str, Any]], *, named_groups: bool) -> list[str]:
    head = f"{'split':8}{'pictures':>9}{'share':>8}{'boxes':>9}"
    rows = [f"{each['name']:8}{each['pictures']:9}{each['share']:8.1%}{each['boxes']:9}" for each in splits]
    if not named_groups:
        return [head, *rows]
    return [f"{head}{'groups':>9}", *(f"{row}{each['groups']:9}" for row, each in zip(rows, splits, strict=True))]


def class_table(splits: list[dict[str, Any]]) -> list[str]:
    """Boxes of each class in each split, for the classes that have any."""
    names = [name for name in splits[0]["classes"] if any(each["classes"][name] for each in splits)]
    width = max(map(len, ["boxes of", *names]))
    head = f"{'boxes of':{width}}" + "".join(f"{each['name']:>8}" for each in splits)
    return [head] + [f"{name:{width}}" + "".join(f"{each['classes'][name]:8}" for each in splits) for name in names]


def absences(report: dict[str, Any]) -> list[str]:
    """Lines about classes that a split has no box of, though the dataset has."""
    parts = [("", each) for each in report.get("splits", ())]
    parts += [(f"{fold['folder']} ", each) for fold in report.get("folds", ()) for each in fold["splits"]]
    known = {name for _, each in parts for name, boxes in each["classes"].items() if boxes}
    missing = [
        (where, each["name"], [n for n, boxes in each["classes"].items() if not boxes and n in known])
        for where, each in parts
    ]
    return [f"{where}{split} has no box of {abridged(names)}" for where, split, names in missing if names]
