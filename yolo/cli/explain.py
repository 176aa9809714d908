"""`yolov3 explain WEIGHTS PICTURE`: say why boxes were found, and why others are missing."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jsonargparse import ArgumentParser, Namespace
from numpy.typing import NDArray

from yolo.cli.common import (
    SIZE_HELP,
    WEIGHTS_HELP,
    add_nms_options,
    add_weights_options,
    check_output,
    find_weights,
    load_detector,
    nms_changes,
    parse_size,
    prepare_output,
)
from yolo.cli.info import to_table
from yolo.config import check
from yolo.errors import ConfigError
from yolo.explaining.class_activation import CamMethod
from yolo.explaining.missing import NEAR, Box, check_box, check_point
from yolo.files.atomic import to_json, write_text
from yolo.images.codec import read_image
from yolo.system.startup import start_keras
from yolo.weights.locate import is_darknet

if TYPE_CHECKING:
    from yolo.explaining.explain import Explanation
    from yolo.explaining.look import Look
    from yolo.explaining.missing import SlotReport

logger = logging.getLogger(__name__)

RECORD = "explanation.json"
"""File with the numbers, in the output folder."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("weights", type=str, help=f"{WEIGHTS_HELP}; or a classifier in a .keras file")
    parser.add_argument("picture", type=str, help="image to explain; it is only read")
    parser.add_argument("--out", type=str | None, metavar="DIR", help="folder for the pictures and explanation.json")
    parser.add_argument(
        "--at", type=str | None, metavar="X,Y", help="explain why there is no box at this point of the image, in pixels"
    )
    parser.add_argument(
        "--box", type=str | None, metavar="X1,Y1,X2,Y2", help="explain why this box is missing, in pixels"
    )
    parser.add_argument(
        "--method", type=CamMethod, default="layercam", help="kind of class activation map; eigencam knows no class"
    )
    parser.add_argument(
        "--layers",
        type=str,
        nargs="+",
        default=[],
        metavar="NAME",
        help="layers whose maps are merged (default: the ends of the backbone's stages and the maps before the heads)",
    )
    parser.add_argument("--top", type=int, default=10, help="number of detections to explain, the best ones")
    parser.add_argument(
        "--layer", type=str | None, metavar="NAME", help="draw the receptive field of this layer, at --at or the middle"
    )
    parser.add_argument("--features", action="store_true", help="draw the feature maps of --layer, else of --layers")
    parser.add_argument("--filters", action="store_true", help="draw the filters of the first convolution")
    add_weights_options(parser)
    parser.add_argument("--size", type=str | None, help=SIZE_HELP)
    add_nms_options(parser)
    parser.add_argument("--force", action="store_true", help="write into --out even if it is not empty")


def run(arguments: Namespace) -> None:
    # Check all arguments first: loading a model takes seconds.
    changes = nms_changes(arguments)
    size = None if arguments.size is None else parse_size(arguments.size)
    check(arguments.top > 0, "top", "> 0", arguments.top)
    picture = read_image(arguments.picture)
    height, width = picture.shape[:2]
    point, box = wanted_place(arguments, (height, width))
    for option in ("layer", "features", "filters"):
        if arguments[option] and arguments.out is None:
            raise ConfigError(f"{option}: is drawn into a folder; name one with --out")
    if arguments.out is not None:
        check_output(arguments.out, force=arguments.force)
    if is_classifier(arguments):
        record = explain_classifier(arguments, picture)
        print(to_json(record) if arguments.json else "\n".join(classifier_lines(arguments.picture, record)))
        return
    detector = load_detector(arguments, size=size)
    record, lines = explain_detector(arguments, detector, picture, (point, box), changes)
    print(to_json(record) if arguments.json else "\n".join(lines))


def wanted_place(arguments: Namespace, size: tuple[int, int]) -> tuple[tuple[float, float] | None, Box | None]:
    """Point and box that ``--at`` and ``--box`` name, in pixels of an image of (height, width).

    Raises:
        ConfigError: both are given, or one is malformed or outside.
    """
    if arguments.at is not None and arguments.box is not None:
        raise ConfigError("at: together with --box; name a point or a box")
    if arguments.at is not None:
        x, y = numbers("at", arguments.at, "X,Y", 2)
        check_point((x, y), size)
        return (x, y), None
    if arguments.box is not None:
        x1, y1, x2, y2 = numbers("box", arguments.box, "X1,Y1,X2,Y2", 4)
        check_box((x1, y1, x2, y2), size)
        return None, (x1, y1, x2, y2)
    return None, None


def numbers(option: str, text: str, form: str, count: int) -> list[float]:
    """Split ``12,34.5`` into numbers.

    Raises:
        ConfigError: they are not that many finite numbers.
    """
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != count or not np.isfinite(found).all():
        raise ConfigError(f"{option}: expected {form} in pixels of the image, got {text!r}")
    return found


# Detectors


def explain_detector(
    arguments: Namespace,
    detector: Any,
    picture: NDArray[np.uint8],
    place: tuple[tuple[float, float] | None, Box | None],
    changes: dict[str, Any],
) -> tuple[dict[str, Any], list[str]]:
    """Explain, draw into ``--out``, and return the record and the lines to print."""
    from yolo.explaining.explain import explain_look
    from yolo.explaining.layers import default_layers, find_layer
    from yolo.explaining.look import look_at
    from yolo.explaining.missing import missing_at, missing_box
    from yolo.explaining.records import explanation_record, missing_records

    names = arguments.layers or default_layers(detector)
    for name in [*names, *([arguments.layer] if arguments.layer else [])]:
        find_layer(detector.network, name)
    look = look_at(detector, picture, replace(detector.nms, **changes))
    point, box = place
    reports = missing_at(look, point) if point else missing_box(look, box) if box else None
    folder = None if arguments.out is None else prepare_output(arguments.out, force=arguments.force)
    top = arguments.top if folder else min(arguments.top, len(look.rows)) or 1
    explanation = explain_look(look, method=arguments.method, layers=names, top=top)
    record = {"picture": arguments.picture, "model": arguments.weights, **explanation_record(explanation)}
    if reports is not None:
        record["asked_for"] = {"at": point, "box": box, "slots": missing_records(reports)}
    lines = [*detection_lines(arguments.picture, record), *missing_lines(reports, look)]
    if folder is not None:
        draw_all(explanation, reports, arguments, folder=folder, record=record, wanted=point or box)
        write_text(folder / RECORD, to_json(record, indent=2) + "\n")
        logger.info("pictures and %s written to %s", RECORD, folder)
    return record, lines


def draw_all(
    explanation: Explanation,
    reports: Sequence[SlotReport] | None,
    arguments: Namespace,
    *,
    folder: Path,
    record: dict[str, Any],
    wanted: tuple[float, ...] | None,
) -> None:
    """Draw what the options ask for into a folder, and enter the files' names in the record."""
    from yolo.explaining import pictures
    from yolo.explaining.features import feature_maps, filter_pictures
    from yolo.explaining.layers import first_filters

    look = explanation.look
    if len(explanation):
        pictures.draw_overview(explanation, folder / "detections.png")
    for number, each in enumerate(explanation.detections, 1):
        name = f"{number:02d}-{file_name(each.name)}.png"
        pictures.draw_detection(each, explanation, number, folder / name)
        record["detections"][number - 1]["file"] = name
    pictures.draw_anchors(look, anchor_points(explanation, wanted), folder / "anchors.png")
    if reports is not None and wanted is not None:
        pictures.draw_missing(look, reports, wanted, folder / "missing.png")  # type: ignore[arg-type]
    if arguments.layer:
        record["receptive_field"] = draw_field(look, arguments.layer, wanted, folder)
    if arguments.features:
        for layer in [arguments.layer] if arguments.layer else explanation.layers:
            name = f"features-{file_name(layer)}.png"
            pictures.draw_features(feature_maps(look, layer), layer, folder / name)
    if arguments.filters:
        layer, kernel = first_filters(look.detector.network)
        pictures.draw_filters(filter_pictures(kernel), layer, folder / "filters.png")


def draw_field(look: Look, layer: str, wanted: tuple[float, ...] | None, folder: Path) -> dict[str, Any]:
    """Draw the receptive field of a layer's cell at a point, at the middle of a box, or of the picture."""
    from yolo.explaining.features import cell_at, fields_of
    from yolo.explaining.layers import find_layer
    from yolo.explaining.pictures import draw_fields

    output = find_layer(look.detector.network, layer)
    cell = cell_at(look, output, middle(wanted, look.box.image_size))
    theory, effective = fields_of(look, output, cell)
    draw_fields(look, layer, cell, (theory, effective), folder / f"field-{file_name(layer)}.png")
    return {"layer": layer, "cell": list(cell), "canvas_box": list(theory), "effective_canvas_box": list(effective)}


def middle(wanted: tuple[float, ...] | None, size: tuple[int, int]) -> tuple[float, float]:
    """Point asked for, middle of the box asked for, or of an image of (height, width)."""
    if wanted is None:
        return size[1] / 2, size[0] / 2
    return (wanted[0] + wanted[-2]) / 2, (wanted[1] + wanted[-1]) / 2


def anchor_points(explanation: Explanation, wanted: tuple[float, ...] | None) -> list[tuple[float, float]]:
    """Points at which anchors are drawn: the place asked for, the middle of the best box, or of the picture."""
    size = explanation.look.box.image_size
    if wanted is None and len(explanation):
        return [middle(tuple(explanation.detections[0].box.tolist()), size)]
    return [middle(wanted, size)]


def file_name(name: str) -> str:
    """Class or layer name as a part of a file name."""
    return re.sub(r"[^\w-]+", "_", name)[:40] or "_"


def detection_lines(picture: str, record: dict[str, Any]) -> list[str]:
    """Table of the explained detections."""
    found = record["detections"]
    if not found:
        return [
            f"{picture}: no detections at conf {record['conf']:g}; lower --conf, or ask about a place with --at X,Y"
        ]
    rows = [
        (
            str(number),
            each["class"],
            f"{each['score']:.3f}",
            f"{each['objectness']:.3f}",
            f"{each['probability']:.3f}",
            f"{each['slot']['layer']} /{each['slot']['stride']}",
            f"{each['slot']['row']}, {each['slot']['column']}",
            "{:.0f} x {:.0f}".format(*each["slot"]["anchor_size"]),
            f"{each['class_map_inside']:.0%}",
            f"{each['box_map_inside']:.0%}",
            f"{each['share_of_picture']:.0%}",
        )
        for number, each in enumerate(found, 1)
    ]
    head = ("", "class", "score", "object", "class p", "head", "cell", "anchor", "class map", "box map", "area")
    return [
        f"{picture}: where each detection came from; {record['method']} over {', '.join(record['layers'])}",
        "",
        *to_table(head, rows, right=3),
        "",
        "score = object x class p; cell is row, column; class map and box map: share of the map inside the box, of",
        "which a map without any idea would have the box's share of the picture (area)",
    ]


def missing_lines(reports: Sequence[SlotReport] | None, look: Look) -> list[str]:
    """Table of the slots at the place asked for."""
    if reports is None:
        return []
    rows = [
        (
            str(number),
            f"{each.slot.layer} /{each.slot.stride}",
            f"{each.slot.row}, {each.slot.column}",
            "{:.0f} x {:.0f}".format(*each.slot.anchor_size),
            f"{each.objectness:.3g}",
            ", ".join(f"{name} {share:.2g}" for name, share in each.classes[:2]),
            f"{each.score:.3g}",
            "" if each.iou is None else f"{each.iou:.2f}",
            "never" if each.appears_at is None else f"{each.appears_at:.3g}",
            each.reason,
        )
        for number, each in enumerate(reports, 1)
    ]
    head = ("", "head", "cell", "anchor", "object", "classes", "score", "IoU", "conf", "why")
    return [
        "",
        f"slots at the place asked for (conf {look.nms.conf:g}, iou {look.nms.iou:g}), best first; "
        "conf: largest threshold at which it appears",
        "",
        *to_table(head, rows),
        "",
        verdict(reports),
    ]


def verdict(reports: Sequence[SlotReport]) -> str:
    """Sum up in one sentence why there is no box, or which one there is."""
    near = [each for each in reports if each.iou is None or each.iou >= NEAR]
    if not near:
        return f"no slot makes a box like this one: none has an IoU of {NEAR:g} with it"
    best = near[0]
    what = f"{best.classes[0][0]} {best.score:.3g}"
    if best.detection is not None:
        return f"there is a box here: detection {best.detection + 1}, {what}"
    if best.suppressor is not None and best.suppressor.detection is not None:
        return f"the best slot here, {what}, is {best.reason}; a larger --iou keeps both"
    if best.suppressor is not None:
        lower = f"{best.suppressor.name} appears from --conf {best.suppressor.score:.3g} down"
        return f"the best slot here, {what}, is {best.reason}; {lower}"
    if best.appears_at is not None:
        return f"the best slot here, {what}, is {best.reason}; it appears from --conf {best.appears_at:.3g} down"
    return f"the best slot here, {what}, is {best.reason}: the network sees nothing here"


# Classifiers


def is_classifier(arguments: Namespace) -> bool:
    """Whether WEIGHTS are a ``.keras`` file of another model than a detector."""
    from yolo.files.atomic import is_file

    path = Path(arguments.weights)
    if path.suffix != ".keras" or not is_file(path) or is_darknet(path):
        return False
    start_keras()
    from yolo.weights.keras_archive import read_description
    from yolo.weights.load import REGISTERED_NAME

    return read_description(find_weights(arguments)).get("registered_name") != REGISTERED_NAME


def explain_classifier(arguments: Namespace, picture: NDArray[np.uint8]) -> dict[str, Any]:
    """Maps of a classifier's best classes, drawn into ``--out``; return the record.

    Raises:
        ConfigError: an option for detectors is given, or the classifier does not end in global average pooling.
    """
    from yolo.explaining.classifier import class_activation_maps, load_classifier
    from yolo.explaining.pictures import draw_class_maps

    for option in ("at", "box", "layer", "features", "filters", "layers"):
        if arguments[option]:
            raise ConfigError(f"{option}: is for detectors; {arguments.weights} is a classifier")
    found = class_activation_maps(load_classifier(arguments.weights), picture, top=min(arguments.top, 3))
    if arguments.out is not None:
        folder = prepare_output(arguments.out, force=arguments.force)
        rows = [(f"class {each.label}", each.score, each.heat) for each in found]
        draw_class_maps(picture, rows, "CAM", folder / "classes.png")
        logger.info("classes.png written to %s", folder)
    classes = [{"label": each.label, "score": each.score} for each in found]
    return {"picture": arguments.picture, "model": arguments.weights, "method": "cam", "classes": classes}


def classifier_lines(picture: str, record: dict[str, Any]) -> list[str]:
    rows = [(str(each["label"]), f"{each['score']:.4f}") for each in record["classes"]]
    return [
        f"{picture}: best classes of {record['model']} (a classifier)",
        "",
        *to_table(("class", "score"), rows, right=1),
    ]
