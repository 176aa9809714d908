"""Darknet's weights files: bytes by hand, round trips, and files that do not belong to the network."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from cfg_texts import YOLO, conv, draw_weights, sections
from keras import ops

import yolo
from yolo.darknet.network import Convolution
from yolo.darknet.plan import make_plan
from yolo.darknet.weights import ConvolutionWeights, Header, read_header, read_weights, write_weights
from yolo.errors import WeightsError
from yolo.model.detector import Detector
from yolo.weights.darknet_files import get_weights, save_darknet_weights, set_weights, settings_of
from yolo.weights.load import load_first_convolutions, recognise

FIRST = Convolution(2, 1, (1, 1), 0, 1, True, "leaky", 3)  # 2 x (3 + 4) numbers: 56 bytes
SECOND = Convolution(2, 2, (1, 1), 0, 2, False, "linear", 2)  # 2 x (1 x 2 x 2 + 1) numbers: 40 bytes


def numbers(*values):
    return struct.pack(f"<{len(values)}f", *values)


HEADER_1 = struct.pack("<iiii", 0, 1, 7, 3_000)
HEADER_2 = struct.pack("<iiiq", 0, 2, 5, 3_000_000_000)
BODY = numbers(*range(8), *range(10, 16)) + numbers(*range(20, 22), *range(30, 38))


def fault(path, convolutions=(FIRST, SECOND), **options):
    with pytest.raises(WeightsError) as raised:
        read_weights(path, convolutions, **options)
    return str(raised.value)


@pytest.fixture
def file(tmp_path):
    """Writes a file of these bytes."""

    def write(*parts):
        path = tmp_path / "a.weights"
        path.write_bytes(b"".join(parts))
        return path

    return write


# Headers


@pytest.mark.parametrize(
    ("content", "header"),
    [
        (HEADER_1, Header(0, 1, 7, 3_000)),
        (HEADER_2, Header(0, 2, 5, 3_000_000_000)),
        (struct.pack("<iiiq", 1, 0, 0, 2**40), Header(1, 0, 0, 2**40)),  # 1.0 comes after 0.2
        (struct.pack("<iiii", 0, 0, -1, 9), Header(0, 0, -1, 9)),
    ],
)
def test_headers(file, content, header):
    assert read_header(file(content, b"rest")) == header
    assert header.to_bytes() == content
    assert header.size == len(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes; a Darknet weights file begins with at least 16"),
        (HEADER_1[:15], "15 bytes; a Darknet weights file begins with at least 16"),
        (HEADER_2[:19], "19 bytes; its header alone has 20"),
        (b"PK\3\4" + bytes(20), "version 67324752.0 in its first bytes; not a Darknet weights file"),
        (struct.pack("<iiiq", 0, -1, 0, 0), "version 0.-1 in its first bytes; not a Darknet weights file"),
        (struct.pack("<iiiq", 1000, 2, 0, 0), "version 1000.2 in its first bytes; not a Darknet weights file"),
    ],
)
def test_what_is_no_header(file, content, message):
    path = file(content)
    with pytest.raises(WeightsError) as raised:
        read_header(path)
    assert str(raised.value) == f"{path}: {message}"


def test_missing_files(tmp_path):
    assert fault(tmp_path / "none.weights") == f"{tmp_path / 'none.weights'}: no such file"
    assert fault(tmp_path) == f"{tmp_path}: cannot be read (is a folder, not a file)"


# Numbers


@pytest.mark.parametrize("header", [HEADER_1, HEADER_2])
def test_every_number_by_its_place(file, header):
    found_header, (first, second) = read_weights(file(header, BODY), [FIRST, SECOND])
    assert found_header.to_bytes() == header
    assert first.biases.tolist() == [0, 1]
    assert first.scales.tolist() == [2, 3]
    assert first.means.tolist() == [4, 5]
    assert first.variances.tolist() == [6, 7]
    assert first.kernel.tolist() == [[[[10]], [[11]], [[12]]], [[[13]], [[14]], [[15]]]]
    assert second.biases.tolist() == [20, 21]
    assert (second.scales, second.means, second.variances) == (None, None, None)
    assert second.kernel.tolist() == [[[[30, 31], [32, 33]]], [[[34, 35], [36, 37]]]]


@pytest.mark.parametrize("header", [HEADER_1, HEADER_2])
def test_written_again_byte_for_byte(file, tmp_path, header):
    path = file(header, BODY)
    write_weights(tmp_path / "b.weights", *read_weights(path, [FIRST, SECOND]))
    assert (tmp_path / "b.weights").read_bytes() == path.read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.weights", "b.weights"]
    with pytest.raises(WeightsError, match="cannot be written"):
        write_weights(tmp_path / "none" / "b.weights", Header(), [])


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        # A header of 20 bytes, then conv_0 to byte 76 and conv_1 to 116
        (20, "20 bytes, but the network needs 116: the file ends before conv_0"),
        (21, "21 bytes, but the network needs 116: the file ends within conv_0 (bytes 20 to 76)"),
        (75, "75 bytes, but the network needs 116: the file ends within conv_0 (bytes 20 to 76)"),
        (76, "76 bytes, but the network needs 116: the file ends before conv_1"),
        (77, "77 bytes, but the network needs 116: the file ends within conv_1 (bytes 76 to 116)"),
        (115, "115 bytes, but the network needs 116: the file ends within conv_1 (bytes 76 to 116)"),
    ],
)
def test_too_short(file, kept, message):
    path = file((HEADER_2 + BODY)[:kept])
    assert fault(path) == f"{path}: {message}; it is cut off or of another network"


@pytest.mark.parametrize("more", [1, 4, 1000])
def test_too_long(file, more):
    path = file(HEADER_1, BODY, b"\0" * more)
    expected = (
        f"{path}: {112 + more} bytes, but the network ends with conv_1 at 112: {more} too many; "
        "the file is of another network"
    )
    assert fault(path) == expected
    assert fault(path, partial=True) == expected


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (6, -1.0, "negative variances in conv_0"),
        (7, np.nan, "numbers that are not finite in conv_0"),
        (9, np.inf, "numbers that are not finite in conv_0"),
        (14, -np.inf, "numbers that are not finite in conv_1"),
        (23, np.nan, "numbers that are not finite in conv_1"),
    ],
)
def test_numbers_that_no_training_leaves(file, place, value, message):
    values = np.frombuffer(BODY, "<f4").copy()
    values[place] = value
    path = file(HEADER_2, values.tobytes())
    index = message[-1]
    assert fault(path) == (
        f"{path}: {message}: the file is of another network, which parts from this one at conv_{index} or before, "
        "or it is damaged (116 bytes, the network needs 116)"
    )


def test_another_network_is_told_by_where_it_parts(tmp_path):
    def network(filters):
        normal = {"batch_normalize": 1}
        parts = [conv(8, 3, **normal), conv(16, 3, **normal), conv(filters, 3, **normal), conv(14), YOLO]
        return make_plan(sections(*parts, size=(34, 34)).replace("size=3", "size=3\npad=1")).convolutions

    path = tmp_path / "a.weights"
    write_weights(path, Header(), draw_weights(network(16)))
    # 8 x (27 + 4) + 16 x (8 x 9 + 4) + F x (16 x 9 + 4) + 14 x (F + 1) numbers; conv_2 begins at byte 5876
    assert path.stat().st_size == 20 + 4 * (248 + 1216 + 16 * 148 + 14 * 17)
    # With 12 filters the file's means would be variances; with 24 it ends before all numbers of conv_2 are there.
    assert fault(path, network(12)) == (
        f"{path}: negative variances in conv_2: the file is of another network, which parts from this one at conv_2 "
        f"or before, or it is damaged (16300 bytes, the network needs {5876 + 4 * (12 * 148 + 14 * 13)})"
    )
    assert fault(path, network(24)) == (
        f"{path}: 16300 bytes, but the network needs {20084 + 4 * 14 * 25}: the file ends within conv_2 "
        "(bytes 5876 to 20084); it is cut off or of another network"
    )


def test_small_and_special_numbers_are_kept(file, tmp_path):
    values = np.frombuffer(BODY, "<f4").copy()
    values[:7] = [-0.0, 1e-45, 3.4e38, -1e-30, -2, 5, 0]  # the variances begin with the seventh
    path = file(HEADER_2, values.tobytes())
    write_weights(tmp_path / "b.weights", *read_weights(path, [FIRST, SECOND]))
    assert (tmp_path / "b.weights").read_bytes() == path.read_bytes()


def test_files_of_the_first_layers(file):
    header, found = read_weights(file(HEADER_2, BODY[:56]), [FIRST, SECOND], partial=True)
    assert header.seen == 3_000_000_000
    assert [each.kernel.ravel().tolist() for each in found] == [[10, 11, 12, 13, 14, 15]]
    assert len(read_weights(file(HEADER_2, BODY), [FIRST, SECOND], partial=True)[1]) == 2
    for kept in (0, 55, 57):
        path = file(HEADER_2, BODY[:kept])
        assert fault(path, partial=True).startswith(f"{path}: {20 + kept} bytes, but the network needs 116")


def test_a_network_without_convolutions(file):
    path = file(HEADER_2)
    assert fault(path, ()) == (f"{path}: the network is not Darknet's: it has no convolutions to put the weights into")


# To and from Keras

NETWORK = sections(
    conv(4, 3, "leaky", batch_normalize=1, pad=1),
    conv(4, 3, "relu", groups=4, pad=1),  # depthwise
    conv(6, 3, "relu", groups=2, pad=1, batch_normalize=1),
    conv(6, 3, "swish", groups=6, pad=1, stride_x=2, stride_y=1),  # depthwise, of two strides
    conv(6, 3, "swish", pad=1, stride_x=1, stride_y=2),
    conv(12, 3, "mish", groups=6, pad=1),  # two filters a channel
    conv(14),
    YOLO,
)


@pytest.fixture(scope="module")
def network():
    return Detector("a.cfg", cfg=NETWORK, classes=["a", "b"])


def test_settings_of_layers_are_those_of_the_file(network):
    planned = make_plan(NETWORK).convolutions
    found = [settings_of(layer) for layer in network.convolutions]
    for one, other in zip(found, planned, strict=True):
        assert (one.kernel_shape, one.weights) == (other.kernel_shape, other.weights)
        assert (one.groups, one.channels, one.activation) == (other.groups, other.channels, other.activation)
        assert (one.batch_normalize, one.strides) == (other.batch_normalize, other.strides)


def test_kernels_by_their_place_in_keras(network):
    weights = draw_weights(make_plan(NETWORK).convolutions)
    set_weights(network, weights)
    dense, depthwise, grouped, *_ = (ops.convert_to_numpy(each.convolution.kernel) for each in network.convolutions)
    for f, c, y, x in np.ndindex(4, 3, 3, 3):
        assert dense[y, x, c, f] == weights[0].kernel[f, c, y, x]
    for f, y, x in np.ndindex(4, 3, 3):
        assert depthwise[y, x, f, 0] == weights[1].kernel[f, 0, y, x]
    for f, c, y, x in np.ndindex(6, 2, 3, 3):
        assert grouped[y, x, c, f] == weights[2].kernel[f, c, y, x]
    norm = network.convolutions[0].batch_norm
    for variable, expected in (
        (norm.gamma, weights[0].scales),
        (norm.beta, weights[0].biases),
        (norm.moving_mean, weights[0].means),
        (norm.moving_variance, weights[0].variances),
        (network.convolutions[1].convolution.bias, weights[1].biases),
    ):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), expected)
    for one, other in zip(get_weights(network), weights, strict=True):
        for a, b in zip(one.parts(), other.parts(), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("header", [Header(0, 1, 3, 77), Header(0, 2, 5, 2**35)])
def test_through_a_detector_byte_for_byte(tmp_path, header):
    (tmp_path / "a.cfg").write_text(NETWORK)
    write_weights(tmp_path / "a.weights", header, draw_weights(make_plan(NETWORK).convolutions, seed=3))
    detector = yolo.load(tmp_path / "a.weights", cfg=tmp_path / "a.cfg", names=["a", "b"])
    save_darknet_weights(detector, tmp_path / "b.weights")
    assert (tmp_path / "b.weights").read_bytes() == (tmp_path / "a.weights").read_bytes()
    detector.save(tmp_path / "c.keras")
    save_darknet_weights(yolo.load(tmp_path / "c.keras"), tmp_path / "d.weights")
    assert (tmp_path / "d.weights").read_bytes() == (tmp_path / "a.weights").read_bytes()


def test_a_file_of_the_first_layers_fills_these_alone(tmp_path):
    plan = make_plan(NETWORK).convolutions
    weights = draw_weights(plan, seed=5)
    write_weights(tmp_path / "a.conv.3", Header(seen=4), weights[:3])
    detector = Detector("a.cfg", cfg=NETWORK, classes=["a", "b"])
    before = get_weights(detector)
    assert load_first_convolutions(detector, tmp_path / "a.conv.3") == 3
    for index, each in enumerate(get_weights(detector)):
        np.testing.assert_array_equal(each.kernel, (weights if index < 3 else before)[index].kernel)


@pytest.mark.parametrize("model", ["yolov3", "yolov3-spp", "yolov3-tiny"])
@pytest.mark.parametrize("classes", [1, 20, 80])
@pytest.mark.parametrize("header", [HEADER_1, HEADER_2])
def test_networks_are_recognised_by_their_size(tmp_path, model, classes, header):
    # Its parameters, counted by Keras with 80 classes (test_networks.py), less 5 or 6 filters a class and anchor
    parameters = {"yolov3": 62_001_757, "yolov3-spp": 63_052_381, "yolov3-tiny": 8_858_734}[model]
    inputs = {"yolov3": 1024 + 512 + 256, "yolov3-spp": 1024 + 512 + 256, "yolov3-tiny": 512 + 256}[model]
    heads = 2 if model == "yolov3-tiny" else 3
    count = parameters - 3 * (80 - classes) * (inputs + heads)
    path = tmp_path / "a.weights"
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + 4 * count)  # sparse: takes no room
    assert recognise(path) == (model, classes)
    with path.open("ab") as file:
        file.truncate(len(header) + 4 * count + 1)
    with pytest.raises(WeightsError, match=rf"{4 * count + len(header) + 1} bytes is the size of none of the networks"):
        recognise(path)


def test_parts_of_a_convolution_in_the_files_order():
    arrays = [np.full(1, value, "f4") for value in range(5)]
    whole = ConvolutionWeights(arrays[0], arrays[4].reshape(1, 1, 1, 1), *arrays[1:4])
    assert [part.item() for part in whole.parts()] == [0, 1, 2, 3, 4]
