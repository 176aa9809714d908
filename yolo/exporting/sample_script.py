"""Script that detects with an exported file and its own program alone, without this package."""

from __future__ import annotations

from pathlib import Path
from pprint import pformat

from yolo.config import Format, NmsConfig
from yolo.conversion.description import Description
from yolo.exporting.sample_parts import (
    CANDIDATES,
    FIND,
    GREEDY,
    IOU,
    IOU_LESS_DISTANCE,
    MAIN,
    MAPS,
    OVERLAP,
    PREPARE,
    RUN,
    SIZES,
    SOFT,
    SOFTMAX,
)
from yolo.ops.suppression import distance_exponent

PROGRAMS: dict[Format, str] = {
    "saved_model": "TensorFlow",
    "onnx": "ONNX Runtime",
    "openvino": "OpenVINO",
    "litert": "LiteRT",
}
IN_FOLDER: dict[Format, str] = {"saved_model": "", "openvino": "model.xml"}
"""File in an exported folder that is loaded; the folder itself: empty."""
SERVED = ["detection_boxes", "detection_scores", "detection_classes", "num_detections"]
"""Outputs of a SavedModel with detections."""


def script_name(file_format: Format, path: Path) -> str:
    """Name of the script for an export: inside its folder ``detect.py``, beside the file ``detect_NAME.py``."""
    in_folder = file_format == "saved_model" or (file_format == "openvino" and path.suffix != ".xml")
    return "detect.py" if in_folder else f"detect_{path.stem}_{file_format}.py"


def script_of(file_format: Format, description: Description, path: Path) -> str:
    """Write the script of an export to a path: constants, then one function for each step."""
    served = file_format == "saved_model" and description.contents == "detections"
    in_folder = script_name(file_format, path) == "detect.py"
    place = IN_FOLDER[file_format] if in_folder else path.name
    model = "Path(__file__).resolve().parent" + (f" / {place!r}" if place else "")
    imports, code = _split(RUN[file_format])
    parts = [
        f'"""Detect objects with {PROGRAMS[file_format]} alone: python {script_name(file_format, path)} PICTURE..."""',
        "",
        "import sys\nfrom pathlib import Path\n\nimport cv2\n" + "\n".join(sorted([*imports, "import numpy as np"])),
        "",
        f"MODEL = {model}",
        *_constants(description, SERVED if served else description.outputs),
        "",
        code,
        PREPARE[description.letterbox],
        *_decoding(description),
        FIND["tensorflow" if served else description.contents],
        MAIN.replace("@BATCH@", _batch(description)),
    ]
    return "\n".join(parts).rstrip("\n") + "\n"


def _split(text: str) -> tuple[list[str], str]:
    """Imports at the beginning of a part, and the rest of it."""
    head, _, rest = text.strip("\n").partition("\n\n")
    return head.splitlines(), rest + "\n"


def _batch(description: Description) -> str:
    """Expression that makes a batch of the canvas: a file of a fixed batch gets the picture that many times."""
    count = description.batch or 1
    return "canvas[None]" if count == 1 else f"np.repeat(canvas[None], {count}, axis=0)"


def _constants(description: Description, outputs: list[str]) -> list[str]:
    """Numbers of the network as assignments."""
    lines = [
        f"OUTPUTS = {outputs!r}",
        f"CLASSES = {pformat(list(description.classes), width=108, compact=True)}",
        f"CANVAS = {description.canvas!r}  # height, width",
    ]
    nms = description.raw_nms  # the script gives raw scores
    if description.contents != "detections":
        lines += [
            f"CONF = {nms.conf!r}" if nms.kind == "soft" else f"CONF, IOU = {nms.conf!r}, {nms.iou!r}",
            f"MOST_CANDIDATES, MOST_DETECTIONS = {nms.max_candidates!r}, {nms.max_detections!r}",
        ]
        exponent = distance_exponent(nms)
        lines += [f"SIGMA = {nms.sigma!r}"] if nms.kind == "soft" else []
        lines += [] if exponent is None else [f"EXPONENT = {exponent!r}"]
    if description.contents == "maps":
        anchors = [[(round(w, 4), round(h, 4)) for w, h in shapes] for shapes in description.anchors]
        lines += [
            f"STRIDES = {list(description.strides)!r}",
            f"ANCHORS = {pformat(anchors, width=108, compact=True)}",
            f"SCALE_XY = {list(description.coding.scale_xy or [1.0] * len(description.strides))!r}",
        ]
    return lines


def _decoding(description: Description) -> list[str]:
    """Functions between the outputs and the detections."""
    if description.contents == "detections":
        return []
    suppression = [_overlap(description.nms), _suppression(description.nms)]
    if description.contents == "predictions":
        return suppression
    classes = "softmax(raw[..., 5:])" if description.coding.softmax else "sigmoid(raw[..., 5:])"
    decode = MAPS.replace("@SIZE@", SIZES[description.coding.sizes]).replace("@CLASSES@", classes)
    return [*([SOFTMAX] if description.coding.softmax else []), decode, *suppression]


def _overlap(nms: NmsConfig) -> str:
    """Function for the overlap of two boxes by the rule of `yolo/ops/host_nms.py`."""
    if distance_exponent(nms) is None:
        return OVERLAP.replace("@ABOUT@", "IoU").replace("@RESULT@", IOU)
    return OVERLAP.replace("@ABOUT@", "IoU, less the distance of the centres,").replace("@RESULT@", IOU_LESS_DISTANCE)


def _suppression(nms: NmsConfig) -> str:
    """Function that suppresses, of each class or of all together."""
    whose = "" if nms.class_agnostic else " of their class"
    if nms.kind == "soft":
        about = f"Lower scores of boxes that overlap a better one{whose}"
        step = SOFT.replace("@SAME@", "" if nms.class_agnostic else "[labels[left] == labels[best]]")
    else:
        about = f"Drop boxes that overlap a better one{whose}"
        step = GREEDY.replace("@OTHER@", "" if nms.class_agnostic else "(labels[left] != labels[best]) | ")
    return CANDIDATES.replace("@ABOUT@", about).replace("@STEP@", step)
