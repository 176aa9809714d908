"""Study of label errors: faults planted in real and made data, and how many of them the ranking finds.

    python scripts/study_label_errors.py                     # ../shared/data, digits; table in Markdown
    python scripts/study_label_errors.py --sets digits --seeds 0,1

5 % of the boxes are at fault, a quarter each: dropped, shifted (to an IoU of 0.2 to 0.7 with the right box),
relabelled, added. ``coco128``: the boxes of the VOC detector's classes, found by that detector, which has seen
neither them nor the faults. ``digits``: handwritten digits, found out of fold by small detectors that this script
trains on the faulty labels.

Precision among the first N of a ranking, where N is the number of faults; overall, and of each kind with its own N.
An entry is right if it names the box at fault, or its detection overlaps where the box was by IoU 0.5 or more; a
second one about the same fault is wrong. Errors that were in the data before count as wrong too: ``--sheet FILE``
draws the first entries that were not planted, for one's own eyes. Beside it stand the scores of cleanlab's
``object_detection.rank`` (ObjectLab), where it can be imported: with its thresholds, and with those of 0.95 lowered
to 0.5.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import yolo
from yolo.analysis.label_errors import LabelError, find_label_errors
from yolo.evaluation.pairs import overlapping_pairs, pair_overlaps
from yolo.evaluation.results import DetectionColumns
from yolo.structs import Boxes, Dataset
from yolo.system.startup import start_keras

SHARE = 0.05
FAULTS = ("missing", "shifted", "relabelled", "spurious")
"""Faults by the name of the entry that finds them: dropped, shifted, relabelled and added boxes."""
SHIFTED_IOU = (0.2, 0.7)
INSTALL = (
    "cleanlab is missing, its columns are left out; to compare: pip install cleanlab (in an environment apart: AGPL)"
)
SHARED = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
DIGITS = {"train": 500, "val": 1, "size": 128}
FOLDS, EPOCHS = 2, 25
COCO_SEEDS = 5
"""Number of times that faults are planted in coco128 for each seed: its detections are made once."""


@dataclass(frozen=True, eq=False)
class Fault:
    """One planted fault."""

    kind: str
    picture: int
    row: int | None
    """Index of the box at fault; None if it was dropped."""
    place: Boxes
    """(4,) where the box was, or where it was added."""


def plant(dataset: Dataset, rng: np.random.Generator) -> tuple[Dataset, list[Fault]]:
    """Plant faults in a dataset; returns it with the faults."""
    count = round(SHARE * int((~dataset.ignore).sum()))
    chosen = rng.permutation(np.flatnonzero(~dataset.ignore))[:count]
    kinds = [FAULTS[at % len(FAULTS)] for at in range(count)]
    boxes, labels = dataset.boxes.copy(), dataset.labels.copy()
    keep, pictures = np.ones(len(boxes), bool), dataset.box_pictures
    added: list[tuple[int, int, Boxes]] = []
    marks: list[tuple[str, int, int]] = []  # kind, picture, row of the old columns, or of `added`
    for row, kind in zip(chosen.tolist(), kinds, strict=True):
        if kind == "missing":
            keep[row] = False
        elif kind == "shifted":
            boxes[row] = shifted(boxes[row], dataset.sizes[pictures[row]], rng)
        elif kind == "relabelled":
            others = np.setdiff1d(np.unique(dataset.labels), labels[row])
            labels[row] = rng.choice(others)
        else:
            added.append(new_box(dataset, row, rng))
            marks.append((kind, added[-1][0], len(added) - 1))
            continue
        marks.append((kind, int(pictures[row]), row))
    rows = np.concatenate([np.flatnonzero(keep), len(boxes) + np.arange(len(added))])
    every = np.concatenate([boxes, np.array([each[2] for each in added], np.float32).reshape(-1, 4)])
    names = np.concatenate([labels, np.array([each[1] for each in added], np.int32)])
    owners = np.concatenate([pictures, np.array([each[0] for each in added], np.int64)])
    rows = rows[np.argsort(owners[rows], kind="stable")]
    place_of = {old: new for new, old in enumerate(rows.tolist())}
    whole = np.concatenate([dataset.boxes, every[len(boxes) :]])
    faults = []
    for kind, picture, at in marks:
        old = len(boxes) + at if kind == "spurious" else at
        faults.append(Fault(kind, picture, place_of.get(old), whole[old]))
    sides = every[rows, 2:] - every[rows, :2]
    planted = replace(
        dataset,
        offsets=np.concatenate([[0], np.cumsum(np.bincount(owners[rows], minlength=len(dataset)))]).astype(np.int64),
        boxes=every[rows],
        labels=names[rows].astype(np.int32),
        ignore=np.concatenate([dataset.ignore, np.zeros(len(added), bool)])[rows],
        areas=sides.prod(axis=1),
    )
    return planted, faults


def shifted(box: Boxes, size: NDArray[np.int32], rng: np.random.Generator) -> Boxes:
    """Box moved and scaled to an IoU within `SHIFTED_IOU`, in the image."""
    side, centre = box[2:] - box[:2], (box[2:] + box[:2]) / 2
    while True:
        half = side * np.exp(rng.uniform(-0.4, 0.4, 2)) / 2
        middle = centre + rng.uniform(-0.5, 0.5, 2) * side
        moved = np.clip(np.concatenate([middle - half, middle + half]), 0, [*size[::-1], *size[::-1]])
        moved = moved.astype(np.float32)
        if SHIFTED_IOU[0] <= pair_overlaps(moved[None], box[None], np.zeros(1, bool))[0] <= SHIFTED_IOU[1]:
            return moved


def new_box(dataset: Dataset, row: int, rng: np.random.Generator) -> tuple[int, int, Boxes]:
    """Picture, label and place of an added box: shape and class of an existing one, where there is none (IoU < 0.1)."""
    side, home = dataset.boxes[row, 2:] - dataset.boxes[row, :2], dataset.box_pictures[row]
    while True:
        picture = int(rng.integers(len(dataset)))
        size = dataset.sizes[picture][::-1]
        own = np.minimum(side / dataset.sizes[home][::-1] * size, size - 1)
        corner = rng.uniform(0, size - own)
        box = np.concatenate([corner, corner + own]).astype(np.float32)
        others = dataset[picture].boxes
        near = pair_overlaps(np.repeat(box[None], len(others), axis=0), others, np.zeros(len(others), bool))
        if not (near >= 0.1).any():
            return picture, int(dataset.labels[row]), box


def hits(entries: Iterable[LabelError], faults: Sequence[Fault], detections: DetectionColumns) -> list[Fault | None]:
    """Fault that each entry finds; None for none, or one that was found before."""
    rows = {fault.row: fault for fault in faults if fault.row is not None}
    found: list[Fault | None] = []
    for entry in entries:
        fault = rows.get(entry.true) if entry.true is not None else None
        if fault is None and entry.row is not None:
            near = [each for each in faults if each.picture == entry.picture and each.kind != "spurious"]
            box = detections.boxes[entry.row][None]
            fault = next((e for e in near if pair_overlaps(box, e.place[None], np.zeros(1, bool))[0] >= 0.5), None)
        found.append(None if fault in found else fault)
    return found


def precisions(entries: list[LabelError], faults: Sequence[Fault], detections: DetectionColumns) -> dict[str, float]:
    """Precision among the first N, overall and of each kind."""
    overall = hits(entries[: len(faults)], faults, detections)
    values = {"overall": sum(each is not None for each in overall) / len(faults)}
    for kind in FAULTS:
        wanted = sum(fault.kind == kind for fault in faults)
        own = [entry for entry in entries if entry.kind == kind][:wanted]
        found = hits(own, faults, detections)
        values[kind] = sum(each is not None and each.kind == kind for each in found) / wanted
    return values


def by_cleanlab(dataset: Dataset, detections: DetectionColumns, *, high: float | None) -> list[LabelError]:
    """Ranking by cleanlab's scores of boxes, those of its three kinds in one list."""
    from cleanlab.object_detection import rank

    rows, found, truth = [], [], []
    for picture in range(len(dataset)):
        own = np.flatnonzero(detections.pictures == picture)
        own = own[np.argsort(detections.labels[own], kind="stable")]  # cleanlab joins them class by class
        table = np.column_stack([detections.boxes[own], detections.scores[own]])
        found.append(
            np.array(
                [*(table[detections.labels[own] == label] for label in range(len(dataset.classes))), None], object
            )[:-1]
        )
        rows.append(own)
        sample = dataset[picture]
        truth.append({"bboxes": sample.boxes, "labels": sample.labels})
    inputs = rank._get_valid_inputs_for_compute_scores(0.9, truth, found)
    options = {"auxiliary_inputs": inputs}
    missing = rank.compute_overlooked_box_scores(high_probability_threshold=high, **options)
    placed = rank.compute_badloc_box_scores(**options)
    swapped = rank.compute_swap_box_scores(high_probability_threshold=high, **options)
    entries = []
    for picture in range(len(dataset)):
        first = int(dataset.offsets[picture])
        entries += [
            LabelError("missing", picture, None, int(row), 1 - float(score))
            for row, score in zip(rows[picture], missing[picture], strict=True)
            if not np.isnan(score)
        ]
        for kind, scores in (("shifted", placed[picture]), ("relabelled", swapped[picture])):
            entries += [
                LabelError(kind, picture, first + at, None, 1 - float(s)) for at, s in enumerate(scores) if s < 1
            ]
    return sorted(entries, key=lambda entry: -entry.score)


def coco_case(_: int, __: Path) -> tuple[Dataset, DetectionColumns]:
    """The boxes of coco128 of the VOC detector's classes, and what it finds."""
    from yolo.evaluation.class_mapping import map_classes
    from yolo.evaluation.evaluator import find_all

    weights = SHARED / "darknet" / "MobileNetV2-YOLOv3-Nano-voc.weights"
    detector = yolo.load(weights, cfg=weights.with_suffix(".cfg"), names=weights.parent / "voc.names")
    every = yolo.load_dataset(SHARED / "coco128")
    dataset = map_classes(every, detector.classes)
    return dataset, without_strangers(find_all(detector, dataset), dataset, every)


def without_strangers(detections: DetectionColumns, dataset: Dataset, every: Dataset) -> DetectionColumns:
    """Leave out detections of objects whose class the detector does not know, such as elephants found as horses.

    Their boxes are not in the reduced data, where they would count as missing.
    """
    near, known = (overlapping_pairs(each, detections, least=0.4, same_class=False) for each in (every, dataset))
    rows = np.arange(len(detections))
    kept = ~np.isin(rows, near.found) | np.isin(rows, known.found)
    return DetectionColumns(*(getattr(detections, name)[kept] for name in ("pictures", "labels", "scores", "boxes")))


def digits_case(seed: int, folder: Path) -> Dataset:
    return yolo.load_dataset(make_digits_once(seed, folder), "train")


def make_digits_once(seed: int, folder: Path) -> Path:
    from yolo.datasets.digits import make_digits

    return make_digits(folder / f"digits-{seed}", seed=seed, **DIGITS)


def out_of_fold(dataset: Dataset, seed: int) -> DetectionColumns:
    """Find the digits of each fold with a small detector trained on the others."""
    from yolo.config import AugmentConfig, TrainConfig
    from yolo.training.folds import find_out_of_fold

    config = TrainConfig(epochs=EPOCHS, seed=seed, learning_rate=0.002, augment=AugmentConfig(flip=0.0, scale=0.2))
    with tempfile.TemporaryDirectory() as folder:
        network = narrow_network(Path(folder))

        def make(part: Dataset) -> yolo.Detector:
            return yolo.make_detector(part, cfg=network, anchors="auto", size=DIGITS["size"], seed=seed)

        return find_out_of_fold(make, dataset, folds=FOLDS, config=config, live=False)


def narrow_network(folder: Path) -> Path:
    """Write the network file of yolov3-tiny with half of its filters, a quarter of the work."""
    text = (SHARED / "darknet" / "yolov3-tiny.cfg").read_text()
    halved = re.sub(
        r"filters=(\d+)", lambda found: found[0] if found[1] == "255" else f"filters={int(found[1]) // 2}", text
    )
    path = folder / "narrow.cfg"
    path.write_text(halved)
    return path


Rankings = dict[str, Callable[[Dataset, DetectionColumns], list[LabelError]]]


def rankings() -> Rankings:
    """Rankings to compare by name."""
    found: Rankings = {"this package": find_label_errors}
    try:
        import cleanlab  # noqa: F401
    except ImportError:
        print(INSTALL, flush=True)
        return found
    found["cleanlab"] = lambda dataset, detections: by_cleanlab(dataset, detections, high=None)
    found["cleanlab, 0.5 for 0.95"] = lambda dataset, detections: by_cleanlab(dataset, detections, high=0.5)
    return found


def table(results: dict[str, dict[str, list[dict[str, float]]]]) -> str:
    """Markdown table of the mean precisions, with the range of the overall one over the repetitions."""
    names = {"missing": "dropped", "shifted": "shifted", "relabelled": "relabelled", "spurious": "added"}
    lines = [f"| data | ranking | overall | {' | '.join(names[kind] for kind in FAULTS)} |", "|" + "---|" * 7]
    for data, by_ranking in results.items():
        for name, values in by_ranking.items():
            every = [each["overall"] for each in values]
            cells = [f"{np.mean(every):.2f} ({min(every):.2f} to {max(every):.2f})"]
            cells += [f"{np.mean([each[kind] for each in values]):.2f}" for kind in FAULTS]
            lines.append(f"| {data} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cases(name: str, seed: int, folder: Path) -> Iterable[tuple[Dataset, list[Fault], DetectionColumns]]:
    """Faulty dataset, its faults and detections, of one seed."""
    if name == "digits":
        dataset, faults = plant(digits_case(seed, folder), np.random.default_rng(seed))
        yield dataset, faults, out_of_fold(dataset, seed)
        return
    clean, detections = coco_case(seed, folder)
    for number in range(COCO_SEEDS):
        yield (*plant(clean, np.random.default_rng([seed, number])), detections)


def draw(path: Path, dataset: Dataset, detections: DetectionColumns, faults: Sequence[Fault], count: int) -> None:
    """Draw the first entries that were not planted."""
    from yolo.analysis.label_error_views import error_tiles
    from yolo.datasets.contact_sheets import page_paths, write_sheets

    entries = find_label_errors(dataset, detections)
    found = hits(entries, faults, detections)
    others = [entry for entry, fault in zip(entries, found, strict=True) if fault is None][:count]
    write_sheets(error_tiles(dataset, detections, others), page_paths(path, len(others)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="coco128,digits")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--sheet", type=Path, help="picture of the first entries of coco128 that were not planted")
    parser.add_argument("--out", type=Path, help="write the precisions into this JSON file")
    arguments = parser.parse_args()
    start_keras()
    compared = rankings()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.sets.split(","):
            own = results.setdefault(name, {ranking: [] for ranking in compared})
            for seed in map(int, arguments.seeds.split(",")):
                for dataset, faults, detections in cases(name, seed, Path(folder)):
                    for ranking, rank in compared.items():
                        own[ranking].append(precisions(rank(dataset, detections), faults, detections))
                    if arguments.sheet and name == "coco128" and len(own["this package"]) == 1:
                        draw(arguments.sheet, dataset, detections, faults, 40)
                print(table({name: own}), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(results))
    print(table(results))


if __name__ == "__main__":
    main()
