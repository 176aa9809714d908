"""Detector: model file, errors, and boxes in the pixels of the image."""

from __future__ import annotations

import json
import zipfile

import keras
import numpy as np
import pytest
from cfg_texts import two_scales
from encoding import encode_boxes
from keras import ops
from PIL import Image

import yolo
from yolo.config import NmsConfig
from yolo.errors import ConfigError, MediaError, WeightsError
from yolo.model.detector import Detector
from yolo.weights.load import load

ANCHORS = [[10, 10], [20, 20], [30, 40], [40, 30], [60, 60], [80, 50]]


@pytest.fixture(scope="module")
def detector():
    return Detector(
        "net.cfg",
        cfg=two_scales(2),
        classes=["cat", "Hund ä"],
        anchors=ANCHORS,
        size=(64, 96),
        letterbox="stretch",
        nms=NmsConfig(conf=0.3, iou=0.5),
        origin={"dataset": "pets"},
    )


class Oracle(keras.Model):
    """In place of a network: says for every picture that there is one box of class 1 at a place of the canvas."""

    def __init__(self, detector, box):
        super().__init__()
        slots = detector.slots
        centre = (np.array(box[:2]) + np.array(box[2:])) / 2
        slot = next(
            index
            for index in range(len(slots))
            if slots.stride[index, 0] == 16 and (np.floor(centre / 16) == slots.cell[index]).all()
        )
        raw = np.full((len(slots), 7), -20, np.float32)
        raw[slot, :4] = encode_boxes(
            np.array(box, np.float32), slots.cell[slot], slots.stride[slot], slots.anchor[slot]
        )
        raw[slot, [4, 6]] = 20
        shapes = [output.shape[1:] for output in detector.network.outputs]
        borders = np.cumsum([np.prod(shape[:3]) for shape in shapes])[:-1]
        self.maps = [part.reshape(1, *shape) for part, shape in zip(np.split(raw, borders), shapes, strict=True)]

    def call(self, inputs, training=None):  # noqa: ARG002 - as a network's
        return [ops.repeat(ops.convert_to_tensor(raw), ops.shape(inputs)[0], axis=0) for raw in self.maps]


def with_oracle(box, **options):
    options = {"letterbox": "letterbox", **options}
    detector = Detector("net.cfg", cfg=two_scales(2), classes=["a", "b"], anchors=ANCHORS, **options)
    detector.network = Oracle(detector, box)
    return detector


# Canvas


def test_another_canvas_keeps_weights_and_anchors(detector):
    larger = detector.resized((96, 128))
    assert larger.canvas == (96, 128)
    assert len(larger.slots) == 2 * len(detector.slots)
    np.testing.assert_array_equal(larger.anchors, detector.anchors)
    for one, other in zip(detector.get_weights(), larger.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


# Detection


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # 200 x 100 on 64 x 64: half the canvas' height, scale 0.32, 16 px above: (16, 24, 48, 40)
        ({"size": 64}, [50, 25, 150, 75]),
        ({"size": 64, "letterbox": "stretch"}, [50, 37.5, 150, 62.5]),
    ],
)
def test_boxes_are_in_the_pictures_own_pixels(options, expected):
    detector = with_oracle([16, 24, 48, 40], **options)
    found = detector.detect(np.zeros((100, 200, 3), np.uint8))
    assert found.names == ["b"]
    np.testing.assert_allclose(found.boxes, [expected], atol=0.2)
    assert found.scores[0] == pytest.approx(1, abs=1e-4)


def test_boxes_end_at_the_pictures_edge():
    detector = with_oracle([-10, 20, 40, 60], size=64)
    found = detector.detect(np.zeros((100, 200, 3), np.uint8))
    x1, y1, x2, y2 = found.boxes[0]
    assert (x1, y2) == (0, 100)
    assert x2 == pytest.approx(125, abs=0.5)
    assert y1 == pytest.approx((20 - 16) / 0.32, abs=0.5)


def test_paths_arrays_and_lists(tmp_path):
    detector = with_oracle([16, 24, 48, 40], size=64)
    array = np.zeros((100, 200, 3), np.uint8)
    Image.fromarray(array).save(tmp_path / "ä.png")
    one = detector.detect(tmp_path / "ä.png")
    several = detector.detect([str(tmp_path / "ä.png"), array, array], batch=2)
    assert isinstance(several, list)
    assert [len(each) for each in several] == [1, 1, 1]
    for each in several:
        np.testing.assert_array_equal(each.boxes, one.boxes)
    assert detector.detect([]) == []
    for wrong in (array / 255, array.astype(np.uint16), array[..., 0], array[None], array[:0]):
        with pytest.raises(MediaError, match=r"^expected a picture as an array \(H, W, 3\) uint8 RGB, got \("):
            detector.detect(wrong)
    with pytest.raises(ConfigError, match="batch must be > 0, got 0"):
        detector.detect([array], batch=0)
    assert len(detector.detect(array, conf=0.999999)) <= 1
    with pytest.raises(MediaError, match=r"none\.jpg"):
        detector.detect("none.jpg")


def test_drawing_leaves_the_picture_as_it_was(tmp_path):
    detector = with_oracle([16, 24, 48, 40], size=64)
    array = np.zeros((100, 200, 3), np.uint8)
    drawn = detector.detect(array).draw(array)
    drawn.save(tmp_path / "out.png")
    assert not array.any()
    assert np.asarray(Image.open(tmp_path / "out.png")).any()


# Files


def test_a_file_describes_itself(detector, tmp_path):
    detector.save(tmp_path / "a.keras")
    again = load(tmp_path / "a.keras")
    for name in ("variant", "classes", "canvas", "letterbox", "nms", "origin", "seed"):
        assert getattr(again, name) == getattr(detector, name)
    np.testing.assert_array_equal(
        again.anchors,
        np.array(ANCHORS, np.float32)[[0, 1, 2, 3, 4, 5]][
            np.argsort([100, 400, 1200, 1200, 3600, 4000], kind="stable")
        ],
    )
    picture = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3)).astype(np.uint8)
    for one, other in zip(detector(picture), again(picture), strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(other))
    assert isinstance(keras.models.load_model(tmp_path / "a.keras"), Detector)
    assert [path.name for path in tmp_path.iterdir()] == ["a.keras"]


def test_the_file_leaves_the_optimizer_out_and_the_detector_keeps_it(tmp_path):
    detector = Detector("net.cfg", cfg=two_scales(1), classes=["a"], size=32)
    detector.save(tmp_path / "before.keras")
    detector.compile("adamw")
    detector.optimizer.build(detector.trainable_variables)
    optimizer = detector.optimizer
    detector.save(tmp_path / "after.keras")
    sizes = [(tmp_path / f"{name}.keras").stat().st_size for name in ("before", "after")]
    assert sizes[1] < sizes[0] * 1.01
    assert detector.optimizer is optimizer


def test_wrong_files_are_named(detector, tmp_path):
    (tmp_path / "text.keras").write_text("no archive")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    detector.save(tmp_path / "good.keras")
    data = (tmp_path / "good.keras").read_bytes()
    (tmp_path / "short.keras").write_bytes(data[: len(data) // 2])
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    (tmp_path / "flipped.keras").write_bytes(flipped)
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("config.json", json.dumps([1]))
    for name in ("none", "text", "other", "short", "flipped", "empty"):
        with pytest.raises(WeightsError, match=rf"{name}\.keras: ") as raised:
            load(tmp_path / f"{name}.keras")
        assert "\n" not in str(raised.value)


def test_a_file_without_its_weights_is_damaged(detector, tmp_path):
    detector.save(tmp_path / "good.keras")
    with zipfile.ZipFile(tmp_path / "good.keras") as good, zipfile.ZipFile(tmp_path / "bad.keras", "w") as bad:
        bad.writestr("config.json", good.read("config.json"))
        bad.writestr("metadata.json", good.read("metadata.json"))
    with pytest.raises(WeightsError, match=r"bad\.keras: "):
        load(tmp_path / "bad.keras")


@pytest.mark.parametrize(
    "change",
    [
        {"size": [100, 64]},
        {"size": None},
        {"classes": ["a"]},  # the weights are those of two
        {"classes": 3},
        {"anchors": [[1, 2], [3]]},
        {"model": "yolov3", "cfg": None},
        {"nms": {"conf": "x"}},
        {"unknown": 1},
    ],
)
def test_a_description_that_contradicts_itself_is_one_line_with_the_file(detector, tmp_path, change):
    detector.save(tmp_path / "good.keras")
    with zipfile.ZipFile(tmp_path / "good.keras") as good, zipfile.ZipFile(tmp_path / "bad.keras", "w") as bad:
        described = json.loads(good.read("config.json"))
        described["config"] |= change
        bad.writestr("config.json", json.dumps(described))
        for name in ("metadata.json", "model.weights.h5"):
            bad.writestr(name, good.read(name))
    with pytest.raises(WeightsError, match=r"bad\.keras: the file is damaged \(.+\)") as raised:
        load(tmp_path / "bad.keras")
    assert "\n" not in str(raised.value)


def test_a_detector_is_saved_as_keras_files_alone(detector, tmp_path):
    with pytest.raises(WeightsError, match=r"ends in \.keras"):
        detector.save(tmp_path / "a.h5")
    with pytest.raises(WeightsError, match="cannot be written"):
        detector.save(tmp_path / "nowhere" / "a.keras")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 100}, r"size must be a multiple of 32 \(try 96\), got 100"),
        ({"size": (64, 0)}, "size must be a multiple of 32"),
        ({"anchors": [[1, 2]] * 5}, r"5 cannot be divided evenly among 2 heads.*--count 4"),
        ({"anchors": []}, "anchors"),
        ({"anchors": [[1, 2], [3, -4]]}, "anchors must be pairs of positive"),
        ({"anchors": [1, 2]}, "anchors must be pairs"),
        ({"classes": []}, "classes must be at least one name"),
        ({"classes": ["a", "a"]}, "classes must be names that differ"),
        ({"classes": "cat"}, "classes must be a list of names"),
        ({"cfg": 5}, "cfg must be the text of a network file"),
        ({"nms": 5}, "nms must be thresholds"),
        ({"size": "64"}, "size must be one number or height and width"),
        ({"size": (64, 64, 3)}, "size must be one number or height and width"),
        (
            {"model": "yolov4"},
            "model must be one of yolov3, yolov3-spp, yolov3-tiny, a Darknet .cfg file, or keras:NAME .*, got yolov4",
        ),
    ],
)
def test_wrong_options_are_named(options, message):
    options = {"model": "yolov3-tiny", "classes": ["a"], **options}
    with pytest.raises(ConfigError, match=message):
        Detector(**options)


def test_the_largest_anchors_go_to_the_coarsest_scale(detector):
    coarse, fine = detector.architecture.anchors
    assert coarse.prod(axis=1).min() >= fine.prod(axis=1).max()
    published = yolo.Detector("yolov3-tiny", classes=["a"], size=832)
    np.testing.assert_allclose(published.architecture.anchors[0][-1], [688, 638])  # 344 x 319 at 416


def test_the_summary_lists_the_layers(detector):
    lines: list[str] = []
    detector.summary(print_fn=lambda line, **_: lines.append(line), line_length=120)
    text = "\n".join(lines)
    assert all(layer.name in text for layer in detector.convolutions)
    assert f"Total params: {detector.count_params():,}" in text
