#!/usr/bin/env python3
"""Makes the references beside it: raw heads of small networks, from OpenCV 4.14's own Darknet importer.

Needs opencv-python-headless<5 (OpenCV 5 has no importer any more), so it runs apart from the tests:

    pip install --target /tmp/cv4 'opencv-python-headless<5' --no-deps
    PYTHONPATH=/tmp/cv4 python tests/references/make.py

Every NAME.npz holds what the tests need: the network file's text (cfg), the weights file's bytes (weights), the
picture (image, uint8, (H, W, 3) RGB, the input times 255), the raw output of the convolution before each head
(head0, ... in the file's order, (h, w, A x (5 + C)), before an activation) and, where OpenCV decodes as Darknet
does, its rows (h x w x A, 5 + C) of centre, size, objectness and score, relative to the picture (rows0, ...).

Weights are seeded normal numbers, drawn as shared/tools/make_darknet_weights.py draws them.
"""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).parent
NET = "[net]\nheight={}\nwidth={}\nchannels=3\n"


def conv(filters, size=1, activation="linear", *, bn=1, pad=1, **options):
    lines = {"batch_normalize": bn, "filters": filters, "size": size, "pad": pad, "stride": 1, **options}
    lines = {key: value for key, value in lines.items() if value != 0 or key != "batch_normalize"}
    return section("convolutional", **lines, activation=activation)


def section(kind, **options):
    return f"\n[{kind}]\n" + "".join(f"{key}={value}\n" for key, value in options.items())


def yolo(classes=2, mask="0,1", **options):
    anchors = "6,9, 14,11, 20,30, 33,21"
    return section("yolo", mask=mask, anchors=anchors, classes=classes, num=4, thresh=0.0001, **options)


NETWORKS = {
    "convolutions": NET.format(32, 48)
    + conv(8, 3, "leaky", stride=2)
    + conv(12, 3, "relu", groups=4)
    + conv(12, 3, "mish", groups=12)
    + conv(24, 3, "swish", groups=12, stride=2, bn=0)
    + conv(10, 5, "leaky", pad=0, padding=1)
    + conv(12, 4, "linear", pad=0, padding=2)
    + conv(12, 2, "leaky", pad=0)
    + conv(14, 3, "leaky", pad=0, padding=2)
    + conv(14, 3, "linear", groups=14, bn=0)
    + conv(14, 1, "linear", bn=0)
    + yolo(),
    "activations": NET.format(32, 48)
    + conv(8, 3, "linear", stride=4)
    + "".join(conv(8, 3, name, bn=index % 2) for index, name in enumerate(("leaky", "relu", "mish", "swish")))
    + conv(8, 3, "logistic")  # OpenCV does not know relu6
    + conv(14, 1, "linear", bn=0)
    + yolo(),
    # On 15 cells: 2/2 and 3/2 give 8, brought to 5 by a kernel of 4 cells.
    "pools-odd": NET.format(45, 45)
    + conv(6, 3, "leaky", stride=3)
    + section("maxpool", size=2, stride=2)
    + section("route", layers=-2)
    + section("maxpool", size=3, stride=2)
    + section("route", layers="-1,-3")
    + conv(6, 4, "leaky", pad=0)
    + "".join(section("maxpool", size=size, stride=1) + section("route", layers=-2) for size in (2, 3, 4))
    + section("maxpool", size=5, stride=1)
    + section("route", layers="-1,-3,-5,-7,-8")
    + conv(14, 1, "linear", bn=0)
    + yolo(),
    "pools-even": NET.format(48, 32)
    + conv(6, 3, "leaky", stride=2)
    + section("maxpool", size=2, stride=2)
    + section("route", layers=-2)
    + section("maxpool", size=3, stride=2)
    + section("route", layers="-1,-3")
    + conv(6, 3, "leaky")
    + "".join(section("maxpool", size=size, stride=1) + section("route", layers=-2) for size in (2, 3, 4))
    + section("maxpool", size=5, stride=1)
    + section("route", layers="-1,-3,-5,-7,-8")
    + section("maxpool", size=2, stride=2, padding=0)
    + conv(14, 1, "linear", bn=0)
    + yolo(),
    "routes": NET.format(64, 32)
    + conv(8, 3, "leaky", stride=2)
    + conv(16, 3, "leaky", stride=2)
    + section("route", layers=-1, groups=2, group_id=1)  # 2
    + conv(8, 3, "leaky")
    + conv(8, 3, "leaky")
    + section("shortcut", **{"from": "-2", "activation": "leaky"})  # 5
    + section("route", layers="-1,1")
    + section("maxpool", size=2, stride=2)  # 7
    + conv(14, 1, "linear", bn=0)
    + yolo(mask="2,3")  # 9
    + section("route", layers=7)
    + conv(4, 1, "leaky")
    + section("upsample", stride=2)
    + section("route", layers="-1,5")
    + conv(8, 3, "leaky")
    + section("shortcut", **{"from": "-2", "activation": "linear"})  # 12 channels onto 8; OpenCV knows one source alone
    + conv(14, 1, "linear", bn=0)
    + yolo(mask="0,1"),
    "attention": NET.format(40, 40)
    + conv(8, 3, "swish", stride=2)
    + conv(8, 3, "swish", stride=2)
    + section("avgpool")
    + conv(4, 1, "swish", bn=0)
    + conv(8, 1, "logistic", bn=0)
    + section("scale_channels", **{"from": "-4"})
    + conv(8, 3, "logistic")
    + section("sam", **{"from": "-2"})
    + section("dropout", probability=0.5)
    + conv(14, 1, "linear", bn=0)
    + yolo(),
    "region": NET.format(64, 96)
    + conv(4, 3, "leaky", stride=2)
    + conv(8, 3, "leaky", stride=2)
    + section("maxpool", size=2, stride=2)
    + conv(8, 3, "leaky")
    + section("route", layers=-3)
    + conv(4, 1, "leaky")
    + section("reorg", stride=2)
    + section("route", layers="-1,-4")
    + conv(12, 3, "leaky")
    + conv(16, 1, "linear", bn=0)
    + section("region", anchors="1.5,2.25, 3.1,1.9", classes=3, coords=4, num=2, softmax=1, thresh=0.0001),
    "scaled-centres": NET.format(64, 64)
    + conv(8, 3, "mish", stride=4)
    + conv(8, 3, "mish", stride=2)
    + conv(14, 1, "linear", bn=0)
    + yolo(mask="2,3", scale_x_y=1.05)
    + section("route", layers=0)
    + conv(14, 1, "linear", bn=0)
    + yolo(mask="0,1", scale_x_y=1.2),
    "new-coordinates": NET.format(32, 64)
    + conv(8, 3, "mish", stride=4)
    + conv(8, 3, "mish", stride=2)
    + conv(14, 1, "logistic", bn=0)
    + yolo(mask="2,3", scale_x_y=2.0, new_coords=1),
}


def sections(cfg):
    found = []
    for line in cfg.split("\n"):
        if line.startswith("["):
            found.append({"type": line.strip("[]")})
        elif line:
            key, value = line.split("=", 1)
            found[-1][key] = value
    return found


def draw_weights(cfg, seed):
    """As shared/tools/make_darknet_weights.py."""
    rng = np.random.default_rng(seed)
    net, *layers = sections(cfg)
    channels, widths, file = int(net["channels"]), [], io.BytesIO()
    file.write(np.array([0, 2, 0], "<i4").tobytes() + np.array([0], "<i8").tobytes())
    for index, layer in enumerate(layers):
        if layer["type"] == "convolutional":
            filters, size = int(layer["filters"]), int(layer["size"])
            fan = channels // int(layer.get("groups", 1))
            parts = [rng.normal(0, 0.1, filters)]
            if int(layer.get("batch_normalize", 0)):
                parts += [rng.normal(1, 0.1, filters), rng.normal(0, 0.1, filters), rng.uniform(0.5, 1.5, filters)]
            parts.append(rng.normal(0, np.sqrt(2 / (fan * size * size)), (filters, fan, size, size)))
            file.write(b"".join(part.astype("<f4").tobytes() for part in parts))
            channels = filters
        elif layer["type"] == "route":
            sources = [int(each) for each in layer["layers"].split(",")]
            channels = sum(widths[i if i >= 0 else index + i] for i in sources) // int(layer.get("groups", 1))
        elif layer["type"] == "reorg":
            channels *= int(layer["stride"]) ** 2
        widths.append(channels)
    return file.getvalue()


def make(name, cfg, seed):
    weights = draw_weights(cfg, seed)
    net, *layers = sections(cfg)
    image = np.random.default_rng(100 + seed).integers(0, 256, (int(net["height"]), int(net["width"]), 3), np.uint8)
    network = cv2.dnn.readNetFromDarknet(np.frombuffer(cfg.encode(), np.uint8), np.frombuffer(weights, np.uint8))
    network.setInput(cv2.dnn.blobFromImage(image.astype(np.float32), 1 / 255))
    places = [index for index, layer in enumerate(layers) if layer["type"] in ("yolo", "region")]
    heads = network.forward([f"conv_{index - 1}" for index in places])
    arrays = {f"head{i}": np.ascontiguousarray(head[0].transpose(1, 2, 0)) for i, head in enumerate(heads)}
    if len(places) == 1 or name == "scaled-centres":
        network.setInput(cv2.dnn.blobFromImage(image.astype(np.float32), 1 / 255))
        names = network.getUnconnectedOutLayersNames()
        for i, rows in enumerate(network.forward(names)):
            arrays[f"rows{i}"] = rows.reshape(-1, rows.shape[-1])
        print(names)
    print(name, {key: (value.shape, float(np.abs(value).max())) for key, value in arrays.items()})
    weights_array = np.frombuffer(weights, np.uint8)
    np.savez_compressed(HERE / f"{name}.npz", cfg=np.array(cfg), weights=weights_array, image=image, **arrays)


if __name__ == "__main__":
    for seed, (name, cfg) in enumerate(NETWORKS.items()):
        try:
            make(name, cfg, seed)
        except cv2.error as error:
            print(name, "OpenCV:", error)
