"""Backbones of keras.applications: their preprocessing, features, training, files and ImageNet weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from narrow_networks import narrow_networks, shallow_efficientnet

from yolo.errors import ConfigError, WeightsError
from yolo.model.detector import Detector
from yolo.model.networks.keras_backbones import backbone_names, backbone_of, make_backbone, preprocessing
from yolo.weights import imagenet
from yolo.weights.darknet_files import save_darknet_weights
from yolo.weights.imagenet import load_imagenet
from yolo.weights.load import load

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225])


@pytest.fixture(scope="module", autouse=True)
def narrow():
    """A narrow neck: the backbones are what is tested."""
    with narrow_networks():
        yield


@pytest.fixture(scope="module")
def mobile():
    """A detector that no test changes."""
    return make()


@pytest.fixture
def shallow(monkeypatch):
    """An EfficientNetB0 that is built in a third of the time."""
    monkeypatch.setattr(keras.applications, "EfficientNetB0", shallow_efficientnet)


def make(name="MobileNetV3Small", **options):
    return Detector(f"keras:{name}", **{"classes": ["a", "b"], "size": 64, **options})


def pictures(size=(64, 64), count=1):
    return np.random.default_rng(0).integers(0, 256, (count, *size, 3)).astype(np.float32)


def by_hand(name, size):
    """The network as Keras makes it."""
    return getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(*size, 3))


def copy_weights(source, target):
    """Layer by layer; what the normalization derives from its weights is derived anew."""
    for one, other in zip(source.layers, target.layers, strict=True):
        other.set_weights(one.get_weights())
        if isinstance(other, keras.layers.Normalization):
            other.finalize_state()


FEATURES = [
    ("VGG16", ["block5_pool", "block5_conv3", "block4_conv3"]),
    ("ResNet50", ["conv5_block3_out", "conv4_block6_out", "conv3_block4_out"]),
    ("ResNet50V2", ["post_relu", "conv4_block6_1_relu", "conv3_block4_1_relu"]),
    ("MobileNetV2", ["out_relu", "block_13_expand_relu", "block_6_expand_relu"]),
    ("MobileNetV3Large", [576 + 384, 672, 240]),
    ("EfficientNetB0", ["top_activation", "block6a_expand_activation", "block4a_expand_activation"]),
    ("ConvNeXtTiny", [768, 384, 192]),
]
"""Layers by name, or their channels where Keras counts the names."""


@pytest.mark.parametrize(("name", "expected"), FEATURES)
def test_features_are_those_of_keras_with_its_own_preprocessing(name, expected):
    size = (64, 96)
    images = keras.Input((*size, 3))
    backbone = make_backbone(name, size, seed=1)
    nested = keras.Model(images, backbone(preprocessing(name)(images)))
    keras_own = by_hand(name, size)
    copy_weights(keras.Model(backbone.input, backbone.outputs[0]), keras_own)
    family = getattr(keras.applications, name).__module__.rpartition(".")[2]
    prepared = getattr(keras.applications, family).preprocess_input(pictures(size))
    found = [np.asarray(each) for each in nested(pictures(size))]
    named = [keras_own.get_layer(layer).output for layer in expected if isinstance(layer, str)]
    wanted = keras.tree.flatten(keras.Model(keras_own.input, [keras_own.output, *named])(prepared))
    last, *maps = map(np.asarray, wanted)
    np.testing.assert_allclose(found[0], last, rtol=1e-5, atol=1e-6)
    assert [each.shape[1:3] for each in found] == [(2, 3), (4, 6), (8, 12)]
    for each, layer in zip(found, expected, strict=True):
        if isinstance(layer, str):
            np.testing.assert_allclose(each, maps.pop(0), rtol=1e-5, atol=1e-6)
        else:
            assert each.shape[-1] == layer


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("VGG16", lambda rgb: rgb[..., ::-1] - [103.939, 116.779, 123.68]),  # BGR
        ("MobileNetV2", lambda rgb: rgb / 127.5 - 1),
        ("DenseNet121", lambda rgb: (rgb / 255 - IMAGENET_MEAN) / IMAGENET_DEVIATION),
        ("ConvNeXtTiny", lambda rgb: rgb),  # its first layer does it
    ],
)
def test_preprocessing_by_hand(name, expected):
    images = keras.Input((64, 64, 3))
    model = keras.Model(images, preprocessing(name)(images) + 0.0)
    np.testing.assert_allclose(np.asarray(model(pictures())), expected(pictures()), rtol=1e-5, atol=1e-4)


@pytest.mark.usefixtures("shallow")
def test_efficientnets_normalization_is_that_of_its_imagenet_weights():
    backbone = make_backbone("EfficientNetB0", (64, 64), seed=0)
    layer = next(each for each in backbone.layers if isinstance(each, keras.layers.Normalization))
    found = np.asarray(keras.Model(backbone.input, layer.output)(pictures()))
    # With ImageNet weights Keras divides once more, by the root of the deviation.
    expected = (pictures() / 255 - IMAGENET_MEAN) / IMAGENET_DEVIATION / np.sqrt(IMAGENET_DEVIATION)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("shallow")
@pytest.mark.parametrize("name", ["ResNet50V2", "EfficientNetB0"])
def test_a_small_canvas_takes_the_same_maps(name):
    small, large = (make_backbone(name, (side, side), seed=0) for side in (32, 96))
    for one, other in zip(small.outputs, large.outputs, strict=True):
        places = [
            model.operations.index(tensor._keras_history.operation) for model, tensor in ((small, one), (large, other))
        ]
        assert places[0] == places[1]


@pytest.mark.usefixtures("shallow")
@pytest.mark.parametrize("name", ["EfficientNetB0", "ConvNeXtTiny"])
def test_variables_have_the_same_names_whatever_was_built_before(name):
    """By which a checkpoint is put back; and Keras goes on counting where it was."""
    first = [each.path for each in make_backbone(name, (64, 64), seed=0).variables]
    before = keras.layers.Normalization().name
    again = [each.path for each in make_backbone(name, (64, 64), seed=0).variables]
    assert again == first
    assert keras.layers.Normalization().name not in (before, "normalization")


def test_neck_and_heads_are_yolov3s(mobile):
    detector, darknet = mobile, Detector("yolov3", classes=["a", "b"], size=64)
    own, published = detector.convolutions, darknet.convolutions[52:]
    assert [layer.name for layer in own] == [f"conv_{index}" for index in range(23)]
    assert [layer.filters for layer in own] == [layer.filters for layer in published]
    np.testing.assert_array_equal(detector.anchors, darknet.anchors)
    assert [tuple(raw.shape[1:]) for raw in detector(pictures())] == [(2, 2, 3, 7), (4, 4, 3, 7), (8, 8, 3, 7)]


@pytest.mark.usefixtures("shallow")
def test_equal_seeds_make_equal_networks_and_leave_pythons_generator_alone():
    import random

    random.seed(3)
    expected = random.random()
    random.seed(3)
    one, same, other = (make("EfficientNetB0", seed=seed).get_weights() for seed in (1, 1, 2))
    assert random.random() == expected
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    first, second = (next(each for each in weights if each.ndim == 4) for weights in (one, other))
    assert not np.array_equal(first, second)  # the backbone's first kernel


@pytest.mark.usefixtures("shallow")
def test_a_file_and_another_canvas_keep_every_output(tmp_path):
    """Of the backbone whose normalization has figures of its own."""
    detector = make("EfficientNetB0", size=(64, 96), seed=4)
    expected = [np.asarray(raw) for raw in detector(pictures((64, 96)))]
    detector.save(tmp_path / "a.keras")
    back = load(tmp_path / "a.keras")
    assert back.variant == "keras:EfficientNetB0"
    again = detector.resized((96, 64)).resized((64, 96))
    for other in (back, again):
        for raw, wanted in zip(other(pictures((64, 96))), expected, strict=True):
            np.testing.assert_array_equal(np.asarray(raw), wanted)


def test_a_step_of_training_reaches_the_backbone():
    detector = make()
    detector.compile("sgd", run_eagerly=True)
    backbone = backbone_of(detector.network)
    before = [weight.numpy().copy() for weight in backbone.trainable_weights]
    moving = backbone.get_layer("conv_bn").moving_mean.numpy().copy()
    targets = {
        "boxes": np.array([[[8, 8, 40, 40]]] * 2, np.float32),
        "labels": np.zeros((2, 1), np.int32),
        "valid": np.ones((2, 1), bool),
        "ignore": np.zeros((2, 1), bool),
    }
    detector.fit(pictures(count=2), targets, batch_size=2, epochs=1, verbose=0)
    changed = [not np.array_equal(a, b.numpy()) for a, b in zip(before, backbone.trainable_weights, strict=True)]
    assert np.mean(changed) > 0.9
    assert not np.array_equal(moving, backbone.get_layer("conv_bn").moving_mean.numpy())


# ImageNet weights


@pytest.mark.usefixtures("shallow")
def test_imagenet_weights_are_keras_own(monkeypatch):
    constructor, asked = keras.applications.EfficientNetB0, []
    trained = constructor(include_top=False, weights=None, input_shape=(64, 64, 3))
    trained.set_weights([np.random.default_rng(0).random(w.shape).astype(w.dtype) for w in trained.weights])

    def download(*, weights=None, **options):
        asked.append(weights)
        print("Downloading data from https://...")
        return constructor(weights=None, **options) if weights is None else trained

    download.__module__ = constructor.__module__
    detector = make("EfficientNetB0")
    head = detector.convolutions[0].get_weights()
    monkeypatch.setattr(keras.applications, "EfficientNetB0", download)
    load_imagenet(detector)
    assert asked == ["imagenet"]
    assert detector.origin["backbone"] == "imagenet"
    own, theirs = (
        [layer.get_weights() for layer in model.layers if layer.weights]
        for model in (
            keras.Model(backbone_of(detector.network).input, backbone_of(detector.network).outputs[0]),
            trained,
        )
    )
    for ours, source in zip(own[1:], theirs[1:], strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(ours, source, strict=True))
    np.testing.assert_allclose(own[0][0], IMAGENET_MEAN, rtol=1e-6)  # the normalization's own figures stay
    assert all(np.array_equal(a, b) for a, b in zip(head, detector.convolutions[0].get_weights(), strict=True))


def test_the_download_speaks_on_stderr(monkeypatch, capsys, mobile):
    def construct(*_, **__):
        print("Downloading data")
        raise Exception("URL fetch failure on https://example.org: None -- no route\nmore")

    monkeypatch.setattr(imagenet, "construct", construct)
    with pytest.raises(WeightsError, match=r"^MobileNetV3Small: Keras cannot download .*\(URL fetch .* no route\)$"):
        load_imagenet(mobile)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "Downloading data\n")


@pytest.mark.usefixtures("shallow")
def test_nothing_is_downloaded_to_build_or_offline(monkeypatch, tmp_path):
    def refuse(*arguments, **_):
        raise AssertionError(f"asked for {arguments}")

    monkeypatch.setattr(keras.utils, "get_file", refuse)
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", refuse)
    detector = make("EfficientNetB0")
    detector.save(tmp_path / "a.keras")
    load(tmp_path / "a.keras")
    with pytest.raises(WeightsError, match="downloaded by Keras"):
        load_imagenet(detector, offline=True)


# Faults


def test_unknown_names():
    with pytest.raises(ConfigError, match=r"has no 'Resnet5'; did you mean ResNet50\b"):
        make("Resnet5")
    with pytest.raises(ConfigError, match=r"has no 'zzz'; there are ConvNeXtBase, .*Xception"):
        make("zzz")
    assert {"VGG19", "NASNetMobile", "MobileNetV3Large"} < set(backbone_names())
    assert not {"resnet", "imagenet_utils"} & set(backbone_names())


def test_a_backbone_without_maps_of_these_strides():
    with pytest.raises(ConfigError, match="keras:InceptionV3: has no map of stride 32 on a canvas of 96 x 96"):
        make("InceptionV3", size=96)


def test_a_canvas_that_is_too_small_for_keras():
    with pytest.raises(ConfigError, match="keras:Xception on a canvas of 64 x 64: Input size must be at least 71x71"):
        make("Xception")


def test_what_is_for_darknet_or_for_backbones_alone(tmp_path, mobile):
    with pytest.raises(WeightsError, match="keras:MobileNetV3Small is not a Darknet network"):
        save_darknet_weights(mobile, tmp_path / "a.weights")
    with pytest.raises(ConfigError, match="model yolov3: ImageNet weights are for the backbones of Keras"):
        load_imagenet(Detector("yolov3", classes=["a"], size=64))
