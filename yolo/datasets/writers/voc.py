"""Pascal VOC folders: ``JPEGImages/``, ``Annotations/``, ``ImageSets/Main/`` and a list of the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from yolo.datasets.formats.voc_xml import write_voc_annotation
from yolo.datasets.writers.writer import (
    AREAS,
    CATEGORY_IDS,
    IMAGE_IDS,
    SCORES,
    SUBFOLDERS,
    Layout,
    Part,
    Target,
    Writer,
    count_areas,
    count_category_ids,
    count_image_ids,
    count_scores,
    count_subfolders,
    shortest,
    total,
)

FRACTIONS = "boxes with edges between pixels, written with decimals that some programs do not read"


def write(parts: Sequence[Part], target: Target) -> None:
    names = [part.name for part in parts]
    for part in parts:
        write_annotations(part, target)
    for part in parts:
        if part.split is not None:
            content = "".join(f"{stem}\n" for stem in part.stems).encode()
            target.put(f"ImageSets/Main/{list_name(part.name, names)}.txt", content)
    # Holds the order of the classes, and those without objects.
    target.put("classes.txt", "".join(f"{name}\n" for name in parts[0].dataset.classes).encode())


def write_annotations(part: Part, target: Target) -> None:
    data = part.dataset
    files = [f"Annotations/{stem}.xml" for stem in part.stems]
    target.claim(files)
    boxes = shortest(data.boxes)
    for index, (file, picture) in enumerate(zip(files, part.files, strict=True)):
        rows = slice(data.offsets[index], data.offsets[index + 1])
        write_voc_annotation(
            target.folder / file,
            filename=picture,
            size=data[index].size,
            boxes=boxes[rows],
            labels=data.labels[rows],
            classes=data.classes,
            difficult=data.ignore[rows],
        )


def list_name(name: str, names: Sequence[str]) -> str:
    """Name of a split's list; ``cat_train`` beside ``train`` would be a list of one class."""
    return name.replace("_", "-") if name.rpartition("_")[2] in names else name


def cannot_hold(parts: Sequence[Part]) -> Mapping[str, int]:
    return {
        AREAS: total(parts, count_areas),
        CATEGORY_IDS: count_category_ids(parts),
        FRACTIONS: total(parts, lambda part: int((part.dataset.boxes % 1).any(axis=1).sum())),
        IMAGE_IDS: total(parts, lambda part: count_image_ids(part, part.stems)),
        SCORES: total(parts, count_scores),
        SUBFOLDERS: total(parts, count_subfolders),
    }


WRITER = Writer("voc", write, cannot_hold, Layout("JPEGImages", "JPEGImages", flat=True, by_stem=True))
