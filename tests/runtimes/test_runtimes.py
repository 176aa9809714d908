"""Detections are the same whatever runs the network."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cfg_texts
import numpy as np
import pytest
from runtime_models import add_small_backbone, noisy_detector, pictures, scatter

import yolo
from yolo.config import NmsConfig
from yolo.model.inference import inference_network
from yolo.runtimes import openvino_network
from yolo.runtimes.load import load_detector
from yolo.structs import Detections

NMS = NmsConfig(conf=0.05)
RUNTIMES = ("keras", "openvino", "onnx", "litert")
UNUSUAL = cfg_texts.detector(
    cfg_texts.conv(8, 3, "mish", batch_normalize=1, stride=2, pad=1),
    cfg_texts.conv(8, 3, "swish", batch_normalize=1, groups=8, pad=1),
    ("maxpool", {"size": 2, "stride": 2}),
    cfg_texts.conv(16, 1, "leaky", batch_normalize=1),
    ("maxpool", {"size": 3, "stride": 1}),
    ("upsample", {"stride": 2}),
    size=(64, 64),
)
"""A network of grouped convolutions, mish, swish and pooling without strides."""


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    """One cache for all tests of this file: a conversion to ONNX takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YOLO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def detector() -> yolo.Detector:
    return noisy_detector()


@pytest.fixture(scope="module")
def model(detector: yolo.Detector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.keras"
    detector.save(path)
    return path


def assert_same(found: list[Detections], expected: list[Detections], *, boxes: float, scores: float) -> None:
    for own, other in zip(found, expected, strict=True):
        assert len(own) > 0
        np.testing.assert_array_equal(own.labels, other.labels)
        np.testing.assert_allclose(own.boxes, other.boxes, atol=boxes)
        np.testing.assert_allclose(own.scores, other.scores, atol=scores)


def test_folding_batch_norm_changes_nothing(detector: yolo.Detector) -> None:
    images = np.random.default_rng(1).uniform(0, 255, (2, 96, 96, 3)).astype(np.float32)
    folded = inference_network(detector)(images)
    for raw, expected in zip(folded, detector(images), strict=True):
        np.testing.assert_allclose(np.reshape(raw, expected.shape), expected, atol=1e-4)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_runtime_finds_what_keras_finds(runtime: str, detector: yolo.Detector, model: Path) -> None:
    other = load_detector(model, runtime=runtime, precision="float32")
    assert (other.network.runtime, other.network.precision) == (runtime, "float32")
    assert (other.classes, other.canvas, other.letterbox) == (detector.classes, detector.canvas, detector.letterbox)
    assert_same(other.detect_images(pictures(), NMS), detector.detect_images(pictures(), NMS), boxes=0.01, scores=1e-4)


@pytest.mark.parametrize("runtime", ["keras", "openvino"])
def test_bfloat16_is_near(runtime: str, detector: yolo.Detector, model: Path) -> None:
    """Raw maps have a deviation of 1; 8 bits of mantissa through 13 layers leave errors of some hundredths."""
    images = np.random.default_rng(2).uniform(0, 255, (1, 96, 96, 3)).astype(np.float32)
    network = load_detector(model, runtime=runtime, precision="bfloat16").network
    assert network.precision == "bfloat16"
    for raw, expected in zip(network(images), detector(images), strict=True):
        difference = np.abs(np.reshape(raw, expected.shape) - np.asarray(expected))
        assert 0 < difference.mean() < 0.02
        assert difference.max() < 0.15


@pytest.mark.parametrize("runtime", ["keras", "openvino", "onnx"])
def test_canvases_and_batches_may_change_from_call_to_call(runtime: str, detector: yolo.Detector, model: Path) -> None:
    other = load_detector(model, runtime=runtime, precision="float32")
    for batch, canvas in ((2, (64, 96)), (1, (96, 96)), (3, (96, 64)), (2, (64, 96))):
        images = np.random.default_rng(batch).uniform(0, 255, (batch, *canvas, 3)).astype(np.float32)
        expected = detector(images)
        for raw, whole in zip(other.network(images), expected, strict=True):
            np.testing.assert_allclose(np.reshape(raw, whole.shape), whole, atol=1e-3)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_threads_share_a_network(runtime: str, model: Path) -> None:
    network = load_detector(model, runtime=runtime, precision="float32").network
    batches = [np.random.default_rng(seed).uniform(0, 255, (1, 96, 96, 3)).astype(np.float32) for seed in range(8)]
    alone = [network(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(network, batches))
    for found, expected in zip(together, alone, strict=True):
        for raw, whole in zip(found, expected, strict=True):
            np.testing.assert_allclose(raw, whole, atol=1e-5)


def test_openvino_takes_batches_and_canvases_of_any_size_from_several_threads(model: Path) -> None:
    network = load_detector(model, runtime="openvino", precision="float32").network
    images = np.random.default_rng(3).uniform(0, 255, (4, 96, 96, 3)).astype(np.float32)
    sizes = [(4, 96, 96), (3, 96, 96), (1, 32, 64), (2, 96, 64), (1, 96, 96)] * 3
    alone = [network(images[:count, :rows, :columns]) for count, rows, columns in sizes]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda size: network(images[: size[0], : size[1], : size[2]]), sizes))
    for (count, rows, columns), own, other in zip(sizes, alone, together, strict=True):
        assert own[0].shape == (count, rows // 32, columns // 32, 24)
        for raw, again in zip(own, other, strict=True):
            np.testing.assert_allclose(again, raw, atol=1e-5)
    for raw, whole in zip(alone[1], alone[0], strict=True):
        np.testing.assert_allclose(raw, whole[:3], atol=1e-3)


def test_the_first_call_of_openvino_is_alone(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two first calls at once hung for ever now and then: both make tables of OpenVINO's Python layer."""
    network = load_detector(model, runtime="openvino", precision="float32").network
    infer = openvino_network._Compiled._infer
    running, together, finished = [], [], []

    def watched(self: openvino_network._Compiled, images: np.ndarray) -> list[np.ndarray]:
        running.append(1)
        if not finished:
            together.append(len(running))
            time.sleep(0.05)
        outputs = infer(self, images)
        running.pop()
        finished.append(1)
        return outputs

    monkeypatch.setattr(openvino_network._Compiled, "_infer", watched)
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(network, [np.zeros((1, 32, 32, 3), np.float32)] * 8))) == 8
    assert together == [1]


@pytest.fixture(scope="module")
def unusual(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Detections]]:
    """Weights of the unusual network, and what Keras finds with them."""
    from yolo.darknet.plan import make_detector_plan
    from yolo.weights.darknet_files import save_darknet_weights, set_weights

    folder = tmp_path_factory.mktemp("unusual")
    (folder / "net.cfg").write_text(UNUSUAL)
    plan = make_detector_plan(UNUSUAL, "net.cfg")
    made = yolo.Detector(str(folder / "net.cfg"), classes=["x", "y"])
    set_weights(made, cfg_texts.draw_weights(plan.convolutions))
    save_darknet_weights(made, folder / "net.weights")
    return folder / "net.weights", yolo.load(folder / "net.weights", names=["x", "y"]).detect_images(pictures(), NMS)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_darknet_network_with_unusual_layers(runtime: str, unusual: tuple[Path, list[Detections]]) -> None:
    path, expected = unusual
    other = load_detector(path, runtime=runtime, precision="float32", names=["x", "y"])
    assert other.letterbox == "stretch"
    assert_same(other.detect_images(pictures(), NMS), expected, boxes=0.01, scores=1e-4)


def check_backbone(path: Path, expected: list[Detections], runtime: str) -> None:
    other = load_detector(path, runtime=runtime, precision="float32")
    assert other.fixed_canvas
    assert_same(other.detect_images(pictures(1), NMS), expected, boxes=0.02, scores=5e-4)


def saved_backbone(name: str, path: Path) -> list[Detections]:
    """Save a detector on a Keras backbone; returns what it finds."""
    made = scatter(yolo.Detector(name, classes=["a", "b", "c"], size=64), bias=-1)
    made.save(path)
    return made.detect_images(pictures(1), NMS)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Detections]]:
    """A detector on a backbone of few layers, and what it finds."""
    path = tmp_path_factory.mktemp("backbone") / "model.keras"
    with pytest.MonkeyPatch.context() as patch:
        return path, saved_backbone(add_small_backbone(patch), path)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_backbone(runtime: str, backbone: tuple[Path, list[Detections]], monkeypatch: pytest.MonkeyPatch) -> None:
    add_small_backbone(monkeypatch)
    check_backbone(*backbone, runtime)


@pytest.mark.slow
def test_a_keras_backbone(tmp_path: Path) -> None:
    """In the runtime that is chosen by itself; the others have the same layers in `test_a_backbone`."""
    expected = saved_backbone("keras:MobileNetV3Small", tmp_path / "model.keras")
    check_backbone(tmp_path / "model.keras", expected, "openvino")


def test_detect_takes_files_and_lists(detector: yolo.Detector, model: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(pictures(1)[0]).save(tmp_path / "picture.png")
    other = yolo.load_detector(model, runtime="openvino", precision="float32")
    one = other.detect(tmp_path / "picture.png", conf=0.05)
    several = other.detect([tmp_path / "picture.png", *pictures()[1:]], conf=0.05, batch=2)
    assert_same([one], several[:1], boxes=1e-3, scores=1e-5)
    assert_same(several, detector.detect(pictures(), conf=0.05), boxes=0.01, scores=1e-4)


def test_the_size_and_the_letterbox_may_be_others(model: Path) -> None:
    expected = yolo.load(model, size=(32, 128), letterbox="stretch")
    other = load_detector(model, runtime="openvino", precision="float32", size=(32, 128), letterbox="stretch")
    assert (other.canvas, other.letterbox) == ((32, 128), "stretch")
    assert_same(other.detect_images(pictures(), NMS), expected.detect_images(pictures(), NMS), boxes=0.01, scores=1e-4)
