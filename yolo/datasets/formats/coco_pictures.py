"""The images of a COCO file: found near it with a few listings of folders, and their sizes held against the file's."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.pictures import PictureFinder, spellings
from yolo.datasets.annotations.records import relative_to
from yolo.datasets.annotations.repair import Repairs
from yolo.datasets.annotations.sizes import Headers, fit_sizes, read_headers
from yolo.datasets.annotations.splits import SPLITS, VALIDATION, without_year
from yolo.datasets.formats.coco_layout import ANNOTATION_FOLDERS, split_of, subject
from yolo.files.atomic import is_file

TRIED = 20
"""Number of images that are looked for to find their folder."""
ALL_HEADERS = 2000
"""Largest number of images whose sizes are all held against the file's."""
SAMPLE = 1000
"""Number of images of a larger dataset whose sizes are: if one differs, all are."""
IMAGE_FOLDERS = ("images", "image", "imgs", "img", "data", "jpegimages", "pictures", "photos")
"""Names of folders of images, in lower case."""


@dataclass
class Listings:
    """Names of the files in folders, each listed once."""

    folders: dict[str, frozenset[str]] = field(default_factory=dict)

    def has(self, folder: str, name: str) -> bool:
        """Whether there is a file of that name, with slashes, below a folder."""
        head, slash, last = name.rpartition("/")
        place = os.path.join(folder, head or slash)  # noqa: PTH118 - Path is several times as slow
        if place not in self.folders:
            self.folders[place] = frozenset(file_names(place))
        return last in self.folders[place]


def file_names(folder: str) -> Iterator[str]:
    """Names of the files in a folder; none if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            yield from [entry.name for entry in entries if not entry.is_dir()]
    except (OSError, ValueError):  # ValueError: a name that no folder can have
        return


def find_pictures(path: Path, names: Sequence[str], images: Path | None) -> tuple[Path, list[str | None]]:
    """Find the images of a file.

    Args:
        path: the COCO file.
        names: (N) names of the images in it.
        images: folder of the images; None: look near the file.

    Returns:
        The folder that they are relative to, the likeliest if none is found; and their paths (N), None where there is
        no image, or several are as good.
    """
    places = places_near(path) if images is None else [images]
    folder, listings = best_place(places, names), Listings()
    exact = [name if folder is not None and listings.has(str(folder), name) else None for name in names]
    if folder is not None and None not in exact:
        return folder, list(exact)
    finder = PictureFinder([images] if images is not None else [*([folder] if folder else []), *above(path)])
    base = folder or finder.folders[-1]
    near, others = [folder] if folder is not None else places, other_splits(path)

    def search(name: str, *, other_suffixes: bool) -> str | None:
        for place in near:
            for form in spellings(name):
                if listings.has(str(place), form):
                    return relative_to(place / form, base)
        found = finder.find(name, other_suffixes=other_suffixes)
        if found is None or others & {without_year(part.lower()) for part in parts_below(found, finder.folders)}:
            return None
        return relative_to(found, base)

    if not finder.pictures and not any(search(name, other_suffixes=False) for name in spread(names)):
        return likeliest(path, places), [None] * len(names)  # without trying a hundred thousand names
    files = [each or search(name, other_suffixes=False) for each, name in zip(exact, names, strict=True)]
    if not any(files):  # else a mask of that name might be taken for a missing image
        files = [search(name, other_suffixes=True) for name in names]
    if not any(files):
        return likeliest(path, places), files
    return base, without_shared(files, exact, names)


def likeliest(path: Path, places: Sequence[Path]) -> Path:
    """Folder of images of which none is found: the first that is there for images alone."""
    return next((each for each in places if each not in (path.parent, path.parent.parent)), places[0])


def spread(names: Sequence[str]) -> Sequence[str]:
    """A few names spread over all."""
    return names[:: max(1, len(names) // TRIED)][:TRIED]


def without_shared(files: Sequence[str | None], exact: Sequence[str | None], names: Sequence[str]) -> list[str | None]:
    """Files without those that several names lead to by their last part: at most one of these can be meant."""
    wanted = Counter(file for file, _ in {(file, name) for file, name in zip(files, names, strict=True) if file})
    return [sure or (file if file and wanted[file] == 1 else None) for file, sure in zip(files, exact, strict=True)]


def parts_below(file: Path, folders: Sequence[Path]) -> tuple[str, ...]:
    """Names of the folders between some folders and a file below one of them."""
    return next((file.relative_to(each).parts[:-1] for each in folders if file.is_relative_to(each)), ())


def places_near(path: Path) -> list[Path]:
    """Folders near a file in which its images may lie, likeliest first; all of them exist."""
    here = path.parent
    bases = [here, here.parent if here.name else here.absolute().parent]
    split = split_of(path)
    parts = [subject(path.stem), split, split and without_year(split), path.stem]
    parts += VALIDATION if split and without_year(split) in VALIDATION else ()
    wanted = list(dict.fromkeys(part.lower() for part in parts if part))
    special, general = [], []
    for base in bases:
        images = below(base, IMAGE_FOLDERS)
        own = below(base, wanted)
        special += [place for each in images for place in below(each, wanted)]
        special += [place for each in own for place in (*below(each, IMAGE_FOLDERS), each)]
        general += [base, *images]
    return list(dict.fromkeys([*special, *general]))


def below(folder: Path, names: Sequence[str]) -> list[Path]:
    """Folders in a folder that have one of these names in any case, in the order of the names."""
    try:
        with os.scandir(folder) as entries:
            found = {entry.name.lower(): entry.name for entry in entries if entry.is_dir()}
    except OSError:
        return []
    return [folder / found[name] for name in names if name in found]


def best_place(places: Sequence[Path], names: Sequence[str]) -> Path | None:
    """The folder in which most of a few images spread over all lie; None: none does in any."""
    hits = [sum(is_file(place / name) for name in spread(names)) for place in places]
    best = max(hits)
    return places[hits.index(best)] if best else None


def above(path: Path) -> list[Path]:
    """The folder of a file, and those above as long as the names are those of parts of a dataset."""
    found = [path.parent]
    while found[-1].name.lower() in ANNOTATION_FOLDERS or without_year(found[-1].name.lower()) in SPLITS:
        found.append(found[-1].parent)
    return found[:3]


def other_splits(path: Path) -> set[str]:
    """Names of the splits that a file is not; none if it is of no split."""
    split = split_of(path)
    if split is None:
        return set()
    own = without_year(split)
    return set(SPLITS) - (set(VALIDATION) if own in VALIDATION else {own})


def hold_against_headers(
    path_of: Callable[[int], Path],
    annotated: NDArray[np.int32],
    extents: NDArray[np.float64],
    *,
    place: Callable[[int], str],
    repairs: Repairs,
) -> tuple[NDArray[np.int32], NDArray[np.float64], dict[int, str]]:
    """Sizes (N, 2) of the images and factors (N, 2) of their boxes as `fit_sizes`, from as few headers as will do.

    All are read of a small dataset, or where one of a spread sample is not as annotated; and those without an
    annotated size. What the sample misses is mended when the image is read.

    Returns:
        Sizes, factors, and the reason for each image whose header cannot be read.
    """
    count = len(annotated)
    rows = np.arange(count)
    if count > ALL_HEADERS:
        chosen = np.linspace(0, count - 1, SAMPLE).astype(np.int64)
        sample = read_headers([path_of(row) for row in chosen.tolist()])
        if not differ(annotated[chosen], sample).any():
            rows = np.flatnonzero((annotated == 0).any(axis=1))
    headers = read_headers([path_of(row) for row in rows.tolist()])
    sizes, factors = annotated.copy(), np.ones((count, 2))
    sizes[rows], factors[rows] = fit_sizes(
        annotated[rows], headers, extents[rows], place=lambda index: place(int(rows[index])), repairs=repairs
    )
    return sizes, factors, {int(rows[index]): fault for index, fault in headers.faults.items()}


def differ(annotated: NDArray[np.int32], headers: Headers) -> NDArray[np.bool_]:
    """Whether images (N,) have another size than annotated, before and after the EXIF rotation."""
    same = (annotated == headers.shown).all(axis=1) | (annotated == headers.stored).all(axis=1)
    return np.asarray(~same & (annotated > 0).all(axis=1) & (headers.stored > 0).all(axis=1))
