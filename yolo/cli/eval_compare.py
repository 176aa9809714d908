"""`yolov3 eval --compare A B DATA`: two models or results files on the same images."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jsonargparse import Namespace

from yolo.class_names import match_names
from yolo.cli.common import prepare_output
from yolo.cli.data_options import choose_split, load_data
from yolo.cli.eval_model import check_has_true_boxes, detect_all
from yolo.config import NmsConfig, check
from yolo.errors import AnnotationError, ConfigError
from yolo.evaluation.class_mapping import listed, with_classes
from yolo.evaluation.comparison import Comparison, Difference, compare_detections
from yolo.evaluation.results import RESULTS, DetectionColumns, read_some_results
from yolo.evaluation.tables import figure, text_table
from yolo.files.atomic import is_file, to_json, write_text
from yolo.structs import Dataset, counted
from yolo.weights.locate import check_loadable, is_run

logger = logging.getLogger(__name__)

KEYS = ("AP", "AP50")


@dataclass(frozen=True, eq=False)
class Side:
    """Detections of one of the two."""

    source: str
    classes: tuple[str, ...]
    """Class names of the labels below."""
    found: DetectionColumns


def run_comparison(arguments: Namespace, nms: NmsConfig) -> None:
    """Compare two models or results files, print the comparison and write it."""
    check(arguments.resamples >= 1, "resamples", ">= 1 with --compare", arguments.resamples)
    refuse_other_metrics(arguments)
    dataset, sides = both_sides(arguments, nms)
    dataset, found = on_common_classes(dataset, sides)
    check_has_true_boxes(dataset)
    comparison = compare_detections(dataset, *found, resamples=arguments.resamples, seed=arguments.seed)
    files = {each.picture: str(dataset.files[each.picture]) for each in comparison.pictures}
    content = {"a": arguments.compare[0], "b": arguments.compare[1], **comparison.to_dict(files)}
    try:
        if arguments.out:
            folder = prepare_output(arguments.out, force=arguments.force)
            write_text(folder / "comparison.json", to_json(content, indent=2) + "\n")
            logger.info("comparison written to %s", folder)
    finally:  # it is known even if the disk is full
        print(to_json(content) if arguments.json else to_text(comparison, sides, files))


def refuse_other_metrics(arguments: Namespace) -> None:
    """Raise a ConfigError if an option asks for metrics that a comparison does not have."""
    options = {name: arguments[name] for name in ("ious", "max_dets", "areas", "slices", "counts")}
    given = [name for name, value in options.items() if value not in (None, False)]
    if given:
        raise ConfigError(f"{given[0]} is not for --compare; measure each by itself with it")


def both_sides(arguments: Namespace, nms: NmsConfig) -> tuple[Dataset, list[Side]]:
    """Find the detections of both in the same images.

    The images are those that --split names. Else two models are measured on what A's training validated on; with a
    results file, whose images no model chooses, on val, else test, else everything.

    Returns:
        The dataset, and the detections of each.
    """
    paths = [results_file(name) for name in arguments.compare]
    for name, path in zip(arguments.compare, paths, strict=True):
        if path is None:
            check_loadable(name, exported=True)
    dataset = None
    if any(paths):
        images = None in paths
        dataset = load_data(arguments, choose_split(arguments, "val", "test"), need_images=images)
    found: dict[int, Side] = {}
    for at in sorted(
        range(2), key=lambda at: paths[at] is None
    ):  # files first: their faults show before the models run
        name, path = arguments.compare[at], paths[at]
        if path is not None and dataset is not None:
            found[at] = Side(name, dataset.classes, read_some_results(path, dataset))
        else:
            own, columns = detect_all(in_place_of_weights(arguments, name), nms, dataset)
            found[at] = Side(name, own.classes, columns)
            dataset = own if dataset is None else dataset
    if dataset is None:
        raise ValueError("expected a dataset of one side at least")
    return dataset, [found[0], found[1]]


def results_file(name: str) -> Path | None:
    """Path of the COCO results that a word names: a .json file, or a folder of `eval --out`; None for a model."""
    path = Path(name)
    if path.suffix.lower() == ".json":
        return path
    return path / RESULTS if is_file(path / RESULTS) and not is_run(path) else None


def in_place_of_weights(arguments: Namespace, name: str) -> Namespace:
    """Arguments as for `eval NAME DATA`, with the precision set back to Keras' usual one before a second model."""
    from yolo.system.startup import start_keras

    start_keras()
    import keras

    keras.config.set_dtype_policy("float32")
    return Namespace(**{**vars(arguments), "weights": name})


def on_common_classes(dataset: Dataset, sides: Sequence[Side]) -> tuple[Dataset, list[DetectionColumns]]:
    """Reduce dataset and detections to the classes that both sides know; a message says which are left out.

    Raises:
        AnnotationError: there are none.
    """
    names = [match_names(dataset.classes, side.classes) for side in sides]
    common = [name for name in dataset.classes if all(name in known for known in names)]
    if not common:
        raise AnnotationError(
            f"{sides[0].source} ({listed(sides[0].classes)}) and {sides[1].source} ({listed(sides[1].classes)}) have "
            f"no class of {dataset.name} in common; rename classes that mean the same (--rename OLD=NEW)"
        )
    others = sorted({*dataset.classes, *(name for side in sides for name in unmatched(dataset, side))} - set(common))
    if others:
        logger.warning("compared on the %s that both know; left out: %s", counted(len(common), "class"), listed(others))
    found = []
    for side, known in zip(sides, names, strict=True):
        label_of = {side.classes.index(known[name]): label for label, name in enumerate(common)}
        table = np.array([label_of.get(label, -1) for label in range(len(side.classes))], np.int32)
        found.append(relabelled(side.found, table))
    new_labels = {name: label for label, name in enumerate(common)}
    table = np.array([new_labels.get(name, -1) for name in dataset.classes], np.int32)
    ids = tuple(dataset.category_ids[dataset.classes.index(name)] for name in common)
    return with_classes(dataset, table, common, ids), found


def unmatched(dataset: Dataset, side: Side) -> list[str]:
    """List the classes of a side that the dataset does not have."""
    used = set(match_names(dataset.classes, side.classes).values())
    return [name for name in side.classes if name not in used]


def relabelled(found: DetectionColumns, table: np.ndarray) -> DetectionColumns:
    """Change labels by a table; detections whose new label is -1 are left out."""
    labels = table[found.labels]
    kept = labels >= 0
    return DetectionColumns(found.pictures[kept], labels[kept], found.scores[kept], found.boxes[kept])


def to_text(comparison: Comparison, sides: Sequence[Side], files: dict[int, str]) -> str:
    """Format a comparison as tables."""
    share = f"{100 * comparison.level:g} %"
    header = ["", "A", "B", "B - A", share, "p"]
    rows = [row_of(name, each) for name, each in (("AP", comparison.ap), ("AP50", comparison.ap50))]
    by_class = zip(comparison.classes, comparison.class_ap, comparison.class_ap50, strict=True)
    class_rows = [
        row_of(f"{name} {key}", each) for name, *both in by_class for key, each in zip(KEYS, both, strict=True)
    ]
    parts = [
        f"A: {sides[0].source}\nB: {sides[1].source}",
        f"{counted(comparison.images, 'picture')}; {share} intervals of {comparison.resamples} resamples of them, the "
        f"same for both\n{text_table(header, rows)}",
        f"by class\n{text_table(header, class_rows)}",
    ]
    if comparison.pictures:
        listed_rows = [
            [files[each.picture], figure(each.a, 3), figure(each.b, 3), signed(each.difference, 3)]
            for each in comparison.pictures
        ]
        title = "pictures that differ most, by the average precision of each alone"
        parts.append(f"{title}\n{text_table(['picture', 'A', 'B', 'B - A'], listed_rows)}")
    return "\n\n".join(parts)


def row_of(name: str, each: Difference) -> list[str]:
    """Format one difference."""
    low, high = each.interval
    ends = "-" if np.isnan(low) else f"{low:+.3f} to {high:+.3f}"
    return [name, figure(each.a), figure(each.b), signed(each.difference), ends, figure(each.p, 3)]


def signed(value: float, places: int = 4) -> str:
    """Format a number with its sign; a dash for NaN."""
    return "-" if np.isnan(value) else f"{value:+.{places}f}"
