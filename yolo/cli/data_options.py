"""DATA and the options that say how it is read, on every command that reads a dataset."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from yolo.errors import ConfigError

if TYPE_CHECKING:
    from yolo.structs import Dataset

logger = logging.getLogger(__name__)

DATA_HELP = "dataset: a folder or file as labelling tools write it, such as a VOC folder, a COCO .json or a data.yaml"
READING = ("images", "names", "classes", "rename", "merge", "strict")
"""Options that say how DATA is read."""


def add_data_arguments(parser: ArgumentParser, *, split: str | None, required: bool = True, names: bool = True) -> None:
    """Add DATA and how to read it.

    Args:
        parser: parser of the command.
        split: description of the default split; None: the command has no --split.
        required: refuse a command without DATA.
        names: add --names; False: the command has it already, for its weights.
    """
    if required:
        parser.add_argument("data", type=str, help=DATA_HELP)
    else:
        parser.add_argument("data", type=str | None, nargs="?", default=None, help=DATA_HELP)
    add_reading_options(parser, split=split, names=names)


def add_reading_options(parser: ArgumentParser, *, split: str | None, names: bool = True) -> None:
    """Add the options that say how a dataset is read; arguments as in `add_data_arguments`."""
    group = parser.add_argument_group("data")
    if split is not None:
        group.add_argument("--split", type=str | None, metavar="NAME", help=f"split of the dataset (default: {split})")
    group.add_argument(
        "--images", type=str | None, metavar="DIR", help="folder of the images, if they are not beside the annotations"
    )
    if names:
        group.add_argument(
            "--names", type=str | None, metavar="FILE", help="class names of data that only number their classes"
        )
    group.add_argument(
        "--classes", type=str | None, metavar="A,B", help="only these classes, in this order (default: all)"
    )
    group.add_argument("--rename", type=str | None, metavar="OLD=NEW,...", help="new names of classes")
    group.add_argument(
        "--merge", type=str | None, metavar="NEW=A+B,...", help="classes to be made one, with a name for it"
    )
    group.add_argument(
        "--strict", action="store_true", help="refuse data with an unreadable file or entry instead of leaving it out"
    )


def load_data(
    arguments: Namespace, split: str | None, *, classes: Sequence[str] | None = None, need_images: bool = True
) -> Dataset:
    """Load a split of DATA as the options say.

    Args:
        arguments: arguments with those of `add_data_arguments`.
        split: name of the split; None: everything.
        classes: class names in the wanted order, such as those of the training images, which every box has to have;
            None: those of --classes, else the dataset's own.
        need_images: whether the images are going to be read.

    Raises:
        YoloError: the dataset cannot be read, or an option does not fit it.
    """
    images = arguments.images
    return load_other(arguments.data, arguments, split, images=images, classes=classes, need_images=need_images)


def load_other(
    data: str,
    arguments: Namespace,
    split: str | None,
    *,
    images: str | None = None,
    classes: Sequence[str] | None = None,
    need_images: bool = True,
) -> Dataset:
    """Load a split of another dataset than DATA, such as that of --val, with the same options about classes."""
    from yolo.datasets.load import load_dataset

    options = loading_options(data, arguments, split, images=images)
    if classes is not None:
        options["classes"] = classes
    return load_dataset(**options, need_images=need_images)


def loading_options(data: str, arguments: Namespace, split: str | None, *, images: str | None) -> dict[str, Any]:
    """Collect the arguments of `load_dataset` as plain data; arguments as in `load_other`."""
    chosen = chosen_classes(arguments)
    return {
        "path": data,
        "split": split,
        "images": images,
        "classes": chosen,
        "others": "refuse" if chosen is None else "drop",
        "rename": new_names(arguments),
        "names": class_names(arguments.names),
        "strict": arguments.strict,
    }


def load_parts(arguments: Namespace) -> dict[str | None, Dataset]:
    """Load the split of --split, else all that the dataset has; one without any is loaded as None.

    Splits of unusual names are left out if others have all of their images, as those of VOC's trainval.
    """
    parts: dict[str | None, Dataset] = {}
    for name in chosen_splits(arguments):
        part = load_data(arguments, name)
        if repeats(part, parts):
            logger.info("%s: the split %s repeats pictures of others and is left out", arguments.data, name)
        else:
            parts[name] = part
    return parts


def chosen_splits(arguments: Namespace) -> list[str | None]:
    """Splits to load: the one that was asked for, else the usual ones and then the others, each under one name."""
    from yolo.datasets.annotations.splits import SPLITS, without_year
    from yolo.datasets.load import available_splits

    if arguments.split is not None:
        return [arguments.split]
    splits = available_splits(arguments.data)
    usual = [name for name in SPLITS if name in splits]
    others = [name for name in splits if name not in usual and without_year(name) not in usual]
    return [*usual, *others] or [None]


def repeats(part: Dataset, parts: Mapping[str | None, Dataset]) -> bool:
    """Whether a split of an unusual name consists of images of the usual ones, as VOC's trainval does."""
    from yolo.datasets.annotations.splits import SPLITS

    if part.split in (*SPLITS, None) or part.store is not None or not parts:
        return False
    known = {each.path(index) for each in parts.values() for index in range(len(each))}
    return all(part.path(index) in known for index in range(len(part)))


def chosen_classes(arguments: Namespace) -> list[str] | None:
    """Class names of --classes; None: all."""
    return None if arguments.classes is None else listed(arguments.classes, "classes")


def class_names(file: str | None) -> list[str] | None:
    """Class names in the file of --names; None if it is not given.

    Raises:
        ConfigError: there is no such file, or it is no list of names.
    """
    if file is None:
        return None
    from yolo.darknet.names import read_names

    return read_names(file)


def new_names(arguments: Namespace) -> dict[str, str]:
    """New name of each class that --rename and --merge name.

    Raises:
        ConfigError: an option is malformed, or names a class twice.
    """
    pairs = [parted(text, "rename", "OLD=NEW") for text in listed(arguments.rename or "", "rename")]
    for text in listed(arguments.merge or "", "merge"):
        new, old = parted(text, "merge", "NEW=A+B")
        pairs += [(each.strip(), new) for each in old.split("+")]
    found: dict[str, str] = {}
    for old, new in pairs:
        if old in found:
            raise ConfigError(f"class {old} is given two new names in --rename and --merge; name it once")
        found[old] = new
    return found


def listed(text: str, option: str) -> list[str]:
    """Words of an option that are separated by commas.

    Raises:
        ConfigError: a word is empty.
    """
    words = [word.strip() for word in text.split(",")] if text else []
    if "" in words:
        raise ConfigError(f"{option} {text}: a name is empty; separate the names by one comma")
    return words


def parted(text: str, option: str, form: str) -> tuple[str, str]:
    """The two sides of ``left=right``.

    Raises:
        ConfigError: the text has another form.
    """
    left, equals, right = (part.strip() for part in text.partition("="))
    if not (left and equals and right):
        raise ConfigError(f"{option} {text}: expected {form}")
    return left, right


def choose_split(arguments: Namespace, *preferred: str) -> str | None:
    """Split of --split, else the first of ``preferred`` that the dataset has, else None for all images."""
    if arguments.split is not None:
        return str(arguments.split)
    from yolo.datasets.annotations.splits import find_split
    from yolo.datasets.load import available_splits

    splits = available_splits(arguments.data)
    return next((found for name in preferred if (found := find_split(name, splits))), None)
