"""`yolov3 info FILE`: describes a model file, a Darknet network file or a dataset."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from yolo.cli.common import add_weights_options, parse_size
from yolo.cli.data_options import add_reading_options, load_other
from yolo.darknet.summary import Summary
from yolo.errors import ConfigError, WeightsError
from yolo.files.atomic import exists, is_file, is_folder, to_json
from yolo.files.remote import is_remote
from yolo.structs import counted
from yolo.system.startup import start_keras
from yolo.weights.locate import exported_runtime, is_darknet, is_run, resolve
from yolo.weights.published import PUBLISHED

if TYPE_CHECKING:
    from yolo.model.detector import Detector
    from yolo.scores import ScoreRules

Report = dict[str, Any]
"""Description of a file, ready for JSON."""

ARRAYS = (".h5", ".hdf5")
DATASETS = (".yaml", ".yml", ".json", ".xml", ".csv", ".txt", ".data")
CLASSES_SHOWN = 10


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "file",
        type=str,
        help="a .keras, .h5, .weights or .cfg file, an exported file, a run, a published name such as yolov3-coco, or "
        "a dataset",
    )
    add_weights_options(parser)
    parser.add_argument(
        "--size", type=str | None, help="input size for which operations are counted (default: the model's own)"
    )
    add_reading_options(parser, split="all", names=False)


def run(arguments: Namespace) -> None:
    report = describe(arguments)
    print(to_json(report) if arguments.json else "\n".join(to_lines(report)))


def describe(arguments: Namespace) -> Report:
    """Describe a model file, a network file or a dataset.

    Raises:
        YoloError: the file is missing, damaged or of an unknown type, or an option does not fit it.
    """
    path = arguments.file
    if is_run(path):
        path = str(resolve(path))
    suffix = Path(path).suffix.lower()
    if is_model_file(path):
        return describe_exported_file(path, arguments)
    if not exists(path) and path not in PUBLISHED and not is_remote(path):
        raise ConfigError(f"{path}: no such file or folder")
    if is_folder(path) or is_remote(path) or suffix in DATASETS:
        return describe_dataset(path, arguments)
    if suffix == ".cfg":
        return describe_cfg(path, arguments)
    if not (suffix in (*ARRAYS, ".keras") or is_darknet(path) or path in PUBLISHED):
        raise WeightsError(f"{path}: of no known kind; give a .keras, .h5, .weights or .cfg file, or a dataset")
    start_keras()
    if suffix in ARRAYS:
        return describe_arrays(path)
    from yolo.weights.keras_archive import read_description
    from yolo.weights.load import load

    if suffix == ".keras" and read_description(Path(path)).get("registered_name") != "yolo>Detector":
        return describe_arrays(path)
    detector = load(
        path,
        cfg=arguments.cfg,
        names=arguments.names,
        size=_size(arguments),
        letterbox=arguments.letterbox,
        offline=arguments.offline,
    )
    return describe_detector(path, detector)


def is_model_file(path: str) -> bool:
    """Whether a path is an exported file or folder; an ``.xml`` file without its ``.bin`` is taken for annotations."""
    runtime = exported_runtime(path)
    beside = is_folder(path) or Path(path).suffix.lower() != ".xml" or is_file(Path(path).with_suffix(".bin"))
    return exists(path) and runtime is not None and beside


def describe_exported_file(path: str, arguments: Namespace) -> Report:
    """Describe an exported file, which is opened in its runtime.

    Raises:
        YoloError: it is damaged or of another program, its runtime is not installed, or an option does not fit it.
    """
    from yolo.runtimes.load import describe_exported

    for option in ("cfg", "names", "letterbox", "size"):
        if arguments[option] is not None:
            raise ConfigError(f"{option} {arguments[option]}: {path} is an exported file and needs none")
    description, network = describe_exported(path)
    return {
        "file": path,
        "kind": "exported",
        "model": description.model,
        "runtime": network.runtime,
        "precision": description.precision,
        "contents": description.contents,
        "outputs": description.outputs,
        "batch": description.batch,
        "canvas": list(description.canvas),
        "fixed_canvas": description.fixed_canvas,
        "letterbox": description.letterbox,
        "class_count": len(description.classes),
        "classes": list(description.classes),
        "scales": [
            {"stride": stride, "anchors": [list(pair) for pair in anchors]}
            for stride, anchors in zip(description.strides, description.anchors, strict=True)
        ],
        "thresholds": description.nms.to_plain(),
        **_rules(description.score_rules, description.classes),
        "origin": description.origin,
    }


def _size(arguments: Namespace) -> tuple[int, int] | None:
    return None if arguments.size is None else parse_size(arguments.size)


def describe_detector(path: str, detector: Detector) -> Report:
    from yolo.model.summary import summarise_detector

    architecture = detector.architecture
    return {
        "file": path,
        "kind": "detector",
        "model": detector.variant,
        **_summary(summarise_detector(detector)),
        "canvas": list(detector.canvas),
        "letterbox": detector.letterbox,
        "class_count": len(detector.classes),
        "classes": list(detector.classes),
        "scales": [
            {"stride": stride, "anchors": anchors.tolist()}
            for stride, anchors in zip(architecture.strides, architecture.anchors, strict=True)
        ],
        "thresholds": detector.nms.to_plain(),
        **_rules(detector.score_rules, detector.classes),
        "origin": detector.origin,
    }


def _rules(rules: ScoreRules, classes: Sequence[str]) -> Report:
    """Describe thresholds of the classes and calibration by themselves; nothing if there are none."""
    if not rules:
        return {}
    plain = rules.to_plain()
    thresholds = dict(zip(classes, rules.thresholds, strict=True)) if rules.thresholds else {}
    return {"score_rules": {**plain, "thresholds": thresholds}}


def describe_cfg(path: str, arguments: Namespace) -> Report:
    """Describe a Darknet network file without weights; a classifier has no scales."""
    from yolo.darknet.cfg import read_cfg
    from yolo.darknet.names import read_names
    from yolo.darknet.network import head_of
    from yolo.darknet.nms import nms_of
    from yolo.darknet.plan import make_plan
    from yolo.darknet.summary import summarise_plan

    if arguments.cfg is not None:
        raise ConfigError(f"cfg {arguments.cfg}: {path} is itself a network file")
    plan = make_plan(read_cfg(path), path, canvas=_size(arguments))
    heads = [head_of(layer) for layer in plan.heads]
    count = heads[0].classes if heads else 0
    return {
        "file": path,
        "kind": "network",
        "model": Path(path).name,
        **_summary(summarise_plan(plan)),
        "canvas": list(plan.canvas),
        "letterbox": arguments.letterbox or plan.letterbox,
        "class_count": count,
        "classes": read_names(arguments.names, count) if arguments.names else [],
        "scales": [{"stride": head.stride, "anchors": [list(pair) for pair in head.anchors]} for head in heads],
        "thresholds": nms_of(plan).to_plain() if heads else {},
    }


def _summary(summary: Summary) -> Report:
    return {
        "layers": [asdict(row) for row in summary.rows],
        "parameters": {"total": summary.parameters, "trainable": summary.trainable, "fixed": summary.fixed},
        "flops": summary.flops,
    }


def describe_arrays(path: str) -> Report:
    """Describe the arrays of a Keras file that holds no detector of this package."""
    from yolo.weights.keras_files import stored_layers

    with stored_layers(path) as stored:
        shapes = {layer.path: layer.shapes for layer in stored}
    arrays = [{"name": name, "shapes": own} for name, own in shapes.items()]
    total = sum(math.prod(shape) for own in shapes.values() for shape in own)
    return {"file": path, "kind": "weights", "arrays": arrays, "parameters": {"total": total}}


def describe_dataset(path: str, arguments: Namespace) -> Report:
    import numpy as np

    from yolo.datasets.load import available_splits

    dataset = load_other(path, arguments, arguments.split, images=arguments.images)
    counts = np.bincount(dataset.labels, minlength=len(dataset.classes)).tolist()
    return {
        "file": path,
        "kind": "dataset",
        "name": dataset.name,
        "split": arguments.split,
        "splits": list(available_splits(path)),
        "pictures": len(dataset),
        "boxes": len(dataset.boxes),
        "ignored": int(dataset.ignore.sum()),
        "classes": dict(zip(dataset.classes, counts, strict=True)),
    }


# As text


def to_lines(report: Report) -> list[str]:
    """Format a report as lines of text."""
    match report["kind"]:
        case "dataset":
            return _dataset_lines(report)
        case "weights":
            rows = [(each["name"], "  ".join(map(_times, each["shapes"]))) for each in report["arrays"]]
            total = f"{report['parameters']['total']:,}"
            return [*to_table(("layer", "shapes"), rows), "", *_pairs([("parameters", total)])]
        case "exported":
            return _pairs(_exported_pairs(report))
    return [*_layer_lines(report), "", *_pairs(_model_pairs(report))]


def _layer_lines(report: Report) -> list[str]:
    rows = [
        (
            row["name"],
            row["kind"],
            _times(row["shape"]),
            f"{row['parameters']:,}" if row["parameters"] else "",
            f"{row['flops'] / 1e9:.3f}" if row["flops"] else "",
        )
        for row in report["layers"]
    ]
    return to_table(("layer", "kind", "output", "parameters", "BFLOPs"), rows, right=2)


def _model_pairs(report: Report) -> list[tuple[str, str]]:
    parameters, (height, width) = report["parameters"], report["canvas"]
    rows = [
        ("model", report["model"]),
        ("canvas", f"{height} x {width} (height x width), {report['letterbox']}"),
        ("parameters", "{total:,} ({trainable:,} trainable, {fixed:,} not)".format(**parameters)),
        ("operations", f"{report['flops'] / 1e9:.3f} BFLOPs a picture (a multiplication and an addition are two)"),
        ("classes", _shortened(report["class_count"], report["classes"])),
    ]
    return [*rows, *_scale_pairs(report)]


def _exported_pairs(report: Report) -> list[tuple[str, str]]:
    height, width = report["canvas"]
    any_size = "" if report["fixed_canvas"] else " or another size"
    rows = [
        ("model", report["model"]),
        ("runtime", f"{report['runtime']}, {report['precision']}"),
        ("outputs", f"{report['contents']}: {', '.join(report['outputs'])}"),
        ("batch", str(report["batch"] or "any")),
        ("canvas", f"{height} x {width} (height x width){any_size}, {report['letterbox']}"),
        ("classes", _shortened(report["class_count"], report["classes"])),
    ]
    return [*rows, *_scale_pairs(report)]


def _scale_pairs(report: Report) -> list[tuple[str, str]]:
    rows = []
    for scale in report["scales"]:
        pairs = "  ".join(f"{width:g} x {height:g}" for width, height in _rounded(scale["anchors"]))
        rows.append((f"anchors /{scale['stride']}", f"{pairs} (width x height)"))
    rows += _rule_pairs(report.get("score_rules"))
    for part, values in (("thresholds", _in_effect(report["thresholds"])), ("origin", report.get("origin"))):
        rows += [(part, ", ".join(_items(readable(values))))] if values else []
    return rows


def _rule_pairs(rules: Report | None) -> list[tuple[str, str]]:
    """Thresholds of the classes and kind of calibration as lines, the maps left out."""
    if rules is None:
        return []
    rows = []
    if rules["thresholds"]:
        found = ", ".join(f"{name} {value:.3f}" for name, value in rules["thresholds"].items())
        rows.append(("conf auto", found))
    calibration = rules.get("calibration")
    if calibration:
        sizes = f", by size of box (borders {', '.join(map('{:g}'.format, calibration['size_edges']))} px)"
        maps = counted(len(calibration["maps"]), "map")
        rows.append(("calibration", f"{calibration['method']}, {maps}{sizes if calibration['size_edges'] else ''}"))
    return [*rows, ("scores from", ", ".join(_items(rules["about"])))]


def _in_effect(thresholds: dict[str, Any]) -> dict[str, Any]:
    """Thresholds without the kind of NMS where it is the default, and without the numbers of other kinds."""
    own = {"diounms": {"beta"}, "soft": {"sigma"}}.get(thresholds.get("kind", ""), set())
    hidden = {"beta", "sigma"} - own | ({"kind"} if thresholds.get("kind") == "default" else set())
    return {key: value for key, value in thresholds.items() if key not in hidden}


def readable(values: dict[str, Any]) -> dict[str, Any]:
    """Origin without the sketches of training images, which are not readable."""
    return {
        key: readable(value) if isinstance(value, dict) else value for key, value in values.items() if key != "sketch"
    }


def _rounded(pairs: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[round(side, 1) for side in pair] for pair in pairs]


def _shortened(count: int, classes: Sequence[str]) -> str:
    """Number of classes and the first of their names, as far as known."""
    if not count:
        return "none: it does not detect"
    rest = ", ..." if count > CLASSES_SHOWN else ""
    return f"{count}: {', '.join(classes[:CLASSES_SHOWN])}{rest}" if classes else str(count)


def _items(values: dict[str, Any]) -> list[str]:
    return [
        f"{key} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in values.items()
    ]


def _dataset_lines(report: Report) -> list[str]:
    ignored = f", {report['ignored']:,} of them ignored (crowds, difficult)" if report["ignored"] else ""
    rows = [
        ("dataset", report["name"]),
        ("split", f"{report['split'] or 'all'} (of {', '.join(report['splits']) or 'none'})"),
        ("pictures", f"{report['pictures']:,}"),
        ("boxes", f"{report['boxes']:,}{ignored}"),
    ]
    counts = [(name, f"{count:,}") for name, count in report["classes"].items()]
    return [*_pairs(rows), "", *to_table(("class", "boxes"), counts, right=1)]


def _pairs(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {text}" for name, text in rows]


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "1"


def to_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: int = 0) -> list[str]:
    """Format rows of text in columns, the last ``right`` of them right-aligned."""
    cells = [head, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    left = len(head) - right
    lines = []
    for row in cells:
        parts = [
            f"{text:<{width}}" if column < left else f"{text:>{width}}"
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
    return lines
