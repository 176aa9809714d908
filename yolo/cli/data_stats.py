"""`yolov3 data stats DATA`: numbers, sizes, shapes and positions of what a dataset holds, as tables and plots."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jsonargparse import ArgumentParser, Namespace

from yolo.cli.common import check_output, parse_size, prepare_output
from yolo.cli.data_options import add_data_arguments, load_parts
from yolo.config import LetterboxMode
from yolo.errors import AnnotationError
from yolo.files.atomic import to_json, write_text
from yolo.structs import abridged

if TYPE_CHECKING:
    from yolo.anchors import Anchors
    from yolo.structs import Dataset

logger = logging.getLogger(__name__)

LISTED_CLASSES = 100


def add_arguments(parser: ArgumentParser) -> None:
    add_data_arguments(parser, split="each of them")
    parser.add_argument("--out", type=str | None, metavar="DIR", help="new folder for stats.json and the plots")
    parser.add_argument("--size", type=str, default="416", help="input size of the network: one side, or HEIGHTxWIDTH")
    parser.add_argument(
        "--mode", type=LetterboxMode, default="letterbox", help="resizing of images to it: with padding, or stretched"
    )
    parser.add_argument("--count", type=int, default=9, help="number of anchors fitted to compare with the boxes")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the fit")
    parser.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    parser.add_argument("--json", action="store_true", help="print the results alone, as one JSON object, on stdout")


def run(arguments: Namespace) -> None:
    arguments.size = parse_size(arguments.size)
    if arguments.out:
        check_output(arguments.out, force=arguments.force)
    from yolo.datasets.statistics import describe_boxes

    parts = list(load_parts(arguments).values())
    anchors = anchor_sets(parts, arguments)
    report = {
        "data": arguments.data,
        "size": list(arguments.size),
        "splits": [describe_boxes(part, arguments.size, mode=arguments.mode) for part in parts],
        "anchors": describe_anchors(parts, anchors, arguments),
    }
    if arguments.out:
        folder = prepare_output(arguments.out, force=arguments.force)
        write_text(folder / "stats.json", to_json(report, indent=2) + "\n")
        draw(parts, anchors, folder, arguments)
        logger.info("plots and stats.json written to %s", folder)
    print(to_json(report) if arguments.json else to_text(report))


def anchor_sets(parts: list[Dataset], arguments: Namespace) -> dict[str, Anchors]:
    """Anchors fitted to the first split, which is train if there is one, and published ones; empty without boxes."""
    from yolo.anchors import fit_anchors, published_anchors

    published = "yolov3-tiny-coco" if arguments.count == 6 else "yolov3-coco"
    fit = {"seed": arguments.seed, "mode": arguments.mode}
    try:
        fitted = fit_anchors(parts[0], arguments.count, arguments.size, **fit)
    except AnnotationError:  # no boxes: nothing to compare with
        return {}
    return {"fitted": fitted, published: published_anchors(published, arguments.size)}


def describe_anchors(parts: list[Dataset], anchors: dict[str, Anchors], arguments: Namespace) -> list[dict[str, Any]]:
    """Quality of each set of anchors on the boxes of the first split."""
    from yolo.anchors import canvas_shapes, measure_anchors

    if not anchors:
        return []
    shapes = canvas_shapes(parts[0], arguments.size, mode=arguments.mode)
    measured = {name: measure_anchors(shapes, each) for name, each in anchors.items()}
    return [
        {
            "name": name,
            "anchors": [[round(side, 2) for side in pair] for pair in anchors[name].tolist()],
            "mean_iou": round(quality.mean_iou, 4),
            "best_possible_recall": round(quality.best_possible_recall, 4),
        }
        for name, quality in measured.items()
    ]


def draw(parts: list[Dataset], anchors: dict[str, Anchors], folder: Path, arguments: Namespace) -> None:
    from yolo.datasets.statistics import box_shapes, count_classes, coverage
    from yolo.images import data_plots

    names = [part.split or "all" for part in parts]
    classes = {
        name: {each: counts["boxes"] for each, counts in count_classes(part).items()}
        for name, part in zip(names, parts, strict=True)
    }
    shapes = np.concatenate([box_shapes(part, arguments.size, mode=arguments.mode) for part in parts])
    data_plots.plot_classes(classes, folder / "classes.png")
    numbers = {name: part.box_counts for name, part in zip(names, parts, strict=True)}
    data_plots.plot_boxes_per_picture(numbers, folder / "boxes_per_picture.png")
    data_plots.plot_shapes(shapes, anchors, folder / "shapes.png", canvas=arguments.size)
    data_plots.plot_positions(coverage(parts), folder / "positions.png")
    sizes = np.concatenate([part.sizes for part in parts])
    data_plots.plot_picture_sizes(sizes, folder / "picture_sizes.png", canvas=arguments.size)


def to_text(report: dict[str, Any]) -> str:
    splits = report["splits"]
    lines = [*overview(splits, report["size"]), "", *class_lines(splits)]
    if report["anchors"]:
        width = max(len(each["name"]) for each in report["anchors"])
        rows = [
            f"{each['name']:{width}}{each['mean_iou']:10.3f}{each['best_possible_recall']:22.3f}"
            for each in report["anchors"]
        ]
        lines += ["", f"{'anchors':{width}}{'mean IoU':>10}{'best possible recall':>22}", *rows]
    return "\n".join(lines)


def overview(splits: list[dict[str, Any]], size: list[int]) -> list[str]:
    """Table with a column for each split."""
    rows: list[tuple[str, list[str]]] = [
        ("", [each["split"] or "all" for each in splits]),
        ("pictures", [f"{each['pictures']}" for each in splits]),
        ("  without boxes", [f"{each['pictures_without_boxes']}" for each in splits]),
        ("  median size", [median_size(each) for each in splits]),
        ("boxes", [f"{each['boxes']}" for each in splits]),
        ("  difficult or crowd", [f"{each['ignored']}" for each in splits]),
        ("  per picture, median", [figure(each["boxes_per_picture"], "median") for each in splits]),
        ("  per picture, most", [figure(each["boxes_per_picture"], "max") for each in splits]),
        (f"at {size[0]} x {size[1]} px", [""] * len(splits)),
        *((f"  {name}", [f"{each['sizes'][name]:.1%}" for each in splits]) for name in ("small", "medium", "large")),
        ("  thinner than 8 px", [f"{each['sizes']['thinner_than_8_px']:.1%}" for each in splits]),
        ("  width, 5 to 95 %", [span(each["width"]) for each in splits]),
        ("  height, 5 to 95 %", [span(each["height"]) for each in splits]),
        ("  width / height", [span(each["width_to_height"]) for each in splits]),
    ]
    width = max(len(cell) for _, cells in rows for cell in cells) + 2
    lines = [f"{name:22}" + "".join(f"{cell:>{width}}" for cell in cells) for name, cells in rows]
    return [line.rstrip() for line in lines]


def median_size(split: dict[str, Any]) -> str:
    if split["picture_width"] is None:
        return "-"
    return f"{split['picture_width']['median']:.0f} x {split['picture_height']['median']:.0f}"


def figure(values: dict[str, float] | None, name: str) -> str:
    return "-" if values is None else f"{values[name]:g}"


def span(values: dict[str, float] | None) -> str:
    return "-" if values is None else f"{values['5 %']:.3g} to {values['95 %']:.3g}"


def class_lines(splits: list[dict[str, Any]]) -> list[str]:
    """Boxes, and images with one, of each class in each split, the commonest class first."""
    names = list(dict.fromkeys(name for each in splits for name in each["classes"]))
    total = {name: sum(each["classes"].get(name, {}).get("boxes", 0) for each in splits) for name in names}
    used = sorted((name for name in names if total[name]), key=lambda name: -total[name])
    unused = [name for name in names if not total[name]]
    width = max(map(len, ["boxes (pictures)", *used]))
    columns = [[cell(each["classes"].get(name)) for name in used] for each in splits]
    widths = [
        max(map(len, [*column, each["split"] or "all"])) + 2 for column, each in zip(columns, splits, strict=True)
    ]
    head = "".join(f"{each['split'] or 'all':>{wide}}" for each, wide in zip(splits, widths, strict=True))
    lines = [f"{'boxes (pictures)':{width}}{head}"]
    for row, name in enumerate(used[:LISTED_CLASSES]):
        cells = (f"{column[row]:>{wide}}" for column, wide in zip(columns, widths, strict=True))
        lines.append(f"{name:{width}}{''.join(cells)}")
    lines += [f"and {len(used) - LISTED_CLASSES} rarer classes"] if len(used) > LISTED_CLASSES else []
    return lines + ([f"without boxes: {abridged(unused)}"] if unused else [])


def cell(counts: dict[str, int] | None) -> str:
    return f"{counts['boxes']} ({counts['pictures']})" if counts and counts["boxes"] else "-"
