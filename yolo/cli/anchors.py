"""`yolov3 anchors DATA`: fit anchors to a dataset and say whether to use them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from yolo.anchors import (
    PUBLISHED_SIZE,
    AnchorQuality,
    Anchors,
    canvas_shapes,
    choose_anchors,
    fit_shapes,
    mean_iou_by_count,
    measure_anchors,
    published_anchors,
    read_anchors,
    write_anchors,
)
from yolo.cli.common import parse_size
from yolo.cli.data_options import add_data_arguments, choose_split, load_data
from yolo.config import LetterboxMode
from yolo.errors import ConfigError
from yolo.files.atomic import is_file, to_json
from yolo.structs import Dataset

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    add_data_arguments(parser, split="train if there is one, else everything")
    parser.add_argument("--count", type=int, default=9, help="number of anchors")
    parser.add_argument(
        "--size",
        type=str,
        default=str(PUBLISHED_SIZE),
        help="input size of the network: one side, or HEIGHTxWIDTH",
    )
    parser.add_argument(
        "--mode",
        type=LetterboxMode,
        default="letterbox",
        help="resizing of images to the input size: with padding, or stretched",
    )
    parser.add_argument(
        "--current",
        type=str | None,
        help="anchors to compare with: a published set or a file (default: COCO's for that count)",
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed of the k-means fit")
    parser.add_argument(
        "--out", type=str | None, metavar="FILE", help="file for the anchors; the plot is written beside it"
    )
    parser.add_argument(
        "--plot", type=str | None, metavar="FILE", help="PNG file for the plot of mean IoU against anchor count"
    )
    parser.add_argument("--force", action="store_true", help="overwrite existing files")


def run(arguments: Namespace) -> None:
    arguments.size = parse_size(arguments.size)
    out, plot = output_files(arguments)
    name, current = current_anchors(arguments)
    dataset = load_data(arguments, choose_split(arguments, "train"))
    shapes = canvas_shapes(dataset, arguments.size, mode=arguments.mode)
    anchors = fit_shapes(shapes, arguments.count, seed=arguments.seed)
    fitted, compared = measure_anchors(shapes, anchors), measure_anchors(shapes, current)
    report = {
        "anchors": [[round(side, 2) for side in anchor] for anchor in anchors.tolist()],
        "mean_iou": fitted.mean_iou,
        "best_possible_recall": fitted.best_possible_recall,
        "current": {
            "name": name,
            "mean_iou": compared.mean_iou,
            "best_possible_recall": compared.best_possible_recall,
        },
        "verdict": choose_anchors(fitted, compared, f"{name} ({len(current)} anchors)"),
    }
    if out:
        origin = describe_origin(dataset, len(shapes), fitted, arguments)
        write_anchors(out, anchors, origin=origin, size=arguments.size)
        logger.info("anchors written to %s", out)
    if plot:
        draw_plot(shapes, plot, arguments, (name, len(current), compared.mean_iou))
    print(to_json(report) if arguments.json else to_text(report, anchors))


def output_files(arguments: Namespace) -> tuple[Path | None, Path | None]:
    """Paths of the anchors file and of the plot; None if not requested.

    Raises:
        ConfigError: a file exists, or its folder does not.
    """
    out = Path(arguments.out) if arguments.out else None
    plot = Path(arguments.plot) if arguments.plot else out and out.with_suffix(".png")
    if out is not None and out == plot:
        raise ConfigError(f"{out}: the anchors are text; give --out a name that does not end in .png")
    for path in (out, plot):
        if path is None:
            continue
        if path.exists() and not (arguments.force and path.is_file()):
            raise ConfigError(f"{path}: exists; give another name, or --force to write over a file")
        if not path.parent.is_dir():
            raise ConfigError(f"{path.parent}: no such folder; make it first")
    return out, plot


def current_anchors(arguments: Namespace) -> tuple[str, Anchors]:
    """Name and values of the anchors to compare with, for the input size."""
    name = arguments.current or ("yolov3-tiny-coco" if arguments.count == 6 else "yolov3-coco")
    if is_file(name):
        return name, read_anchors(name, arguments.size)
    return name, published_anchors(name, arguments.size)


def describe_origin(dataset: Dataset, boxes: int, fitted: AnchorQuality, arguments: Namespace) -> str:
    split = f", split {dataset.split}" if dataset.split else ""
    return (
        f"Fitted by `yolov3 anchors` to {dataset.name}{split}: {boxes} boxes of {len(dataset)} pictures,\n"
        f"{arguments.mode}, seed {arguments.seed}; mean best IoU {fitted.mean_iou:.4f}, "
        f"best possible recall {fitted.best_possible_recall:.4f}."
    )


def draw_plot(shapes: Any, path: Path, arguments: Namespace, current: tuple[str, int, float]) -> None:
    from yolo.images.plots import plot_anchor_counts

    name, count, mean_iou = current
    curve = mean_iou_by_count(shapes, range(1, max(15, arguments.count) + 1), seed=arguments.seed)
    plot_anchor_counts(curve, path, marked={name: (count, mean_iou)})
    logger.info("plot written to %s", path)


def to_text(report: dict[str, Any], anchors: Anchors) -> str:
    current = report["current"]
    rows = [("fitted", report), (current["name"], current)]
    width = max(len(name) for name, _ in rows)
    return "\n".join(
        [
            "anchors (width, height in px): "
            + "  ".join(f"{anchor[0]:g},{anchor[1]:g}" for anchor in anchors.tolist()),
            f"{'':{width}}  mean IoU  best possible recall",
            *(f"{name:{width}}  {row['mean_iou']:8.4f}  {row['best_possible_recall']:20.4f}" for name, row in rows),
            report["verdict"],
        ]
    )
