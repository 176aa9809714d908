"""The classic class activation map, on classifiers with known weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from yolo.errors import ConfigError, WeightsError
from yolo.explaining.classifier import class_activation_maps, find_ending, load_classifier


def classifier(*ending, side=32):
    images = x = keras.Input((side, side, 3))
    x = layers.Rescaling(1 / 255)(x)
    x = layers.AveragePooling2D(8)(x)  # channels are the colours of each cell
    for layer in ending:
        x = layer(x)
    return keras.Model(images, x)


def with_kernel(layer, kernel, model):
    layer.set_weights([np.asarray(kernel, np.float32).reshape(layer.kernel.shape), np.array([0.5, -0.5], np.float32)])
    return model


KERNEL = [[2, 0], [0, 3], [0, 0]]
"""Class 0 looks for red, class 1 for green."""


def picture():
    image = np.zeros((64, 64, 3), np.uint8)
    image[:16, :16, 0] = 255  # the first cell is red
    image[48:, 32:48, 1] = 255  # one of the last row is green
    return image


def endings():
    dense, narrow = layers.Dense(2, activation="softmax"), layers.Conv2D(2, 1)
    yield dense, classifier(layers.GlobalAveragePooling2D(), layers.Dropout(0.2), dense)
    yield narrow, classifier(layers.GlobalAveragePooling2D(keepdims=True), narrow, layers.Flatten(), layers.Softmax())


@pytest.mark.parametrize("index", [0, 1])
def test_maps_lie_on_the_cells_with_the_colour(index):
    layer, model = list(endings())[index]
    with_kernel(layer, KERNEL, model)
    found = {each.label: each for each in class_activation_maps(model, picture())}
    assert found[0].logits[0, 0] == pytest.approx(2)
    assert np.unravel_index(found[0].logits.argmax(), (4, 4)) == (0, 0)
    assert np.unravel_index(found[1].logits.argmax(), (4, 4)) == (3, 2)
    assert found[0].heat.shape == (64, 64)
    assert found[0].heat[4, 4] == pytest.approx(1)


def test_the_maps_mean_and_the_bias_are_the_classs_value():
    layer, model = next(endings())
    with_kernel(layer, KERNEL, model)
    logits = {
        each.label: float(each.logits.mean()) + (0.5, -0.5)[each.label]
        for each in class_activation_maps(model, picture())
    }
    powers = {label: np.exp(value) for label, value in logits.items()}
    for each in class_activation_maps(model, picture()):
        assert each.score == pytest.approx(powers[each.label] / sum(powers.values()), rel=1e-5)


def test_channels_may_be_the_classes():
    """As in Darknet's classifiers: a convolution of as many filters as classes, and the pool."""
    model = classifier(layers.GlobalAveragePooling2D(), layers.Softmax())
    assert find_ending(model).kernel is None
    best = class_activation_maps(model, picture(), top=1)[0]
    assert best.logits.shape == (4, 4)


@pytest.mark.parametrize(
    ("ending", "name"),
    [
        ([layers.Flatten(), layers.Dense(2)], "average_pooling2d"),
        ([layers.GlobalMaxPooling2D(), layers.Dense(2)], "global_max"),
        ([layers.GlobalAveragePooling2D(), layers.Dense(4, activation="relu"), layers.Dense(2)], "Dense"),
        ([layers.GlobalAveragePooling2D(), layers.ReLU(), layers.Dense(2)], "ReLU"),
    ],
)
def test_other_classifiers_are_refused(ending, name):
    with pytest.raises(ConfigError, match=f"no class activation map.*{name}"):
        find_ending(classifier(*ending))


def test_an_activation_between_pool_and_layer_is_refused():
    with pytest.raises(ConfigError, match="has an activation between them"):
        find_ending(classifier(layers.GlobalAveragePooling2D(), layers.Activation("relu"), layers.Dense(2)))


def test_a_file_of_keras_own_layers_is_loaded(tmp_path):
    _, model = next(endings())
    model.save(tmp_path / "c.keras")
    loaded = load_classifier(tmp_path / "c.keras")
    one, other = (class_activation_maps(each, picture(), top=1)[0] for each in (model, loaded))
    assert one.score == pytest.approx(other.score)


@keras.saving.register_keras_serializable(package="strange")
class Strange(layers.Layer):
    """Layer of somebody else's module."""

    def call(self, inputs):
        return inputs


def test_layers_of_other_modules_are_not_loaded(tmp_path):
    classifier(Strange(), layers.GlobalAveragePooling2D(), layers.Dense(2)).save(tmp_path / "c.keras")
    with pytest.raises(WeightsError, match=r"c\.keras: has layers of .*; only Keras' own are loaded"):
        load_classifier(tmp_path / "c.keras")


def test_code_is_not_loaded(tmp_path):
    classifier(layers.GlobalAveragePooling2D(), layers.Lambda(lambda x: x), layers.Dense(2)).save(tmp_path / "c.keras")
    with pytest.raises(WeightsError, match=r"c\.keras: "):
        load_classifier(tmp_path / "c.keras")
