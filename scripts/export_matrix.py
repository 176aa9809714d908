"""Measured parity of every network, format and precision: writes the table of docs/EXPORT.md.

    python scripts/export_matrix.py --shared ../shared [--only yolov3-tiny onnx]

Weights are random, with batch norms as if trained and heads far from their initial values, except where a network's
weights file lies beside its .cfg. Each file takes any canvas if its format can. The table is written anew after each
cell.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo.system.startup import start_keras

if TYPE_CHECKING:
    from yolo.model.detector import Detector

DOCUMENT = Path(__file__).parents[1] / "docs" / "EXPORT.md"
BEGIN, END = "<!-- matrix: scripts/export_matrix.py -->", "<!-- end of the matrix -->"
BUILT_IN = ("yolov3-tiny", "yolov3", "yolov3-spp")
BACKBONE = "keras:MobileNetV2"
SIZE = 96
"""Side of the canvas of networks without weights, so that the full ones take seconds."""
CELL = re.compile(r"\| (\S+) \| (\S+) \| (\S+) \| (.+) \| (.+) \|")


def networks(shared: Path | None) -> dict[str, Any]:
    """Names of the networks, and functions that make a detector of each."""
    found: dict[str, Any] = {name: lambda name=name: scattered(made(name)) for name in (*BUILT_IN, BACKBONE)}
    for path in sorted((shared / "data" / "darknet").glob("*.cfg")) if shared else []:
        if path.stem not in BUILT_IN and holds_detector(path):
            found[path.name] = lambda path=path: of_cfg(path)
    return found


def made(name: str, size: int | None = SIZE) -> Detector:
    """Detector of a network with three classes; of a .cfg, with its own."""
    import yolo

    return yolo.Detector(name, classes=["a", "b", "c"], size=size)


def holds_detector(path: Path) -> bool:
    """Whether a .cfg describes a network for detection."""
    from yolo.darknet.cfg import read_cfg
    from yolo.darknet.plan import make_detector_plan
    from yolo.errors import YoloError

    try:
        make_detector_plan(read_cfg(path), path.name)
    except YoloError:
        return False
    return True


def of_cfg(path: Path) -> Detector:
    """Detector of a .cfg, with the weights beside it if there are any."""
    import yolo

    weights = path.with_suffix(".weights")
    return yolo.load(weights, cfg=path) if weights.exists() else scattered(made(str(path)))


def scattered(detector: Detector, seed: int = 0) -> Detector:
    """Draw batch norms, fit their statistics to noise, and scale the heads so that their outputs have a deviation of 1.

    Without such statistics, activations grow from layer to layer as in no trained network.
    """
    import numpy as np

    from yolo.exporting.pictures import generated_pictures

    random = np.random.default_rng(seed)
    for layer in detector.convolutions:
        if layer.batch_norm is not None:
            norm = layer.batch_norm
            norm.gamma.assign(random.uniform(0.5, 1.5, norm.gamma.shape))
            norm.beta.assign(random.normal(0, 0.1, norm.beta.shape))
            norm.momentum = 0.0
    noise = generated_pictures(detector.canvas, 4)
    detector(noise, training=True)
    for head, raw in zip(detector.heads, detector(noise), strict=True):
        kernel, bias = head.get_weights()
        head.set_weights([kernel / np.std(raw), random.normal(-1, 0.5, bias.shape)])
    return detector


def measured(detector: Detector, file_format: Any, precision: Any) -> tuple[str, str]:
    """Largest difference of boxes and of scores of an exported file, as the table shows them."""
    import yolo
    from yolo.errors import YoloError

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / {"onnx": "a.onnx", "litert": "a.tflite"}.get(file_format, "a")
        try:
            parity = yolo.export(detector, path, format=file_format, precision=precision).parity
        except YoloError as error:
            return "refused", str(error).partition(": ")[2].replace("|", "/")
    return f"{parity.boxes:.1e} px, IoU {parity.box_iou:.4f}", f"{parity.scores:.1e}"


def read_rows(text: str) -> dict[tuple[str, str, str], tuple[str, str]]:
    """Rows of the table in a document, by network, format and precision."""
    table = text.partition(BEGIN)[2].partition(END)[0]
    return {
        (m[1], m[2], m[3]): (m[4], m[5]) for m in map(CELL.fullmatch, table.splitlines()) if m and m[1] != "network"
    }


def with_rows(text: str, rows: dict[tuple[str, str, str], tuple[str, str]]) -> str:
    """Document with its table replaced."""
    head, _, rest = text.partition(BEGIN)
    lines = ["| network | format | precision | boxes | scores |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join([*key, *value])} |" for key, value in rows.items()]
    return head + BEGIN + "\n\n" + "\n".join(lines) + "\n\n" + END + rest.partition(END)[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--shared", type=Path, help="folder whose data/darknet holds .cfg files")
    parser.add_argument("--only", nargs="*", default=[], help="names of networks, formats and precisions")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    arguments = parser.parse_args()
    start_keras()
    from yolo.conversion.conversion import PRECISIONS

    rows = read_rows(arguments.document.read_text(encoding="utf-8"))
    for name, make in networks(arguments.shared).items():
        cells = [(f, p) for f, precisions in PRECISIONS.items() for p in precisions if p != "int8"]
        cells = [cell for cell in cells if chosen([name, *cell], arguments.only)]
        detector = make() if cells else None
        for file_format, precision in cells:
            rows[name, file_format, precision] = measured(detector, file_format, precision)
            print(name, file_format, precision, *rows[name, file_format, precision], flush=True)
            text = arguments.document.read_text(encoding="utf-8")
            arguments.document.write_text(with_rows(text, rows), encoding="utf-8")


def chosen(names: list[str], only: list[str]) -> bool:
    """Whether a cell is wanted: each word of --only that is a network, format or precision is its own."""
    return not only or all(word in names for word in only)


if __name__ == "__main__":
    main()
