"""Explanation of a detector's detections in one picture: where each came from, and which pixels speak for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.config import check
from yolo.errors import ConfigError
from yolo.explaining.class_activation import GRADIENT_METHODS, CamMethod, eigencam, merge
from yolo.explaining.layers import default_layers, find_layer
from yolo.explaining.look import Look, Slot, look_at
from yolo.images.codec import read_image
from yolo.model.pictures import Picture
from yolo.structs import Boxes

if TYPE_CHECKING:
    from yolo.model.backend.activations import Traced
    from yolo.model.detector import Detector

Floats = NDArray[np.float32]
Gradients = dict[int, list[Floats]]
"""Gradients (1, h, w, channels) with respect to several layers, by the number of a slot's 5 + C that they are of."""
OBJECTNESS, COORDINATES, CLASSES = 4, range(4), 5
"""Places of objectness, t_x to t_h, and the first class among a slot's numbers."""


@dataclass(frozen=True, eq=False)
class Explained:
    """One detection, the slot that made it, and the maps of its class and of its box."""

    box: Boxes
    """(4,) xyxy in pixels of the picture."""
    score: float
    label: int
    name: str
    objectness: float
    probability: float
    """Class probability; the score is objectness times this."""
    slot: Slot
    class_map: Floats
    """(H, W) in 0..1 over the picture: what speaks for the class."""
    box_map: Floats
    """(H, W) in 0..1: what speaks for an object here, and what moves its edges; `class_map` itself for Eigen-CAM."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """Explained detections of one picture."""

    look: Look
    """The picture and all that the network says of it."""
    method: CamMethod
    layers: tuple[str, ...]
    """Layers whose maps are merged."""
    detections: tuple[Explained, ...]
    """Best first."""

    def __len__(self) -> int:
        return len(self.detections)

    def __repr__(self) -> str:
        listed = ", ".join(f"{each.name} {each.score:.2f} from {each.slot.layer}" for each in self.detections[:8])
        return f"<Explanation by {self.method}: {listed or 'no detections'}>"


def explain(
    detector: Detector,
    picture: Picture,
    *,
    method: CamMethod = "layercam",
    layers: Sequence[str] | None = None,
    conf: float | None = None,
    iou: float | None = None,
    top: int = 10,
) -> Explanation:
    """Explain the detections of a picture: slot, class activation map of the class, and of the box.

    Args:
        detector: a detector in Keras, as `yolo.load` gives it; files of other runtimes have no gradients.
        picture: a path, or an (H, W, 3) uint8 RGB array.
        method: ``layercam``, ``gradcam++`` or ``eigencam`` (`yolo/explaining/class_activation.py`).
        layers: names of the layers whose maps are merged; None: the last of each of the backbone's stages, see
            `default_layers`.
        conf: lowest score of a detection; None: the detector's own.
        iou: IoU threshold of suppression; None: the detector's own.
        top: number of detections that are explained, the best ones.

    Raises:
        ConfigError: a layer is unknown, or an option is out of range.
        MediaError: the picture cannot be read.
    """
    check(method in get_args(CamMethod), "method", f"one of {', '.join(get_args(CamMethod))}", method)
    check(top > 0, "top", "> 0", top)
    if not hasattr(detector, "network_on"):
        raise ConfigError(
            "detector: a runtime has no gradients; load the .keras or .weights file that it was made from (yolo.load)"
        )
    names = tuple(default_layers(detector) if layers is None else layers)
    for name in names:
        find_layer(detector.network, name)
    changes: dict[str, Any] = {key: value for key, value in (("conf", conf), ("iou", iou)) if value is not None}
    image = picture if isinstance(picture, np.ndarray) else read_image(picture)
    look = look_at(detector, image, replace(detector.nms, **changes))
    return explain_look(look, method=method, layers=names, top=top)


def explain_look(look: Look, *, method: CamMethod, layers: Sequence[str], top: int) -> Explanation:
    """Explain the best detections of a look, from the maps of the named layers."""
    chosen = look.rows[:top]
    traced = traced_at(look, layers) if len(chosen) else None
    found = [_explained(look, number, method, traced) for number in range(len(chosen)) if traced is not None]
    return Explanation(look, method, tuple(layers), tuple(found))


def traced_at(look: Look, layers: Sequence[str]) -> Traced:
    """Pass of a look's picture through the network, with the named layers tapped."""
    from yolo.model.backend.activations import trace

    network = look.detector.network
    return trace(network, network.outputs, [find_layer(network, name) for name in layers], look.canvas)


def _explained(look: Look, number: int, method: CamMethod, traced: Traced) -> Explained:
    detection, pair = look.detections[number], int(look.rows[number])
    index = int(look.verdicts.slots[pair])
    _, objectness, classes = look.decoded
    gradients = slot_gradients(look, index, detection.label, traced)
    class_map, box_map = activation_maps(look, detection.label, method, traced.activations, gradients)
    return Explained(
        box=detection.box,
        score=detection.score,
        label=detection.label,
        name=detection.name,
        objectness=float(objectness[index]),
        probability=float(classes[index, detection.label]),
        slot=look.slot(index),
        class_map=class_map,
        box_map=box_map,
    )


def slot_gradients(look: Look, slot: int, label: int, traced: Traced) -> Gradients:
    """Gradients of a slot's objectness, coordinates and one class with respect to the tapped layers."""
    scale, place = look.place(slot)

    def of(number: int) -> list[Floats]:
        weights = [np.zeros_like(each) for each in look.maps]
        weights[scale][(0, *place, number)] = 1.0
        return traced.pull(weights)

    return {number: of(number) for number in (*COORDINATES, OBJECTNESS, CLASSES + label)}


def activation_maps(
    look: Look, label: int, method: CamMethod, activations: Sequence[Floats], gradients: Gradients
) -> tuple[Floats, Floats]:
    """Maps (H, W) over the picture of a slot's class, and of its box.

    The class's is that of the class output before the sigmoid, which the sigmoid's gradient would only scale. The box's
    is the mean of two: that of the objectness output, and that of the four coordinates, whose maps are taken for a rise
    and for a fall, as either moves an edge.

    Args:
        look: the picture.
        label: class of the map.
        method: kind of map.
        activations: values (1, h, w, channels) of the layers that are merged.
        gradients: those of `slot_gradients` with respect to the same layers.
    """
    size = look.box.canvas_size
    if method == "eigencam":
        reached = zip(activations, gradients[OBJECTNESS], strict=True)
        same = on_picture(look, merge([eigencam(a[0]) for a, g in reached if g.any()], size))
        return same, same

    def heat(number: int, sign: float = 1.0) -> Floats:
        pairs = zip(activations, gradients[number], strict=True)
        return merge([GRADIENT_METHODS[method](a[0], sign * g[0]) for a, g in pairs], size)

    moves = [heat(number, sign) for number in COORDINATES for sign in (1.0, -1.0)]
    of_box = merge([heat(OBJECTNESS), merge(moves, size)], size)
    return on_picture(look, heat(CLASSES + label)), on_picture(look, of_box)


def on_picture(look: Look, heat: Floats) -> Floats:
    """Part of a map over the canvas that lies on the picture, in its pixels, scaled to a largest value of 1."""
    (rows, columns), (top, left) = look.box.inner_size, look.box.offset
    inner = heat[top : top + rows, left : left + columns]
    wide = cv2.resize(inner, look.picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(wide / max(float(wide.max()), 1e-12), np.float32)
