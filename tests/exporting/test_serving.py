"""Folders for model servers: bytes of pictures in, the boxes of `Detector.detect` out."""

from __future__ import annotations

import runpy
import sys
import types
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from runtime_models import narrow_detector, scatter

import yolo
from yolo.config import NmsConfig
from yolo.errors import ConfigError
from yolo.exporting.picture_graph import decode_picture, place_picture
from yolo.exporting.serving import export_for
from yolo.images.codec import decode_image
from yolo.images.letterbox import Letterbox

SIZES = [(96, 128), (300, 77), (50, 40)]
"""(height, width): shrunk a little, shrunk to less than half, enlarged."""


def encoded(kind: str) -> list[bytes]:
    """Pictures of each size, bytes of a file."""
    files = []
    for seed, (height, width) in enumerate(SIZES):
        colours = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), np.uint8)
        file = BytesIO()
        Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC).save(file, kind)
        files.append(file.getvalue())
    return files


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_pictures_are_decoded_as_ours(kind: str) -> None:
    for data in encoded(kind):
        np.testing.assert_array_equal(decode_picture(data), decode_image(data, name="x"))


@pytest.mark.parametrize(("mode", "most", "mean"), [("letterbox", 1.0, 0.2), ("stretch", 0.001, 0.001)])
def test_canvases_are_ours_to_a_grey_level(mode: Any, most: float, mean: float) -> None:
    for data in encoded("PNG"):
        image = decode_image(data, name="x")
        box = Letterbox(image.shape[:2], (96, 160), mode)
        placed = place_picture(image, (96, 160), mode)
        difference = np.abs(placed.canvas - box.apply_unrounded(image))
        assert difference.max() <= most
        assert difference.mean() <= mean
        corners = np.array([[0, 0, image.shape[1], image.shape[0]]], np.float32)
        np.testing.assert_allclose(corners * placed.scale + placed.offset, box.boxes_to_canvas(corners), rtol=1e-6)


@pytest.fixture(scope="module")
def narrow() -> yolo.Detector:
    """A quarter of yolov3-tiny whose detections are not near ties: one grey level more keeps the same boxes."""
    return scatter(narrow_detector(["a", "traffic light", "c"], nms=NmsConfig(conf=0.2)))


def check_answers(answers: dict[str, Any], pictures: list[bytes], detector: yolo.Detector) -> None:
    """Compare answers with what the detector finds; one grey level moves a box by less than 0.2 pixels here."""
    expected = detector.detect([decode_image(data, name="x") for data in pictures])
    assert sum(map(len, expected)) > 0
    for index, own in enumerate(expected):
        count = int(np.asarray(answers["num_detections"]).reshape(-1)[index])
        assert count == len(own)
        boxes, scores, labels = (
            np.asarray(answers[f"detection_{part}"])[index] for part in ("boxes", "scores", "classes")
        )
        names = [each.decode() if isinstance(each, bytes) else each for each in answers["detection_names"][index]]
        assert names[:count] == [detector.classes[label] for label in labels[:count]]
        assert (np.diff(scores[:count]) <= 0).all()
        for box, score, label in zip(own.boxes, own.scores, own.labels, strict=True):  # near ties may change places
            away = np.where(labels[:count] == label, np.abs(boxes[:count] - box).max(axis=1), np.inf)
            assert away.min() < 0.2
            assert scores[away.argmin()] == pytest.approx(score, abs=0.005)
        assert not any(names[count:])


@pytest.mark.slow
def test_tf_serving_answers_bytes_with_boxes(narrow: yolo.Detector, tmp_path: Path) -> None:
    import tensorflow as tf

    folder = export_for(narrow, tmp_path / "served", "tf-serving", name="toys")
    assert 'base_path: "/models/toys"' in (folder / "models.config").read_text()
    loaded = tf.saved_model.load(folder / "toys" / "1")
    pictures = encoded("JPEG")
    answers = loaded.signatures["serving_default"](image_bytes=tf.constant(pictures))
    check_answers({name: value.numpy() for name, value in answers.items()}, pictures, narrow)


class Utils(types.ModuleType):
    """Stand-in for the module that Triton gives to Python models."""

    class Tensor:
        def __init__(self, name: str, value: Any):
            self.name, self.value = name, value

        def as_numpy(self) -> Any:
            return self.value

    class TritonError(Exception):
        pass

    class InferenceResponse:
        def __init__(self, tensors: list[Any], error: Exception | None = None):
            self.tensors, self.error = tensors, error

    @staticmethod
    def get_input_tensor_by_name(request: dict[str, Any], name: str) -> Utils.Tensor:
        return Utils.Tensor(name, request[name])


def run_step(folder: Path, request: dict[str, Any]) -> Any:
    """Run a step's model.py on one request."""
    return runpy.run_path(str(folder / "1" / "model.py"))["TritonPythonModel"]().execute([request])[0]


@pytest.mark.slow
def test_triton_steps_answer_bytes_with_boxes(
    narrow: yolo.Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", Utils("triton_python_backend_utils"))
    folder = export_for(narrow, tmp_path / "served", "triton", name="toys")
    assert (folder / "toys" / "1").is_dir()
    pictures = encoded("PNG")
    request = {"image_bytes": np.array(pictures, object)[:, None]}
    tensors = {each.name: each.value for each in run_step(folder / "toys_prepare", request).tensors}
    session = onnxruntime.InferenceSession(folder / "toys_network" / "1" / "model.onnx")
    names = [each.name for each in session.get_outputs()]
    tensors |= dict(zip(names, session.run(names, {"images": tensors["images"]}), strict=True))
    answers = {each.name: each.value for each in run_step(folder / "toys_place", tensors).tensors}
    check_answers(answers, pictures, narrow)
    config = (folder / "toys" / "config.pbtxt").read_text()
    assert [name for name in (*names, *answers) if f'"{name}"' not in config] == []
    refused = run_step(folder / "toys_prepare", {"image_bytes": np.array([[b"no picture"]], object)})
    assert str(refused.error) == "image_bytes: not a picture that can be decoded"


@pytest.mark.parametrize(("options", "message"), [({"name": "a/b"}, "name"), ({"server": "other"}, "for must be")])
def test_options_that_are_wrong(narrow: yolo.Detector, tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        export_for(narrow, tmp_path / "x", **{"server": "triton", **options})


def test_a_folder_with_contents_is_left_alone(narrow: yolo.Detector, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(ConfigError, match="exists; give another --out"):
        export_for(narrow, tmp_path, "triton")
