"""Division of a dataset into splits or folds: stratified over the classes, groups kept together, reproducible.

Stratification is iterative (Sechidis, Tsoumakas, Vlahavas, "On the Stratification of Multi-Label Data", ECML 2011): the
rarest class is dealt out first, each image to the split that lacks most of it. Common classes can still be balanced
when the rare ones are placed; the other way round they could not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolo.config import check
from yolo.datasets.annotations.columns import build_dataset
from yolo.datasets.annotations.joining import concatenate, to_columns
from yolo.errors import AnnotationError, ConfigError
from yolo.structs import Dataset, counted

Wanted = NDArray[np.float64]
Counts = NDArray[np.int64]


def split_dataset(
    dataset: Dataset,
    fractions: Mapping[str, float],
    *,
    seed: int = 0,
    groups: Sequence[Hashable] | None = None,
    stratify: bool = True,
) -> dict[str, Dataset]:
    """Divide a dataset into splits.

    Args:
        dataset: images to divide; every one of them is in exactly one split.
        fractions: share of the images for each split by name; their sum is 1.
        seed: seed of the draws; the same dataset and seed give the same splits.
        groups: (N,) group of each image; images of one group are never in different splits.
        stratify: whether each split gets its share of every class, not only of the images.

    Returns:
        The splits by name, in the order of ``fractions``, each with its images in the dataset's order.

    Raises:
        ConfigError: a fraction is not in 0..1, or their sum is not 1.
        AnnotationError: there are fewer groups than splits.
    """
    for name, fraction in fractions.items():
        check(0 < fraction <= 1, f"the share of {name}", "> 0 and at most 1", fraction)
    check(abs(sum(fractions.values()) - 1) < 1e-6, "the sum of the shares", "1", sum(fractions.values()))
    owners = assign(dataset, list(fractions.values()), seed=seed, groups=groups, stratify=stratify)
    return {name: dataset.subset(np.flatnonzero(owners == index), split=name) for index, name in enumerate(fractions)}


def fold_dataset(
    dataset: Dataset,
    folds: int,
    *,
    test: float = 0.0,
    seed: int = 0,
    groups: Sequence[Hashable] | None = None,
    stratify: bool = True,
) -> list[dict[str, Dataset]]:
    """Divide a dataset for cross-validation: each image is in ``val`` of one fold and in ``train`` of the others.

    Args:
        dataset: images to divide.
        folds: number of folds.
        test: share of the images that are in no fold, but the ``test`` of all of them.
        seed: as in `split_dataset`.
        groups: as in `split_dataset`.
        stratify: as in `split_dataset`.

    Raises:
        ConfigError: the number of folds or the share is out of range.
        AnnotationError: there are fewer groups than folds.
    """
    check(1 < folds <= 1000, "folds", "in 2..1000", folds)
    check(0 <= test < 1, "test", ">= 0 and below 1", test)
    shares = [(1 - test) / folds] * folds + ([test] if test else [])
    owners = assign(dataset, shares, seed=seed, groups=groups, stratify=stratify)
    held = {"test": dataset.subset(np.flatnonzero(owners == folds), split="test")} if test else {}
    return [
        {
            "train": dataset.subset(np.flatnonzero((owners != fold) & (owners < folds)), split="train"),
            "val": dataset.subset(np.flatnonzero(owners == fold), split="val"),
            **held,
        }
        for fold in range(folds)
    ]


def join_datasets(parts: Sequence[Dataset], *, name: str) -> Dataset:
    """Join splits to one dataset, such as to divide it anew; an image that several have is taken from the first.

    The classes are those of all, in the order of the first that has them.
    """
    if len(parts) == 1:
        return parts[0]
    seen: set[Path] = set()
    fresh = []
    for part in parts:
        paths = [part.path(index).absolute() for index in range(len(part))]
        first = {path: index for index, path in reversed(list(enumerate(paths)))}
        fresh.append(part.subset(sorted(index for path, index in first.items() if path not in seen)))
        seen.update(first)
    folder = Path(os.path.commonpath([part.folder.absolute() for part in parts]))
    classes = list(dict.fromkeys(each for part in parts for each in part.classes))
    columns = [to_columns(replace(part, folder=part.folder.absolute())) for part in fresh]
    joined = build_dataset(concatenate(columns, folder=folder, classes=classes), classes=None, name=name, split=None)
    ids = {each: number for part in parts for each, number in zip(part.classes, part.category_ids, strict=True)}
    own = tuple(ids[each] for each in joined.classes)
    return replace(joined, name=name, category_ids=own if len(set(own)) == len(own) else joined.category_ids)


def groups_by_pattern(dataset: Dataset, pattern: str) -> list[str | int]:
    """Group of each image: the first group of a regular expression's match in its file name, else the whole match.

    The name is the path below the dataset's folder, with ``/``. An image without a match is a group of its own, which
    its number stands for.

    Raises:
        ConfigError: the expression is malformed, or matches no image.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"group {pattern}: not a regular expression: {error}") from error
    matches = [expression.search(str(file).replace("\\", "/")) for file in dataset.files]
    if not any(matches):
        example = f"; the first is {dataset.files[0]}" if len(dataset) else ""
        raise ConfigError(f"group {pattern}: it matches none of the {counted(len(dataset), 'file name')}{example}")
    return [index if match is None else first_group(match) for index, match in enumerate(matches)]


def first_group(match: re.Match[str]) -> str:
    return str(match[0] if not match.re.groups or match[1] is None else match[1])


def assign(
    dataset: Dataset, shares: Sequence[float], *, seed: int, groups: Sequence[Hashable] | None, stratify: bool
) -> Counts:
    """Index of the split of each image (N,).

    Raises:
        AnnotationError: there are fewer groups than splits.
    """
    check(0 <= seed < 2**32, "seed", "in 0..2**32 - 1", seed)
    if groups is not None and len(groups) != len(dataset):
        raise ValueError(f"expected a group for each of {len(dataset)} pictures, got {len(groups)}")
    numbers: dict[Hashable, int] = {}
    units = np.array([numbers.setdefault(each, len(numbers)) for each in groups or range(len(dataset))], np.int64)
    if len(numbers) < len(shares):
        noun = "picture" if groups is None else "group"
        raise AnnotationError(
            f"{dataset.name}: {counted(len(numbers), noun)} cannot be divided into {len(shares)} parts; ask for fewer"
        )
    sizes = np.bincount(units, minlength=len(numbers))
    classes = class_counts(dataset, units, len(numbers)) if stratify else np.zeros((len(numbers), 0), np.int64)
    owners = deal(classes, sizes, np.asarray(shares, np.float64), np.random.default_rng(seed))
    owners = fill_empty(owners, sizes, len(shares))
    if max(shares) > 0.5:  # there is a split to train on; folds are equal
        owners = complete(owners, classes, sizes, int(np.argmax(shares)))
    return owners[units]


def class_counts(dataset: Dataset, units: Counts, number: int) -> Counts:
    """Number of images with each class (U, C) in each group."""
    seen = np.unique(np.stack([dataset.box_pictures, dataset.labels.astype(np.int64)], axis=1), axis=0)
    counts = np.zeros((number, len(dataset.classes)), np.int64)
    np.add.at(counts, (units[seen[:, 0]], seen[:, 1]), 1)
    return counts


def deal(classes: Counts, sizes: Counts, shares: Wanted, draws: np.random.Generator) -> Counts:
    """Deal U groups with their images of each class (U, C), and of any, out to S splits, as (U,).

    Groups of several images are dealt out largest first, as small ones can make up for large ones.
    """
    lacking, room = shares[:, None] * classes.sum(axis=0), shares * sizes.sum()
    # The last column stands for all images: it is dealt out when no class is left.
    counts = np.concatenate([classes, sizes[:, None]], axis=1)
    lacking = np.concatenate([lacking, room[:, None]], axis=1)
    order = draws.permutation(len(counts))
    owners, free = np.full(len(counts), -1), np.ones(len(counts), bool)
    while free.any():
        left = (counts[free, :-1] > 0).sum(axis=0)
        column = int(np.where(left > 0, left, len(counts) + 1).argmin()) if left.any() else -1
        chosen = order[free[order] & (counts[order, column] > 0)]
        for unit in chosen[np.argsort(-counts[chosen, column], kind="stable")]:
            owner = neediest(lacking[:, column], lacking[:, -1], int(sizes[unit]))
            owners[unit] = owner
            lacking[owner] -= counts[unit]
        free[chosen] = False
    return owners


def neediest(lacking: Wanted, room: Wanted, size: int) -> int:
    """Split that lacks most of a class, of those with room for half a group of this size; if equal, with most room."""
    roomy = room >= size / 2 - 1e-9
    need = np.where(roomy, lacking, -np.inf) if roomy.any() else lacking
    best = need >= need.max() - 1e-9
    return int(np.where(best, room, -np.inf).argmax())


def fill_empty(owners: Counts, sizes: Counts, splits: int) -> Counts:
    """Give each split without a group the smallest group of the split with the most groups."""
    owners = owners.copy()
    for split in range(splits):
        if not (owners == split).any():
            members = np.flatnonzero(owners == np.bincount(owners, minlength=splits).argmax())
            owners[members[sizes[members].argmin()]] = split
    return owners


def complete(owners: Counts, classes: Counts, sizes: Counts, train: int) -> Counts:
    """Exchange groups for others of their size until train has each class, where it can spare one.

    Many rare classes fill train before the less rare ones are dealt out, which it then lacks.
    """
    owners = owners.copy()
    for column in np.flatnonzero(classes.any(axis=0)):
        mine = owners == train
        if classes[mine, column].any():
            continue
        unit = np.flatnonzero(classes[:, column])[0]
        needed = ((classes > 0) & (classes == classes[mine].sum(axis=0))).any(axis=1)
        spare = np.flatnonzero(mine & ~needed & (sizes == sizes[unit]))
        if len(spare):
            owners[spare[0]], owners[unit] = owners[unit], train
    return owners
