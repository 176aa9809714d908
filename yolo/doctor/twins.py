"""Images that are there more than once: byte for byte, or nearly so; in one split or in two.

Near twins have close difference hashes (N. Krawetz, "Kind of Like That", 2013), here of 8 x 8 cells, and correlated
thumbnails.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.splits import VALIDATION
from yolo.datasets.overlap import image_hashes
from yolo.doctor.findings import Finding, Parts, Spot, finding
from yolo.doctor.scan import SIDE, Scan
from yolo.structs import Dataset

CELLS = 8
"""Cells per side that are compared with their neighbours on the right: 56 bits a hash."""
NEAR_BITS, NEAR_CORRELATION = 6, 0.985
"""Largest distance of the hashes and least correlation of the thumbnails of near twins."""
FRAME_BITS, FRAME_CORRELATION = 12, 0.95
"""The same for images whose names differ by a number alone."""
FLAT = 4.0
"""Least standard deviation in grey levels of a thumbnail that says anything."""
ROWS = 256
"""Number of hashes compared with all others at a time."""
TRIED = 8
"""Number of images with close hashes whose thumbnails are compared, the closest first."""
TURN = re.compile(r"\.rf\.[0-9a-f]{16,}$")
"""Hash that Roboflow appends to names."""


@dataclass(frozen=True)
class Member:
    """One image of a dataset."""

    split: str | None
    index: int


def preferred(split: str | None) -> int:
    """Rank of the split that keeps an image which is in two: test, validation, any other, train."""
    ranks = {"test": 0, **dict.fromkeys(VALIDATION, 1), "train": 3}
    return ranks.get(split or "", 2)


def exact_twins(parts: Parts, scans: Mapping[str | None, Scan]) -> list[tuple[Member, Member]]:
    """Images that are there already, each with the one that is kept.

    Kept is the image in the preferred split, among several there the one with the most boxes. Without hashes of the
    files, images are the same if their paths are.
    """
    groups: dict[bytes | tuple[int, str], list[Member]] = defaultdict(list)
    for split, part in parts.items():
        digests = scans[split].digests if split in scans else [b""] * len(part)
        for index, digest in enumerate(digests):
            groups[digest or file_key(part, index, linked=split in scans)].append(Member(split, index))
    pairs = []
    for members in groups.values():
        if len(members) > 1:
            kept, *others = sorted(
                members, key=lambda each: (preferred(each.split), -int(parts[each.split].box_counts[each.index]))
            )
            pairs += [(other, kept) for other in others]
    return pairs


def file_key(part: Dataset, index: int, *, linked: bool) -> tuple[int, str]:
    """Key of an image by its file, or by its place in a storage; ``linked``: links to one file are the same."""
    if part.store is not None:
        return id(part.store), str(index)
    path = part.path(index)
    return 0, os.path.realpath(path) if linked else str(path)


def pair_spot(parts: Parts, one: Member, other: Member) -> Spot:
    """Place of an image that is a twin of another."""
    path = str(parts[other.split].path(other.index))
    split = f" ({other.split})" if other.split != one.split else ""
    return Spot(str(parts[one.split].path(one.index)), "", one.split, f"as {path}{split}")


def twin_findings(parts: Parts, scans: Mapping[str | None, Scan]) -> list[Finding]:
    """Findings about images that are there more than once."""
    pairs = exact_twins(parts, scans)
    across = [pair_spot(parts, *pair) for pair in pairs if pair[0].split != pair[1].split]
    within = [pair_spot(parts, *pair) for pair in pairs if pair[0].split == pair[1].split]
    found = finding("same_in_splits", across) + finding("duplicate", within)
    known = {pair[0] for pair in pairs}
    if any(each.thumbnails.any() for each in scans.values()):
        return found + near_findings(parts, scans, known)
    return found + finding("same_annotations", same_annotations(parts, known))


def same_annotations(parts: Parts, known: set[Member]) -> list[Spot]:
    """Images whose name, size and boxes are those of one in another split."""
    first: dict[str, Member] = {}
    spots = []
    for split, part in parts.items():
        rows = np.flatnonzero(part.box_counts).tolist()
        for index, digest in zip(rows, image_hashes(part), strict=True):
            member = Member(split, index)
            if first.setdefault(digest, member).split != split and member not in known and first[digest] not in known:
                spots.append(pair_spot(parts, member, first[digest]))
    return spots


def near_findings(parts: Parts, scans: Mapping[str | None, Scan], known: set[Member]) -> list[Finding]:
    """Findings about images that nearly are others; those of ``known`` are left out."""
    members = [
        Member(split, index)
        for split, part in parts.items()
        for index in range(len(part))
        if Member(split, index) not in known
    ]
    thumbnails = np.concatenate(
        [scans[split].thumbnails[[each.index for each in group]] for split, group in by_split(members)]
        or [np.zeros((0, SIDE * SIDE), np.uint8)]
    )
    sharp = np.flatnonzero(thumbnails.std(axis=1) >= FLAT) if members else np.zeros(0, np.int64)
    members = [members[row] for row in sharp.tolist()]
    names = [str(parts[each.split].files[each.index]) for each in members]
    spots: dict[str, list[Spot]] = {"frames_in_splits": [], "near_in_splits": [], "near_duplicate": []}
    for pair in near_pairs(thumbnails[sharp], [each.split for each in members], names):
        kind = "near_duplicate" if pair.same_split else "frames_in_splits" if pair.frames else "near_in_splits"
        spots[kind].append(pair_spot(parts, members[pair.later], members[pair.earlier]))
    return [each for name, found in spots.items() for each in finding(name, found)]


def by_split(members: Sequence[Member]) -> list[tuple[str | None, list[Member]]]:
    """Members by their split, in the order given."""
    return [(split, list(group)) for split, group in groupby(members, key=lambda each: each.split)]


@dataclass(frozen=True)
class NearPair:
    """Image that nearly is one before it."""

    later: int
    earlier: int
    same_split: bool
    frames: bool
    """Whether their names differ by a number alone."""


def near_pairs(thumbnails: NDArray[np.uint8], splits: Sequence[str | None], names: Sequence[str]) -> list[NearPair]:
    """Find for each of N images the most alike before it, in its own split and in another.

    Args:
        thumbnails: (N, SIDE * SIDE) grey levels.
        splits: (N) split of each.
        names: (N) file of each.
    """
    if not len(thumbnails):
        return []
    hashes = difference_hashes(thumbnails)
    part = np.array([sorted(set(splits), key=str).index(split) for split in splits], np.int16)
    pairs = []
    for start in range(0, len(hashes), ROWS):
        rows = np.arange(start, min(start + ROWS, len(hashes)))
        distances = np.bitwise_count(hashes[rows, None] ^ hashes[None, : rows[-1]])
        distances[rows[:, None] <= np.arange(rows[-1])[None]] = 255
        for row in rows[(distances <= FRAME_BITS).any(axis=1)].tolist():
            own = part[:row] == part[row]
            for same, mask in ((True, own), (False, ~own)):
                candidates = np.where(mask, distances[row - start, :row], 255)
                pair = best_pair(row, candidates, thumbnails, names, same_split=same)
                pairs += [] if pair is None else [pair]
    return pairs


def difference_hashes(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(N,) hashes of (N, SIDE * SIDE) thumbnails: whether each cell is darker than its right neighbour."""
    step = SIDE // CELLS
    cells = thumbnails.reshape(-1, CELLS, step, CELLS, step).astype(np.uint16).sum(axis=(2, 4))
    bits = (cells[:, :, 1:] > cells[:, :, :-1]).reshape(len(cells), -1)
    weights = np.uint64(1) << np.arange(bits.shape[1], dtype=np.uint64)
    return np.where(bits, weights, np.uint64(0)).sum(axis=1, dtype=np.uint64)


def best_pair(
    row: int, distances: NDArray[np.uint8], thumbnails: NDArray[np.uint8], names: Sequence[str], *, same_split: bool
) -> NearPair | None:
    """Pair of an image with the most alike among those of close hashes; None if none is alike."""
    if not len(distances) or distances.min() > FRAME_BITS:
        return None
    closest = np.argpartition(distances, min(TRIED, len(distances)) - 1)[:TRIED]
    closest = closest[distances[closest] <= FRAME_BITS]
    alike = correlations(thumbnails[row], thumbnails[closest])
    for place in np.argsort(-alike).tolist():
        other = int(closest[place])
        near = distances[other] <= NEAR_BITS and alike[place] >= NEAR_CORRELATION
        frames = not same_split and alike[place] >= FRAME_CORRELATION and differ_by_number(names[row], names[other])
        if near or frames:
            return NearPair(row, other, same_split, bool(frames))
    return None


def correlations(one: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(K,) correlation of a thumbnail with each of K others."""
    first = one - one.mean()
    rest = others - others.mean(axis=1, keepdims=True)
    return np.asarray(rest @ first / np.maximum(np.linalg.norm(rest, axis=1) * np.linalg.norm(first), 1e-9))


def differ_by_number(one: str, other: str) -> bool:
    """Whether two file names differ by one number alone, as frames of one recording do; bare numbers say nothing."""
    first, second = (re.split(r"(\d+)", TURN.sub("", PurePath(name).stem)) for name in (one, other))
    if len(first) != len(second) or not any(map(str.isalpha, "".join(first[::2]))):
        return False
    different = [place for place, pair in enumerate(zip(first, second, strict=True)) if pair[0] != pair[1]]
    return len(different) == 1 and different[0] % 2 == 1
