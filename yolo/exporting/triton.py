"""Model repository for Triton: encoded pictures in, boxes in their own pixels out.

An ensemble of three models: ``NAME_prepare`` decodes and fits to the canvas, in Python, as ONNX Runtime has no
decoder of pictures; ``NAME_network`` is the ONNX file, with suppression inside; ``NAME_place`` maps boxes back.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo.conversion.conversion import Conversion
from yolo.conversion.onnx_file import to_onnx, write_onnx
from yolo.exporting.sample_parts import PREPARE
from yolo.files.atomic import write_text

if TYPE_CHECKING:
    from yolo.model.detector import Detector

MOST_IMAGES = 8
"""Largest batch, which Triton puts together of requests that wait."""

Tensor = tuple[str, str, list[int]]
"""Name, Triton's data type and dimensions after the batch's."""

PICTURE: Tensor = ("image_bytes", "TYPE_STRING", [1])

README = """# @NAME@ for Triton

    docker run -p 8000:8000 -v "$PWD:/models" IMAGE tritonserver --model-repository=/models

`@NAME@` is an ensemble: `@NAME@_prepare` (Python) decodes and fits to the canvas, `@NAME@_network` (ONNX Runtime) finds
objects, `@NAME@_place` (Python) maps boxes back. IMAGE is a Triton image with the backends onnxruntime and python, in
which numpy and opencv-python-headless are installed.

The input `image_bytes` (B, 1) are the contents of picture files that OpenCV reads; EXIF rotation is applied.
"""

PREPARE_MODEL = '''"""Encoded pictures to the network's canvas; needs numpy and OpenCV (opencv-python-headless)."""

import cv2
import numpy as np
import triton_python_backend_utils as pb_utils

CANVAS = @CANVAS@  # height, width

@PREPARE@

def decode(encoded):
    """Decode a picture to (H, W, 3) RGB, its EXIF rotation applied."""
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("image_bytes: not a picture that can be decoded")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def answer(request):
    pictures = pb_utils.get_input_tensor_by_name(request, "image_bytes").as_numpy().reshape(-1)
    images, frames = [], []
    for encoded in pictures:
        image = decode(encoded)
        canvas, scale, offset = prepare(image)
        images.append(canvas)
        frames.append([*scale, *offset, image.shape[1], image.shape[0]])
    outputs = {"images": np.stack(images), "frames": np.array(frames, np.float32)}
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, value) for name, value in outputs.items()])


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            try:
                responses.append(answer(request))
            except (ValueError, cv2.error) as error:
                responses.append(pb_utils.InferenceResponse([], error=pb_utils.TritonError(str(error))))
        return responses
'''

PLACE_MODEL = '''"""Boxes from the canvas to the pixels of each picture; needs numpy."""

import numpy as np
import triton_python_backend_utils as pb_utils

CLASSES = np.array(@CLASSES@, object)


def answer(request):
    def read(name):
        return pb_utils.get_input_tensor_by_name(request, name).as_numpy()

    frames, valid, labels = read("frames")[:, None], read("valid").astype(bool), read("labels")
    scale, offset, sides = (np.tile(frames[..., first : first + 2], 2) for first in (0, 2, 4))
    boxes = np.clip((read("boxes") - offset) / scale, 0, sides)
    outputs = {
        "detection_boxes": np.where(valid[..., None], boxes, 0).astype(np.float32),
        "detection_scores": np.where(valid, read("scores"), 0).astype(np.float32),
        "detection_classes": labels.astype(np.int32),
        "detection_names": np.where(valid, CLASSES[labels], "").astype(object),
        "num_detections": valid.sum(axis=1, keepdims=True).astype(np.int32),
    }
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, value) for name, value in outputs.items()])


class TritonPythonModel:
    def execute(self, requests):
        return [answer(request) for request in requests]
'''


def write_triton(detector: Detector, folder: Path, name: str) -> None:
    """Write a model repository into a folder: the ensemble ``NAME`` and the models that it runs.

    Raises:
        ConfigError: Keras computes with another backend than TensorFlow.
    """
    conversion = Conversion(contents="detections", fixed_canvas=True)
    model, _ = to_onnx(detector, conversion)
    frames: Tensor = ("frames", "TYPE_FP32", [6])
    images: Tensor = ("images", "TYPE_FP32", [*detector.canvas, 3])
    kept = detections(model)
    answers: list[Tensor] = [
        ("detection_boxes", "TYPE_FP32", [-1, 4]),
        ("detection_scores", "TYPE_FP32", [-1]),
        ("detection_classes", "TYPE_INT32", [-1]),
        ("detection_names", "TYPE_STRING", [-1]),
        ("num_detections", "TYPE_INT32", [1]),
    ]
    steps = {
        f"{name}_prepare": ("python", [PICTURE], [images, frames]),
        f"{name}_network": ("onnxruntime", [images], kept),
        f"{name}_place": ("python", [frames, *kept], answers),
    }
    for step, (backend, inputs, outputs) in steps.items():
        _write(folder / step, _config(step, f'backend: "{backend}"', inputs, outputs) + "dynamic_batching { }\n")
    _write(folder / name, _config(name, 'platform: "ensemble"', [PICTURE], answers) + _scheduling(steps))
    write_text(folder / name / "1" / ".keep", "")  # an ensemble has no file, but its version needs a folder
    write_onnx(model, folder / f"{name}_network" / "1" / "model.onnx")
    prepare = PREPARE_MODEL.replace("@CANVAS@", repr(detector.canvas)).replace("@PREPARE@", PREPARE[detector.letterbox])
    write_text(folder / f"{name}_prepare" / "1" / "model.py", prepare)
    place = PLACE_MODEL.replace("@CLASSES@", repr(list(detector.classes)))
    write_text(folder / f"{name}_place" / "1" / "model.py", place)


TYPES = {1: "TYPE_FP32", 6: "TYPE_INT32", 7: "TYPE_INT64", 9: "TYPE_BOOL"}
"""Triton's name of each of ONNX' numbers of data types."""


def detections(model: Any) -> list[Tensor]:
    """Outputs of an `onnx.ModelProto`."""
    found = []
    for output in model.graph.output:
        kind = output.type.tensor_type
        sides = [side.dim_value if side.HasField("dim_value") else -1 for side in kind.shape.dim[1:]]
        found.append((output.name, TYPES[kind.elem_type], sides))
    return found


def _write(folder: Path, config: str) -> None:
    """Write a model's configuration, and the folder of its version."""
    (folder / "1").mkdir(parents=True)
    write_text(folder / "config.pbtxt", config)


def _config(name: str, program: str, inputs: list[Tensor], outputs: list[Tensor]) -> str:
    lines = [f'name: "{name}"', program, f"max_batch_size: {MOST_IMAGES}"]
    for key, tensors in (("input", inputs), ("output", outputs)):
        rows = [f'  {{ name: "{each}", data_type: {kind}, dims: {dims} }}' for each, kind, dims in tensors]
        lines += [f"{key} [", ",\n".join(rows), "]"]
    return "\n".join(lines) + "\n"


def _scheduling(steps: dict[str, tuple[str, list[Tensor], list[Tensor]]]) -> str:
    """Steps of an ensemble, whose tensors have the same names in all of them."""
    rows = []
    for step, (_, inputs, outputs) in steps.items():
        maps = [
            f'    {key} {{ key: "{tensor}" value: "{tensor}" }}'
            for key, tensors in (("input_map", inputs), ("output_map", outputs))
            for tensor, _, _ in tensors
        ]
        rows.append("\n".join([f'  {{ model_name: "{step}", model_version: -1', *maps, "  }"]))
    return "ensemble_scheduling {\n  step [\n" + ",\n".join(rows) + "\n  ]\n}\n"
